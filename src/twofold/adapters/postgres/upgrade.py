"""Brings a schema up to date, one numbered SQL file after the other, while other processes use it or do the same."""

from __future__ import annotations

from importlib.resources import files

from twofold.adapters.postgres.address import Address
from twofold.adapters.postgres.database import Connection
from twofold.errors import LogUnavailable, SettingsError
from twofold.statements import load_statements

_SQL = load_statements("twofold.adapters.postgres", "upgrade.sql")


async def upgrade(connection: Connection, address: Address, part: str) -> None:
    """Apply the files ``{part}_0001.sql`` and so on that the schema has not had, each in a transaction of its own.

    A file must leave the schema such that processes of the version before can go on, so one version ahead is no error.

    Raises:
        SettingsError: newer code than this has upgraded the schema, by more than one version.
    """
    steps = sorted(
        file.name
        for file in files("twofold.adapters.postgres").iterdir()
        if file.name.startswith(f"{part}_") and file.name.endswith(".sql")
    )
    while (version := await _version(connection, address, part)) < len(steps):
        await _apply(connection, address, part, version, steps[version])
    if version > len(steps) + 1:
        raise SettingsError(
            f"{address}: the schema's {part} is of version {version}, and this Twofold knows up to {len(steps)}. "
            "Install the newer version that has upgraded it."
        )


async def check_prepared(connection: Connection, address: Address, part: str) -> None:
    """Check that a service has made its tables in the schema.

    Raises:
        LogUnavailable: none has.
    """
    if await _version(connection, address, part) == 0:
        raise LogUnavailable(
            f"{address}: no service has been started with this schema yet ({part}). Is it the one that you mean?"
        )


async def _apply(connection: Connection, address: Address, part: str, version: int, step: str) -> None:
    script = files("twofold.adapters.postgres").joinpath(step).read_text(encoding="utf-8")
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(_SQL["lock"], f"twofold {address.schema}")
        await connection.execute(_SQL["prepare"].format(schema=address.quoted_schema))
        if await _version(connection, address, part) == version:
            await connection.execute(_SQL["be_brief"])
            await connection.execute(script)
            await connection.execute(_SQL["set_version"].format(schema=address.quoted_schema), part, version + 1)


async def _version(connection: Connection, address: Address, part: str) -> int:
    table = f"{address.quoted_schema}.twofold_versions"
    if not await connection.fetchval(_SQL["exists"], table):
        return 0
    version: int | None = await connection.fetchval(_SQL["version"].format(schema=address.quoted_schema), part)
    return version or 0
