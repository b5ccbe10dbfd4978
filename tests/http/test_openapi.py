"""The document that describes a service is true: of its types, its limits, and where it is served."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from examples.bank import bank
from tests.http.conftest import use_files
from tests.http.message_shapes import shapes
from tests.support.serving import served
from twofold import System
from twofold.http.openapi import openapi


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def target(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


@pytest.mark.parametrize("service", [bank, shapes], ids=lambda service: service.name)
def test_every_reference_leads_somewhere(service: Any) -> None:
    """No tool stumbles over the document."""
    document = openapi(service.declaration)
    found = set(references(document))
    assert found
    assert all(target(document, reference) for reference in found)


def test_every_command_and_query_is_described_by_its_docstring() -> None:
    """Its first line is the summary; what follows is not lost."""
    paths = openapi(shapes.declaration)["paths"]
    make = paths["/commands/Make"]["post"]
    assert (make["summary"], make["description"]) == (
        "Make a thing.",
        "Make a thing.\n\nIt can have parts, and those have parts.",
    )
    assert set(paths) == {
        *[f"/commands/{name}" for name in shapes.declaration.commands],
        *[f"/queries/{name}" for name in shapes.declaration.queries],
        "/feed",
        "/health/live",
        "/health/ready",
    }
    assert set(paths["/queries/HowMany"]) == {"get", "post"}
    assert set(paths["/queries/Echo"]) == {"post"}


def test_operations_have_names_of_their_own() -> None:
    """A generated client has one method for each."""
    names = [operation["operationId"] for _, _, operation in operations(openapi(shapes.declaration))]
    assert len(names) == len(set(names))


def test_schemas_say_what_is_held_to() -> None:
    """The constraints of the types, and those that hold for all values of a kind."""
    schemas = openapi(shapes.declaration)["components"]["schemas"]
    make, part = schemas["Make"], schemas["Part"]
    assert make["additionalProperties"] is False
    assert make["required"] == ["thing", "count", "price"]
    assert make["properties"]["count"] == {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    assert part["properties"]["name"]["minLength"] == 1
    assert part["properties"]["weight"]["minimum"] == 0
    assert part["description"] == "A part of a thing."
    limit = next(each for each in queried("Things") if each["name"] == "limit")
    assert (limit["required"], limit["schema"]["maximum"], limit["schema"]["default"]) == (False, 100, 10)


def queried(name: str) -> list[dict[str, Any]]:
    """Return the parameters of a query's fields."""
    described = openapi(shapes.declaration)["paths"][f"/queries/{name}"]["get"]["parameters"]
    return [each for each in described if "name" in each]


def test_each_body_has_an_example_that_is_valid() -> None:
    """Somebody who tries it has something to change."""
    document = openapi(bank.declaration)
    for path, _, operation in operations(document):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            schema = {**target(document, content["schema"]["$ref"]), "components": document["components"]}
            assert jsonschema_rs.is_valid(schema, content["example"]), path


def test_examples_are_answered_as_described(http: httpx.Client) -> None:
    """What the document sends as an example is taken, and what comes back fits the schema of its status."""
    document = http.get("/openapi.json").json()
    for path, method, operation in operations(document):
        if method != "post":
            continue
        content = operation["requestBody"]["content"]["application/json"]
        response = http.post(path, json=content["example"])
        described = operation["responses"][str(response.status_code)]
        described = target(document, described["$ref"]) if "$ref" in described else described
        media = described["content"][response.headers["Content-Type"]]
        schema = {**media["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, response.json())
        expected = {"/commands/Break": 500, "/commands/Refuse": 409, "/queries/Trouble": 500}.get(path, 200)
        assert (path, response.status_code) == (path, expected)


def test_what_queries_can_do_besides_is_described() -> None:
    """Both can be watched; what is got has a tag, and may be known already."""
    query = openapi(shapes.declaration)["paths"]["/queries/HowMany"]
    for method in query.values():
        assert set(method["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
        assert {"$ref": "#/components/parameters/LastEvent"} in method["parameters"]
    assert set(query["get"]["responses"]["304"]["headers"]) == {"ETag", "X-Correlation-ID"}
    assert "ETag" in query["get"]["responses"]["200"]["headers"]
    assert {"$ref": "#/components/parameters/IfNoneMatch"} in query["get"]["parameters"]
    assert "304" not in query["post"]["responses"]


def test_the_document_knows_where_it_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone at the root; each service of a system under its name."""
    use_files(tmp_path, monkeypatch)
    with served(shapes) as url:
        assert httpx.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/"}]
    with served(System(bank, shapes)) as url:
        assert httpx.get(f"{url}/").json() == {"services": {"bank": "bank/docs", "shapes": "shapes/docs"}}
        for name in ("bank", "shapes"):
            document = httpx.get(f"{url}/{name}/openapi.json").json()
            assert (document["info"]["title"], document["servers"]) == (name, [{"url": f"/{name}"}])
        assert json.loads(httpx.post(f"{url}/bank/commands/Deposit", json={"account": "ann", "amount": 1}).content) == {
            "receipt": "bank@1"
        }
        assert httpx.post(f"{url}/commands/Deposit", json={"account": "ann", "amount": 1}).status_code == 404


def test_the_page_to_try_it_on_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    """It is one page, which asks for the document beside it."""
    page = http.get("/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "fetch('openapi.json')" in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
