"""The log against the code, on PostgreSQL."""

import asyncio
import logging

import pytest

from tests.support.changed_code import loaded, service
from twofold.compatibility.checking import Finding, check_log
from twofold.operations.databases import opened_log
from twofold.service import Settings

RENAMED = ("Measured", "Metered")


def test_what_changed_code_would_lose_is_found_and_told(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """By looking at every event, and at the start by looking at some."""
    url = f"{database}?schema=metering"

    async def fill() -> None:
        before = loaded()
        async with before.metering.run(Settings(log=url, views=url)) as running:
            for units in (1, 2, 3):
                await running.send(before.Read(meter="a", units=units))

    async def look() -> list[Finding]:
        after = service(RENAMED, ('Tag("meter")', 'Tag("gauge")'))
        async with after.run(Settings(log=url, views=f"{database}?schema=after")):
            pass
        async with opened_log(url) as log:
            return await check_log(after.declaration, log)

    asyncio.run(fill())
    with caplog.at_level(logging.WARNING, logger="twofold.service"):
        findings = asyncio.run(look())
    assert [(each.kind, each.type, each.events) for each in findings] == [
        ("unread", "Measured", 3),
        ("tags", "Opened", 1),
    ]
    warnings = [each.getMessage() for each in caplog.records if each.name == "twofold.service"]
    (warning,) = [each for each in warnings if "begins with" not in each]
    assert "Measured, version 1, 3 in all" in warning
    assert "Opened, version 1, 1 in all" in warning
