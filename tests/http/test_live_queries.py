"""Live queries over real sockets: events, going on after an interruption, many subscribers, and one that does not read."""

import asyncio
import json
import logging
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import files, use_files
from tests.support.serving import ServingProcess, served
from tests.support.tally_service import UNLUCKY, tally

Event = dict[str, str]

EVENTS = {"Accept": "text/event-stream"}
TOTAL = "/queries/TotalOf"


@pytest.fixture
def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of the service, whose files are in the test's own folder."""
    use_files(tmp_path, monkeypatch)
    with served(tally) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def add(client: httpx.Client, **fields: Any) -> str:
    """Send a command, and return its receipt."""
    response = client.post("/commands/Add", json=fields)
    assert response.status_code == 200
    return response.headers["Twofold-Receipt"]


@contextmanager
def watching(client: httpx.Client, path: str = TOTAL, last: str = "", **more: Any) -> Iterator[Iterator[Event]]:
    """Open a stream for a block, and give its events."""
    headers = EVENTS | ({"Last-Event-ID": last} if last else {}) | more.pop("headers", {})
    with client.stream(more.pop("method", "GET"), path, headers=headers, **more) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        yield parsed(response.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events of a stream as a browser would, and comments and the time for retrying as well."""
    event: Event = {}
    for line in lines:
        name, _, value = line.partition(": " if ": " in line else ":")
        if not line:
            yield event
            event = {}
        else:
            event[name] = f"{event[name]}\n{value}" if name in event else value


def test_an_answer_and_then_each_change(http: httpx.Client) -> None:
    """Each with an id, after how long to wait before coming back if it ends."""
    with watching(http) as stream:
        assert 1000 <= int(next(stream)["retry"]) <= 2000
        for number in range(5):
            event = next(stream)
            assert event["data"] == str(number)
            assert event["id"].startswith(f"tally@{number}/")
            assert event.keys() == {"id", "data"}
            add(http)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_question_of_any_shape_can_be_watched(http: httpx.Client, method: str) -> None:
    """With parameters, or with a body as one that does not fit in the path; over several views."""
    asked: dict[str, Any] = {"json": {"counter": "b"}} if method == "POST" else {"params": {"counter": "b"}}
    with watching(http, "/queries/Share", method=method, **asked) as stream:
        next(stream)
        assert next(stream)["data"] == "[0,0]"
        add(http, counter="b", amount=3)
        # One view may be further than the other, so there may be a step in between.
        while next(stream)["data"] != "[3,3]":
            pass


def test_json_is_what_comes_unless_events_are_wanted(http: httpx.Client) -> None:
    """Who takes both, or anything, gets an answer once; the head of a stream is without events."""
    for accept in ("*/*", "application/json", "application/json, text/event-stream", ""):
        response = http.get(TOTAL, headers={"Accept": accept})
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Vary"] == "accept"
    response = http.head(TOTAL, headers=EVENTS)
    assert response.headers["Content-Type"].startswith("text/event-stream")


def test_a_row_of_large_text_comes_whole(http: httpx.Client) -> None:
    """Sent in pieces, and still one line; line breaks in it are the JSON's."""
    note = "line\nbreak " * 20_000
    receipt = add(http, note=note)
    with watching(http, "/queries/RowOf", headers={"Twofold-Receipt": receipt}) as stream:
        next(stream)
        assert json.loads(next(stream)["data"]) == {"key": "a", "total": 1, "note": note}


def test_who_comes_back_with_the_last_id_goes_on_there(tmp_path: Path) -> None:
    """Also to a process that was killed and started again: nothing is repeated, and nothing is missed."""
    with (
        ServingProcess("tests.support.tally_service:tally", files(tmp_path)) as process,
        httpx.Client(base_url=process.url, timeout=30) as client,
    ):
        add(client)
        with watching(client) as stream:
            seen = [event for event in (next(stream), next(stream)) if "id" in event]
            while seen[-1]["data"] != "1":
                seen.append(next(stream))
        process.end(signal.SIGKILL)
        process.start()
        with watching(client, last=seen[-1]["id"]) as stream:
            next(stream)
            add(client)
            assert next(stream)["data"] == "2"
        add(client)
        with watching(client, last=seen[-1]["id"]) as stream:
            next(stream)
            while next(stream)["data"] != "3":
                pass


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ({"Last-Event-ID": "tally@999/5cf4a0"}, 409, "future-receipt"),
        ({"Last-Event-ID": "others@0/5cf4a0"}, 400, "invalid-receipt"),
        ({"Last-Event-ID": "7"}, 400, "invalid-receipt"),
        ({"Last-Event-ID": "x" * 201}, 400, "invalid-header"),
        ({"Twofold-Receipt": "tally@999"}, 409, "future-receipt"),
    ],
)
def test_what_cannot_begin_is_a_problem_and_no_stream(
    http: httpx.Client, headers: dict[str, str], status: int, slug: str
) -> None:
    """With its status, as a browser looks at that before it takes events."""
    response = http.get(TOTAL, headers=EVENTS | headers)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["type"] == f"urn:twofold:problem:{slug}"


def test_a_failure_in_the_middle_is_an_event_and_not_the_end(http: httpx.Client) -> None:
    """The problem document says what others are told too, without the trace; the next answer follows it."""
    with watching(http, "/queries/Lucky") as stream:
        next(stream)
        assert next(stream)["data"] == "0"
        receipt = add(http, amount=UNLUCKY)
        event = next(stream)
        assert (event["event"], set(event)) == ("problem", {"event", "data"})
        problem = json.loads(event["data"])
        assert (problem["status"], problem["instance"]) == (500, "/queries/Lucky")
        assert "secret" not in event["data"]
        response = http.get("/queries/Lucky", headers=EVENTS | {"Twofold-Receipt": receipt})
        assert response.status_code == 500
        add(http, amount=1)
        assert next(stream)["data"] == str(UNLUCKY + 1)


@pytest.fixture
def heartbeat(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have streams beat at an interval of a test's own."""
    monkeypatch.setenv("TWOFOLD_HTTP_HEARTBEAT_SECONDS", request.param)


@pytest.mark.parametrize("heartbeat", ["0.05"], indirect=True)
@pytest.mark.usefixtures("heartbeat")
def test_a_stream_without_news_shows_that_it_is_alive(http: httpx.Client) -> None:
    """By a comment, which is no event."""
    with watching(http) as stream:
        next(stream)
        next(stream)
        assert next(stream) == {"": ""}
        add(http)
        while (event := next(stream)) == {"": ""}:
            pass
        assert event["data"] == "1"


def test_a_signal_ends_streams_at_once(tmp_path: Path) -> None:
    """Properly, so that a browser comes back; a hundred of them hold up nothing."""
    with ServingProcess("tests.support.tally_service:tally", files(tmp_path)) as process:
        host, port = address(process.url)
        connections = [socket.create_connection((host, port)) for _ in range(100)]
        for connection in connections:
            connection.sendall(request(TOTAL))
        for connection in connections:
            received = b""
            while b"data: 0" not in received:
                received += connection.recv(65536)
        began = time.monotonic()
        code, said, complained = process.end(signal.SIGTERM)
        took = time.monotonic() - began
        for connection in connections:
            assert everything(connection).endswith(b"0\r\n\r\n")
            connection.close()
    assert (code, said) == (0, "ended\n"), complained
    assert took < 5
    assert "Traceback" not in complained
    assert "ERROR" not in complained


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()


def everything(connection: socket.socket) -> bytes:
    """Return what is received until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


# Many, and one that does not read.


def allow_open_files(number: int) -> None:
    """Let this process, and those that it starts, open so many files and sockets: many systems allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


async def subscriber(url: str, answers: list[str], began: asyncio.Semaphore, last: str) -> None:
    reader, writer = await asyncio.open_connection(*address(url))
    writer.write(request(TOTAL))
    while not answers or answers[-1] != last:
        line = await reader.readline()
        assert line, "the stream has ended"
        assert not line.startswith(b"event:"), line
        if line.startswith(b"data: "):
            answers.append(line[6:].decode().strip())
            if len(answers) == 1:
                began.release()
    writer.close()
    await writer.wait_closed()


def test_a_thousand_subscribers_see_the_same_sequence(tmp_path: Path) -> None:
    """Over a socket each, while commands arrive: every one of them is told the same answers in the same order."""
    allow_open_files(3000)
    seen: list[list[str]] = [[] for _ in range(1000)]

    async def scenario(url: str) -> None:
        began = asyncio.Semaphore(0)
        subscribers = [asyncio.create_task(subscriber(url, answers, began, "30")) for answers in seen]
        for _ in subscribers:
            await began.acquire()
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            for _ in range(30):
                assert (await client.post("/commands/Add", json={})).status_code == 200
        async with asyncio.timeout(60):
            await asyncio.gather(*subscribers)

    with ServingProcess("tests.support.tally_service:tally", files(tmp_path)) as process:
        asyncio.run(scenario(process.url))
    assert all(answers == seen[0] for answers in seen)
    numbers = [int(answer) for answer in seen[0]]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0, 30)


def test_one_that_does_not_read_costs_little_and_is_told_what_it_missed(http: httpx.Client) -> None:
    """What waits for it is bounded, however much there is to tell; the others are told all of it meanwhile."""
    note = "x" * 100_000
    count = 200
    with slow_subscriber(http, "/queries/RowOf") as slow, watching(http, "/queries/RowOf") as quick:
        next(quick)
        quick_answers = [json.loads(next(quick)["data"])]
        for _ in range(count):
            add(http, note=note)
            quick_answers.append(json.loads(next(quick)["data"]))
        received = slow.read_until(b'"total":%d,' % count)
        stream = list(parsed(iter(unchunked(received).decode().split("\n"))))
        answers = [event for event in stream if "id" in event]
        (skipped,) = [json.loads(event["data"])["skipped"] for event in stream if event.get("event") == "skipped"]
        # It is told how many it has not been told, and then goes on with the others.
        assert len(answers) + skipped == len(quick_answers)
        assert skipped > count / 2
        # It was the operating system that kept most of this: the process held one answer, and what the connection took.
        assert len(received) < 20 * len(note)
        add(http, note="last")
        slow.read_until(b'"note":"last"')


@pytest.mark.parametrize("heartbeat", ["0.3"], indirect=True)
@pytest.mark.usefixtures("heartbeat")
def test_one_that_does_not_read_for_long_is_given_up(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """Its stream is cut short, which is no proper end, so that it comes back; what was kept for it is gone."""
    caplog.set_level(logging.INFO, "twofold.http")
    with slow_subscriber(http, "/queries/RowOf") as slow:
        while "takes nothing any more" not in caplog.text:
            add(http, note="x" * 100_000)
        received = everything(slow.connection)
    assert not received.endswith(b"0\r\n\r\n")


class Slow:
    """A subscriber whose connection takes little by itself, and that reads only when it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()

    def read_until(self, what: bytes) -> bytes:
        """Return all that was received until something has come, and the end of its event."""
        while self.received.find(b"\n\n", self.received.find(what)) < 0 or what not in self.received:
            part = self.connection.recv(1 << 16)
            assert part, "the stream has ended"
            self.received += part
        return bytes(self.received)


@contextmanager
def slow_subscriber(client: httpx.Client, path: str) -> Iterator[Slow]:
    """Open a stream for a block; it has begun."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address(str(client.base_url)))
        connection.settimeout(30)
        connection.sendall(request(path))
        slow = Slow(connection)
        slow.read_until(b"retry: ")
        yield slow


def unchunked(response: bytes) -> bytes:
    """Return the body of a response without what chunks it, as far as it is whole."""
    rest = response.partition(b"\r\n\r\n")[2]
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return bytes(body)
