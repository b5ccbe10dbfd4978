"""Logs that are copied in tests: filled with what is odd, and compared without what copies them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twofold.clock import SystemClock
from twofold.log import ALL, Append, Log, LogStore, NewEvent, ProcessedId, RecordedEvent
from twofold.service.adapters import open_log

T = TypeVar("T")
CLOCK = SystemClock()
ODD = [
    Append((NewEvent("1", "Deposited", 1, ("account:ann",), b'{"amount":5}', b'{"command":"c-1"}'),), (), "c-1"),
    Append((), (), "led to nothing", b"\0content"),
    Append(
        (
            NewEvent("2", "sales.Sold", 3, ("x:\0", "x:Ä 🙂", "x:1", "x:1"), b' {"n" :\t1.0}\r\n', b""),
            NewEvent("3", "it's", 2**31 - 1, (), b"", b"\xff"),
        ),
        (),
        "sales/0190",
    ),
    Append((NewEvent("4", "Noted", 1, ("x:" + "1" * 5000,), bytes(range(256)) * 1000, b"{}"),), (), "x" * 3000),
    Append((NewEvent("5", "Noted", 1, ("account:ann",), b"123456789012345678901234567890", b"[]"),), (), "a\0b"),
    Append((NewEvent("6", "Noted", 1, ("account:bob",), '"\\u0000Ä 🙂"'.encode(), b'{"a":1,"a":2}'),)),
    Append((), (), "Ä 🙂"),
    Append((), (), "sha256:" + "0" * 64),
]


async def fill(store: LogStore, more: int = 0) -> None:
    """Append what is odd, each at another time, if nothing is there yet; and so many events more, with ids."""
    await store.open()
    for number, append in enumerate(ODD if not await store.head() else []):
        await store.write([append], 1_700_000_000_000_001 + 10**12 * number)
    for start in range(0, more, 1000):
        names = [CLOCK.new_id() for _ in range(start, min(more, start + 1000))]
        await store.write(
            [Append((NewEvent(f"e-{n}", "More", 1, (f"x:{n}",), b"{}"),), (), n) for n in names], CLOCK.now_us()
        )


async def everything(store: LogStore) -> tuple[list[RecordedEvent], list[ProcessedId]]:
    """Return all that a log is."""
    return await store.read(ALL, 0, 1_000_000), await store.read_processed(0, 1_000_000, "", 1_000_000)


async def on(url: str, work: Callable[[LogStore], Awaitable[T]]) -> T:
    """Do something with the log at a URL."""
    log = await Log.open(open_log(url, CLOCK), CLOCK)
    try:
        return await work(log.store)
    finally:
        await log.close()


def filled(url: str, more: int = 0) -> tuple[list[RecordedEvent], list[ProcessedId]]:
    """Fill the log at a URL, and return all that it then is."""
    asyncio.run(on(url, lambda store: fill(store, more)))
    return what_is_at(url)


def what_is_at(url: str) -> tuple[list[RecordedEvent], list[ProcessedId]]:
    """Return all that the log at a URL is."""
    return asyncio.run(on(url, everything))


def nobody(what: str, done: int, end: int) -> None:
    """Hear how far it is, and say nothing."""
