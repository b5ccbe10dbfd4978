"""What a browser sends for a page that has no business here is refused, and recorded nowhere."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from examples.bank import bank
from tests.http.conftest import use_files
from tests.support.serving import served
from twofold.errors import SettingsError
from twofold.http import asgi
from twofold.http.access import read_access
from twofold.testing import running

DEPOSIT = {"account": "ann", "amount": 1}
EVIL = "http://evil.example"
SHOP = "https://shop.example"


def ask(scenario: Callable[[httpx.AsyncClient], Awaitable[Any]], at: str = "http://bank.example", **rules: Any) -> Any:
    """Return what a scenario finds at a service that is reached by a URL, and hold that it records no refused command."""

    async def run() -> Any:
        async with running(bank) as service:
            transport = httpx.ASGITransport(asgi(service, **rules))
            async with httpx.AsyncClient(transport=transport, base_url=at) as http:
                return await scenario(http), await service.log.head()

    return asyncio.run(run())


def deposit(headers: Mapping[str, str], at: str = "http://bank.example", **rules: Any) -> httpx.Response:
    async def scenario(http: httpx.AsyncClient) -> httpx.Response:
        return await http.post("/commands/Deposit", json=DEPOSIT, headers=headers)

    response, head = ask(scenario, at, **rules)
    assert head == (response.status_code == 200)
    return response  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://bank.example.evil.example"},
        {"Origin": "http://bank.example:8080"},
        {"Origin": f"{EVIL}, http://bank.example"},
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://www.bank.example", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "nonsense"},
    ],
    ids=str,
)
def test_a_page_of_another_site_sends_no_command(headers: dict[str, str]) -> None:
    """Although the type is right, as it would be after a preflight of an older version."""
    response = deposit(headers)
    assert (response.status_code, response.json()["type"]) == (403, "urn:twofold:problem:foreign-origin")
    assert "TWOFOLD_ALLOWED_ORIGINS" in response.json()["detail"]
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://bank.example"},
        {"Origin": "https://BANK.example"},
        {"Origin": "http://bank.example", "Sec-Fetch-Site": "same-origin"},
        # A proxy has put another Host in; the browser knows better.
        {"Origin": SHOP, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://bank.example", "Host": "bank.example:443"},
    ],
    ids=str,
)
def test_programs_and_own_pages_do(headers: dict[str, str]) -> None:
    """A program says nothing of where it comes from."""
    assert deposit(headers).status_code == 200


def test_a_page_of_another_site_asks_no_query_either() -> None:
    """It could not read the answer; a link to the page to try it on is followed from anywhere."""

    async def scenario(http: httpx.AsyncClient) -> list[int]:
        asked = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
        followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        get = [("/queries/BalanceOf?account=ann", asked), ("/feed", asked), ("/docs", followed)]
        return [(await http.get(path, headers=headers)).status_code for path, headers in get]

    assert ask(scenario)[0] == [403, 403, 200]


@pytest.mark.parametrize("at", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_on_the_machine_itself_only_local_names_are_answered_to(at: str, host: str) -> None:
    """A name that anybody's DNS can point here is not one (DNS rebinding); the page would even be of the same origin."""
    response = deposit({"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}, at)
    assert (response.status_code, response.json()["type"]) == (421, "urn:twofold:problem:unknown-host")
    assert "TWOFOLD_ALLOWED_HOSTS" in response.json()["detail"]

    async def look(http: httpx.AsyncClient) -> set[int]:
        paths = ("/docs", "/health/ready", "/queries/BalanceOf?account=ann", "/nothing")
        return {(await http.get(path, headers={"Host": host})).status_code for path in paths}

    assert ask(look, at)[0] == {421}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "bank.localhost", "127.0.0.1:1", "192.168.1.5", "[::1]:8000"]
)
def test_local_names_and_addresses_are_answered_to(host: str) -> None:
    """Whatever port a container or a tunnel has put in front."""
    assert deposit({"Host": host}, "http://127.0.0.1:8000").status_code == 200
    assert deposit({"Host": host}, allowed_hosts=["bank.example"]).status_code == 200


def test_named_hosts_are_answered_to_and_no_others() -> None:
    """Wherever the connection arrives; a star is all that is below a name."""
    rules: dict[str, Any] = {"allowed_hosts": ["bank.example", "*.internal"]}
    found = {
        host: deposit({"Host": host}, "http://127.0.0.1:8000", **rules).status_code
        for host in ("bank.example", "Bank.Example.:80", "a.b.internal", "internal", "evil.example", "xbank.example")
    }
    assert list(found.values()) == [200, 200, 200, 421, 421, 421]
    assert deposit({"Host": "evil.example"}, **rules).status_code == 421
    assert deposit({"Host": "any.example"}, "http://127.0.0.1", allowed_hosts=["*"]).status_code == 200


@pytest.mark.parametrize("host", ["", "a b", "bank.example/x", "user@bank.example", "[::1", "a:b"])
def test_a_host_that_is_none_is_a_bad_request(host: str) -> None:
    """As RFC 9112 has it."""
    response = deposit({"Host": host})
    assert (response.status_code, response.json()["type"]) == (400, "urn:twofold:problem:invalid-header")


def test_pages_of_named_origins_may_use_it() -> None:
    """The browser asks first, is told what may be sent, and lets the page read the receipt."""

    async def scenario(http: httpx.AsyncClient) -> None:
        asked = {
            "Origin": SHOP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        preflight = await http.options("/commands/Deposit", headers=asked)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
        assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"]
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        foreign = await http.options("/commands/Deposit", headers={**asked, "Origin": EVIL})
        assert foreign.status_code == 403
        assert "access-control-allow-origin" not in foreign.headers
        headers = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
        for response in (
            await http.post("/commands/Deposit", json=DEPOSIT, headers=headers),
            await http.post("/commands/Deposit", json={}, headers=headers),
            await http.get("/queries/BalanceOf?account=ann", headers=headers),
        ):
            assert response.headers["Access-Control-Allow-Origin"] == SHOP
            assert "twofold-receipt" in response.headers["Access-Control-Expose-Headers"]
            assert "origin" in response.headers.get_list("vary")
        plain = await http.get("/queries/BalanceOf?account=ann")
        assert "origin" in plain.headers.get_list("vary")
        assert "access-control-allow-origin" not in plain.headers

    # Browsers leave the usual port out, whether or not it is in the setting.
    for origin in (SHOP, f"{SHOP}:443"):
        assert ask(scenario, allowed_origins=[origin])[1] == 1


def test_a_live_query_is_read_by_pages_of_named_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream sends its headers by itself."""
    use_files(tmp_path, monkeypatch)
    monkeypatch.setenv("TWOFOLD_ALLOWED_ORIGINS", f"{SHOP}, https://other.example")
    headers = {"Accept": "text/event-stream", "Origin": SHOP}
    with (
        served(bank) as url,
        httpx.stream("GET", f"{url}/queries/BalanceOf?account=ann", headers=headers) as stream,
    ):
        assert stream.headers["Access-Control-Allow-Origin"] == SHOP
        assert stream.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWOFOLD_ALLOWED_HOSTS", "https://bank.example"),
        ("TWOFOLD_ALLOWED_HOSTS", "bank.example:80"),
        ("TWOFOLD_ALLOWED_HOSTS", "b*nk.example"),
        ("TWOFOLD_ALLOWED_ORIGINS", "*"),
        ("TWOFOLD_ALLOWED_ORIGINS", "null"),
        ("TWOFOLD_ALLOWED_ORIGINS", "shop.example"),
        ("TWOFOLD_ALLOWED_ORIGINS", "https://shop.example/"),
    ],
)
def test_a_rule_that_is_written_wrongly_is_told(name: str, value: str) -> None:
    """With the variable and what is right; not every site is let in by a star."""
    with pytest.raises(SettingsError, match=f"{name} has .* For example {name}="):
        read_access({name: value})


@pytest.mark.parametrize("name", ["TWOFOLD_ALLOWED_HOSTS", "TWOFOLD_ALLOWED_ORIGINS"])
@pytest.mark.parametrize("value", ["https://me:s3cret@shop.example", "https://shop.example?token=s3cret"])
def test_a_rule_that_is_told_has_no_secret(name: str, value: str) -> None:
    """Whoever has put a whole URL there finds no password in the log."""
    with pytest.raises(SettingsError, match=rf"{name} has 'https://.*\*\*\*") as raised:
        read_access({name: value})
    assert "s3cret" not in str(raised.value)


def test_a_mounted_service_answers_as_its_application_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are the service's own: what the application around it serves is its own matter."""
    use_files(tmp_path, monkeypatch)
    app = FastAPI(lifespan=bank.lifespan)
    app.mount("/bank", asgi(bank))
    with served(app) as url, httpx.Client(base_url=url) as http:
        evil = {"Host": "evil.example"}
        assert http.post("/bank/commands/Deposit", json=DEPOSIT, headers=evil).status_code == 421
        assert http.get("/openapi.json", headers=evil).status_code == 200
        assert http.post("/bank/commands/Deposit", json=DEPOSIT).status_code == 200


def test_no_response_is_taken_for_something_else() -> None:
    """Whatever it is, a browser goes by its type."""

    async def scenario(http: httpx.AsyncClient) -> None:
        for path in (
            "/docs",
            "/health/live",
            "/queries/BalanceOf?account=ann",
            "/nothing",
            "/commands/Deposit",
            "/openapi.json",
        ):
            assert (await http.get(path)).headers["X-Content-Type-Options"] == "nosniff"

    ask(scenario)


def test_the_page_runs_nothing_but_its_own_script() -> None:
    """The policy names script and style by digests, lets the page connect to its service, and nobody put it in a frame."""

    async def scenario(http: httpx.AsyncClient) -> httpx.Response:
        return await http.get("/docs")

    page, _ = ask(scenario)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["style-src"])
    assert page.headers["X-Frame-Options"] == "DENY"
    assert not re.search(r"""\s(style|on\w+)=["']""", page.text)


# Bounds, over real sockets.


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    use_files(tmp_path, monkeypatch)
    with served(bank) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


def said(address: tuple[str, int], *parts: bytes) -> bytes:
    """Return all that is answered to some bytes, until the connection is closed."""
    with socket.create_connection(address, timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"x-%d: y\r\n" % number for number in range(200)),
        b"x: " + b"y" * 40_000 + b"\r\n",
        b"".join(b"x: y\r\n" for _ in range(200)),
        b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(50)),
    ],
    ids=["many", "long", "many of one name", "long together"],
)
def test_headers_are_bounded(address: tuple[str, int], headers: bytes) -> None:
    """In number and in bytes; at the usual number they are taken."""
    answer = said(address, GET + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:twofold:problem:headers-too-large" in answer
    few = b"".join(b"x-%d: y\r\n" % number for number in range(80))
    assert said(address, GET + few + b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_head_without_end_is_cut_off(address: tuple[str, int]) -> None:
    """Nobody fills the memory with headers, a URL or trailers that go on and on."""
    line = b"x: " + b"y" * 8000 + b"\r\n"
    assert said(address, GET, *[line] * 5000).startswith(b"HTTP/1.1 431 ")
    assert said(address, GET + b"x: ", *[b"y" * 65536] * 500).startswith(b"HTTP/1.1 431 ")
    assert said(address, b"GET /", *[b"y" * 65536] * 500).startswith(b"HTTP/1.1 431 ")


def test_a_long_url_is_refused(address: tuple[str, int]) -> None:
    """The answer says how to ask instead."""
    for url in (b"/queries/BalanceOf?account=" + b"y" * 9000, b"/" + b"y" * 9000):
        answer = said(address, b"GET " + url + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 414 ")
        assert b"Ask with POST" in answer


@pytest.mark.parametrize(
    "twice",
    [b"Host: localhost\r\n", b"Content-Type: application/json\r\n", b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n"],
)
def test_a_header_with_one_value_is_there_once(address: tuple[str, int], twice: bytes) -> None:
    """Of two, whoever stands in front may have gone by the other."""
    head = b"POST /commands/Deposit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = said(
        address, head + twice + b'Connection: close\r\nContent-Length: 28\r\n\r\n{"account":"ann","amount":1}'
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"is there twice" in answer


DEPOSITING = b"POST /commands/Deposit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"account":"ann","amount":1}'
CHUNKED = b"1c\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("framing", "body", "status"),
    [
        (b"Content-Length: 28\r\nTransfer-Encoding: chunked\r\n", CHUNKED, 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 28\r\n", CHUNKED, 400),
        (b"Content-Length: 28\r\nContent-Length: 5\r\n", BODY, 400),
        (b"Content-Length: 28, 28\r\n", BODY, 400),
        (b"Content-Length: +28\r\n", BODY, 400),
        (b"Content-Length: 99999999999999999999999\r\n", BODY, 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKED, 400),
        (b"Transfer-Encoding : chunked\r\nContent-Length: 28\r\n", BODY, 400),
        (b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED, 400),
        (b"Transfer-Encoding: chunked, identity\r\n", CHUNKED, 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED, 501),
        (b"Transfer-Encoding: chunked\r\n", b"-1c\r\n" + CHUNKED[4:], 400),
        (b"Transfer-Encoding: Chunked\r\n", CHUNKED, 200),
        (b"Content-Length: 28\r\n", BODY, 200),
    ],
    ids=repr,
)
def test_a_body_has_one_end(address: tuple[str, int], framing: bytes, body: bytes, status: int) -> None:
    """Where it could end in two places, whoever stands in front may have taken the other, and the rest for a request."""
    answer = said(address, DEPOSITING + b"Connection: close\r\n" + framing + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (status == 200) != (b"application/problem+json" in answer)
    assert (b"bank@1" in answer) == (status == 200)


def test_who_asks_before_sending_a_body_is_told_at_once(address: tuple[str, int]) -> None:
    """To send it, or that it would be refused, without any of it (RFC 9110, section 10.1.1)."""
    asking = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    answer = said(address, DEPOSITING + b"Connection: close\r\n" + asking % 28, BODY)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    for length in (2_000_000, 20_000_000):
        assert said(address, DEPOSITING + asking % length).startswith(b"HTTP/1.1 413 ")
    for refused in (DEPOSITING.replace(b"Deposit", b"Nothing"), DEPOSITING.replace(b"application/json", b"text/plain")):
        answer = said(address, refused + b"Connection: close\r\n" + asking % 28)
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 415 "))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a body take a moment to arrive, and not longer because of its size."""
    monkeypatch.setenv("TWOFOLD_HTTP_BODY_SECONDS", "0.1")
    monkeypatch.setenv("TWOFOLD_HTTP_BODY_BYTES_PER_SECOND", str(1 << 23))


@pytest.mark.usefixtures("impatient")
def test_a_body_that_is_too_large_is_not_waited_for(address: tuple[str, int]) -> None:
    """Who says that much will come, and sends nothing, is answered too."""
    assert said(address, DEPOSITING + b"Content-Length: 2000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"TRACE /commands/Deposit", 405),
        (b"TRACE *", 404),
        (b"OPTIONS *", 404),
        (b"CONNECT localhost:80", 400),
        (b"POST /commands%2FDeposit", 404),
        (b"POST /commands/De%2fposit", 404),
        (b"POST /commands/..%2Fcommands/Deposit", 404),
        (b"POST //commands/Deposit", 404),
        (b"POST /commands/../commands/Deposit", 404),
        (b"POST /commands/Deposit%0A", 404),
        (b"POST /commands/Deposit/", 404),
    ],
)
def test_a_path_is_written_in_one_way(address: tuple[str, int], line: bytes, status: int) -> None:
    """Whoever lets paths through by how they begin sees the same path; nothing that was sent is sent back."""
    head = DEPOSITING.replace(b"POST /commands/Deposit", line) + b"X-Secret: swordfish\r\nConnection: close\r\n"
    answer = said(address, head + b"Content-Length: 28\r\n\r\n" + BODY)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in answer
    assert b"swordfish" not in answer


def test_trailers_are_no_headers(address: tuple[str, int]) -> None:
    """A proxy has not looked at them."""
    answer = said(
        address,
        b"POST /commands/Deposit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n1c\r\n{"account":"ann","amount":1}\r\n0\r\nX-Correlation-ID: smuggled\r\n\r\n',
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"smuggled" not in answer


@pytest.mark.parametrize(
    "request_line",
    [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"FROB / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"],
)
def test_what_is_no_request_is_told_so_in_a_problem_document(address: tuple[str, int], request_line: bytes) -> None:
    """Not in text that a program takes for something else."""
    answer = said(address, request_line)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"urn:twofold:problem:not-http" in answer


def test_an_upgrade_is_not_made(address: tuple[str, int], caplog: pytest.LogCaptureFixture) -> None:
    """The request is answered as it stands, and nobody's wish fills the log."""
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert not [record for record in caplog.records if record.levelname != "INFO"]


def test_a_head_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends a letter now and then is closed; a request that is answered in its time is not touched."""
    use_files(tmp_path, monkeypatch)
    monkeypatch.setenv("TWOFOLD_HTTP_HEAD_SECONDS", "1")
    with served(bank) as url, httpx.Client(base_url=url) as http:
        host, _, port = url.removeprefix("http://").partition(":")
        silent, slow = (socket.create_connection((host, int(port)), timeout=30) for _ in range(2))
        with silent, slow:
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: loc")
            assert everything(slow) == everything(silent) == b""
        assert http.get("/feed?wait=3").status_code == 200


@pytest.mark.usefixtures("impatient")
def test_a_body_that_does_not_come_is_not_waited_for(address: tuple[str, int]) -> None:
    """The answer says so, and the connection is closed."""
    head = b"POST /commands/Deposit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = said(address, head + b"Content-Length: 50\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
