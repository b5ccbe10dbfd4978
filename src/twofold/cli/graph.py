"""``twofold graph``: what leads to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, TARGET, Complaint, services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.tree import Tree

    from twofold.declaration.graph import Graph, Node

_COLOURS = {"command": "cyan", "decision": "bold", "event": "yellow", "view": "green", "query": "magenta"}


@click.command(short_help="Show what leads to what.")
@TARGET
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart, for Markdown.")
@JSON
def graph(target: str, as_mermaid: bool, as_json: bool) -> None:
    """Show what leads to what: command, decision, event, followers; and which views a query reads.

    Nothing is run for it: the declarations say it all.
    """
    if as_mermaid and as_json:
        raise Complaint("Choose one of --mermaid and --json.")
    from twofold.cli.output import console, print_json
    from twofold.declaration.graph import graph_of, mermaid

    found = graph_of([service.declaration for service in services(target)])
    if as_mermaid:
        click.echo(mermaid(found))
    elif as_json:
        print_json({"nodes": list(found.nodes.values()), "edges": found.edges})
    else:
        for name in dict.fromkeys(node.service for node in found.nodes.values()):
            console().print(_tree(found, name))


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
        "heard from others": [node for node in nodes if node.kind == "inbox"],
        "events that nothing decides any more": [
            node for node in nodes if node.kind == "event" and not graph.before(node)
        ],
        "queries": [node for node in nodes if node.kind == "query"],
    }


def _grow(graph: Graph, branch: Tree, nodes: Iterable[Node], published: Node | None = None) -> None:
    for node in nodes:
        grown = branch.add(_label(node, branch_of=published))
        event = node if node.kind == "event" else published
        following = _next(graph, node, event)
        # What a process sends has a branch of its own, and may lead to the process again.
        _grow(graph, grown, following if node.kind != "process" else (), event)
        for after in following if node.kind == "process" else ():
            grown.add(_label(after, branch_of=published))


def _next(graph: Graph, node: Node, event: Node | None) -> Iterator[Node]:
    """Yield what follows a node, and from an inbox only what the event that led there has become."""
    for after in graph.after(node):
        if node.kind != "inbox" or event is None or after.name == f"{event.service}.{event.name}":
            yield after


def _label(node: Node, branch_of: Node | None) -> str:
    from rich.markup import escape

    from twofold.cli.output import printable

    # The names of processes, relays and inboxes say what they are; it is said whose the inbox of another service is.
    by_name = {"relay": "", "process": "", "inbox": f"{node.service} " if branch_of else ""}
    before = by_name.get(node.kind, f"{node.kind} ")
    detail = f" [dim]({escape(printable(node.detail))})[/]" if node.detail else ""
    return f"[dim]{before}[/][{_COLOURS.get(node.kind, 'blue')}]{escape(printable(node.name))}[/]{detail}"
