"""Commands and queries over HTTP: receipts, idempotency, correlation, and both ways to ask."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}
MAKE = {"thing": "cup", "count": 3, "price": "1.50"}


def recorded(folder: Path) -> list[dict[str, Any]]:
    """Return the metadata of every event in the log's file."""
    connection = sqlite3.connect(folder / "shapes.db")
    try:
        rows = connection.execute("SELECT metadata FROM events ORDER BY position").fetchall()
    finally:
        connection.close()
    return [json.loads(metadata) for (metadata,) in rows]


def test_a_command_is_answered_with_its_receipt(http: httpx.Client) -> None:
    """In the body, and in the header that goes with a query as it is."""
    response = http.post("/commands/Make", json=MAKE)
    assert (response.status_code, response.json()) == (200, {"receipt": "shapes@1"})
    assert response.headers["Twofold-Receipt"] == "shapes@1"
    assert response.headers["Content-Type"] == "application/json"


def test_a_query_with_a_receipt_sees_what_the_command_did(http: httpx.Client) -> None:
    """A hundred times in a row, each time at once."""
    for number in range(1, 101):
        receipt = http.post("/commands/Make", json=MAKE).headers["Twofold-Receipt"]
        answer = http.get("/queries/HowMany", params={"thing": "cup"}, headers={"Twofold-Receipt": receipt})
        assert answer.json() == 3 * number


def test_a_command_with_a_key_takes_effect_once(http: httpx.Client, tmp_path: Path) -> None:
    """Sent again it gets the first receipt, with the key in quotes or without."""
    first = http.post("/commands/Make", json=MAKE, headers={"Idempotency-Key": "4711"})
    http.post("/commands/Make", json=MAKE)
    again = [http.post("/commands/Make", json=MAKE, headers={"Idempotency-Key": key}) for key in ("4711", '"4711"')]
    assert [response.json() for response in again] == [first.json()] * 2
    assert len(recorded(tmp_path)) == 2


def test_a_key_counts_for_its_command_alone(http: httpx.Client) -> None:
    """Another command with the same key is another wish."""
    http.post("/commands/Make", json=MAKE, headers={"Idempotency-Key": "4711"})
    refused = http.post("/commands/Refuse", json={"thing": "cup"}, headers={"Idempotency-Key": "4711"})
    assert refused.status_code == 409


def test_what_was_refused_is_decided_anew(http: httpx.Client, tmp_path: Path) -> None:
    """Nothing was recorded, so its key is not used up."""
    for _ in range(2):
        response = http.post("/commands/Refuse", json={"thing": "cup"}, headers={"Idempotency-Key": "4711"})
        assert response.status_code == 409
    assert recorded(tmp_path) == []


def test_correlation_goes_in_and_comes_out(http: httpx.Client, tmp_path: Path) -> None:
    """It is recorded with the events, and in the response of whatever kind."""
    headers = {"X-Correlation-ID": "order 66"}
    for path, body in (("/commands/Make", MAKE), ("/commands/Nothing", {}), ("/queries/HowMany", {"thing": "cup"})):
        assert http.post(path, json=body, headers=headers).headers["X-Correlation-ID"] == "order 66"
    assert recorded(tmp_path)[0]["correlation"] == "order 66"


def test_a_trace_correlates_where_nothing_else_does(http: httpx.Client, tmp_path: Path) -> None:
    """The trace's id is the correlation, and the header is recorded; one that is malformed is as good as none."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    response = http.post("/commands/Make", json=MAKE, headers={"traceparent": trace})
    assert response.headers["X-Correlation-ID"] == "a" * 32
    for wrong in ("", "00-0-0-00", f"ff-{'a' * 32}-{'b' * 16}-01", f"00-{'0' * 32}-{'b' * 16}-01"):
        response = http.post("/commands/Make", json=MAKE, headers={"traceparent": wrong})
        assert response.headers["X-Correlation-ID"] not in ("", "a" * 32, "0" * 32)
    events = recorded(tmp_path)
    assert [event.get("traceparent", "") for event in events] == [trace, "", "", "", ""]
    assert len({event["correlation"] for event in events}) == 5


def test_both_ways_to_ask_have_one_answer(http: httpx.Client) -> None:
    """A list is a parameter that is repeated; what is left out has its default."""
    for thing in ("cup", "can", "jar"):
        receipt = http.post("/commands/Make", json={**MAKE, "thing": thing}).headers["Twofold-Receipt"]
    asked: dict[str, Any] = {"keys": ["cup", "jar"], "at_least": 1, "colour": "green"}
    posted = http.post("/queries/Things", json=asked, headers={"Twofold-Receipt": receipt})
    got = http.get("/queries/Things", params=asked, headers={"Twofold-Receipt": receipt})
    assert got.json() == posted.json() == [{"key": "cup", "made": 3}, {"key": "jar", "made": 3}]
    assert len(http.get("/queries/Things").json()) == 3
    assert [row["key"] for row in http.get("/queries/Things?keys=jar").json()] == ["jar"]


def test_a_head_is_that_of_the_answer(http: httpx.Client) -> None:
    """The headers of GET, and no body."""
    response = http.head("/queries/HowMany?thing=cup")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == "1"


def test_several_receipts_may_be_in_several_headers(http: httpx.Client) -> None:
    """As a list in one of them, or one in each: the answer is behind all."""
    for thing in ("cup", "can"):
        http.post("/commands/Make", json={**MAKE, "thing": thing})
    for receipts in (
        [("Twofold-Receipt", "shapes@1, shapes@2")],
        [("Twofold-Receipt", "shapes@1"), ("Twofold-Receipt", "shapes@2")],
    ):
        answer = http.get("/queries/HowMany?thing=can", headers=httpx.Headers(receipts))
        assert answer.json() == 3


@pytest.mark.parametrize("number", ["3.0", "3e0", "30E-1"])
def test_a_whole_number_may_be_written_with_a_point(http: httpx.Client, number: str) -> None:
    """JSON Schema makes no difference, and some clients can't."""
    body = f'{{"thing": "cup", "count": {number}, "price": "1", "part": {{"name": "lid", "weight": 2.0}}}}'
    assert http.post("/commands/Make", content=body, headers=JSON).json() == {"receipt": "shapes@1"}
    answer = http.get("/queries/HowMany?thing=cup", headers={"Twofold-Receipt": "shapes@1"})
    assert answer.json() == 3


def test_a_decimal_may_be_a_number_and_is_exact(http: httpx.Client) -> None:
    """No float stands between the text and the value."""
    for price in ("0.1", '"0.1"', "123456789012345678901234567890.1"):
        body = f'{{"thing": "cup", "count": 1, "price": {price}}}'
        response = http.post("/commands/Make", content=body, headers=JSON)
        assert response.status_code == 200


def test_a_body_of_another_json_type_is_json(http: httpx.Client) -> None:
    """Types that end in +json, and parameters of the type."""
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.shapes+json"):
        response = http.post("/commands/Make", content=json.dumps(MAKE), headers={"Content-Type": kind})
        assert response.status_code == 200


def test_a_key_that_comes_with_another_command_is_refused(http: httpx.Client) -> None:
    """Nobody is told that something is done which is not; the same command in other words is the same command."""
    key = {"Idempotency-Key": "order-1"}
    first = http.post("/commands/Make", json=MAKE, headers=key)
    again = json.dumps(dict(reversed(MAKE.items())), indent=2)
    assert http.post("/commands/Make", content=again, headers={**key, **JSON}).json() == first.json()
    other = http.post("/commands/Make", json={**MAKE, "count": 4}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:twofold:problem:id-reused")
    assert http.get("/feed").json()["position"] == 1
    assert (
        http.post("/commands/Make", json={**MAKE, "count": 4}, headers={"Idempotency-Key": "order-2"}).status_code
        == 200
    )
