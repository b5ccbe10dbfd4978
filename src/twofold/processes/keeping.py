"""Keeping instances: read for a batch, changed step by step, written once with the checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from twofold.errors import Unrecoverable
from twofold.messages import decoder, encode, source_location
from twofold.processes.instances import Instance, ProcessInstance, instance_id
from twofold.processes.reading import Definition, Plan
from twofold.views import TableChange, ViewStore, layout
from twofold.views.bounds import Packer

_LAYOUT = layout(ProcessInstance)
_PACKER = Packer(_LAYOUT)


class NewerVersion(Exception):
    """Raised for an instance that newer code has begun: what it is about has to wait until that is here, too."""


class Instances:
    """The instances of one process, in memory for the batch that is handled, and in the table."""

    def __init__(self, definition: Definition, store: ViewStore) -> None:
        self._definition = definition
        self._store = store
        self._rows: dict[str, ProcessInstance | None] = {}
        self._changed: dict[str, Instance] = {}
        self._known: dict[str, Instance] = {}

    def forget(self) -> None:
        """Forget all of them: the table has them as they are, but for what is not to be stored."""
        self._rows.clear()
        self._known.clear()
        self._changed.clear()

    async def load(self, keys: Collection[str]) -> None:
        """Read those that are not in memory."""
        missing = [instance_id(self._definition.name, key) for key in keys if key not in self._rows]
        if not missing:
            return
        found = {row.key: row for row in map(_LAYOUT.unpack, await self._store.load(_LAYOUT, missing))}
        for key in keys:
            if key not in self._rows:
                self._rows[key] = found.get(instance_id(self._definition.name, key))

    def find(self, key: str) -> Instance | None:
        """Return the instance of a key that was loaded, None if there is none.

        Raises:
            NewerVersion: newer code has begun it.
            Unrecoverable: its version is not known here, or its state does not fit; the text says what can be done.
        """
        if key not in self._known:
            row = self._rows[key]
            if row is None:
                return None
            self._known[key] = _instance(self._definition, row)
        return self._known[key]

    def put(self, key: str, instance: Instance) -> None:
        """Take note of what an instance has become."""
        self._known[key] = self._changed[key] = instance
        self._rows.setdefault(key, None)

    def changes(self) -> list[TableChange]:
        """Return what is to be written, once: whatever changes after this is for the next time."""
        changed, self._changed = self._changed, {}
        if not changed:
            return []
        rows = [row_of(self._definition.name, instance) for instance in changed.values()]
        return [TableChange(_LAYOUT, _PACKER.rows(rows), [])]


def row_of(process: str, instance: Instance) -> ProcessInstance:
    """Return the row that is kept of an instance."""
    return ProcessInstance(
        key=instance.id,
        process=process,
        version=instance.version,
        status="ended" if instance.ended else "running",
        state=encode(instance.state).decode(),
        waiting=instance.waiting,
        started_us=instance.started_us,
        changed_us=instance.changed_us,
        position=instance.position,
    )


def _instance(definition: Definition, row: ProcessInstance) -> Instance:
    if row.version > definition.latest.version:
        raise NewerVersion(
            f"{row.key!r} is of version {row.version}, and {source_location(definition.latest.process)} is version "
            f"{definition.latest.version}: newer code has begun it. Deploy that code here too."
        )
    version, state = _state(definition, row)
    return Instance(
        row.key, version, state, row.waiting, row.started_us, row.changed_us, row.position, row.status == "ended"
    )


def _state(definition: Definition, row: ProcessInstance) -> tuple[int, Any]:
    """Return the state of an instance, of its own version if that is listed, or brought up to the latest one."""
    for plan in definition.plans:
        if plan.version == row.version:
            return plan.version, _read(plan, row, row.state.encode())
    plan = definition.latest
    fields: dict[str, Any] = msgspec.json.decode(row.state)
    for version in range(row.version, plan.version):
        step = plan.migrations.get(version)
        if step is None:
            name = source_location(plan.process)
            raise Unrecoverable(
                f"{row.key!r} was begun by version {row.version} of its process, and this service has version {plan.version}: "
                f"{name}. List the class of version {row.version} beside it, with name={plan.name!r} and "
                f"version={row.version}, so that it goes on as it was begun; or write @migrate({version}) in {name}. Then "
                "have this retried."
            )
        fields = step(fields)
    return plan.version, _read(plan, row, encode(fields))


def _read(plan: Plan, row: ProcessInstance, data: bytes) -> Any:
    try:
        return decoder(plan.process).decode(data)
    except msgspec.ValidationError as error:
        raise Unrecoverable(
            f"The state of {row.key!r} does not fit {source_location(plan.process)}, version {plan.version}: {error}. A "
            f"changed shape needs version= one higher, and @migrate({row.version}) or the class of before beside it."
        ) from error
