"""The shop in several processes: each runs all services, at one address; or each has a service of its own."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec

from examples.shop import shop
from twofold.operations.databases import Databases, opened
from twofold.service import Settings

LOUD = {"warning", "error", "critical"}


class NotServing(Exception):
    """The processes did not come to serving; what they say of it is in their log."""


@asynccontextmanager
async def apart(port: int, environment: Mapping[str, str]) -> AsyncIterator[tuple[dict[str, str], Awaitable[object]]]:
    """Run each service in a process of its own for a block; give the URL of each, and what ends with them.

    Raises:
        NotServing: one does not start.
    """
    async with AsyncExitStack() as stack:
        starting = [
            stack.enter_async_context(workers(f"examples.shop.apart:{name}", 1, port and port + number, environment))
            for number, name in enumerate(shop.services)
        ]
        served = await asyncio.gather(*starting)
        urls = dict(zip(shop.services, [url for url, _ in served], strict=True))
        yield urls, asyncio.gather(*[ended for _, ended in served])


@asynccontextmanager
async def together(
    count: int, port: int, environment: Mapping[str, str]
) -> AsyncIterator[tuple[dict[str, str], Awaitable[object]]]:
    """Run all services in each of so many processes for a block; give the URL of each, and what ends with them.

    Raises:
        NotServing: they do not start.
    """
    async with workers("examples.shop:shop", count, port, environment) as (url, ended):
        yield dict.fromkeys(shop.services, url), ended


@asynccontextmanager
async def workers(
    target: str, count: int, port: int, environment: Mapping[str, str]
) -> AsyncIterator[tuple[str, Awaitable[object]]]:
    """Run so many processes for a block; give the URL at which they answer, and what ends with them.

    Raises:
        NotServing: they do not start.
    """
    command = [sys.executable, "-m", "twofold.cli", "run", target, "--workers", str(count)]
    command += ["--port", str(port), "--log-format", "json"]
    parent = await asyncio.create_subprocess_exec(*command, env=environment, stderr=PIPE)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(read_log(parent, url))
    try:
        yield await url, reading
    finally:
        with suppress(ProcessLookupError):
            parent.terminate()
        await parent.wait()
        await reading


async def read_log(parent: Process, url: asyncio.Future[str]) -> None:
    """Take the URL from the log, and pass on what whoever sits at the terminal should know."""
    if parent.stderr is None:
        raise AssertionError("its log is read")
    async for line in parent.stderr:
        entry = msgspec.json.decode(line) if line.startswith(b"{") else {"level": "error", "message": line.decode()}
        message = entry["message"].strip()
        if entry["level"] in LOUD:
            print(message, file=sys.stderr)
        elif " answers at " in message and not url.done():
            url.set_result(message.split(" answers at ")[1].partition(";")[0].rpartition("/")[0])
    if not url.done():
        url.set_exception(NotServing("The shop's processes did not start."))


@asynccontextmanager
async def databases(settings: Mapping[str, Settings]) -> AsyncIterator[dict[str, Databases]]:
    """Open the databases of all services for a block, beside the processes that use them."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(opened(service.declaration, settings[name], to_mend=True))
            for name, service in shop.services.items()
        }
