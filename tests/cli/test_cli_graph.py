import re

from examples.bank import bank
from examples.shop import shop
from tests.cli.conftest import CommandLine
from tests.cli.seeing_service import both as waiting
from tests.support.order_service import shop as orders
from twofold import Command, Query, Service, View, Views, answer
from twofold.commands import Decider
from twofold.declaration.graph import Edge, Graph, Node, graph_of, mermaid

SHOP = [service.declaration for service in shop.services.values()]


def names(nodes: list[Node]) -> list[str]:
    return [node.id for node in nodes]


def test_a_command_leads_to_its_decision_its_events_and_their_views() -> None:
    """The whole way is there, step by step, with what the decision decides on."""
    graph = graph_of([bank.declaration])
    (decision,) = graph.after(graph.nodes["bank/command:Transfer"])
    assert decision == Node("bank", "decision", "transfer", "Account, Account")
    (event,) = graph.after(decision)
    assert event.id == "bank/event:Transferred"
    assert graph.after(event) == [Node("bank", "view", "balance_v1", "Balance")]
    assert graph.before(decision) == [graph.nodes["bank/command:Transfer"]]


def test_a_projection_stands_between_its_events_and_its_views() -> None:
    """It is a follower of its own, under the name that `twofold views` lists."""
    graph = graph_of([shop.services["stock"].declaration])
    projection = graph.nodes["stock/projection:count_units_v1"]
    assert names(graph.before(projection)) == [
        "stock/event:sales.InvoiceIssued", "stock/event:sales.CreditNoteIssued", "stock/event:StockWrittenOff"
    ]  # fmt: skip
    assert names(graph.after(projection)) == ["stock/view:units_v1"]


def test_a_published_event_goes_by_relay_and_inbox() -> None:
    """In a system the relay leads to the inboxes of who subscribes; alone it leads out of the graph."""
    graph = graph_of(SHOP)
    relay = graph.nodes["sales/relay:relay"]
    assert relay in graph.after(graph.nodes["sales/event:InvoiceIssued"])
    assert names(graph.after(relay)) == [
        "stock/inbox:inbox:sales",
        "ledger/inbox:inbox:sales",
        "reporting/inbox:inbox:sales",
    ]
    inbox = graph.nodes["reporting/inbox:inbox:stock"]
    assert names(graph.after(inbox)) == ["reporting/event:stock.StockWrittenOff"]
    alone = graph_of([shop.services["sales"].declaration])
    assert alone.after(alone.nodes["sales/relay:relay"]) == []


def test_a_query_reads_the_views_that_its_answer_names() -> None:
    """Directly, within an inner function, or through a function beside it."""
    graph = graph_of(SHOP)
    assert names(graph.after(graph.nodes["stock/query:MostSold"])) == ["stock/view:units_v1"]

    class Hidden(Query[int]):
        pass

    @answer
    async def hidden(query: Hidden, views: Views) -> int:
        view: type[View] = globals()["Nothing"]
        return len(await views.find(view))

    service = Service("hiding", queries=[hidden])
    assert graph_of([service.declaration]).after(Node("hiding", "query", "Hidden")) == []


def test_a_decider_written_by_hand_has_its_commands_name() -> None:
    """It need not have a name, and two of them are told apart."""

    class First(Command):
        pass

    class Second(Command):
        pass

    deciders = [Decider(kind, (), lambda command, context: ()) for kind in (First, Second)]
    graph = graph_of([Service("by-hand", decisions=deciders).declaration])
    assert [node.name for node in graph.nodes.values() if node.kind == "decision"] == ["First", "Second"]


def test_a_flowchart_has_each_node_once_and_every_edge() -> None:
    """Mermaid gets a box for each service and plain ids; queries point at what they read."""
    graph = graph_of(SHOP)
    chart = mermaid(graph)
    assert len(re.findall(r"^    n\d+\S", chart, re.MULTILINE)) == len(graph.nodes)
    assert len(re.findall(r"^  n\d+ (-->|-\. reads \.->) n\d+$", chart, re.MULTILINE)) == len(graph.edges)
    assert re.findall(r"^  subgraph s\d\[\"(\w+)\"\]$", chart, re.MULTILINE) == [
        "sales",
        "stock",
        "payments",
        "shipping",
        "ledger",
        "reporting",
    ]
    assert chart.splitlines()[0] == "flowchart LR"


def test_no_name_means_anything_to_mermaid() -> None:
    """A label is text, whatever is in it."""
    odd = Node("end", "event", 'a "quoted" <b>end</b> [x] #1; `y`')
    assert 'n0(["a #34;quoted#34; #60;b#62;end#60;#47;b#62; #91;x#93; #35;1#59; #96;y#96;"])' in mermaid(
        Graph({odd.id: odd}, ())
    )


def test_the_tree_begins_with_commands_what_is_heard_and_queries(twofold: CommandLine) -> None:
    """Each service is a tree; the way through relay and inbox goes on to the followers of the other service."""
    lines = twofold("graph", "examples.shop:shop").lines
    trees = [line for line in lines if line[0].isalpha()]
    assert trees == ["sales", "stock", "ledger", "reporting", "payments", "shipping"]
    start = next(number for number, line in enumerate(lines) if line.endswith("command WriteOffStock"))
    shown = [re.sub(r"^[│├└─ ]+", "", line) for line in lines[start : start + 8]]
    assert shown == [
        "command WriteOffStock",
        "decision WriteOff.write_off (WriteOff)",
        "event StockWrittenOff",
        "projection count_units_v1",
        "view units_v1 (Units)",
        "relay",
        "reporting inbox:stock",
        "event stock.StockWrittenOff",
    ]
    assert "├── heard from others" in lines


def test_an_event_that_nothing_decides_any_more_is_shown(twofold: CommandLine) -> None:
    """Views may still need what earlier code has left in the log."""
    twofold.write("later.py", "from examples.bank import Balance\nfrom twofold import Service\n"
                  "bank = Service('bank', views=[Balance])\n")  # fmt: skip
    lines = twofold("graph", "later:bank").lines
    assert lines[1] == "└── events that nothing decides any more"
    assert lines[2].strip() == "├── event Opened"


def test_the_flowchart_is_printed(twofold: CommandLine) -> None:
    """It can be written into a Markdown file as it comes."""
    assert twofold("graph", "examples.bank:bank", "--mermaid").output == mermaid(graph_of([bank.declaration])) + "\n"


def test_a_program_gets_nodes_and_edges(twofold: CommandLine) -> None:
    """Edges are between ids of nodes, all of which are there."""
    found = twofold("graph", "examples.shop:shop", "--json").json
    ids = {f"{node['service']}/{node['kind']}:{node['name']}" for node in found["nodes"]}
    assert all({edge["source"], edge["target"]} <= ids for edge in found["edges"])
    assert {"service": "stock", "kind": "view", "name": "units_v1", "detail": "Units"} in found["nodes"]
    assert Edge("stock/projection:count_units_v1", "stock/view:units_v1") in [Edge(**edge) for edge in found["edges"]]


def test_two_formats_at_once_are_refused(twofold: CommandLine) -> None:
    """One output has one format."""
    found = twofold("graph", "examples.bank:bank", "--mermaid", "--json")
    assert found.complaint == "twofold: Choose one of --mermaid and --json."


def test_a_name_is_no_markup_to_the_terminal(twofold: CommandLine) -> None:
    """What a user calls an event is shown and does nothing."""
    twofold.write(
        "odd.py",
        "from collections.abc import Iterator\n"
        "from twofold import Command, Event, Service, decide\n"
        "class Do(Command): pass\n"
        "class Done(Event, name='[bold]'): pass\n"
        "@decide\n"
        "def do(command: Do) -> Iterator[Done]:\n    yield Done()\n"
        "odd = Service('odd', decisions=[do])\n",
    )
    assert twofold("graph", "odd:odd").lines[-1].endswith("event [bold]")


def test_a_process_leads_to_the_commands_that_it_sends_and_the_timers_that_it_sets() -> None:
    """A command that leads to an event that leads to a command has an end in the tree, and is a circle in the chart."""
    graph = graph_of([orders.declaration])
    process = graph.nodes["shop/process:process:Fulfilment"]
    assert names(graph.before(process)) == [
        "shop/event:Placed", "shop/event:Cancelled", "shop/event:Shipped", "shop/timer:PaymentDeadline"
    ]  # fmt: skip
    assert {each.name for each in graph.after(process)} == {
        "Reserve", "Charge", "Close", "Ship", "Release", "Refund", "PaymentDeadline"
    }  # fmt: skip
    assert graph.nodes["shop/timer:PaymentDeadline"] in graph.after(process)
    assert '(("PaymentDeadline"))' in mermaid(graph)


def test_the_tree_of_a_process_has_an_end(twofold: CommandLine) -> None:
    """What it sends is shown where it is sent, and its own way where it begins."""
    shown = "\n".join(twofold("graph", "tests.support.order_service:shop").lines)
    assert "── process:Fulfilment (Fulfilment)" in shown
    assert "timer PaymentDeadline" in shown


def test_handlers_and_schedules_lead_to_what_they_send() -> None:
    """Each by the name of its follower, or of its function with the times at which that runs."""
    graph = graph_of([service.declaration for service in waiting.services.values()])
    assert names(graph.after(graph.nodes["sales/event:Placed"])) == [
        "sales/handler:handler:welcome", "sales/process:process:Fulfilment"
    ]  # fmt: skip
    schedule = graph.nodes["sales/schedule:nightly"]
    assert schedule.detail == "0 2 * * * Europe/Berlin"
    assert names(graph.after(schedule)) == ["sales/command:Place"]
    process = graph.nodes["sales/process:process:Fulfilment"]
    assert "stock/command:Reserve" in names(graph.after(process))
    assert names(graph.after(graph.nodes["stock/command:Reserve"])) == ["stock/decision:Shelf.reserve"]


def test_a_command_to_another_service_is_shown_as_that_ones(twofold: CommandLine) -> None:
    """Where it is sent, and whether the other service is shown or not; a service that is not asked for has no tree."""
    lines = twofold.within("graph", "tests.cli.seeing_service:sales").lines
    assert any(line.endswith("── stock command Reserve") for line in lines)
    assert "├── commands" in lines
    assert "└── schedules" in lines
    assert [line for line in lines if line[0].isalpha()] == ["sales"]
