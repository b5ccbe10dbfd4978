"""What leads to what: the exact graph from commands to followers, as the declarations say it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from twofold.fold import fold_of
from twofold.service.declaration import Declaration
from twofold.views import table_name


class Arrow(msgspec.Struct, frozen=True, order=True):
    """``source`` leads to ``target``; both are written ``kind:name``."""

    source: str
    target: str


def graph(declarations: Iterable[Declaration]) -> list[Arrow]:
    """Return the arrows: command → decision → event → view or projection, and published event → subscriber's event.

    >>> from examples.bank import bank
    >>> [arrow.target for arrow in graph([bank.declaration]) if arrow.source == "command:bank/Transfer"]
    ['decision:bank/transfer']
    """
    arrows: dict[Arrow, None] = {}
    for declaration in declarations:
        arrows.update(dict.fromkeys(_arrows(declaration)))
    return list(arrows)


def _arrows(declaration: Declaration) -> Iterable[Arrow]:
    at = declaration.name
    for decider in declaration.deciders:
        decision = f"decision:{at}/{decider.name}"
        yield Arrow(f"command:{at}/{decider.command.message_name}", decision)
        for event in decider.events:
            yield Arrow(decision, f"event:{at}/{event.message_name}")
    for view in declaration.folded:
        for name in fold_of(view).steps:
            yield Arrow(f"event:{at}/{name}", f"view:{at}/{table_name(view)}")
    for projection in declaration.projections:
        for name in projection.events:
            yield Arrow(f"event:{at}/{name}", f"projection:{at}/{projection.name}")
        for view in projection.views:
            yield Arrow(f"projection:{at}/{projection.name}", f"view:{at}/{table_name(view)}")
    for kind in declaration.subscribes:
        published = kind.message_name.removeprefix(f"{kind.message_source}.")
        yield Arrow(f"event:{kind.message_source}/{published}", f"event:{at}/{kind.message_name}")


def mermaid(arrows: Iterable[Arrow]) -> str:
    """Return a flowchart in Mermaid's notation, with a subgraph for each service.

    >>> print(mermaid([Arrow("command:bank/Deposit", "event:bank/Deposited")]))
    flowchart LR
      subgraph bank
        n0[/Deposit/]
        n1([Deposited])
      end
      n0 --> n1
    """
    arrows = list(arrows)
    nodes = {node: f"n{number}" for number, node in enumerate(dict.fromkeys(n for a in arrows for n in _ends(a)))}
    services: dict[str, list[str]] = {}
    for node in nodes:
        services.setdefault(_service(node), []).append(node)
    lines = ["flowchart LR"]
    for service, members in services.items():
        lines.append(f"  subgraph {service}")
        lines += [f"    {nodes[node]}{_shape(node)}" for node in members]
        lines.append("  end")
    lines += [f"  {nodes[arrow.source]} --> {nodes[arrow.target]}" for arrow in arrows]
    return "\n".join(lines)


def _ends(arrow: Arrow) -> tuple[str, str]:
    return arrow.source, arrow.target


def _service(node: str) -> str:
    return node.partition(":")[2].partition("/")[0]


def _shape(node: str) -> str:
    kind, _, rest = node.partition(":")
    name = rest.partition("/")[2]
    before, after = {"command": ("[/", "/]"), "event": ("([", "])"), "view": ("[(", ")]")}.get(kind, ("[", "]"))
    return f"{before}{name}{after}"
