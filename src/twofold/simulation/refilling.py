"""An oracle for projections: filled once more, by themselves and one event after the other, their views are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twofold.clock import Clock
from twofold.followers import EventFailed, claiming
from twofold.log import Log
from twofold.service import Service
from twofold.simulation.disks import LogDisk, ViewDisk
from twofold.simulation.loop import run_alone
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.viewing import differences, rows_of
from twofold.simulation.violations import Violation
from twofold.views import Projection, ProjectionHandler, ViewStore, layout, schema

_LEASE_SECONDS = 60.0


def projection_violations(service: Service, log: LogDisk, store: ViewStore, clock: Clock) -> Iterator[Violation]:
    """Yield what is wrong with the views of projections, once all are where the log ends. The store answers at once."""
    for projection in service.declaration.projections:
        disk = ViewDisk(clock)
        try:
            anew = SimulatedViewStore(disk)
            run_alone(_fill(projection, log, anew, clock))
            for shape in map(layout, projection.views):
                where = f"{service.name}: {projection.name}, {shape.table}"
                yield from differences(
                    "A projection writes the same rows again.", where, rows_of(anew, shape), rows_of(store, shape)
                )
        finally:
            disk.close()


async def _fill(projection: Projection, disk: LogDisk, store: ViewStore, clock: Clock) -> None:
    await store.open()
    for view in projection.views:
        await schema.create(store, layout(view))
    (claim,) = await claiming.attend(store, "oracle", [projection.name], _LEASE_SECONDS)
    handler = ProjectionHandler(projection, await Log.open(disk.stored, clock), store, clock)
    await handler.start(claim)
    # What a projection fails on is parked, and that is found without this.
    with suppress(EventFailed):
        for event in disk.events():
            if event.type in projection.events:
                await handler.apply([event], event.position, {})
