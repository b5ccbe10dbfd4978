"""Conditional requests: who has the answer already is told so, and everybody else gets it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.conftest import use_files
from tests.support.serving import served
from tests.support.tally_service import tally

TOTAL = "/queries/TotalOf"


@pytest.fixture
def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of the service, whose files are in the test's own folder."""
    use_files(tmp_path, monkeypatch)
    with served(tally) as url, httpx.Client(base_url=url) as client:
        yield client


def add(client: httpx.Client, counter: str = "a", amount: int = 1) -> dict[str, str]:
    """Send a command; return the header with which a question sees its effect."""
    response = client.post("/commands/Add", json={"counter": counter, "amount": amount})
    return {"Twofold-Receipt": response.headers["Twofold-Receipt"]}


def tag_of(client: httpx.Client, path: str, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.headers["ETag"]


@pytest.mark.parametrize("path", [TOTAL, "/queries/Totals", "/queries/Share", "/queries/Sum"])
def test_what_has_not_changed_is_not_sent_again(http: httpx.Client, path: str) -> None:
    """However the views have moved meanwhile; what has changed is sent, with another tag, from whichever view it comes."""
    seen = add(http, amount=3)
    tag = tag_of(http, path, seen)
    moved = add(http, counter="a" if path == TOTAL else "b", amount=0)
    if path != "/queries/Totals":
        response = http.get(path, headers={"If-None-Match": tag, **moved})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == tag
        assert response.headers["Cache-Control"] == "no-cache"
        assert "Content-Length" not in response.headers
    changed = add(http)
    response = http.get(path, headers={"If-None-Match": tag, **changed})
    assert response.status_code == 200
    assert response.headers["ETag"] != tag
    assert response.content


def test_of_two_views_each_can_change_the_answer(http: httpx.Client) -> None:
    """The tag stands for all that was read: another total, another largest amount, and back."""
    tags = [tag_of(http, "/queries/Share", add(http, amount=amount)) for amount in (3, 2, 4, 0)]
    assert len(set(tags)) == 3
    assert tags[2] == tags[3]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '{}, W/"other"', "*"])
def test_every_way_to_name_a_tag_is_understood(http: httpx.Client, form: str) -> None:
    """Several at once, and weak ones, as the specification has it."""
    header = {"If-None-Match": form.format(tag_of(http, TOTAL))}
    assert http.get(TOTAL, headers=header).status_code == 304
    assert http.head(TOTAL, headers=header).status_code == 304


@pytest.mark.parametrize("header", ['"other"', "other", "", '"', "W/"])
def test_another_tag_gets_the_answer(http: httpx.Client, header: str) -> None:
    """And so does what is no tag at all."""
    response = http.get(TOTAL, headers={"If-None-Match": header})
    assert (response.status_code, response.json()) == (200, 0)


def test_the_tag_is_the_same_wherever_one_asks(http: httpx.Client) -> None:
    """Another process on the same files has the same answer under the same tag, so a client may be sent to either."""
    tag = tag_of(http, TOTAL, add(http))
    with served(tally) as url, httpx.Client(base_url=url) as other:
        assert tag_of(other, TOTAL) == tag
        changed = add(other)
        assert other.get(TOTAL, headers={"If-None-Match": tag, **changed}).json() == 2
        assert http.get(TOTAL, headers={"If-None-Match": tag, **changed}).json() == 2


def test_only_what_is_got_has_a_tag(http: httpx.Client) -> None:
    """An answer to POST is not kept by anybody under the path; nor is a problem."""
    response = http.post(TOTAL, json={}, headers={"If-None-Match": "*"})
    assert (response.status_code, response.json()) == (200, 0)
    assert "ETag" not in response.headers
    add(http, amount=13)
    assert "ETag" not in http.get("/queries/None").headers
