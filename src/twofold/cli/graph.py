"""``twofold graph``: what leads to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, TARGET, Complaint, services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.tree import Tree

    from twofold.declaration.graph import Graph, Node

_SENDERS = ("handler", "process", "schedule")
_NAMED = ("handler", "process", "relay", "inbox")
_COLOURS = {"command": "cyan", "decision": "bold", "event": "yellow", "view": "green", "query": "magenta"}


@click.command(short_help="Show what leads to what.")
@TARGET
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart, for Markdown.")
@JSON
def graph(target: str, as_mermaid: bool, as_json: bool) -> None:
    """Show what leads to what: command, decision, event, followers and what they send; and which views a query reads.

    Nothing is run for it: the declarations say it all.
    """
    if as_mermaid and as_json:
        raise Complaint("Choose one of --mermaid and --json.")
    from twofold.cli.output import console, print_json
    from twofold.declaration.graph import graph_of, mermaid

    chosen = services(target)
    found = graph_of([service.declaration for service in chosen])
    if as_mermaid:
        click.echo(mermaid(found))
    elif as_json:
        print_json({"nodes": list(found.nodes.values()), "edges": found.edges})
    else:
        for service in chosen:
            console().print(_tree(found, service.name))


def _tree(graph: Graph, service: str) -> Tree:
    from rich.tree import Tree

    tree = Tree(service, style="bold")
    for title, roots in _parts(graph, service).items():
        if roots:
            _grow(graph, tree.add(title, style="dim"), roots)
    return tree


def _parts(graph: Graph, service: str) -> dict[str, list[Node]]:
    """Return where the paths through a service begin."""
    nodes = [node for node in graph.nodes.values() if node.service == service]
    return {
        "commands": [node for node in nodes if node.kind == "command"],
        "schedules": [node for node in nodes if node.kind == "schedule"],
        "heard from others": [node for node in nodes if node.kind == "inbox"],
        "events that nothing decides any more": [
            node for node in nodes if node.kind == "event" and not graph.before(node)
        ],
        "queries": [node for node in nodes if node.kind == "query"],
    }


def _grow(
    graph: Graph, branch: Tree, nodes: Iterable[Node], parent: Node | None = None, event: Node | None = None
) -> None:
    for node in nodes:
        grown = branch.add(_label(node, parent))
        if node.kind in _SENDERS:
            # What is sent has a branch of its own, and may lead to who has sent it again.
            for sent in graph.after(node):
                grown.add(_label(sent, node))
        else:
            last = node if node.kind == "event" else event
            _grow(graph, grown, _next(graph, node, last), node, last)


def _next(graph: Graph, node: Node, event: Node | None) -> Iterator[Node]:
    """Yield what follows a node, and from an inbox only what the event that led there has become."""
    for after in graph.after(node):
        if node.kind != "inbox" or event is None or after.name == f"{event.service}.{event.name}":
            yield after


def _label(node: Node, parent: Node | None) -> str:
    from rich.markup import escape

    from twofold.cli.output import printable

    # Where one service leads to another, it is said whose the node is. The names of most followers say what they are.
    whose = f"{node.service} " if parent is not None and parent.service != node.service else ""
    kind = "" if node.kind in _NAMED else f"{node.kind} "
    detail = f" [dim]({escape(printable(node.detail))})[/]" if node.detail else ""
    return f"[dim]{whose}{kind}[/][{_COLOURS.get(node.kind, 'blue')}]{escape(printable(node.name))}[/]{detail}"
