"""The decision loop: what holds when commands come at once, others write too, commits fail and callers give up."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from examples.bank import Account, Deposit, InsufficientFunds, Open, Opened, Transfer, Withdraw
from tests.commands.account_handlers import BANK, CLOCK, HastyClock, SharedStore, balance, deposited, handling, history
from twofold import Aggregate, Command, Context, Event, Rejected, Tag, decide, evolve, replace
from twofold.adapters.sqlite import SqliteStore
from twofold.commands import StateCache, decider_of, deciders_of
from twofold.errors import IdReused, LogCorrupted, LogUnavailable, TooManyConflicts, UnknownMessage
from twofold.limits import CommandLimits
from twofold.log import Append, Log, NewEvent, Outcome
from twofold.messages import Metadata, current

CounterId = Annotated[str, Tag("counter")]


class Count(Command):
    counter: CounterId
    other: CounterId = "other"


class CountOnce(Command):
    counter: CounterId


class Counted(Event):
    counter: CounterId
    other: CounterId | None = None
    note: str = ""


class CountedTooFar(Rejected):
    """Enough is enough."""


class Counter(Aggregate, key=CounterId):
    number: int = 0

    @decide
    def once(self, command: CountOnce) -> Iterator[Counted]:
        if self.number == 0:
            yield Counted(counter=self.key)

    @evolve
    def counted(self, event: Counted) -> Self:
        return replace(self, number=self.number + 1)


def deposit(amount: int = 1, account: str = "ann") -> Deposit:
    return Deposit(account=account, amount=amount)


def withdraw(amount: int, account: str = "ann") -> Withdraw:
    return Withdraw(account=account, amount=amount)


# Many at once.


class CountingStore(SqliteStore):
    commits = 0

    async def write(self, batch: Any, recorded_at_us: int, **how: Any) -> list[Outcome]:
        self.commits += 1
        return await super().write(batch, recorded_at_us, **how)


def test_commands_for_one_key_share_commits_and_make_one_history(tmp_path: Path) -> None:
    """Each decides on what those before it have queued, so that a hundred need a few transactions and none conflicts."""
    store = CountingStore(str(tmp_path / "log.db"))
    decided = []

    @decide
    def count(command: CountOnce, counter: Counter) -> Iterator[Counted]:
        decided.append(counter.number)
        yield Counted(counter=counter.key, note=str(counter.number))

    async def scenario() -> None:
        async with handling(store, [decider_of(count)]) as (handler, log):
            positions = await asyncio.gather(*[handler.handle(CountOnce(counter="c")) for _ in range(100)])
            assert list(positions) == list(range(1, 101))
            assert [f'"note":"{n}"' in event.data.decode() for n, event in enumerate(await history(log))] == [
                True
            ] * 100

    asyncio.run(scenario())
    assert decided == list(range(100))
    assert store.commits <= 10


def test_two_processes_on_one_file_count_every_command_once(tmp_path: Path) -> None:
    """With callers of both on the same keys at the same time: no update is lost, and nobody is overdrawn."""

    async def scenario() -> None:
        path = str(tmp_path / "log.db")
        async with handling(SqliteStore(path)) as (one, log), handling(SqliteStore(path)) as (other, _):
            accepted = {"ann": 0, "bob": 0}

            async def call(handler: Any, account: str) -> None:
                for turn in range(20):
                    amount = 3 if turn % 2 else -4
                    try:
                        await handler.handle(deposit(3, account) if amount > 0 else withdraw(4, account))
                    except InsufficientFunds:
                        continue
                    accepted[account] += amount

            await asyncio.gather(*[call(each, name) for each in (one, other) for name in accepted for _ in range(4)])
            for name, total in accepted.items():
                assert await balance(log, name) == total >= 0
            by_account: dict[str, int] = {}
            for event in await history(log):
                (tag,) = event.tags
                change = 3 if event.type == "Deposited" else -4
                by_account[tag] = by_account.get(tag, 0) + change
                assert by_account[tag] >= 0

    asyncio.run(scenario())


def test_transfers_between_the_same_accounts_keep_the_sum(tmp_path: Path) -> None:
    """A decision over two states is appended only if neither has changed, whichever process changes them."""

    async def scenario() -> None:
        path = str(tmp_path / "log.db")
        names = ["ann", "bob", "cid"]
        async with handling(SqliteStore(path)) as (one, log), handling(SqliteStore(path)) as (other, _):
            for name in names:
                await one.handle(deposit(10, name))

            async def call(handler: Any, turn: int) -> None:
                source, target = names[turn % 3], names[(turn + 1 + turn % 2) % 3]
                with suppress(InsufficientFunds):
                    await handler.handle(Transfer(source=source, target=target, amount=turn % 5 + 1))

            await asyncio.gather(*[call((one, other)[turn % 2], turn) for turn in range(60)])
            balances = [await balance(log, name) for name in names]
            assert sum(balances) == 30
            assert min(balances) >= 0

    asyncio.run(scenario())


# Conflicts and failures.


def test_what_was_decided_on_a_refused_append_is_decided_again() -> None:
    """Another process comes between: the first of the queue conflicts, and all that counted on it conflict with it."""
    store = SharedStore()
    store.others = lambda commit: [deposited(1000)] if commit == 1 else []

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            positions = await asyncio.gather(*[handler.handle(deposit(1)) for _ in range(20)])
            assert sorted(positions) == list(range(2, 22))
            assert await balance(log, "ann") == 1020
            await handler.handle(withdraw(1020))
            with pytest.raises(InsufficientFunds):
                await handler.handle(withdraw(1))

    asyncio.run(scenario())


def test_a_rejection_on_queued_events_is_not_given_if_they_are_refused() -> None:
    """It was decided on a balance that the log never had."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            await handler.handle(deposit(10))
            store.others = lambda commit: [deposited(10)] if commit == 2 else []
            await asyncio.gather(handler.handle(withdraw(10)), handler.handle(withdraw(10)))
            assert await balance(log, "ann") == 0

    asyncio.run(scenario())


def test_a_rejection_is_given_on_what_the_log_has_and_not_on_what_is_remembered() -> None:
    """Another process has paid in meanwhile; the balance in this one's memory says nothing of it."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            with pytest.raises(InsufficientFunds):
                await handler.handle(withdraw(5))
            await store.others_append(deposited(5))
            assert await handler.handle(withdraw(5)) == 2
            await store.others_append(deposited(3), deposited(1))
            with pytest.raises(InsufficientFunds) as rejection:
                await handler.handle(withdraw(5))
            assert rejection.value.args == (4,)
            assert await balance(log, "ann") == 4

    asyncio.run(scenario())


def test_nothing_to_do_is_found_on_what_the_log_has_too() -> None:
    """A decision that yields nothing must not rest on a memory either."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Counter)) as (handler, _):
            assert await handler.handle(CountOnce(counter="c")) == 1
            assert await handler.handle(CountOnce(counter="c")) == 1
            await store.others_append(Counted(counter="c"))
            assert await handler.handle(CountOnce(counter="c")) == 2

    asyncio.run(scenario())


def test_who_counted_on_a_commit_that_failed_decides_again() -> None:
    """The callers whose events were in it learn that it failed; nobody after them is held to what it would have been."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            await handler.handle(deposit(10))
            store.fails = lambda commit: commit == 2
            outcomes = await asyncio.gather(
                handler.handle(withdraw(10)), handler.handle(withdraw(10)), return_exceptions=True
            )
            assert isinstance(outcomes[0], LogUnavailable)
            assert outcomes[1] == 2
            assert await balance(log, "ann") == 0

    asyncio.run(scenario())


def test_a_failed_commit_is_forgotten_though_only_rejections_follow() -> None:
    """They too are decided on what the log has."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, _):
            await handler.handle(deposit(10))
            store.fails = lambda commit: commit == 2
            with pytest.raises(LogUnavailable, match="disk is full"):
                await handler.handle(withdraw(10))
            for _ in range(2):
                with pytest.raises(InsufficientFunds) as rejection:
                    await handler.handle(withdraw(11))
                assert rejection.value.args == (10,)
            await handler.handle(withdraw(10))

    asyncio.run(scenario())


def test_a_rejection_that_was_told_is_kept_by_nobody() -> None:
    """It has the trace of where it was raised, and with it all that it was decided on: that goes when the caller is done."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, _):
            for _ in range(20):
                with suppress(InsufficientFunds):
                    await handler.handle(withdraw(5))
            gc.collect()
            assert sum(isinstance(each, InsufficientFunds) for each in gc.get_objects()) == 0

    asyncio.run(scenario())


def test_a_command_that_never_gets_through_says_so() -> None:
    """The text names the command and the states, and what can be done."""
    store = SharedStore()
    store.others = lambda commit: [deposited(1)]

    async def scenario() -> None:
        async with handling(store, clock=HastyClock()) as (handler, log):
            with pytest.raises(TooManyConflicts, match=r"Deposit was decided 64 times.*Account.*one process"):
                await handler.handle(deposit(1000))
            assert await balance(log, "ann") == 64

    asyncio.run(scenario())


def test_an_error_in_a_decision_leaves_nothing_behind() -> None:
    """The caller gets it as it is, and the next command finds the state as it was."""

    class Break(Command):
        counter: CounterId

    @decide
    def broken(command: Break, counter: Counter) -> Iterator[Counted]:
        yield Counted(counter=counter.key)
        raise ZeroDivisionError

    async def scenario() -> None:
        async with handling(SharedStore(), [decider_of(broken), *deciders_of(Counter)]) as (handler, log):
            with pytest.raises(ZeroDivisionError):
                await handler.handle(Break(counter="c"))
            assert await handler.handle(CountOnce(counter="c")) == 1
            assert len(await history(log)) == 1

    asyncio.run(scenario())


class Misdecided(Event):
    counter: CounterId
    number: int


class Misread(Event):
    counter: CounterId


class Forgotten(Event):
    counter: CounterId


class Careless(Aggregate, key=CounterId):
    """An aggregate with mistakes that nobody finds when it is declared."""

    number: int = 0

    @evolve
    def misdecided(self, event: Misdecided) -> Self:
        return self

    @evolve
    def misread(self, event: Misread) -> Self:
        raise KeyError(event.counter)

    @evolve
    def forgotten(self, event: Forgotten) -> Self:  # type: ignore[return]
        replace(self, number=1)

    @evolve
    def counted(self, event: Counted) -> Self:
        return replace(self, number=self.number + 1)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (Misdecided(counter="c", number="one"), TypeError, r"does not fit its class: Expected `int`.*\$\.number"),  # type: ignore[arg-type]
        (Misread(counter="c"), KeyError, "c"),
        (Forgotten(counter="c"), TypeError, r"Careless evolves Forgotten to None: is there a `return` missing"),
        (Open(account="c", owner="d"), TypeError, r"wrongly yields Open, and its annotation says Counted"),
        (Counted(counter="c", note=object()), TypeError, r"object"),  # type: ignore[arg-type]
    ],
    ids=["does not fit", "cannot be evolved", "no return", "not announced", "cannot be encoded"],
)
def test_what_could_not_be_read_again_is_not_recorded(wrong: Event, error: type[Exception], says: str) -> None:
    """The log is for ever: an event that would break its own state is refused, and the state stays usable."""
    yielded: list[Event] = [wrong]

    @decide
    def wrongly(command: CountOnce, state: Careless) -> Iterator[Counted | Misdecided | Misread | Forgotten]:
        yield Counted(counter="c")
        yield from yielded  # type: ignore[misc]

    async def scenario() -> None:
        async with handling(SharedStore(), [decider_of(wrongly)]) as (handler, log):
            with pytest.raises(error, match=says):
                await handler.handle(CountOnce(counter="c"))
            yielded.clear()
            for position in (1, 2):
                assert await handler.handle(CountOnce(counter="c")) == position
            assert [event.type for event in await history(log)] == ["Counted", "Counted"]

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [b'{"counter": "c", "note": 7}', b"not JSON"])
def test_a_stored_event_that_does_not_fit_stops_its_key_alone(data: bytes) -> None:
    """The text says where it is and what to do; it is no conflict, and nothing is tried again and again."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Counter)) as (handler, log):
            await log.append([NewEvent("id", "Counted", 1, ("counter:c",), data)])
            for _ in range(2):
                with pytest.raises(LogCorrupted, match=r"event at position 1 does not fit .*Counted.*@upcast"):
                    await handler.handle(CountOnce(counter="c"))
            assert await handler.handle(CountOnce(counter="d")) == 2

    asyncio.run(scenario())


def test_a_command_that_nobody_decides_on_is_named() -> None:
    """It is a mistake in the program, and the text says where it is mended."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, _):
            with pytest.raises(UnknownMessage, match="Nothing decides on CountOnce here"):
                await handler.handle(CountOnce(counter="c"))

    asyncio.run(scenario())


# Callers that give up.


def test_a_caller_that_gives_up_does_not_take_others_with_it() -> None:
    """What it had queued is in the log, what counted on that holds, and everybody else is answered."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            others = [asyncio.create_task(handler.handle(deposit(1))) for _ in range(5)]
            await give_up_while_committing(handler, log, store, *[deposit(1)] * 5)
            assert sorted(await asyncio.gather(*others)) == [1, 2, 3, 4, 5]
            assert await balance(log, "ann") == 10
            await handler.handle(withdraw(10))
            with pytest.raises(InsufficientFunds):
                await handler.handle(withdraw(1))

    asyncio.run(scenario())


async def give_up_while_committing(
    handler: Any, log: Log, store: SharedStore, *commands: Command, id: str = ""
) -> None:
    """Send commands, and give up when their events are being committed, which is then finished."""
    committing = store.committing()
    calls = [asyncio.create_task(handler.handle(command, id=id)) for command in commands]
    await committing
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await log.append([])


def test_what_a_caller_that_gave_up_has_queued_is_no_reason_to_trust_memory() -> None:
    """A later rejection sees what another process has appended since."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store, clock=HastyClock()) as (handler, log):
            await handler.handle(deposit(1))
            await give_up_while_committing(handler, log, store, deposit(1))
            await store.others_append(deposited(5))
            with pytest.raises(InsufficientFunds) as rejection:
                await handler.handle(withdraw(100))
            assert rejection.value.args == (7,)

    asyncio.run(scenario())


def test_a_receipt_of_nothing_done_includes_what_a_caller_that_gave_up_has_queued() -> None:
    """Whoever asks after it sees the state on which there was nothing to do."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Counter)) as (handler, log):
            await handler.handle(CountOnce(counter="other"))
            await give_up_while_committing(handler, log, store, CountOnce(counter="c"))
            assert await handler.handle(CountOnce(counter="c")) == 2

    asyncio.run(scenario())


# Idempotence.


def test_an_id_is_decided_once() -> None:
    """Sent again, at the same moment or later: the first receipt comes back."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            positions = await asyncio.gather(*[handler.handle(deposit(5), id="once") for _ in range(5)])
            positions += [await handler.handle(deposit(5), id="once")]
            assert set(positions) == {1}
            assert await balance(log, "ann") == 5
            await handler.handle(withdraw(5), id="another")
            assert await balance(log, "ann") == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("other", [withdraw(5), deposit(6), deposit(5, "bob"), withdraw(500)], ids=repr)
def test_another_command_under_an_id_is_an_error_and_is_not_done(other: Command) -> None:
    """Whether it would be accepted or rejected: whoever uses an id again by mistake is not told that it is done."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            assert await handler.handle(deposit(5), id="once") == 1
            with pytest.raises(IdReused, match=r"'once' was that of another command"):
                await handler.handle(other, id="once")
            assert await handler.handle(deposit(5), id="once") == 1
            assert len(await history(log)) == 1

    asyncio.run(scenario())


def test_of_two_commands_with_one_id_in_one_queue_the_first_is_done() -> None:
    """The other is told so, and whoever counted on it decides again."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            calls = [
                handler.handle(deposit(5), id="once"),
                handler.handle(deposit(9), id="once"),
                handler.handle(withdraw(6)),
            ]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert outcomes[0] == 1
            assert isinstance(outcomes[1], IdReused)
            assert isinstance(outcomes[2], InsufficientFunds)
            assert await balance(log, "ann") == 5

    asyncio.run(scenario())


def test_a_repetition_that_would_be_rejected_now_has_its_first_receipt() -> None:
    """Its own effect may be the reason."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, _):
            await handler.handle(deposit(5))
            assert await handler.handle(withdraw(5), id="once") == 2
            assert await handler.handle(withdraw(5), id="once") == 2

    asyncio.run(scenario())


def test_a_rejected_id_may_be_sent_again() -> None:
    """A rejection is no effect: when the account is covered, the same request goes through."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, _):
            with pytest.raises(InsufficientFunds):
                await handler.handle(withdraw(5), id="once")
            await handler.handle(deposit(5))
            assert await handler.handle(withdraw(5), id="once") == 2

    asyncio.run(scenario())


def test_an_id_under_which_there_was_nothing_to_do_is_remembered() -> None:
    """Sent again when there would be something, it still does nothing."""
    store = SharedStore()
    does = [False]

    @decide
    def sometimes(command: CountOnce, counter: Counter) -> Iterator[Counted]:
        if does[0]:
            yield Counted(counter=counter.key)

    async def scenario() -> None:
        async with handling(store, [decider_of(sometimes)]) as (handler, log):
            await handler.handle(CountOnce(counter="c"), id="once")
            does[0] = True
            await handler.handle(CountOnce(counter="c"), id="once")
            assert await history(log) == []
            assert await handler.handle(CountOnce(counter="c"), id="other") == 1

    asyncio.run(scenario())


def test_a_repetition_whose_caller_gave_up_is_not_counted_on() -> None:
    """It added nothing, so a rejection on what it would have added is decided again."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store) as (handler, log):
            await handler.handle(deposit(10))
            await handler.handle(withdraw(1), id="once")
            await give_up_while_committing(handler, log, store, withdraw(1), id="once")
            assert await handler.handle(withdraw(9)) == 3

    asyncio.run(scenario())


def test_a_repetition_within_a_queue_leaves_the_others_right() -> None:
    """It adds nothing, so what was decided on its events is decided again."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            await handler.handle(deposit(10), id="once")
            calls = [handler.handle(deposit(10), id="once"), handler.handle(withdraw(20)), handler.handle(withdraw(10))]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert outcomes[0] == 1
            assert isinstance(outcomes[1], InsufficientFunds)
            assert outcomes[2] == 2
            assert await balance(log, "ann") == 0

    asyncio.run(scenario())


# States that are read while they move.


class SlowReads(SharedStore):
    """What is read arrives late: `before` and `after` are awaited round each reading, of one criterion's tag."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    async def history(self, criteria: Any, *arguments: Any) -> Any:
        found = await super().history(criteria, *arguments)
        reached, goes_on = self.slow.pop(criteria[0].tags[0], (None, None))
        if reached and goes_on:
            reached.set()
            await goes_on.wait()
        return found


@pytest.mark.parametrize("elsewhere", [False, True], ids=["own events only", "and another process's"])
def test_an_event_that_is_appended_while_its_state_is_read_counts_once(elsewhere: bool) -> None:
    """What a reader found before it waited says nothing of what is known after it: the later of the two holds."""
    store = SlowReads()
    seen = []

    @decide
    def count(command: CountOnce, counter: Counter) -> Iterator[Counted]:
        seen.append(counter.number)
        yield Counted(counter=counter.key)

    async def scenario() -> None:
        async with handling(store, [decider_of(count)]) as (handler, log):
            await handler.handle(CountOnce(counter="c"))
            commit = store.committing()
            queued = asyncio.create_task(handler.handle(CountOnce(counter="c")))
            await commit
            cached = next(iter(handler.states._cached.values()))
            cached.invalidate(cached.generation)
            reached, goes_on = store.slow["counter:c"] = asyncio.Event(), asyncio.Event()
            reading = asyncio.create_task(handler.handle(CountOnce(counter="c")))
            await reached.wait()
            await queued
            if elsewhere:
                await store.others_append(Counted(counter="c"))
            goes_on.set()
            await reading
            await handler.handle(CountOnce(counter="c"))
            events = len(await history(log))
            assert events == 4 + elsewhere
            assert cached.known.position == cached.known.state.number == events
            assert seen[-1] == events - 1

    asyncio.run(scenario())


def test_a_refusal_on_two_states_is_one_that_the_log_had_at_once() -> None:
    """One of them was remembered, the other queued: what came to the first before the second was there is looked for."""
    store = SharedStore()

    @decide
    def both(command: Count, counter: Counter, other: Counter) -> Iterator[Counted]:
        raise CountedTooFar(counter.number, other.number)
        yield

    async def scenario() -> None:
        async with handling(store, [decider_of(both), *deciders_of(Counter)]) as (handler, log):
            await handler.handle(CountOnce(counter="other"))
            with suppress(CountedTooFar):
                await handler.handle(Count(counter="c", other="other"))
            # In the same commit as the queued one, another process's comes first.
            store.others = lambda commit: [Counted(counter="other")] if commit == 2 else []
            queued = asyncio.create_task(handler.handle(CountOnce(counter="c")))
            await asyncio.sleep(0)
            with pytest.raises(CountedTooFar) as refused:
                await handler.handle(Count(counter="c", other="other"))
            await queued
            assert refused.value.args == (1, 2)
            assert len(await history(log)) == 3

    asyncio.run(scenario())


def test_a_refusal_on_two_queued_states_is_one_that_the_log_had_at_once() -> None:
    """They came in two commits, and another process's event for the first of them in between."""
    decided = asyncio.Event()

    class HeldStore(SharedStore):
        """Its first commit takes until the refusal was decided."""

        async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
            await decided.wait()
            return await super().write(batch, recorded_at_us, **how)

    store = HeldStore()

    @decide
    def both(command: Count, counter: Counter, other: Counter) -> Iterator[Counted]:
        if counter.number:
            decided.set()
        raise CountedTooFar(counter.number, other.number)
        yield

    async def scenario() -> None:
        async with handling(store, [decider_of(both), *deciders_of(Counter)]) as (handler, _):
            with suppress(CountedTooFar):
                await handler.handle(Count(counter="c", other="other"))
            store.others = lambda commit: [Counted(counter="c")] if commit == 2 else []
            first = asyncio.create_task(handler.handle(CountOnce(counter="c")))
            for _ in range(3):
                await asyncio.sleep(0)
            second = asyncio.create_task(handler.handle(CountOnce(counter="other")))
            refused = asyncio.create_task(handler.handle(Count(counter="c", other="other")))
            with pytest.raises(CountedTooFar) as told:
                await refused
            assert [await first, await second] == [1, 3]
            assert told.value.args == (2, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("late", [True, False])
def test_a_refusal_knows_what_was_acknowledged_before_the_command_was_sent(late: bool) -> None:
    """Also where an own commit is in the log and nobody here has been told: behind it another process's may have come."""
    stored, told = asyncio.Event(), asyncio.Event()

    class LateStore(SharedStore):
        """Its second commit is told late, or made late."""

        async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
            if self.commits == 1 and not late:
                stored.set()
                await told.wait()
            outcomes = await super().write(batch, recorded_at_us, **how)
            if self.commits == 2 and late:
                stored.set()
                await told.wait()
            return outcomes

    store = LateStore()

    async def scenario() -> None:
        async with handling(store) as (handler, _):
            await handler.handle(deposit(1))
            own = asyncio.create_task(handler.handle(deposit(1)))
            await stored.wait()
            await store.others_append(deposited(100))
            spend = asyncio.create_task(handler.handle(withdraw(50)))
            await asyncio.sleep(0)
            told.set()
            await own
            assert await spend == 4

    asyncio.run(scenario())


# States in memory.


def test_few_cached_states_do_for_many_keys() -> None:
    """Those that go first are loaded again: it costs time and nothing else, even with commands in flight."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            handler.states = StateCache(log, CommandLimits(cached_states=3))
            names = [f"account-{n}" for n in range(12)]
            await asyncio.gather(*[handler.handle(deposit(n + 1, name)) for n in range(5) for name in names])
            assert len(handler.states._cached) <= 3
            assert [await balance(log, name) for name in names] == [15] * 12
            await asyncio.gather(*[handler.handle(withdraw(15, name)) for name in names])
            for name in names:
                with pytest.raises(InsufficientFunds):
                    await handler.handle(withdraw(1, name))

    asyncio.run(scenario())


def test_a_decision_may_need_more_states_than_are_kept(tmp_path: Path) -> None:
    """What it has loaded is there for it, though the cache has let go of it meanwhile."""

    async def scenario() -> None:
        async with handling(SqliteStore(str(tmp_path / "log.db"))) as (handler, log):
            handler.states = StateCache(log, CommandLimits(cached_states=1))
            await handler.handle(deposit(5, "ann"))
            async with asyncio.timeout(10):
                await handler.handle(Transfer(source="ann", target="bob", amount=5))
            assert await balance(log, "bob") == 5

    asyncio.run(scenario())


def test_one_state_in_two_places_is_one_state() -> None:
    """A transfer to oneself: the event happens once, whatever the decision called its states."""

    @decide
    def twice(command: Count, counter: Counter, other: Counter) -> Iterator[Counted]:
        yield Counted(counter=counter.key, other=other.key, note=f"{counter.number} {other.number}")

    async def scenario() -> None:
        async with handling(SharedStore(), [decider_of(twice)]) as (handler, log):
            for _ in range(3):
                await handler.handle(Count(counter="c", other="c"))
            notes = [event.data.split(b'"note":')[1] for event in await history(log)]
            assert notes == [b'"0 0"}', b'"1 1"}', b'"2 2"}']

    asyncio.run(scenario())


def test_an_event_reaches_every_state_that_it_names() -> None:
    """Within the queue as after it: both counters have counted it."""

    @decide
    def both(command: Count, counter: Counter, other: Counter) -> Iterator[Counted]:
        if counter.number + other.number >= 4:
            raise CountedTooFar(counter.number, other.number)
        yield Counted(counter=counter.key, other=other.key)

    async def scenario() -> None:
        async with handling(SharedStore(), [decider_of(both)]) as (handler, _):
            commands = [Count(counter="a", other="b"), Count(counter="b", other="a"), Count(counter="a", other="b")]
            outcomes = await asyncio.gather(*map(handler.handle, commands), return_exceptions=True)
            assert outcomes[:2] == [1, 2]
            assert isinstance(outcomes[2], CountedTooFar)
            assert outcomes[2].args == (2, 2)

    asyncio.run(scenario())


# Circumstances.


def test_time_is_the_same_when_a_command_is_decided_again() -> None:
    """It is when the command arrived; ids are new each time, as those of the first decision were for nothing."""
    store = SharedStore()
    store.others = lambda commit: [Counted(counter="c")] if commit == 1 else []
    seen: list[tuple[int, str, str]] = []

    @decide
    def stamped(command: CountOnce, counter: Counter, context: Context) -> Iterator[Counted]:
        seen.append((context.now_us, context.new_id(), context.metadata.actor))
        yield Counted(counter=counter.key)

    async def scenario() -> None:
        async with handling(store, [decider_of(stamped)]) as (handler, _):
            before = CLOCK.now_us()
            await handler.handle(CountOnce(counter="c"), metadata=Metadata(actor="ann"))
            assert before <= seen[0][0] <= CLOCK.now_us()

    asyncio.run(scenario())
    assert len(seen) == 2
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert {actor for _, _, actor in seen} == {"ann"}


def test_events_say_which_command_caused_them_and_as_part_of_what() -> None:
    """Commands handled at the same time do not mix theirs up, and nothing stays behind in the caller's context."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            metadata = [
                Metadata(correlation=f"request-{n}", actor=f"user-{n}", traceparent=f"trace-{n}") for n in range(9)
            ]
            await asyncio.gather(
                *[handler.handle(deposit(), id=f"command-{n}", metadata=each) for n, each in enumerate(metadata)]
            )
            found = {event.metadata for event in await history(log)}
            assert found == {each.caused(f"command-{n}", f"command-{n}") for n, each in enumerate(metadata)}
            assert current.get() == Metadata()
            await handler.handle(Open(account="ann", owner="Ann"))
            alone = (await history(log))[-1].metadata
            assert alone.correlation == alone.causation == alone.command != ""

    asyncio.run(scenario())


def test_what_is_sent_while_a_command_is_handled_belongs_to_it() -> None:
    """The metadata of the message being handled is inherited."""

    async def scenario() -> None:
        async with handling(SharedStore()) as (handler, log):
            token = current.set(Metadata(correlation="request-1", causation="event-1"))
            await handler.handle(deposit(), id="command-1")
            current.reset(token)
            (event,) = await history(log)
            assert (event.metadata.correlation, event.metadata.causation) == ("request-1", "command-1")

    asyncio.run(scenario())


def test_deciders_know_what_they_read_and_yield() -> None:
    """From this comes the graph that is drawn of a service."""
    opening = next(decider for decider in BANK if decider.command is Open)
    assert (opening.states, opening.events, opening.name) == (("Account",), (Opened,), "Account.open")
    assert BANK[-1].states == ("Account", "Account")


def test_appends_are_what_the_store_is_given() -> None:
    """One guard for each state, and the command's id."""
    given: list[Append] = []

    class Watching(SharedStore):
        async def write(self, batch: Any, recorded_at_us: int, **how: Any) -> list[Outcome]:
            given.extend(batch)
            return await super().write(batch, recorded_at_us, **how)

    async def scenario() -> None:
        async with handling(Watching()) as (handler, _):
            await handler.handle(deposit(5), id="first")
            await handler.handle(Transfer(source="ann", target="bob", amount=5), id="second")

    asyncio.run(scenario())
    assert [append.id for append in given] == ["first", "second"]
    (guard_of_ann, guard_of_bob) = given[1].conditions
    assert (guard_of_ann.after, guard_of_ann.criteria[0].tags) == (1, ("account:ann",))
    assert (guard_of_bob.after, guard_of_bob.criteria[0].tags) == (0, ("account:bob",))
    assert guard_of_ann.criteria[0].types == ("Deposited", "Opened", "Transferred", "Withdrawn")


def test_the_bank_s_state_is_what_its_events_say() -> None:
    """The one by which the tests above judge."""
    ann = Account(key="ann").deposited(deposited(5))
    assert ann.balance == 5
