"""An oracle for decisions: each is made once more, by itself, on what the log held before it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias

from twofold.commands import Context, Decider
from twofold.errors import IdReused, InvalidMessage, Rejected
from twofold.folding import Fold
from twofold.followers import MENDINGS
from twofold.log import NewEvent, RecordedEvent, recordable
from twofold.messages import Command, Event, Metadata, content_digest, decode, received
from twofold.processes import RECORDS, CommandSettled, outcome
from twofold.simulation.clock import Drawn, given_before
from twofold.simulation.concerned import as_read, concerned
from twofold.simulation.disks import Commit, LogDisk
from twofold.simulation.history import Sent
from twofold.simulation.releases import Release
from twofold.simulation.settling import Order, orders_of
from twofold.simulation.violations import Violation

Said: TypeAlias = tuple[tuple[str, int, tuple[str, ...], bytes], ...]
"""What a decision yields, as the log keeps it."""

_RECORDED = {each.message_name for each in (*RECORDS, *MENDINGS)}
_MOST_DRAWN = 100


class States:
    """Every state that a log has had, of each key that is decided on, folded one event after the other.

    Where a step raises an error, that stands in the state's place from there on.
    """

    def __init__(self, folds: Iterable[Fold[Any]]) -> None:
        self._folds = {fold.name: fold for fold in folds}
        self._past: dict[tuple[str, str], tuple[list[int], list[Any]]] = {}

    def fold(self, position: int, event: NewEvent | RecordedEvent) -> None:
        """Take in the next event of the log."""
        for fold in self._folds.values():
            for key, read in concerned(fold, event):
                positions, states = self._of(fold, key)
                positions.append(position)
                states.append(_evolved(fold, states[-1], read))

    def at(self, fold: Fold[Any], key: Any, position: int) -> Any:
        """Return the state of a key as it was at a position."""
        positions, states = self._of(fold, key)
        return states[bisect_right(positions, position) - 1]

    def changes(self, fold: Fold[Any], key: Any, after: int, until: int) -> list[int]:
        """Return the positions at which a key's state has changed, within a stretch of the log."""
        positions, _ = self._of(fold, key)
        return positions[bisect_right(positions, after) : bisect_right(positions, until)]

    def changes_of(self, fold: str, key: str, until: int) -> list[int]:
        """Return the positions at which a state has changed, by the names of the fold and the key."""
        positions, _ = self._past.get((fold, key), ([], []))
        return positions[: bisect_right(positions, until)]

    def _of(self, fold: Fold[Any], key: Any) -> tuple[list[int], list[Any]]:
        at = fold.name, fold.key.of(key)
        if at not in self._past:
            self._past[at] = [0], [fold.initial(key)]
        return self._past[at]


class Code:
    """What decides in a service by one release: its deciders, the states that these see, and what they cannot see."""

    def __init__(self, service: str, release: Release) -> None:
        self.release = release
        self.deciders = {each.command: each for each in release.services[service].declaration.deciders}
        self.states = States(boundary.fold for each in self.deciders.values() for boundary in each.boundaries)
        self.unread: dict[int, str] = {}
        """The events that this code cannot read, by position."""
        self._service = service

    def fold(self, position: int, event: NewEvent | RecordedEvent) -> None:
        """Take in the next event of the log."""
        self.states.fold(position, event)
        if not self.release.reads(self._service, event):
            self.unread[position] = f"{event.type} of version {event.version}"

    def boundaries(self, command: Command) -> Iterator[tuple[Fold[Any], Any]]:
        """Yield the folds on which a command is decided, each with the key of the state."""
        for each in self.deciders[type(command)].boundaries:
            yield each.fold, each.key(command)


class DecisionOracle:
    """Judges what is in the log of a service, and what the senders of its commands were told, by the code that has decided."""

    def __init__(self, service: str, releases: Sequence[Release], disk: LogDisk, sent: Sequence[Sent]) -> None:
        self._service = service
        self._disk = disk
        self._codes = {each.name: Code(service, each) for each in releases}
        mine = [each for each in sent if each.service == service]
        self._sent = [each for each in mine if type(each.command) in self._codes[each.release.name].deciders]
        self._by_id: dict[str, list[Sent]] = defaultdict(list)
        for each in self._sent:
            self._by_id[each.command_id].append(each)
        self._orders = orders_of(releases[-1].services[service].declaration, disk.events())
        self._done: dict[str, Commit] = {}

    def violations(self) -> Iterator[Violation]:
        """Yield what is wrong."""
        for event in self._disk.start:
            self._fold(event.position, event)
        for commit in self._disk.commits:
            yield from self._judge_commit(commit)
            for position, new in enumerate(commit.append.events, commit.outcome.first):
                self._fold(position, new)
        for sent in self._sent:
            yield from self._judge_answer(sent)

    def _fold(self, position: int, event: NewEvent | RecordedEvent) -> None:
        for code in self._codes.values():
            code.fold(position, event)

    # What is in the log.

    def _judge_commit(self, commit: Commit) -> Iterator[Violation]:
        events = commit.append.events
        if events and events[-1].type == CommandSettled.message_name:
            yield from self._judge_carried_out(commit)
            return
        if events and events[0].type in _RECORDED:
            # Nothing was decided.
            return
        metadata = events[0].recorded(0, 0).metadata if events else Metadata(command=commit.append.id)
        if metadata.source:
            return
        where = f"{self._service}, position {commit.outcome.last}"
        if metadata.command in self._done:
            before = self._done[metadata.command].outcome.last
            yield Violation(
                "A command takes effect once.", where, f"nothing more of {metadata.command}, which is at {before}",
                f"{_told(_said(events))}",
            )  # fmt: skip
        self._done[metadata.command] = commit
        candidates = [each for each in self._by_id.get(metadata.command, ()) if _is_content(each, commit)]
        if not candidates:
            yield Violation("What is in the log was sent.", where, "a command", f"{_told(_said(events))}")
            return
        outcomes = [self._again(each, commit.head, events) for each in candidates]
        deciders = [self._codes[each.release.name].deciders[type(each.command)] for each in candidates]
        if not any(_is_same(each, _said(events), by) for each, by in zip(outcomes, deciders, strict=True)):
            yield Violation(
                "A decision is made on what the log holds before it.", f"{where}, {candidates[0].command!r}",
                _told(outcomes[0]), _told(_said(events)),
            )  # fmt: skip
        for each in candidates:
            if events and events[0].id in each.drawn.ids:
                yield from self._judge_sight(each, commit.head, where)

    def _judge_sight(self, sent: Sent, head: int, where: str) -> Iterator[Violation]:
        """Judge whether the code that has decided reads all that other code has decided about the same states."""
        code = self._codes[sent.release.name]
        for fold, key in code.boundaries(sent.command) if code.unread else ():
            for other in self._codes.values():
                changes = other.states.changes_of(fold.name, fold.key.of(key), head)
                if unread := [each for each in changes if each in code.unread]:
                    yield Violation(
                        "A decision sees every event of its states.", f"{where}, {sent.command!r}",
                        f"{code.unread[unread[0]]}, position {unread[0]}, which the {other.release.name} code folds",
                        f"the {code.release.name} code does not know it, and decides without it",
                    )  # fmt: skip
                    return

    def _judge_carried_out(self, commit: Commit) -> Iterator[Violation]:
        """Judge what was made of a command that the log had: its events, and the record of its outcome."""
        id, where = commit.append.id, f"{self._service}, position {commit.outcome.last}"
        *events, record = commit.append.events
        order = self._orders.get(id)
        if order is None or id in self._done:
            rule = "What is in the log was sent." if order is None else "A command takes effect once."
            yield Violation(rule, where, "nothing", f"{_told(_said(commit.append.events))}")
            return
        self._done[id] = commit
        # It is not known which process has carried it out, and so with which code.
        for code in self._codes.values():
            command, decided = self._carried_out(code, order, commit)
            refusal = decided if isinstance(decided, Rejected | InvalidMessage) else None
            expected = recordable(outcome(order.sender, order.sent, refusal), "", b"").new.data
            decider = code.deciders.get(type(command))
            is_same = not events if refusal else decider is not None and _is_same(decided, _said(events), decider)
            if is_same and expected == record.data:
                return
        rule = "A decision is made on what the log holds before it."
        yield Violation(
            rule, f"{where}, {command!r}", f"{_told(decided)} {expected.decode()}", _told(_said([*events, record]))
        )

    def _carried_out(self, code: Code, order: Order, commit: Commit) -> tuple[Any, Said | Exception]:
        """Return a command that the log had, and what its decision comes to when some code makes it again."""
        command = None
        try:
            kind = code.release.services[self._service].declaration.commands[order.sent.command]
            command = received(decode(kind, bytes(order.sent.data)))
            first = commit.append.events[0].id
            drawn = Drawn(order.arrived_us, [*given_before(first, _MOST_DRAWN), first])
            sent = Sent(self._service, "the log", code.release, command, order.sent.id, 0, drawn)
            return command, self._again(sent, commit.head, commit.append.events)
        except (KeyError, InvalidMessage) as error:
            return command, error

    def _again(self, sent: Sent, head: int, events: Sequence[NewEvent] = ()) -> Said | Rejected | Exception:
        """Make a decision again on the states at a position, with the time and the ids that it had."""
        code = self._codes[sent.release.name]
        decider = code.deciders[type(sent.command)]
        states = [code.states.at(fold, key, head) for fold, key in code.boundaries(sent.command)]
        for state in states:
            if isinstance(state, Exception):
                return state
        numbers = count()
        outcome = _decided(decider, sent, states, lambda: f"id-{next(numbers)}")
        drawn = next(numbers)
        if drawn and events and events[0].id in sent.drawn.ids:
            # Those that a decision draws come right before those of its events.
            last = sent.drawn.ids.index(events[0].id)
            ids = iter(sent.drawn.ids[max(0, last - drawn) : last])
            outcome = _decided(decider, sent, states, lambda: next(ids, ""))
        return outcome

    # What senders were told.

    def _judge_answer(self, sent: Sent) -> Iterator[Violation]:
        where = f"{self._service}, {sent.command!r} as {sent.command_id}, sent to {sent.process}"
        if sent.receipt is not None:
            yield from self._judge_receipt(sent, sent.receipt.position, where)
        elif isinstance(sent.error, Rejected):
            expected = sent.error
            if not self._is_borne_out(sent, lambda outcome: _is_same_rejection(outcome, expected)):
                outcome = self._again(sent, sent.head_before)
                yield Violation(
                    "A rejection is borne out by the log.", f"{where} between {sent.head_before} and {sent.head_after}",
                    _told(outcome), _told(sent.error),
                )  # fmt: skip
        elif isinstance(sent.error, IdReused):
            content = content_digest(sent.command)
            others = [each for each in self._by_id[sent.id] if content_digest(each.command) != content]
            if not others:
                yield Violation(
                    "An id is refused only where it was that of another command.", where, "a receipt", repr(sent.error)
                )

    def _judge_receipt(self, sent: Sent, position: int, where: str) -> Iterator[Violation]:
        commit = self._done.get(sent.command_id)
        if commit is not None:
            if (commit.outcome.last, _is_content(sent, commit)) != (position, True):
                yield Violation(
                    "A receipt says where a command's effect ends.", where, f"{commit.outcome.last}", f"{position}"
                )
        elif not self._is_borne_out(sent, lambda outcome: outcome == ()):
            yield Violation(
                "What is acknowledged is in the log.", where, _told(self._again(sent, sent.head_before)),
                f"a receipt for {position}, and nothing in the log",
            )  # fmt: skip

    def _is_borne_out(self, sent: Sent, holds: Callable[[Any], bool]) -> bool:
        """Say whether an outcome is that of the decision at any position between sending and answering."""
        code = self._codes[sent.release.name]
        positions = {sent.head_before: None}
        for fold, key in code.boundaries(sent.command):
            positions |= dict.fromkeys(code.states.changes(fold, key, sent.head_before, sent.head_after))
        return any(holds(self._again(sent, position)) for position in positions)


def _evolved(fold: Fold[Any], state: Any, event: Event) -> Any:
    if isinstance(state, Exception):
        return state
    try:
        return fold.apply(state, event)
    except Exception as error:
        return error


def _decided(
    decider: Decider, sent: Sent, states: Sequence[Any], new_id: Callable[[], str]
) -> Said | Rejected | Exception:
    context = Context(sent.drawn.now_us, new_id, Metadata().caused(sent.command_id, sent.command_id))
    try:
        return tuple(
            [_as_kept(recordable(each, "", b"").new) for each in decider.decide(sent.command, context, *states)]
        )
    except Exception as error:
        return error


def _said(events: Iterable[NewEvent]) -> Said:
    return tuple(map(_as_kept, events))


def _as_kept(event: NewEvent) -> tuple[str, int, tuple[str, ...], bytes]:
    return event.type, event.version, event.tags, event.data


def _is_same(outcome: Said | Exception, said: Said, decider: Decider) -> bool:
    """Say whether a decision comes to what was recorded. A set has no order, so that its JSON may have another one."""
    if outcome == said or isinstance(outcome, Exception):
        return outcome == said
    kinds = {each.message_name: each for each in decider.events}
    return len(outcome) == len(said) and all(
        ours[:3] == theirs[:3]
        and ours[0] in kinds
        and as_read(kinds[ours[0]], ours[1], ours[3]) == as_read(kinds[ours[0]], theirs[1], theirs[3])
        for ours, theirs in zip(outcome, said, strict=True)
    )


def _is_content(sent: Sent, commit: Commit) -> bool:
    return not commit.append.digest or content_digest(sent.command) == commit.append.digest


def _is_same_rejection(outcome: Any, rejection: Rejected) -> bool:
    return type(outcome) is type(rejection) and outcome.args == rejection.args


def _told(outcome: Said | BaseException) -> str:
    if isinstance(outcome, BaseException):
        return repr(outcome)
    return ", ".join([f"{type_} {data.decode()}" for type_, _, _, data in outcome]) or "no events"
