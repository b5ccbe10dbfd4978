"""Decisions that say what they saw, hostile circumstances to make them in, and an oracle that asks the log about each.

Every event records, for each state that its decision was made on, how many events that had and a hash over all of them. So
the log itself can say whether the decision saw exactly what came before it: nothing less, nothing twice, in this order.

As a program it is one of several processes that decide on one log, and says as lines of JSON what became of its commands.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from hashlib import blake2b
from typing import Annotated, Any, Self

import msgspec

from twofold import Aggregate, Command, Event, Rejected, Tag, decide, evolve, replace
from twofold.clock import SystemClock
from twofold.commands import CommandHandler, StateCache, decider_of
from twofold.errors import LogUnavailable, TooManyConflicts
from twofold.limits import CommandLimits
from twofold.log import ALL, Append, Log, LogStore, Outcome, RecordedEvent
from twofold.messages import encode
from twofold.service.adapters import open_log

BookId = Annotated[str, Tag("book")]
GateId = Annotated[str, Tag("gate")]
CLOCK = SystemClock()
FULL = os.environ.get("TWOFOLD_TEST_FULL") == "1"
COMMANDS = 80_000 if FULL else 8_000
IN_MEMORY = 600_000 if FULL else 20_000
PROCESSES = 2
DECIDED = 0.6
"""How many of the commands are decided at the least: the others are repetitions, or their commit fails, or nobody waits."""
_DISTURBED_EVERY_SECONDS = 0.5


class Saw(msgspec.Struct, frozen=True):
    """What a decision saw of one state."""

    number: int
    digest: str


class One(Command):
    book: BookId
    salt: int


class Two(Command):
    book: BookId
    gate: GateId
    salt: int


class Three(Command):
    source: BookId
    target: BookId
    gate: GateId
    salt: int


class Four(Command):
    source: BookId
    target: BookId
    entry: GateId
    leave: GateId
    salt: int


class Touched(Event):
    """A decision's only event. The states that it was made on are named twice if they were asked for twice."""

    books: list[BookId]
    gates: list[GateId]
    saw: list[Saw]


class Refused(Rejected):
    """Refused on what was seen."""


class _Witness(Aggregate):
    """A state that is nothing but how it came to be. A snapshot is soon due."""

    snapshot_every = 7
    number: int = 0
    digest: str = ""

    def saw(self) -> Saw:
        return Saw(self.number, self.digest)


class Book(_Witness, key=BookId):
    @evolve
    def touched(self, event: Touched) -> Self:
        return replace(self, number=self.number + 1, digest=chained(self.digest, event))


class Gate(_Witness, key=GateId):
    @evolve
    def touched(self, event: Touched) -> Self:
        return replace(self, number=self.number + 1, digest=chained(self.digest, event))


def chained(digest: str, event: Touched) -> str:
    return blake2b(f"{digest} {event}".encode(), digest_size=8).hexdigest()


def _decided(salt: int, *states: Book | Gate) -> Iterator[Touched]:
    """Refuse now and then, and now and then do nothing, depending on what is seen."""
    seen = [state.saw() for state in states]
    chance = (sum(each.number for each in seen) + salt) % 11
    if chance == 0:
        raise Refused(*[state.key for state in states], *[each.digest for each in seen])
    if chance > 1:
        books = [state.key for state in states if isinstance(state, Book)]
        yield Touched(books=books, gates=[state.key for state in states if isinstance(state, Gate)], saw=seen)


@decide
def one(command: One, book: Book) -> Iterator[Touched]:
    return _decided(command.salt, book)


@decide
def two(command: Two, book: Book, gate: Gate) -> Iterator[Touched]:
    return _decided(command.salt, book, gate)


@decide
def three(command: Three, source: Book, target: Book, gate: Gate) -> Iterator[Touched]:
    return _decided(command.salt, source, target, gate)


@decide
def four(command: Four, source: Book, target: Book, entry: Gate, leave: Gate) -> Iterator[Touched]:
    return _decided(command.salt, source, target, entry, leave)


DECIDERS = [decider_of(each) for each in (one, two, three, four)]


class Told(msgspec.Struct, frozen=True):
    """What became of a command: its id, what was known to be in the log when it was sent, and its receipt or its refusal."""

    id: str
    before: int
    position: int | None = None
    refused: list[str] = []


class HostileStore:
    """A store whose commits fail now and then, before or after they are made, and which takes its time."""

    def __init__(self, store: LogStore, chance: random.Random, failing: float = 0.02) -> None:
        self._store = store
        self._chance = chance
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def history(self, *arguments: Any) -> Any:
        await self._dawdle()
        found = await self._store.history(*arguments)
        await self._dawdle()
        return found

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        if self._chance.random() < self._failing:
            raise LogUnavailable("The disk is full: nothing was stored.")
        outcomes = await self._store.write(batch, recorded_at_us, **how)
        await self._dawdle()
        if self._chance.random() < self._failing:
            raise LogUnavailable("The answer was lost: all was stored.")
        return outcomes

    async def _dawdle(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)


async def hostile_run(stores: Iterable[LogStore], seed: int, commands: int, clients: int = 8) -> list[Told]:
    """Have each store's process send so many commands, and return what was told of those whose caller has waited."""
    chance = random.Random(seed)
    told: list[Told] = []
    logs = [await Log.open(HostileStore(store, chance), CLOCK) for store in stores]
    try:
        calls = [client(log, chance, commands // clients, told) for log in logs for _ in range(clients)]
        await asyncio.gather(*calls)
    finally:
        for log in logs:
            await log.close()
    return told


_handlers: dict[Log, CommandHandler] = {}


async def client(log: Log, chance: random.Random, commands: int, told: list[Told]) -> None:
    """Send commands one after the other: some under ids that others use, some without waiting for what becomes of them."""
    for _ in range(commands):
        handler = _handlers.setdefault(log, _started(log))
        if chance.random() < 0.002:
            await _handlers.pop(log, handler).states.close()
        # A command that is sent again has the same id and content: so the id's number makes both.
        number = chance.randrange(1 << 30) if chance.random() < 0.9 else chance.randrange(40)
        id = f"{number}" if chance.random() < 0.5 or number < 40 else ""
        before = max([each.position or 0 for each in told[-8:]], default=0)
        call = asyncio.create_task(_told(handler, command_of(number), id, before))
        if chance.random() < 0.1:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            call.cancel()
        with suppress(asyncio.CancelledError, LogUnavailable, TooManyConflicts):
            told.append(await call)


def _started(log: Log) -> CommandHandler:
    """Return what a process that has just started decides with: it remembers nothing, and has room for few states."""
    handler = CommandHandler(log, DECIDERS, CLOCK)
    handler.states = StateCache(log, CommandLimits(cached_states=5))
    return handler


async def _told(handler: CommandHandler, command: Command, id: str, before: int) -> Told:
    try:
        return Told(id, before, await handler.handle(command, id=id))
    except Refused as refused:
        return Told(id, before, refused=list(refused.args))


def command_of(number: int) -> Command:
    """Return one command for each number, on few keys."""
    chance = random.Random(number)
    books, gates = [f"b{chance.randrange(6)}" for _ in range(2)], [f"g{chance.randrange(4)}" for _ in range(2)]
    salt = chance.randrange(11)
    return chance.choice([
        One(book=books[0], salt=salt),
        Two(book=books[0], gate=gates[0], salt=salt),
        Three(source=books[0], target=books[1], gate=gates[0], salt=salt),
        Four(source=books[0], target=books[1], entry=gates[0], leave=gates[1], salt=salt),
    ])  # fmt: skip


# The oracle.


class Verdict(msgspec.Struct):
    """How many decisions there were, and what is wrong with which."""

    decisions: int = 0
    wrong: list[str] = []


def judged(events: Sequence[RecordedEvent], told: Sequence[Told]) -> Verdict:
    """Ask a whole log whether each decision saw exactly what came before it, and each caller was told the truth."""
    verdict = Verdict()
    states: dict[str, list[tuple[int, Saw]]] = defaultdict(lambda: [(0, Saw(0, ""))])
    effects: Counter[str] = Counter()
    for event in events:
        verdict.decisions += 1
        touched = msgspec.json.decode(event.data, type=Touched)
        keys = touched.books + touched.gates
        prefix = [states[key][-1][1] for key in keys]
        if prefix != touched.saw:
            verdict.wrong.append(
                f"position {event.position} saw {touched.saw} of {keys}, and was decided behind {prefix}"
            )
        for key in dict.fromkeys(keys):
            last = states[key][-1][1]
            states[key].append((event.position, Saw(last.number + 1, chained(last.digest, touched))))
        effects[event.metadata.command] += 1
    spans = {key: _spans(history) for key, history in states.items()}
    verdict.wrong += [f"the command {id} took effect {count} times" for id, count in effects.items() if count > 1]
    receipts: dict[str, int] = {}
    for each in told:
        if each.position is None:
            verdict.decisions += 1
            verdict.wrong += _lies(each, spans)
        elif each.id and receipts.setdefault(each.id, each.position) != each.position:
            verdict.wrong.append(f"the command {each.id} has the receipts {receipts[each.id]} and {each.position}")
    return verdict


def _spans(history: Sequence[tuple[int, Saw]]) -> dict[str, tuple[int, int]]:
    """Return from which position up to which other one the log had each state of a key, by its digest."""
    ends = [position for position, _ in history[1:]] + [sys.maxsize]
    return {saw.digest: (since, until) for (since, saw), until in zip(history, ends, strict=True)}


def _lies(told: Told, spans: dict[str, dict[str, tuple[int, int]]]) -> Iterator[str]:
    """Yield what is wrong with a refusal: at some moment after it was sent, the log must have had just what was seen."""
    half = len(told.refused) // 2
    since, until = 0, sys.maxsize
    for key, digest in zip(told.refused[:half], told.refused[half:], strict=True):
        span = spans.get(key, {"": (0, sys.maxsize)}).get(digest)
        if span is None:
            yield f"{told.refused}: the log never had this state of {key}"
        else:
            since, until = max(since, span[0]), min(until, span[1])
    if since >= until:
        yield f"{told.refused}: the log never had these states at once"
    if until <= told.before:
        yield f"{told.refused}: refused on what was over at position {until}, sent behind {told.before}"


async def judged_log(store: LogStore, told: Sequence[Told]) -> Verdict:
    """Read a whole log, and judge it."""
    log = await Log.open(store, CLOCK)
    try:
        return judged(await log.read(ALL, limit=1 << 30), told)
    finally:
        await log.close()


def convict(verdict: Verdict, commands: int) -> None:
    """Fail if anything is wrong, or if there was too little to judge for so many commands."""
    assert verdict.wrong[:3] == [], f"{len(verdict.wrong)} of {verdict.decisions} are wrong"
    assert verdict.decisions >= commands * DECIDED


def in_processes(url: str, disturb: Callable[[], object] = lambda: None) -> Verdict:
    """Have several processes decide on the log of a URL, disturb them again and again, and judge it all."""
    command = [sys.executable, "-m", "tests.support.decision_oracle", url]
    running = [
        subprocess.Popen([*command, str(seed), str(COMMANDS)], stdout=subprocess.PIPE) for seed in range(PROCESSES)
    ]
    with ThreadPoolExecutor() as threads:
        said = [threads.submit(each.communicate) for each in running]
        while wait(said, _DISTURBED_EVERY_SECONDS).not_done:
            disturb()
    assert [each.returncode for each in running] == [0] * PROCESSES
    told = [msgspec.json.decode(line, type=Told) for each in said for line in each.result()[0].splitlines()]
    return asyncio.run(judged_log(open_log(url, CLOCK), told))


async def _main(url: str, seed: int, commands: int) -> None:
    for each in await hostile_run([open_log(url, CLOCK)], seed, commands):
        sys.stdout.write(encode(each).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
