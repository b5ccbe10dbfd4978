"""What leads to what, as declarations say it: commands, decisions, events, followers, and the views that queries read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec

from twofold.commands import Decider
from twofold.declaration.declaration import Declaration
from twofold.declaration.names import named_by
from twofold.folding import fold_of
from twofold.messages import Command, Event
from twofold.messaging import inbox_name
from twofold.processes import Definition
from twofold.queries import Answer
from twofold.views import View, table_name

Kind: TypeAlias = Literal[
    "command", "decision", "event", "view", "projection", "handler", "process", "timer", "schedule", "relay", "inbox",
    "query",
]  # fmt: skip


class Node(msgspec.Struct, frozen=True):
    """Something that a service has.

    Followers have the name that checkpoints are kept under: views, projections, event handlers, processes, relay and inboxes.
    ``detail`` is what a decision decides on, the class of a view or of a process, or the times of a schedule.
    """

    service: str
    kind: Kind
    name: str
    detail: str = ""

    @property
    def id(self) -> str:
        """What tells the node from all others of a graph, such as ``bank/event:Deposited``."""
        return f"{self.service}/{self.kind}:{self.name}"


class Edge(msgspec.Struct, frozen=True):
    """The ids of two nodes: the first leads to the second or, if it is a query, reads it."""

    source: str
    target: str


class Graph(msgspec.Struct, frozen=True):
    """The nodes of some services, by id, and the edges between them, in the order of declaration."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]

    def after(self, node: Node) -> list[Node]:
        """Return what a node leads to."""
        return [self.nodes[edge.target] for edge in self.edges if edge.source == node.id]

    def before(self, node: Node) -> list[Node]:
        """Return what leads to a node."""
        return [self.nodes[edge.source] for edge in self.edges if edge.target == node.id]


def graph_of(declarations: Iterable[Declaration]) -> Graph:
    """Return the graph of one service or of several. Nothing is run: the declarations say all of it.

    Which views a query reads is taken from the names in its answer's code; an answer that hides them has no edge.

    >>> from examples.bank import bank
    >>> graph = graph_of([bank.declaration])
    >>> [node.name for node in graph.after(graph.nodes["bank/command:Transfer"])]
    ['transfer']
    """
    declarations = list(declarations)
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    for chain in _chains(declarations):
        for node in chain:
            nodes.setdefault(node.id, node)
        for source, target in pairwise(chain):
            edges[Edge(source.id, target.id)] = None
    return Graph(nodes, tuple(edges))


_Chain: TypeAlias = tuple[Node, ...]


def _chains(declarations: Sequence[Declaration]) -> Iterator[_Chain]:
    """Yield nodes each of which leads to the next."""
    for declaration in declarations:
        for decider in declaration.deciders:
            yield from _decided(declaration.name, decider)
        yield from _heard(declaration)
        yield from _sent(declaration)
        yield from _followed(declaration)
        yield from _seen_through(declaration)
        yield from _published(declaration, declarations)
        for answer in declaration.answers:
            yield from _asked(declaration, answer)


def _decided(service: str, decider: Decider) -> Iterator[_Chain]:
    command = Node(service, "command", decider.command.message_name)
    decision = Node(service, "decision", decider.name or command.name, ", ".join(decider.states))
    yield command, decision
    for event in decider.events:
        yield decision, _event(service, event)


def _heard(declaration: Declaration) -> Iterator[_Chain]:
    for event in declaration.subscribes:
        inbox = Node(declaration.name, "inbox", inbox_name(event.message_source))
        yield inbox, _event(declaration.name, event)


def _sent(declaration: Declaration) -> Iterator[_Chain]:
    """Yield the commands of other services that one may send at a service, each with the one that it becomes there."""
    for name, command in declaration.elsewhere.items():
        decided = Node(command.message_service, "command", command.message_name)
        yield Node(declaration.name, "command", name), decided


def _followed(declaration: Declaration) -> Iterator[_Chain]:
    service = declaration.name
    for view in declaration.folded:
        for event, _ in fold_of(view).steps.values():
            yield _event(service, event), _view(service, view)
    for projection in declaration.projections:
        node = Node(service, "projection", projection.name)
        for event in projection.events.values():
            yield _event(service, event), node
        for view in projection.views:
            yield node, _view(service, view)


def _seen_through(declaration: Declaration) -> Iterator[_Chain]:
    """Yield what event handlers and processes are told of, and what they and schedules send, and to whom."""
    service = declaration.name
    for handler in declaration.handlers:
        node = Node(service, "handler", handler.follower)
        for event in handler.events.values():
            yield _event(service, event), node
        for command in handler.commands:
            yield node, _sent_to(service, command)
    for definition in declaration.processes:
        yield from _of_process(service, definition)
    for schedule in declaration.schedules:
        node = Node(service, "schedule", schedule.name, f"{schedule.expression} {schedule.zone}")
        for command in schedule.commands:
            yield node, _sent_to(service, command)


def _of_process(service: str, definition: Definition) -> Iterator[_Chain]:
    node = Node(service, "process", definition.follower, definition.name)
    for event in definition.events.values():
        yield _event(service, event), node
    for command in definition.commands.values():
        yield node, _sent_to(service, command)
    for plan in definition.plans:
        for timer in plan.timers:
            yield node, Node(service, "timer", timer), node


def _sent_to(service: str, command: type[Command]) -> Node:
    return Node(command.message_service or service, "command", command.message_name)


def _published(declaration: Declaration, declarations: Iterable[Declaration]) -> Iterator[_Chain]:
    relay = Node(declaration.name, "relay", "relay")
    for event in declaration.publishes:
        yield _event(declaration.name, event), relay
        for other in declarations:
            if any(heard.message_name == _heard_as(declaration.name, event) for heard in other.subscribes):
                yield relay, Node(other.name, "inbox", inbox_name(declaration.name))


def _heard_as(source: str, event: type[Event]) -> str:
    """Return the name that a service's published event has where it is heard."""
    return f"{source}.{event.message_name}"


def _asked(declaration: Declaration, answer: Answer) -> Iterator[_Chain]:
    query = Node(declaration.name, "query", answer.query.message_name)
    yield (query,)
    named = list(named_by(answer.function))
    for view in declaration.views:
        if any(value is view for value in named):
            yield query, _view(declaration.name, view)


def _event(service: str, event: type[Event]) -> Node:
    return Node(service, "event", event.message_name)


def _view(service: str, view: type[View]) -> Node:
    return Node(service, "view", table_name(view), view.__name__)


# Mermaid, as GitHub and most editors of Markdown draw it.

_SHAPES = {
    "command": ("[/", "/]"),
    "decision": ("{{", "}}"),
    "event": ("([", "])"),
    "view": ("[(", ")]"),
    "query": (">", "]"),
    "timer": ("((", "))"),
    "schedule": ("((", "))"),
}


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, with a box round each service.

    >>> deposit, deposited = Node("bank", "command", "Deposit"), Node("bank", "event", "Deposited")
    >>> print(mermaid(Graph({each.id: each for each in (deposit, deposited)}, (Edge(deposit.id, deposited.id),))))
    flowchart LR
      subgraph s0["bank"]
        n0[/"Deposit"/]
        n1(["Deposited"])
      end
      n0 --> n1
    """
    names = {node: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for number, service in enumerate(dict.fromkeys(node.service for node in graph.nodes.values())):
        lines.append(f"  subgraph s{number}[{_quoted(service)}]")
        lines += [f"    {names[node.id]}{_shape(node)}" for node in graph.nodes.values() if node.service == service]
        lines.append("  end")
    for edge in graph.edges:
        arrow = "-. reads .->" if graph.nodes[edge.source].kind == "query" else "-->"
        lines.append(f"  {names[edge.source]} {arrow} {names[edge.target]}")
    return "\n".join(lines)


def _shape(node: Node) -> str:
    before, after = _SHAPES.get(node.kind, ("[[", "]]"))
    return f"{before}{_quoted(node.name)}{after}"


def _quoted(text: str) -> str:
    """Write a label such that nothing in it means anything to Mermaid or HTML."""
    return '"' + "".join(char if char.isalnum() or char in " ._-:" else f"#{ord(char)};" for char in text) + '"'
