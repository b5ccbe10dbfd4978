"""What breaks whom: one change of the code, and what is said of it."""

import json
from typing import Any

import pytest

from examples.bank import bank
from examples.shop import shop
from tests.contracts.trading import broken, contract_of, loaded
from twofold.contracts import breaks
from twofold.errors import InvalidMessage

UNTIL_UNUSED = "until nobody subscribes to it any more."
SHAPE = f"Publish the new shape in a field or an event of its own, beside this one {UNTIL_UNUSED}"
TAKE = "Take what was taken before, too, until nobody sends it any more."

PUBLISHED = "stock publishes Reserved"
SUBSCRIBERS = "That breaks those who subscribe: sales."
ADD, RESERVE = "stock decides on Add", "stock decides on Reserve"
SENDERS = "That breaks sales and whoever sends it over HTTP."
STORED = "stock, stored Reserved"

STATUS = ('status: Literal["whole", "part"] = "whole"', 'status: Literal["whole", "part", "none"] = "whole"')
EMPTIED = ("class Emptied(Event):\n", "class Emptied(Event):\n    at: str = ''\n")

CONSUMERS = {
    "a published event that is published no more": (
        [("publishes=[Reserved, Emptied]", "publishes=[Reserved]")],
        (
            "stock publishes Emptied: is not published any more. That breaks whoever subscribes to it. "
            f"Publish it {UNTIL_UNUSED}"
        ),
    ),
    "an event that has another name": (
        [("Emptied", "SoldOut")],
        (
            "stock publishes Emptied: is not published any more. That breaks whoever subscribes to it. "
            f'If its class is now SoldOut: class SoldOut(Event, name="Emptied"). Publish it {UNTIL_UNUSED}'
        ),
    ),
    "a field that is gone": (
        [('    status: Literal["whole", "part"] = "whole"\n', "")],
        f"{PUBLISHED}, status: is missing now, and was there. {SUBSCRIBERS} Publish the field {UNTIL_UNUSED}",
    ),
    "a field of another type": (
        [("place: int = 0", "place: str = ''")],
        f"{PUBLISHED}, slips[].place: is text now, and was a whole number. {SUBSCRIBERS} {SHAPE}",
    ),
    "a field that may be null": (
        [("shelf: Annotated[str, Meta(max_length=5)]", "shelf: Annotated[str, Meta(max_length=5)] | None")],
        f"{PUBLISHED}, slips[].shelf: is sometimes null now, and was text. {SUBSCRIBERS} {SHAPE}",
    ),
    "a field that may be left out": (
        [("place: int = 0", "place: int | msgspec.UnsetType = msgspec.UNSET")],
        f"{PUBLISHED}, slips[].place: is sometimes missing now, and was there. {SUBSCRIBERS} {SHAPE}",
    ),
    "one more value of an enumeration": (
        [STATUS],
        f"{PUBLISHED}, status: is sometimes 'none' now, and was 'part' or 'whole'. {SUBSCRIBERS} {SHAPE}",
    ),
    "a wider constraint": (
        [("Meta(max_length=5)", "Meta(max_length=9)")],
        f"{PUBLISHED}, slips[].shelf: is at most 9 characters now, and was at most 5 characters. {SUBSCRIBERS} {SHAPE}",
    ),
    "no constraint any more": (
        [("units: Annotated[int, Meta(ge=1)]", "units: int")],
        f"{PUBLISHED}, units: is of any size now, and was at least 1. {SUBSCRIBERS} {SHAPE}",
    ),
    "another key": (
        [
            (
                "class Reserved(Event):\n    item: ItemId\n    order: OrderId",
                "class Reserved(Event):\n    order: OrderId\n    item: ItemId",
            )
        ],
        (
            f"{PUBLISHED}: its key is order in order or item in item now, and was item in item or order in order. "
            f"{SUBSCRIBERS} Order holds for each key: leave the fields with tags as they were, or publish another event."
        ),
    ),
}

SENT = {
    "a command that is decided no more": (
        [
            ("command: Add)", "command: Put)"),
            ("class Item(", "class Put(Command):\n    item: ItemId\n    units: int\n\n\nclass Item("),
        ],
        f"{ADD}: is not decided on any more. {SENDERS} Decide on it until nobody sends it any more.",
    ),
    "a command that has another name": (
        [("Add(", "Put("), ("command: Add)", "command: Put)")],
        (
            f'{ADD}: is not decided on any more. {SENDERS} If its class is now Put: class Put(Command, name="Add"). '
            "Decide on it until nobody sends it any more."
        ),
    ),
    "one more required field": (
        [("    units: int | None = None\n", "    units: int | None = None\n    who: str\n")],
        f"{RESERVE}, who: has to be there now, and was missing. {SENDERS} Give the field a default.",
    ),
    "a field that has no default any more": (
        [("due: datetime | None = None", "due: datetime | None")],
        f"{RESERVE}, due: has to be there now, and was sometimes missing. {SENDERS} Give the field a default.",
    ),
    "a field that is not taken any more": (
        [("    due: datetime | None = None\n", "")],
        (
            f"{RESERVE}, due: has to be left out now, and was there. {SENDERS} "
            "Keep the field, with a default, until nobody sends it any more."
        ),
    ),
    "a narrower type": (
        [("due: datetime | None = None", "due: Annotated[datetime, Meta(tz=True)] | None = None")],
        (
            f"{RESERVE}, due: has to be a moment in a time zone now, and was a moment without a time zone. "
            f"{SENDERS} {TAKE}"
        ),
    ),
    "a value of an enumeration that is gone": (
        [('kind: Literal["new", "used"]', 'kind: Literal["new"]')],
        f"{ADD}, kind: has to be 'new' now, and was sometimes 'used'. {SENDERS} {TAKE}",
    ),
    "a tighter constraint": (
        [("Meta(gt=0, le=100)", "Meta(gt=0, le=99)")],
        f"{ADD}, units: has to be at most 99 now, and was at most 100. {SENDERS} {TAKE}",
    ),
    "a rejection that has another name": (
        [("OutOfStock", "SoldOut")],
        (
            f"{RESERVE}: is not rejected as OutOfStock any more. {SENDERS} "
            "Senders go by that name: keep it until nobody sends it any more."
        ),
    ),
    "a sender that is not heard any more": (
        [('takes_commands_from=["sales"]', 'takes_commands_from=["shop"]')],
        "stock: takes no commands from sales any more. That breaks sales. takes_commands_from=['sales'] lets it.",
    ),
}

IN_LOG = "That breaks what stock has in its log."
MEND = "What is stored stays as it is: mend the class, or raise its version= and write an @upcast from the old one."
PARKED = f"Views park it, and aggregates cannot be loaded. {MEND}"
OLD_ADDED = "class Added(Event):\n    item: ItemId\n    units: int\n"

KEPT = {
    "a stored event that nothing reads": (
        [
            ("class Added(", "class Stored("),
            ("[Added]", "[Stored]"),
            ("yield Added(", "yield Stored("),
            ("event: Added", "event: Stored"),
        ],
        (
            f"stock, stored Added: nothing reads it. {IN_LOG} "
            "If its class is now Stored: class Stored(Event, name=\"Added\"). If nothing shall: Service(…, ignores=['Added'])."
        ),
    ),
    "a field that is read by nothing": (
        [('    status: Literal["whole", "part"] = "whole"\n', '    state: str = ""\n')],
        (
            f"{STORED}: its field status is read by nothing, and state has its default. {IN_LOG} If state is its new "
            'name: state: … = msgspec.field(default=…, name="status"). '
            "If it is not needed: version=2 and an @upcast(1) that drops it."
        ),
    ),
    "a field that is called something else": (
        [
            (OLD_ADDED, OLD_ADDED.replace("units", "count")),
            ("Added(item=command.item, units", "Added(item=command.item, count"),
            ("self.units + event.units", "self.units + event.count"),
        ],
        (
            f"stock, stored Added: count has to be there now, and was missing. {IN_LOG} "
            f'If count is the new name of units: count: … = msgspec.field(name="units"). {PARKED}'
        ),
    ),
    "a narrower type of what is stored": (
        [("Meta(max_length=5)", "Meta(max_length=2)")],
        f"{STORED}: slips[].shelf has to be at most 2 characters now, and was at most 5 characters. {IN_LOG} {PARKED}",
    ),
    "another tag": (
        [
            (
                "class Emptied(Event):\n    item: ItemId",
                "class Emptied(Event):\n    item: ItemId\n    order: OrderId | None = None",
            )
        ],
        (
            f"stock, stored Emptied: the log does not have it under the tag order:…, under which it is looked for. {IN_LOG} "
            "An aggregate that looks for it by its tag misses it. Let the fields of Emptied and their tags be what they were "
            "when it was recorded, or import the log from an export in which its tags are changed, too."
        ),
    ),
    "an upcast that makes no event": (
        [
            (
                OLD_ADDED,
                OLD_ADDED.replace("(Event)", "(Event, version=2)")
                + "    who: str\n    @upcast(1)\n    def up(data): return data\n",
            ),
            ("yield Added(", "yield Added(who='ann', "),
        ],
        f"stock, stored Added: it does not fit trading.Added: Object missing required field `who`. {IN_LOG} {PARKED}",
    ),
    "a required field of what is heard that its source does not publish": (
        [
            (
                "    order: OrderId\n    units: int\n\n\nsales",
                "    order: OrderId\n    units: int\n    who: str\n\n\nsales",
            )
        ],
        (
            "sales, stored stock.Reserved: who has to be there now, and was missing. That breaks what sales has in its log. "
            f"{PARKED}"
        ),
    ),
}

FINE = {
    "nothing": [],
    "another event": [
        ("class Unknown(", "class Looked(Event):\n    item: ItemId\n\n\nclass Unknown("),
        ("Iterator[Reserved | Emptied]", "Iterator[Reserved | Emptied | Looked]"),
        ("def emptied(self, event: Emptied)", "def emptied(self, event: Emptied | Looked)"),
        ("publishes=[", "publishes=[Looked, "),
    ],
    "one more field of an event": [EMPTIED],
    "a command that takes more": [
        ("Meta(gt=0, le=100)", "Meta(ge=0)"),
        ('kind: Literal["new", "used"]', "kind: str"),
        ("due: datetime | None = None", "due: datetime | int | None = None"),
    ],
    "one more rejection": [
        ("        self.check(", "        if not command.order: raise Nobody\n        self.check("),
        ("class Unknown(", "class Nobody(Rejected):\n    pass\n\n\nclass Unknown("),
    ],
    "another shape of a stored event, with an upcast": [
        (
            OLD_ADDED,
            OLD_ADDED.replace("(Event)", "(Event, version=2)").replace("units", "count")
            + '    @upcast(1)\n    def up(data): return {"item": data["item"], "count": data["units"]}\n',
        ),
        ("Added(item=command.item, units", "Added(item=command.item, count"),
        ("self.units + event.units", "self.units + event.count"),
    ],
    "an upcast of what cannot be made up": [
        ("class Emptied(Event)", "class Emptied(Event, version=2)"),
        (
            "    code: Annotated",
            "    by: str\n    @upcast(1)\n    def up(data): return {**data, 'by': data['code'][8]}\n    code: Annotated",
        ),
        ('code="ABCDEFGHI"', 'by="I", code="ABCDEFGHI"'),
    ],
    "another name of a class": [
        ("class Emptied(Event)", 'class SoldOut(Event, name="Emptied")'),
        ("[Reserved, Emptied]", "[Reserved, SoldOut]"),
        ("| Emptied]", "| SoldOut]"),
        ("yield Emptied", "yield SoldOut"),
        ("event: Emptied", "event: SoldOut"),
    ],
    "a field of what is heard that its source has published": [
        (
            "    order: OrderId\n    units: int\n\n\nsales",
            "    order: OrderId\n    units: int\n    status: str\n\n\nsales",
        )
    ],
    "an event that is ignored": [
        ("class Added(", "class Stored("),
        ("[Added]", "[Stored]"),
        ("yield Added(", "yield Stored("),
        ("event: Added", "event: Stored"),
        ("publishes=[", "ignores=['Added'], publishes=["),
    ],
    "no subscription to what is not in the log of others": [
        ("subscribes=[GoodsReserved]", "ignores=['stock.Reserved']")
    ],
}


def told(changes: Any, kind: str) -> list[str]:
    return [str(each) for each in broken(*changes) if each.kind == kind]


@pytest.mark.parametrize(("changes", "line"), CONSUMERS.values(), ids=CONSUMERS)
def test_who_reads_what_is_published_is_not_broken_unawares(changes: Any, line: str) -> None:
    """One line says where, what, whom it breaks and what to do instead."""
    assert told(changes, "consumer") == [line]


@pytest.mark.parametrize(("changes", "line"), SENT.values(), ids=SENT)
def test_who_sends_commands_is_not_broken_unawares(changes: Any, line: str) -> None:
    """What was taken before is taken, and is refused by the names that it was refused by."""
    assert told(changes, "sender") == [line]


@pytest.mark.parametrize(("changes", "line"), KEPT.values(), ids=KEPT)
def test_what_is_in_the_log_is_read_as_it_was_written(changes: Any, line: str) -> None:
    """In the words in which `twofold check` says it of the events themselves."""
    assert line in told(changes, "stored event")


@pytest.mark.parametrize("changes", FINE.values(), ids=FINE)
def test_what_is_compatible_is_not_mentioned(changes: Any) -> None:
    """New events, new fields, commands that take more, upcasts: nobody has to do anything."""
    assert broken(*changes) == []


def test_services_that_have_not_changed_break_nobody() -> None:
    """Alone and together, whatever their messages are made of."""
    for services in ([bank], [*shop.services.values()], *[[each] for each in shop.services.values()]):
        assert breaks(contract_of(*services), [each.declaration for each in services]) == []


def test_a_service_that_is_gone_breaks_whoever_goes_by_it() -> None:
    """Unless it is said which services are compared."""
    before = loaded()
    old = contract_of(before.sales, before.stock)
    (found,) = breaks(old, [before.stock.declaration])
    assert str(found).startswith("sales: is not among the services any more.")
    assert breaks(old, [before.stock.declaration], ["stock"]) == []


def test_what_is_no_contract_is_not_compared() -> None:
    """Neither other JSON, nor somebody else's AsyncAPI."""
    documents: list[Any] = [[], {"asyncapi": "3.0.0", "info": {"title": "shop", "version": "1"}}]
    for document in documents:
        with pytest.raises(InvalidMessage, match="no contract that `twofold contracts` has written"):
            breaks(json.loads(json.dumps(document)), [bank.declaration])
