"""A fingerprint stands for all that a folded state depends on: it changes whenever that does, and only then."""

import logging
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from twofold.folding import fold_of

HELPERS = """
RATE = 2
class Scale:
    unit = 10
    def of(self, n): return n * self.unit
def weight(n): return n * RATE
"""

CARTS = """
import collections, contextlib, dataclasses, datetime, decimal, enum, functools, re, threading, weakref
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, Self, TypedDict, TypeVar
import msgspec
import pydantic
import helpers
import helpers as aliased
from helpers import Scale
from twofold import Aggregate, Event, Meta, Tag, decide, evolve, replace
from twofold.messages import upcast

CartId = Annotated[str, Tag("cart")]
class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"
    @property
    def bright(self): return self is Color.RED
class Size(enum.IntEnum):
    SMALL = 1
    def units(self): return self._weight() * 2
    def _weight(self): return 1
    @classmethod
    def _missing_(cls, value): return cls.SMALL
Size.SMALL.colour = Color.RED
class Side(enum.IntFlag, boundary=enum.KEEP):
    LEFT = 1
@dataclasses.dataclass(frozen=True)
class Part:
    name: str = "part"
    units: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)
    def total(self): return self.units
class Line(msgspec.Struct, frozen=True):
    sku: str = ""
    units: int = 1
    def total(self): return self.units
class Pair(NamedTuple):
    left: int = 0
    right: int = 0
class Extra(TypedDict, total=False):
    note: str
class Model(pydantic.BaseModel):
    size: int = 1
Money = NewType("Money", int)
T = TypeVar("T", bound=Line)
FACTOR = 1
NAMES = ["a", "b"]
TABLE = {"a": 1, "b": {"c": (1, 2.5)}}
ALLOWED = frozenset({"lamp", "vase", ("jar", 1), Color.RED})
SINCE = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
PRICE = decimal.Decimal("1.50")
PATTERN = re.compile("a+")
PART = Part()
SCALE = Scale()
COUNTS = collections.Counter(a=1)
SENTINEL = object()
ENCODE = msgspec.json.Encoder().encode
DECODER = msgspec.json.Decoder(list[int])
def twice(n): return n * 2
def thrice(n): return n * 3
def ping(n): return pong(n - 1) if n > 0 else 0
def pong(n): return ping(n - 1) + 1
def factor(by):
    def multiplied(n): return n * by
    return multiplied
doubled = factor(2)
def logged(function):
    @functools.wraps(function)
    def wrapper(*args): return function(*args) + 0
    return wrapper
@logged
def decorated(n): return n + 1
@functools.lru_cache
def cached(n): return n + 1
@functools.singledispatch
def shown(n): return n
@shown.register
def _(n: str): return n + "!"
@contextlib.contextmanager
def managed(): yield 1
partly = functools.partial(twice, n=1)
inline = lambda n: n + 1
def defaulted(n, by=1, *, plus=1): return n * by + plus
def start(): return []
def unused(): return 1
class Mixin:
    def mixed(self): return 1
class Base(Aggregate, Mixin):
    basic: int = 0
    def inherited(self): return self.basic + 1
class Common(Event):
    note: str = ""
class Added(Common, version=2):
    cart: CartId
    amount: int
    kind: Literal["a", "b"] = "a"
    color: Color = Color.RED
    line: Line | None = None
    @upcast(1)
    def cents(data): return {**data, "amount": data["amount"] * FACTOR}
    @property
    def net(self): return self.amount - 1
class Removed(Event):
    cart: CartId
    amount: int
class Cart(Base, key=CartId, version=1):
    snapshot_every = 10
    limit: ClassVar[int] = 5
    total: int = 0
    size: Annotated[int, Meta(ge=0)] = 0
    tags: list[str] = msgspec.field(default_factory=start)
    kept: tuple[Line, ...] = ()
    part: Part = Part()
    pair: Pair = Pair()
    extra: Extra | None = None
    money: Money = Money(0)
    generic: list[T] = []
    @property
    def half(self): return self.total // 2
    @staticmethod
    def fixed(): return 1
    @classmethod
    def made(cls): return cls.limit
    @evolve
    def added(self, event: Added) -> Self:
        "Count what is added."
        # A comment.
        return replace(self, total=self.total + event.amount + {used})
    @evolve
    def removed(self, event: Removed) -> Self: return replace(self, total=self.total - event.amount)
    @decide
    def unrelated(self, command): yield 1
"""


def fingerprint(used: str = "0", *changes: tuple[str, str]) -> str:
    """Return the fingerprint of the program above, whose step uses an expression, with some text changed."""
    sources = {"helpers": HELPERS, "carts": CARTS.replace("{used}", used)}
    for old, new in changes:
        assert sum(source.count(old) for source in sources.values()) == 1, old
        sources = {name: source.replace(old, new) for name, source in sources.items()}
    modules = {}
    try:
        for name, source in sources.items():
            modules[name] = sys.modules[name] = ModuleType(name)
            exec(compile(source, f"{name}.py", "exec"), vars(modules[name]))  # noqa: S102 - the program above
        return fold_of(vars(modules["carts"])["Cart"]).fingerprint
    finally:
        for name in modules:
            del sys.modules[name]


CHANGES = [
    # What the step uses, and what of it changes.
    ("FACTOR", "FACTOR = 1", "FACTOR = 2"),
    ("FACTOR", "FACTOR = 1", "FACTOR = True"),
    ("FACTOR", "FACTOR = 1", "FACTOR = 1.0"),
    ("len(NAMES)", 'NAMES = ["a", "b"]', 'NAMES = ["b", "a"]'),
    ("TABLE['a']", "(1, 2.5)", "(1, 2.0)"),
    ("('lamp' in ALLOWED)", '"lamp"', '"bowl"'),
    ("('lamp' in ALLOWED)", '("jar", 1)', '("jar", 2)'),
    ("SINCE.year", "2020, 1, 1, tz", "2021, 1, 1, tz"),
    ("int(PRICE)", '"1.50"', '"1.5"'),
    ("len(PATTERN.findall(''))", '"a+"', '"a*"'),
    ("PART.units", "PART = Part()", "PART = Part(units=2)"),
    ("PART.total()", "def total(self): return self.units\nclass Line", "def total(self): return 7\nclass Line"),
    ("SCALE.of(1)", "unit = 10", "unit = 20"),
    ("Scale().of(1)", "n * self.unit", "n + self.unit"),
    ("COUNTS['a']", "Counter(a=1)", "Counter(a=2)"),
    ("Color.RED.bright", "self is Color.RED", "self is Color.BLUE"),
    ("Size.SMALL", "SMALL = 1", "SMALL = 2"),
    ("Size.SMALL.units()", "def _weight(self): return 1", "def _weight(self): return 2"),
    ("Size(9)", "return cls.SMALL", "return cls(1)"),
    ("len(Size.SMALL.colour.value)", "SMALL.colour = Color.RED", "SMALL.colour = Color.BLUE"),
    ("Side(9)", "enum.KEEP", "enum.EJECT"),
    (
        "(Line() == Line())",
        "class Line(msgspec.Struct, frozen=True)",
        "class Line(msgspec.Struct, frozen=True, eq=False)",
    ),
    (
        "hasattr(Line, '__lt__')",
        "class Line(msgspec.Struct, frozen=True)",
        "class Line(msgspec.Struct, frozen=True, order=True)",
    ),
    ("twice(1)", "return n * 2", "return n * 4"),
    ("sum(twice(n) for n in [1])", "return n * 2", "return n * 4"),
    ("(lambda: [twice(n) for n in [1]])()[0]", "return n * 2", "return n * 4"),
    ("ping(3)", "ping(n - 1) + 1", "ping(n - 1) + 2"),
    ("doubled(1)", "factor(2)", "factor(3)"),
    ("doubled(1)", "return n * by\n", "return n + by\n"),
    ("decorated(1)", "def decorated(n): return n + 1", "def decorated(n): return n + 2"),
    ("decorated(1)", "function(*args) + 0", "function(*args) + 1"),
    ("decorated(1)", "@logged\ndef d", "def d"),
    ("cached(1)", "def cached(n): return n + 1", "def cached(n): return n + 2"),
    ("len(shown('a'))", 'return n + "!"', 'return n + "?"'),
    ("managed()", "yield 1\npartly", "yield 2\npartly"),
    ("partly()", "(twice, n=1)", "(twice, n=2)"),
    ("partly()", "(twice, n=1)", "(thrice, n=1)"),
    ("inline(1)", "lambda n: n + 1", "lambda n: n + 2"),
    ("defaulted(1)", "by=1", "by=2"),
    ("defaulted(1)", "plus=1", "plus=2"),
    ("helpers.weight(1)", "return n * RATE", "return n + RATE"),
    ("helpers.weight(1)", "RATE = 2", "RATE = 3"),
    ("aliased.weight(1)", "RATE = 2", "RATE = 3"),
    ("helpers.RATE", "RATE = 2", "RATE = 3"),
    ("getattr(helpers, 'RATE')", "RATE = 2", "RATE = 3"),
    ("later()", "def unused(): return 1", "def unused(): return 1\ndef later(): return 1"),
    ("self.half", "self.total // 2", "self.total // 3"),
    ("self.fixed()", "def fixed(): return 1", "def fixed(): return 2"),
    ("self.made()", "return cls.limit", "return cls.limit + 1"),
    ("self.limit", "ClassVar[int] = 5", "ClassVar[int] = 6"),
    ("self.inherited()", "self.basic + 1", "self.basic + 2"),
    ("self.mixed()", "def mixed(self): return 1", "def mixed(self): return 2"),
    ("event.net", "self.amount - 1", "self.amount - 2"),
    # The events: their names, versions, shapes and upcasts.
    ("0", "class Removed(Event)", 'class Removed(Event, name="Gone")'),
    ("0", "class Removed(Event)", "class Removed(Event, version=2)"),
    ("0", "class Removed(Event)", "class Removed(Event, forbid_unknown_fields=True)"),
    ("0", "class Removed(Event)", 'class Removed(Event, rename="upper")'),
    ("0", "(self, event: Removed)", "(self, event: Removed | Added2)"),
    ("0", 'Literal["a", "b"]', 'Literal["a", "c"]'),
    ("0", 'BLUE = "blue"', 'BLUE = "navy"'),
    ("0", "color: Color = Color.RED", "color: Color = Color.BLUE"),
    ("0", 'note: str = ""', 'note: str = "none"'),
    ("0", "line: Line | None = None", "line: Line | None = Line()"),
    ("0", 'data["amount"] * FACTOR', 'data["amount"] * 100'),
    ("0", "FACTOR = 1", "FACTOR = 100"),
    # The state: its version, its shape and where it starts.
    ("0", "version=1)", "version=2)"),
    ("0", "total: int = 0", "total: int = 1"),
    ("0", "total: int = 0", "total: float = 0"),
    ("0", "Meta(ge=0)", "Meta(ge=-1)"),
    ("0", "def start(): return []", "def start(): return ['new']"),
    ("0", "default_factory=start", "default_factory=lambda: ['new']"),
    ("0", "basic: int = 0", "basic: int = 1"),
    ("0", 'sku: str = ""', 'sku: str = "-"'),
    ("0", "class Line(msgspec.Struct, frozen=True)", "class Line(msgspec.Struct, frozen=True, array_like=True)"),
    ("0", "class Line(msgspec.Struct, frozen=True)", 'class Line(msgspec.Struct, frozen=True, rename="pascal")'),
    ("0", "class Line(msgspec.Struct, frozen=True)", "class Line(msgspec.Struct, frozen=True, tag=True)"),
    ("0", 'name: str = "part"', 'name: str = "whole"'),
    ("0", "default_factory=list)", "default_factory=lambda: ['a'])"),
    ("0", "left: int = 0", "left: int = 1"),
    ("0", "total=False", "total=True"),
    ("0", "note: str\n", "note: bytes\n"),
    ("0", 'NewType("Money", int)', 'NewType("Money", float)'),
    ("0", "bound=Line", "bound=Part"),
    ("0", "part: Part = Part()", "part: Part = Part(units=5)"),
    ("0", "    @property\n    def half", "    def __post_init__(self): pass\n    @property\n    def half"),
    ("len(ENCODE([]))", "Encoder()", "Encoder(order='sorted')"),
    ("len(DECODER.decode(b'[]'))", "Decoder(list[int])", "Decoder(list[float])"),
    ("Model().size", "size: int = 1", "size: int = 2"),
]


@pytest.mark.parametrize(("used", "old", "new"), CHANGES, ids=[f"{used}: {new.strip()}" for used, _, new in CHANGES])
def test_whatever_a_state_depends_on_changes_the_fingerprint(used: str, old: str, new: str) -> None:
    """A helper's constant, a default, an event's version, a cell: else a snapshot would say what the events do not."""
    if "Added2" in new:
        added = ("class Removed(Event):", "class Added2(Event):\n    cart: CartId\nclass Removed(Event):")
        assert fingerprint(used, added) != fingerprint(used, added, (old, new))
        return
    before = fingerprint(used)
    assert before
    assert fingerprint(used, (old, new)) not in ("", before)


def test_whose_event_a_step_is_for_changes_the_fingerprint() -> None:
    """The code of two steps can be the same, and the events be exchanged."""
    exchanged = [("event: Added)", "event: Swapped)"), ("event: Removed)", "event: Added)"), ("Swapped)", "Removed)")]
    assert fingerprint("0", *exchanged) not in ("", fingerprint())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# A comment.", "# Another comment.\n"),
        ('"Count what is added."', '"Say it otherwise."'),
        ('        "Count what is added."\n', ""),
        ("FACTOR = 1", "\n\n\nFACTOR = 1"),
        ("def unused(): return 1", "def unused(): return 2"),
        ("def unused(): return 1", ""),
        ("def thrice(n): return n * 3", "thrice = threading.Lock()"),
        ("def unrelated(self, command): yield 1", "def unrelated(self, it): yield 2"),
        ("snapshot_every = 10", "snapshot_every = 20"),
        ("unit = 10", "unit = 20"),
    ],
)  # fmt: skip
def test_what_a_state_does_not_depend_on_leaves_the_fingerprint(old: str, new: str) -> None:
    """Else each deploy would fold all events anew: comments, lines, what is decided, what no step uses."""
    assert fingerprint("0", (old, new)) == fingerprint() != ""


PRINT = """
import sys
sys.path.insert(0, sys.argv[1])
import carts
from twofold.folding import fold_of
print(fold_of(carts.Cart).fingerprint)
"""
USES_ALL = " + ".join(dict.fromkeys(used for used, _, _ in CHANGES if "Model" not in used))


def test_the_fingerprint_is_the_same_in_every_process(tmp_path: Any) -> None:
    """Where sets have other orders, objects other addresses, and the file another place."""
    found = set()
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "helpers.py").write_text(HELPERS)
        (folder / "carts.py").write_text(CARTS.replace("{used}", f"{USES_ALL} + id(SENTINEL)"))
        command = [sys.executable, "-c", PRINT, str(folder)]
        found.add(subprocess.run(command, env={"PYTHONHASHSEED": str(seed)}, check=True, capture_output=True).stdout)
    assert len(found) == 1
    assert found != {b"\n"}


@pytest.mark.parametrize(
    ("used", "old", "new", "says"),
    [
        ("LOCK.x", "FACTOR = 1", "FACTOR = 1\nLOCK = threading.Lock()", "LOCK is a _thread.lock, in carts.Cart.added"),
        ("twice(GEN)", "FACTOR = 1", "FACTOR = 1\nGEN = (n for n in [])", "GEN is a generator"),
        (
            "self.fixed()",
            "def fixed(): return 1",
            "def fixed(x=threading.Lock()): return 1",
            "a _thread.lock, in carts",
        ),
        ("NAMES[0]", 'NAMES = ["a", "b"]', "NAMES = list(range(300_000))", "NAMES is more than 200000 values"),
    ],
)
def test_what_cannot_be_described_means_no_snapshots(
    used: str, old: str, new: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, naming what it is; it is no error, as the events say it all."""
    with caplog.at_level(logging.WARNING):
        found = fingerprint(used, (old, new))
    assert found == ""
    assert [record for record in caplog.records if says in record.getMessage()] == caplog.records
    assert len(caplog.records) == 1


def imported(statement: str, used: str) -> Callable[[str], str]:
    """Return what the fingerprint is where the step imports something itself."""

    def of(rate: str) -> str:
        step = (
            "        return replace(self, total=self.total + event.amount + 0)",
            f"        {statement}\n        return replace(self, total={used})",
        )
        return fingerprint("0", step, ("RATE = 2", f"RATE = {rate}"))

    return of


@pytest.mark.parametrize(
    ("statement", "used"),
    [
        ("import helpers", "helpers.weight(1)"),
        ("import helpers as h", "h.weight(1)"),
        ("from helpers import weight", "weight(1)"),
        ("from helpers import Scale, weight as w", "w(1)"),
        ("import json, helpers as h", "(lambda: h.weight(1))()"),
    ],
)
def test_what_a_step_imports_itself_counts(statement: str, used: str) -> None:
    """Imports within functions are how circles of modules are broken."""
    of = imported(statement, used)
    assert of("2") == of("2")
    assert of("2") not in ("", of("3"))


def test_nothing_is_found_out_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declaring costs nothing, and a helper that is defined after the service is known when it counts."""

    def find(*_: Any) -> str:
        raise AssertionError("not yet")

    monkeypatch.setattr("twofold.folding.fold.fingerprint", find)
    with pytest.raises(AssertionError, match="not yet"):
        fingerprint()


def test_what_a_library_has_under_the_same_name_is_the_librarys(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is made of: the library's version stands for it, as it does for the library's code."""
    with caplog.at_level(logging.WARNING):
        assert fingerprint("id(_lock)", ("FACTOR = 1", "FACTOR = 1\nfrom logging import _lock"))
    assert caplog.records == []
