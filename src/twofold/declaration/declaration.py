"""What a service is, checked when it is declared: its decisions, views, queries, and what it tells and hears."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec

from twofold.commands import Aggregate, Decider, decider_of, deciders_of
from twofold.declaration.checks import check_commands_between, check_unique, check_views, listed
from twofold.declaration.seeing_through import check_handlers, check_processes, check_schedules
from twofold.errors import DeclarationError
from twofold.folding import Fold, StateType, fold_of, marked, state_parts
from twofold.followers import MENDINGS
from twofold.messages import (
    Command,
    Event,
    Message,
    Tag,
    check_fields,
    check_kept_whole,
    service_name_flaw,
    source_location,
    tag_fields,
    upcasts,
)
from twofold.processes import (
    COMMANDS,
    NO_RESOURCES,
    RECORDS,
    SCHEDULES,
    TIMERS,
    CommandSent,
    CommandSettled,
    Definition,
    EventHandler,
    PendingTimer,
    Process,
    ProcessInstance,
    Resources,
    Schedule,
    Start,
    definitions_of,
    event_handler_of,
    heard,
)
from twofold.queries import Answer, answer_of
from twofold.views import Projection, View, layout, table_name
from twofold.views.names import check_layouts
from twofold.views.projection import tables


class Declaration(msgspec.Struct, frozen=True):
    """Everything that a service consists of, by the names under which it is spoken to."""

    name: str
    deciders: tuple[Decider, ...]
    views: tuple[type[View], ...]
    projections: tuple[Projection, ...]
    answers: tuple[Answer, ...]
    publishes: tuple[type[Event], ...]
    subscribes: tuple[type[Event], ...]
    ignores: tuple[str, ...] = ()
    processes: tuple[Definition, ...] = ()
    sends: tuple[type[Command], ...] = ()
    takes_commands_from: tuple[str, ...] = ()
    handlers: tuple[EventHandler, ...] = ()
    resources: Resources = NO_RESOURCES
    schedules: tuple[Schedule, ...] = ()
    aggregates: tuple[type[Aggregate], ...] = ()

    @property
    def commands(self) -> dict[str, type[Command]]:
        """The commands that the service decides on, by name."""
        return {decider.command.message_name: decider.command for decider in self.deciders}

    @property
    def elsewhere(self) -> dict[str, type[Command]]:
        """The commands of other services that may be sent at this one, by their services and names: ``stock.Reserve``."""
        return {f"{command.message_service}.{command.message_name}": command for command in self.sends}

    @property
    def queries(self) -> dict[str, Answer]:
        """The queries that the service answers, by name."""
        return {answer.query.message_name: answer for answer in self.answers}

    @property
    def sent(self) -> tuple[type[Command], ...]:
        """The commands of other services that the service sends."""
        commands = [*self.sends, *[each for handler in self.handlers for each in handler.commands]]
        commands += [each for schedule in self.schedules for each in schedule.commands]
        commands += [each for it in self.processes for plan in it.plans for each in plan.commands.values()]
        return tuple(dict.fromkeys([each for each in commands if each.message_service not in ("", self.name)]))

    @property
    def tells(self) -> tuple[type[Event], ...]:
        """What is in the service's log for others: the events that it publishes, and what is addressed to one of them."""
        sent, settled = [CommandSent] if self.sent else [], [CommandSettled] if self.takes_commands_from else []
        return (*self.publishes, *sent, *settled)

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """What the service records of others: the events that it subscribes to, and what they address to it."""
        sent = [heard(CommandSent, each) for each in self.takes_commands_from]
        settled = [heard(CommandSettled, each) for each in dict.fromkeys(each.message_service for each in self.sent)]
        return (*self.subscribes, *sent, *settled)

    @property
    def sources(self) -> dict[str, tuple[type[Event], ...]]:
        """What the service records of others, by the service that it comes from."""
        sources: dict[str, tuple[type[Event], ...]] = {}
        for event in self.hears:
            sources[event.message_source] = (*sources.get(event.message_source, ()), event)
        return sources

    @property
    def folded(self) -> tuple[type[View], ...]:
        """The views that are folded row by row, and not written by a projection."""
        projected = {view for projection in self.projections for view in projection.views}
        return tuple([view for view in self.views if view not in projected])

    @property
    def followers(self) -> dict[str, tuple[str, ...]]:
        """The tables that each follower fills, by the follower's name."""
        own = {table_name(view): (table_name(view),) for view in self.folded}
        return own | {projection.name: tables(projection) for projection in self.projections}

    @property
    def carries_out(self) -> bool:
        """Whether commands and timers are sure to come to the service through its log, so that somebody has to follow them."""
        return bool(self.takes_commands_from or self.processes or self.handlers or self.schedules)

    @property
    def starts(self) -> dict[str, Start]:
        """Where each follower of the role "processes" begins when it is new, by the follower's name."""
        starts: dict[str, Start] = {each.follower: each.latest.process.process_start for each in self.processes}
        starts |= {handler.follower: handler.start for handler in self.handlers}
        return starts | ({COMMANDS: "first", TIMERS: "first"} if self.carries_out else {})

    @property
    def doing(self) -> tuple[str, ...]:
        """The followers of the role "processes", with those that any service has once something is sent in its log."""
        return tuple(dict.fromkeys([*self.starts, *([SCHEDULES] if self.schedules else []), COMMANDS, TIMERS]))

    @property
    def kept(self) -> tuple[type[View], ...]:
        """The tables in which the followers of the role "processes" keep what they remember."""
        instances: tuple[type[View], ...] = (ProcessInstance,) if self.processes else ()
        return (*instances, PendingTimer) if self.carries_out else instances


def declare(
    name: str,
    *,
    aggregates: Sequence[type[Aggregate]] = (),
    decisions: Sequence[Callable[..., Any] | Decider] = (),
    views: Sequence[type[View]] = (),
    projections: Sequence[Projection] = (),
    queries: Sequence[Callable[..., Any]] = (),
    publishes: Sequence[type[Event]] = (),
    subscribes: Sequence[type[Event]] = (),
    ignores: Sequence[str] = (),
    processes: Sequence[type[Process]] = (),
    sends: Sequence[type[Command]] = (),
    takes_commands_from: Sequence[str] = (),
    handlers: Sequence[Callable[..., Any]] = (),
    resources: Resources = NO_RESOURCES,
    schedules: Sequence[Schedule] = (),
) -> Declaration:
    """Read and check a declaration.

    Raises:
        DeclarationError: something in it cannot work; the text names the class or function and its line.
    """
    if flaw := service_name_flaw(name):
        raise DeclarationError(f"Service({name!r}): {flaw}")
    aggregates = listed(name, "aggregates", aggregates, Aggregate)
    decisions, projections = listed(name, "decisions", decisions), listed(name, "projections", projections, Projection)
    views, queries = listed(name, "views", views, View), listed(name, "queries", queries)
    publishes, subscribes = listed(name, "publishes", publishes, Event), listed(name, "subscribes", subscribes, Event)
    ignores, processes = listed(name, "ignores", ignores), listed(name, "processes", processes, Process)
    handlers = listed(name, "handlers", handlers)
    deciders = [decider for aggregate in aggregates for decider in deciders_of(aggregate)]
    deciders += [each if isinstance(each, Decider) else decider_of(each) for each in decisions]
    written = list(_written(projections))
    declaration = Declaration(
        name,
        tuple(deciders),
        tuple(dict.fromkeys([*views, *[view for view, _ in written]])),
        tuple(projections),
        tuple(answer_of(function) for function in queries),
        tuple(publishes),
        tuple(subscribes),
        tuple(ignores),
        definitions_of(processes),
        listed(name, "sends", sends, Command),
        listed(name, "takes_commands_from", takes_commands_from),
        tuple(event_handler_of(function) for function in handlers),
        resources,
        tuple(listed(name, "schedules", schedules, Schedule)),
        tuple(aggregates),
    )
    check_schedules(name, declaration.schedules, declaration.commands)
    check_unique(name, "are the state", _named_states(aggregates, deciders))
    check_unique(name, "write the view", [(view.__qualname__, writer) for view, writer in written])
    _check_names(declaration)
    check_layouts(map(layout, declaration.views))
    _check_published(declaration)
    check_commands_between(name, declaration.sends, declaration.takes_commands_from, bool(declaration.deciders))
    check_handlers(declaration.name, declaration.handlers, declaration.commands, resources)
    _check_identities(declaration, _folds(aggregates, deciders))
    _check_stored(declaration)
    check_views(name, declaration.views, [each.function for each in [*declaration.answers, *projections]])
    _check_classes(declaration, _folds(aggregates, deciders))
    check_processes(name, declaration.processes, declaration.commands, declaration.kept, declaration.views)
    return declaration


def _check_names(declaration: Declaration) -> None:
    """Check that each name stands for one thing."""
    name, views, answers = declaration.name, declaration.views, declaration.answers
    check_unique(
        name, "decide on the command", [(each.command.message_name, each.name) for each in declaration.deciders]
    )
    check_unique(name, "answer the query", [(each.query.message_name, _qualname(each)) for each in answers])
    check_unique(name, "fill the table", [(table_name(view), view.__qualname__) for view in views])
    check_unique(name, "are the event", [(n, e.__qualname__) for n, e in known_events(declaration).items()])
    followers = [(each.name, each.function.__qualname__) for each in declaration.projections]
    followers += [(table_name(view), view.__qualname__) for view in declaration.folded]
    followers += [(each.follower, each.function.__qualname__) for each in declaration.handlers]
    check_unique(name, "are the follower", followers)


def _check_classes(declaration: Declaration, folds: Collection[Fold[Any]]) -> None:
    """Check what messages and states are made of, and that old events can be read."""
    events = known_events(declaration).values()
    classes: list[type] = [*declaration.commands.values(), *[each.query for each in declaration.answers], *events]
    classes += [*[fold.state for fold in folds if isinstance(fold.state, StateType)], *declaration.views]
    for each in dict.fromkeys(classes):
        check_fields(each)
    folded = [event for fold in folds for event, _ in fold.steps.values()]
    for event in dict.fromkeys([*folded, *_read_events(declaration)]):
        if not event.message_source:
            upcasts(event)


def _written(projections: Iterable[Projection]) -> Iterable[tuple[type[View], str]]:
    """Yield each view that is not folded row by row, with who writes it: a projection, or (wrongly) its own steps too."""
    for projection in projections:
        for view in projection.views:
            yield view, projection.name
            for step in marked(view, "evolve"):
                yield view, source_location(step)


def _folds(aggregates: Iterable[type[Aggregate]], deciders: Iterable[Decider]) -> Collection[Fold[Any]]:
    """Return every state that is decided on, once."""
    folds = [fold_of(each) for each in aggregates]
    folds += [boundary.fold for decider in deciders for boundary in decider.boundaries]
    return {id(fold): fold for fold in folds}.values()


def _named_states(aggregates: Iterable[type[Aggregate]], deciders: Iterable[Decider]) -> Iterable[tuple[str, str]]:
    """Yield the names of states that are decided on: what is kept of them in memory and in snapshots goes by these."""
    for fold in _folds(aggregates, deciders):
        yield fold.name, fold.state.__qualname__ if fold.state else fold.name


def _qualname(answer: Answer) -> str:
    return answer.function.__qualname__


def known_events(declaration: Declaration) -> dict[str, type[Event]]:
    """Return every event that the service knows, by its stable name.

    Raises:
        DeclarationError: two classes have one name.
    """
    found: dict[str, type[Event]] = {}
    for event in _all_events(declaration):
        other = found.setdefault(event.message_name, event)
        if other is not event:
            raise DeclarationError(
                f"Service({declaration.name!r}): {other.__module__}.{other.__qualname__} and "
                f"{event.__module__}.{event.__qualname__} are both the event {event.message_name}. "
                "Give one of them another name=, or use one class."
            )
    return found


def _all_events(declaration: Declaration) -> Iterable[type[Event]]:
    for decider in declaration.deciders:
        yield from decider.events
    yield from _read_events(declaration)
    yield from declaration.publishes
    yield from declaration.hears
    yield from (*RECORDS, *MENDINGS)


def _read_events(declaration: Declaration) -> Iterable[type[Event]]:
    """Yield the events that change a state, a view or what a projection writes, or that a process or handler is told of."""
    for decider in declaration.deciders:
        for boundary in decider.boundaries:
            yield from (event for event, _ in boundary.fold.steps.values())
    for view in declaration.folded:
        yield from (event for event, _ in fold_of(view).steps.values())
    for projection in declaration.projections:
        yield from projection.events.values()
    for process in declaration.processes:
        for plan in process.plans:
            yield from plan.events.values()
    for handler in declaration.handlers:
        yield from handler.events.values()


def _check_identities(declaration: Declaration, states: Iterable[Fold[Any]]) -> None:
    """Check that what has one tag has one type: texts that mean one number, say, would be several states of one history."""
    known: dict[str, tuple[type, str]] = {}
    for tag, kind, where in _identities(declaration, states):
        expected, first = known.setdefault(tag.name, (kind, where))
        if kind is not expected:
            raise DeclarationError(
                f"Service({declaration.name!r}): the identity {tag.name!r} is of type {expected.__name__} in {first}, and of "
                f"type {kind.__name__} in {where}. Declare it once, and use it in both."
            )


def _identities(declaration: Declaration, states: Iterable[Fold[Any]]) -> Iterable[tuple[Tag, type, str]]:
    """Yield every identity that the service knows, with its type and where that is declared."""
    messages: list[type[Message]] = [*_all_events(declaration), *declaration.commands.values()]
    messages += [answer.query for answer in declaration.answers]
    for fold in states:
        messages += [event for event, _ in fold.steps.values()]
    for message in dict.fromkeys(messages):
        for field in tag_fields(message):
            yield field.tag, field.kind, f"{message.__qualname__}.{field.field}"
    for view in declaration.views:
        for part in state_parts(view):
            yield part.tag, part.kind, f"the key of {view.__qualname__}"


def _check_published(declaration: Declaration) -> None:
    decided = {event for decider in declaration.deciders for event in decider.events}
    for event in [*decided, *declaration.publishes]:
        if event.message_source:
            raise DeclarationError(
                f"Service({declaration.name!r}) yields or publishes {event.__name__}, which is an event of "
                f"{event.message_source}, and only that can tell it. Declare one of its own, without source=."
            )
    for event in declaration.publishes:
        if event not in decided:
            raise DeclarationError(
                f"Service({declaration.name!r}) publishes {event.__name__}, which none of its decisions yields."
            )
    for event in declaration.subscribes:
        if not event.message_source:
            raise DeclarationError(
                f"Service({declaration.name!r}) subscribes to {event.__name__} and does not say whose it is: "
                f"class {event.__name__}(Event, source='…')."
            )
        if event.message_source == declaration.name:
            raise DeclarationError(
                f"Service({declaration.name!r}) subscribes to {event.__name__}, which is its own: what it decides, its views "
                "and aggregates see anyway. Remove it."
            )
    known = decided | set(declaration.hears)
    for event in known_events(declaration).values():
        if event.message_source and event not in known:
            raise DeclarationError(
                f"Service({declaration.name!r}) handles {event.message_name} and does not hear of it: add "
                f"{event.__name__} to subscribes=[…]."
            )


def _check_stored(declaration: Declaration) -> None:
    """Check what the service does, and does not, make of the events in its log."""
    known = known_events(declaration)
    for event in known.values():
        check_kept_whole(event)
    for ignored in declaration.ignores:
        if not isinstance(ignored, str):
            raise DeclarationError(
                f"Service({declaration.name!r}): ignores=[…] takes the names of events as the log has them, and {ignored!r} "
                "is none."
            )
        if ignored in known:
            raise DeclarationError(
                f"Service({declaration.name!r}) ignores {ignored}, and has code that reads it. Remove one of the two."
            )
