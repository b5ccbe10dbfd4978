"""What follows from events: event handlers, steps of processes and timers, beside the bare work that is in them.

``python -m bench.seeing_through`` measures on SQLite files, with ``--postgresql`` on a PostgreSQL that it starts (or that at
a URL). Each round has a log of its own, filled before: what is measured is how fast that is worked off, until the last
checkpoint is stored. Durability is that of the databases, which is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Self

import msgspec
from sqlalchemy import func, select

from bench.homes import Databases, Files, databases
from bench.model import Place
from tests.support.waiting import until
from twofold import Aggregate, Command, Event, Process, Service, Tag, decide, evolve, handle, react, replace
from twofold.clock import SystemClock, microseconds
from twofold.followers import checkpoints
from twofold.log import NewEvent, recordable
from twofold.processes import CommandSettled, PendingTimer, TimerSet
from twofold.service import Running, Settings
from twofold.views.tables import table_of

EVENTS, KEYS, ROUNDS, CLIENTS, TIMERS = 20_000, 2_000, 3, 64, 50_000
_FILL = 1_000

OrderId = Annotated[str, Tag("order")]


class PlaceOrder(Command):
    order: OrderId


class Pay(Command):
    order: OrderId


class Placed(Event):
    order: OrderId


class Paid(Event):
    order: OrderId


class Order(Aggregate, key=OrderId):
    paid: int = 0

    @decide
    def place(self, command: PlaceOrder) -> Iterator[Placed]:
        yield Placed(order=command.order)

    @decide
    def pay(self, command: Pay) -> Iterator[Paid]:
        yield Paid(order=command.order)

    @evolve
    def was_placed(self, event: Placed) -> Self:
        return self

    @evolve
    def was_paid(self, event: Paid) -> Self:
        return replace(self, paid=self.paid + 1)


class Payment(Process, key=OrderId, start="first", missing="ignore", ended="ignore"):
    steps: int = 0

    @evolve
    def placed(self, event: Placed) -> Self:
        return replace(self, steps=self.steps + 1)

    @react(starts=True)
    def begin(self, event: Placed) -> Iterator[Pay]:
        yield Pay(order=event.order)


@handle(start="first")
async def nothing(event: Placed) -> None:
    pass


def orders(**more: object) -> Service:
    return Service("orders", aggregates=[Order], **more)  # type: ignore[arg-type]


async def handled(place: Place) -> float:
    """Return how many events a second an event handler is called for whose work is nothing."""
    return await _worked_off(place, orders(handlers=[nothing]), "handler:nothing", EVENTS)


async def followed(place: Place) -> float:
    """Return how many events a second are read in the same batches, and nothing else: the bare work of a handler."""
    service = orders(handlers=[nothing])
    async with service.run(_settings(place), roles=["commands"]) as running:
        await _fill(running, EVENTS)
        begun, count = time.perf_counter(), 0
        async for batch in running.log.follow(limit=running.limits.handlers.batch_events):
            count += len(batch.events)
            if batch.position >= EVENTS:
                return count / (time.perf_counter() - begun)
    raise AssertionError


async def stepped(place: Place) -> float:
    """Return how many steps a second a process takes: event in, command decided, event out."""
    count = EVENTS // 2
    return await _worked_off(place, orders(processes=[Payment]), "commands", count, _are_settled(count))


async def sent(place: Place) -> float:
    """Return how many of the same commands a second are decided that clients send: the bare work of a step."""
    async with orders().run(_settings(place)) as running:
        numbers = iter(range(EVENTS // 2))

        async def client() -> None:
            for number in numbers:
                await running.send(Pay(order=f"order-{number % KEYS}"), id=f"pay-{number}")

        begun = time.perf_counter()
        await asyncio.gather(*[client() for _ in range(CLIENTS)])
        return EVENTS // 2 / (time.perf_counter() - begun)


async def pending(place: Place) -> float:
    """Return how many timers a second become rows that wait."""
    service = orders(processes=[Payment])
    clock, due_us = SystemClock(), microseconds(datetime(2100, 1, 1, tzinfo=UTC))
    async with service.run(_settings(place), roles=["commands"]) as running:
        made = [
            TimerSet(id=f"timer-{number}", due_us=due_us, kind="Deadline", data=msgspec.Raw(b"{}"))
            for number in range(TIMERS)
        ]
        for start in range(0, TIMERS, _FILL):
            await running.log.append(
                [recordable(each, clock.new_id(), b"{}").new for each in made[start : start + _FILL]]
            )
    begun = time.perf_counter()
    async with service.run(_settings(place), roles=["processes"]) as running:
        await _reached(running, "timers", TIMERS)
        seconds = time.perf_counter() - begun
        ((rows,),) = await running.views.select(select(func.count()).select_from(table_of(PendingTimer)))
        assert rows == TIMERS
    return TIMERS / seconds


async def _worked_off(
    place: Place, service: Service, follower: str, count: int, done: Callable[[Running], Awaitable[bool]] | None = None
) -> float:
    async with service.run(_settings(place), roles=["commands"]) as running:
        await _fill(running, count)
    begun = time.perf_counter()
    async with service.run(_settings(place), roles=["processes"]) as running:
        await _reached(running, follower, count)
        if done is not None:
            await until(partial(done, running))
        return count / (time.perf_counter() - begun)


async def _fill(running: Running, count: int) -> None:
    """Append events as if they had been decided, many at once."""
    for start in range(0, count, _FILL):
        events = [Placed(order=f"order-{number % KEYS}") for number in range(start, min(start + _FILL, count))]
        made: list[NewEvent] = [recordable(each, running.clock.new_id(), b"{}").new for each in events]
        await running.log.append(made)


async def _reached(running: Running, follower: str, position: int) -> None:
    async def has_reached() -> bool:
        return await checkpoints.position(running.views, follower) >= position

    await until(has_reached)


def _are_settled(count: int) -> Callable[[Running], Awaitable[bool]]:
    async def are_settled(running: Running) -> bool:
        counts = {each.type: each.events for each in await running.log.types(count)}
        return counts.get(CommandSettled.message_name, 0) >= count

    return are_settled


def _settings(place: Place) -> Settings:
    return Settings(log=place.log, views=place.views)


MEASURED: dict[str, tuple[Callable[[Place], Awaitable[float]], str]] = {
    "event handlers that do nothing": (handled, "5,000 events/s"),
    "  the log read in their batches": (followed, ""),
    "process steps, each with a command": (stepped, "2,000 steps/s"),
    "  the commands alone, 64 clients": (sent, ""),
    "timers that begin to wait": (pending, ""),
}


def main() -> None:
    """Measure all of it, in rounds that take turns."""
    parser = argparse.ArgumentParser(prog="python -m bench.seeing_through", description=sys.modules[__name__].__doc__)
    parser.add_argument("--postgresql", metavar="URL", nargs="?", const="", help="started here, or the one at the URL")
    url = parser.parse_args().postgresql
    # That each log begins empty is no news.
    logging.getLogger("twofold").setLevel(logging.ERROR)
    with nullcontext(Files()) if url is None else databases(url) as home:
        _show(home)


def _show(home: Files | Databases) -> None:
    print(f"durability: {home.durability}; medians of {ROUNDS} rounds")
    found: dict[str, list[float]] = {name: [] for name in MEASURED}
    for _ in range(ROUNDS):
        for name, (measure, _target) in MEASURED.items():
            with home.place() as place:
                found[name].append(asyncio.run(measure(place)))  # type: ignore[arg-type]
    for name, rates in found.items():
        target = MEASURED[name][1]
        print(f"{name:<40}{statistics.median(rates):10,.0f} a second{f'  (goal: {target})' if target else ''}")


if __name__ == "__main__":
    main()
