"""RabbitMQ reached by TLS: something before the server ends it, as load balancers do."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.adapters.rabbitmq.conftest import places
from tests.adapters.rabbitmq.test_failures import delivery, failure_of, received, run, transport

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes a certificate: apt-get install openssl"
)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine that nobody else has certified, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@asynccontextmanager
async def ended_before(url: str, certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    """Give the URL of a port that takes TLS, and passes on what is in it."""
    target = urlsplit(url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(target.hostname, target.port)
        for way in (carry(reader, outer), carry(inner, writer)):
            tasks.add(asyncio.create_task(way))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"amqps://{target.username}:{target.password}@127.0.0.1:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@needs_openssl
def test_a_server_that_is_certified_is_used(rabbitmq_url: str, certificate: tuple[Path, Path]) -> None:
    """By whom the URL says; one that nobody has certified is told, and is given no password."""

    async def scenario() -> None:
        async with ended_before(rabbitmq_url, certificate) as url:
            async with transport(f"{url}?{places()}&ca={certificate[0]}") as carrier:
                await carrier.publish(delivery(1))
                assert await received(carrier, 1) == [1]
            async with transport(f"{url}?{places()}") as carrier:
                assert "certificate verify failed" in await failure_of(carrier.publish(delivery(1)))

    run(scenario)
