"""An adapter is found by its name, whoever has written it; what is wrong with one is said to whoever installs it."""

import asyncio
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import pytest

from examples.bank import bank
from twofold import System
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import SettingsError
from twofold.service import Settings, read_settings
from twofold.service.adapters import open_log, open_transport, open_views

CLOCK = SystemClock()
Install: TypeAlias = Callable[..., None]

A_LOG = """
    from twofold.adapters.memory import MemoryStore

    def open_log(url, clock, limits):
        store = MemoryStore()
        store.made_of = url, clock, limits
        return store
"""


def test_ours_are_registered_like_anybodys() -> None:
    """Nothing else says which adapters there are, so nothing that ours can is closed to others."""
    names = {group: {each.name for each in entry_points(group=f"twofold.{group}")} for group in ("logs", "views")}
    assert names == {"logs": {"memory", "sqlite", "postgresql"}, "views": {"memory", "sqlite", "postgresql"}}
    brokers = {"kafka", "amqp", "amqps", "nats", "tls", "redis", "rediss"}
    assert {each.name for each in entry_points(group="twofold.transports")} == {"feed", "split", *brokers}


def test_a_package_adds_a_scheme(install: Install) -> None:
    """Its factory gets the URL as it is, the clock and the limits; what it returns is used."""
    install("other-logs", A_LOG, logs="other = other_logs:open_log")
    settings = read_settings("bank", {"TWOFOLD_LOG": "other:anything", "TWOFOLD_LOG_POLL_SECONDS": "2"})
    store: Any = open_log(settings.log, CLOCK, settings.limits)
    assert store.made_of == ("other:anything", CLOCK, settings.limits)
    assert settings.limits.log.poll_seconds == 2


def test_a_transport_is_told_what_it_is_to_carry(install: Install) -> None:
    """So that it can say at the start which source it does not know."""
    install(
        "other-broker",
        """
        class Broker:
            pushes = True
            def __init__(self, url, clock, limits, sources): self.sources = sources
            async def publish(self, delivery): ...
            def subscribe(self, group, source, after): ...
            async def close(self): ...
        """,
        transports="other = other_broker:Broker",
    )
    broker: Any = open_transport("other:", CLOCK, sources=["sales"])
    assert broker.sources == ["sales"]


def test_what_an_adapter_says_of_a_url_is_said_with_the_variable(install: Install) -> None:
    """Beside the factory, its module may have `flaw_of`; also where the URL is not from the environment."""
    install(
        "other-logs",
        A_LOG + "\n    def flaw_of(url):\n        return '' if '@' in url else 'it lacks a user.'\n",
        logs="other = other_logs:open_log",
    )
    with pytest.raises(SettingsError, match=r"TWOFOLD_LOG='other://x': it lacks a user\. For example TWOFOLD_LOG="):
        read_settings("bank", {"TWOFOLD_LOG": "other://x"})
    with pytest.raises(SettingsError, match=r"^'other://x': it lacks a user\.$"):
        open_log("other://x", CLOCK)
    assert open_log("other://me@x", CLOCK)


def test_an_unknown_scheme_is_answered_with_those_that_are_installed(install: Install) -> None:
    """And with what a package has to do to have another one."""
    install("other-logs", A_LOG, logs="other = other_logs:open_log")
    with pytest.raises(
        SettingsError,
        match=r"'mysql' is not one of memory:, other:, postgresql:, sqlite:, which are installed; .*twofold\.logs",
    ):
        open_log("mysql://x", CLOCK)
    with pytest.raises(
        SettingsError,
        match=r"'other' is not one of memory:, postgresql:, sqlite:, which are installed; .*twofold\.views",
    ):
        open_views("other://x", CLOCK)


@pytest.mark.parametrize(
    ("requires", "says"),
    [
        ("Requires-Dist: other-driver>=2; extra == 'fast'", r"pip install 'other-logs\[fast\]'\."),
        ("Requires-Dist: something>=2; extra == 'fast'", r"pip install other_driver\."),
    ],
)
def test_a_missing_driver_is_said_with_what_brings_it(install: Install, requires: str, says: str) -> None:
    """The extra of the adapter's own package, if that says so."""
    install("other-logs", "import other_driver.fast", requires=requires, logs="other = other_logs:open_log")
    with pytest.raises(SettingsError, match=rf"other: needs the package other_driver\. Install it: {says}"):
        open_log("other:", CLOCK)


@pytest.mark.parametrize(
    ("code", "entry", "says"),
    [
        ("raise RuntimeError('not on this machine')", "other_logs:open_log", "RuntimeError: not on this machine"),
        ("x = 1", "other_logs:open_log", "AttributeError: .*open_log"),
        ("", "other_logs:open_log", "ModuleNotFoundError: No module named 'other_logs'"),
        ("x = 1", "other_logs.within:open_log", "ModuleNotFoundError: No module named 'other_logs.within'"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_said_with_the_package(
    install: Install,
    code: str,
    entry: str,
    says: str,
) -> None:
    """Whoever installs it sees which package, which version, what it has registered, and what went wrong."""
    install("other-logs", code, logs=f"other = {entry}")
    with pytest.raises(
        SettingsError,
        match=rf"other: is {entry} in twofold\.logs, by other-logs 1\.5, .*: {says}.*Install its package again",
    ) as raised:
        open_log("other:", CLOCK)
    assert raised.value.__cause__ is not None


def test_two_packages_with_one_scheme_are_refused(install: Install) -> None:
    """Which one is used would depend on the order in which they were installed; that holds for ours, too."""
    install("other-logs", A_LOG, logs="other = other_logs:open_log")
    install("other-other", A_LOG, logs="other = other_other:open_log\nmemory = other_other:open_log")
    with pytest.raises(
        SettingsError, match=r"other: is registered .* by other-logs 1\.5 and by other-other 1\.5.*Uninstall"
    ):
        open_log("other:", CLOCK)
    with pytest.raises(SettingsError, match=r"memory: is registered .* by other-other 1\.5 and by twofold"):
        open_log("memory:", CLOCK)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("open_log = 5", "leads to 5, which cannot be called as open_log"),
        (
            "def open_log(url): ...",
            r"cannot be called as open_log\(url, clock, limits\): too many positional arguments",
        ),
        (
            "def open_log(url, clock, limits): ...",
            "'other://x' leads to is no LogStore: it lacks .*write.*twofold.testing",
        ),
        (
            "class open_log:\n    def __init__(self, *given): ...\n    async def open(self, **how): ...",
            "is no LogStore: it lacks changed, close, head,",
        ),
    ],
)
def test_what_is_no_adapter_is_said_before_it_is_used(install: Install, code: str, says: str) -> None:
    """By what it lacks, and not by an attribute that is missed in the middle of something."""
    install("other-logs", code, logs="other = other_logs:open_log")
    with pytest.raises(SettingsError, match=says):
        open_log("other://x", CLOCK)


def test_an_object_is_taken_as_it_is_if_it_has_what_its_port_has() -> None:
    """And told by its class if it has not, as when the log and the views are mixed up."""
    store = MemoryStore()
    assert open_log(store, CLOCK) is store
    mixed: Any = store
    with pytest.raises(SettingsError, match=r"MemoryStore is no ViewStore: it lacks .*preview"):
        open_views(mixed, CLOCK)


def test_a_class_in_the_place_of_an_object_is_told() -> None:
    """It has all members of its port, and could not be called."""
    mistaken: Any = MemoryStore
    with pytest.raises(SettingsError, match=r"MemoryStore is a class\. Give an object of it: MemoryStore\(…\)\."):
        open_log(mistaken, CLOCK)


class BeforeTime(SystemClock):
    def now_us(self) -> int:
        return -1


class InSeconds(SystemClock):
    def now_us(self) -> Any:
        return 1.5


class AfterAllDates(SystemClock):
    def now_us(self) -> int:
        return 1 << 62


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            object(),
            r"object is no Clock: it lacks monotonic, new_id, now_us, random, sleep\..*subclass of .*SystemClock",
        ),
        (0, "int is no Clock"),
        (SystemClock, r"SystemClock is a class\. Give an object of it"),
        (BeforeTime(), r"BeforeTime\.now_us\(\) is -1\. Let it return whole microseconds .*, from 0 to"),
        (InSeconds(), r"InSeconds\.now_us\(\) is 1\.5\. Let it return whole microseconds"),
        (AfterAllDates(), "AfterAllDates.now_us.* is 4611686018427387904"),
    ],
)
def test_what_is_no_clock_is_told_when_a_service_starts(given: Any, says: str) -> None:
    """Commands would be recorded at times that cannot be read, and nothing would be followed: no lease could be dated."""

    async def scenario() -> None:
        async with bank.run(log="memory:", views="memory:", clock=given):
            pass

    async def as_a_system() -> None:
        async with System(bank).run({"bank": Settings(log="memory:", views="memory:")}, clock=given):
            pass

    for each in (scenario, as_a_system):
        with pytest.raises(SettingsError, match=says):
            asyncio.run(each())


def test_our_drivers_are_brought_by_our_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the metadata of Twofold says, so that no second list of them can be wrong."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "twofold.adapters.feed", raising=False)
    with pytest.raises(
        SettingsError, match=r"feed: needs the package httpx\. Install it: pip install 'twofold\[http\]'\."
    ):
        open_transport("feed:sales=http://127.0.0.1:9", CLOCK)


def test_a_checkout_that_is_newer_than_its_metadata_says_so(install: Install) -> None:
    """As after pulling a version that registers more; whoever installs it again is done."""
    install("twofold")
    with pytest.raises(
        SettingsError, match=r"Twofold has registered nothing in twofold\.logs\..*pip install --editable"
    ):
        open_log("memory:", CLOCK)
    with pytest.raises(SettingsError, match=r"TWOFOLD_LOG='sqlite:///bank.db': Twofold has registered nothing"):
        read_settings("bank", {"TWOFOLD_LOG": "sqlite:///bank.db"})


def test_an_entry_that_is_older_than_the_code_says_so(install: Install) -> None:
    """As after a module of ours was renamed."""
    install("twofold", logs="memory = twofold.adapters.memory.log:open_store")
    with pytest.raises(SettingsError, match=r"memory: is twofold\..* cannot be imported.*pip install --editable"):
        open_log("memory:", CLOCK)
