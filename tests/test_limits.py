"""Limits are typed values, each with a unit, a variable and a sentence that says what it is for."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import FieldInfo, fields

from twofold import limits
from twofold.errors import SettingsError
from twofold.http.endpoints import LARGEST_FEED_PAGE, LONGEST_WAIT_SECONDS
from twofold.limits import (
    FeedLimits,
    FollowerLimits,
    HttpLimits,
    Limits,
    LogLimits,
    QueryLimits,
    read_limits,
    variables,
)

COUNTED = ["answers", "attempts", "connections", "events", "headers", "keys", "rows", "states", "updates"]
UNITS = ["bytes", "ratio", "second", "seconds", *COUNTED]


def all_fields() -> list[tuple[str, FieldInfo]]:
    """Return each limit with the name of its group."""
    return [(group.name, field) for group in fields(Limits) for field in fields(group.type)]


def sentences() -> dict[str, dict[str, str]]:
    """Return what the code says of each field, by the class that has it."""
    found: dict[str, dict[str, str]] = {}
    for kind in ast.parse(inspect.getsource(limits)).body:
        if isinstance(kind, ast.ClassDef):
            found[kind.name] = {
                said.target.id: " ".join(ast.literal_eval(text.value).split())
                for said, text in zip(kind.body, kind.body[1:], strict=False)
                if isinstance(said, ast.AnnAssign) and isinstance(said.target, ast.Name)
                if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            }
    return found


def test_without_variables_all_have_their_defaults() -> None:
    """Nobody has to set anything."""
    assert read_limits({"TWOFOLD_LOG": "memory:", "PATH": "/bin"}) == Limits()


@pytest.mark.parametrize(("group", "field"), all_fields(), ids=lambda each: getattr(each, "name", each))
def test_each_limit_has_a_variable_that_sets_it_alone(group: str, field: FieldInfo) -> None:
    """It is named after its group and itself; the one that is older than groups kept its name."""
    kind, bounds = get_args(field.type)
    found = read_limits({field.encode_name: str(bounds.ge)})
    value = getattr(getattr(found, group), field.name)
    assert (value, type(value)) == (bounds.ge, kind)
    expected: Any = type(getattr(Limits(), group))(**{field.name: bounds.ge})
    assert found == Limits(**{group: expected})
    assert field.encode_name in (f"TWOFOLD_{group}_{field.name}".upper(), "TWOFOLD_MAX_BODY_BYTES")


def test_no_two_limits_have_one_variable() -> None:
    """Else one could not be set without the other."""
    assert len(set(variables())) == len(variables()) == len(all_fields())


@pytest.mark.parametrize(
    "text", ["", " 3", "3 ", "-3", "3s", "1e3", "nan", "inf", "٣", "0", "9" * 5000, "http://u:s3cret@h"]
)
def test_what_is_no_number_or_out_of_range_is_said_with_the_variable_and_a_valid_value(text: str) -> None:
    """Whoever deploys it need not read the code, and what is secret is not shown."""
    told = r"TWOFOLD_FOLLOWERS_LEASE_SECONDS=.*: it has to be a number from 0\.5 to 3600\. For example .*_SECONDS=3\.0"
    with pytest.raises(SettingsError, match=told) as raised:
        read_limits({"TWOFOLD_FOLLOWERS_LEASE_SECONDS": text})
    assert len(str(raised.value)) < 300
    assert "s3cret" not in str(raised.value)


def test_what_is_counted_has_no_fractions() -> None:
    """Half a header is a mistake, and half a second is not."""
    with pytest.raises(SettingsError, match=r"TWOFOLD_HTTP_MAX_HEADERS='1\.5': it has to be a whole number from 1"):
        read_limits({"TWOFOLD_HTTP_MAX_HEADERS": "1.5"})
    assert read_limits({"TWOFOLD_HTTP_BODY_SECONDS": "1.5"}) == Limits(http=HttpLimits(body_seconds=1.5))


@pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), True, "3", None])
def test_what_a_program_says_is_checked_like_what_the_environment_says(value: Any) -> None:
    """A test that passes a wrong limit learns it there, and not from what does not happen."""
    with pytest.raises(
        SettingsError, match=r"FollowerLimits\(lease_seconds=.*\): it has to be a number from 0\.5 to 3600"
    ):
        FollowerLimits(lease_seconds=value)


def test_a_whole_number_is_a_number_of_seconds_too() -> None:
    """As anywhere in Python."""
    assert QueryLimits(patience_seconds=1) == QueryLimits(patience_seconds=1.0)


@pytest.mark.parametrize(("group", "field"), all_fields(), ids=lambda each: getattr(each, "name", each))
def test_each_limit_has_its_unit_last_and_a_sentence(group: str, field: FieldInfo) -> None:
    """So nobody has to guess whether it is seconds or events, or what becomes of a value that is too small."""
    assert re.split("_", field.name)[-1] in UNITS
    text = sentences()[type(getattr(Limits(), group)).__name__][field.name]
    assert text.endswith(".")
    assert text.startswith(("How ", "An answer is cached if "))


def test_a_feed_is_asked_for_no_more_than_any_service_gives() -> None:
    """It would be refused there, again and again, and only the log would say so."""
    bounds = {field.name: get_args(field.type)[1] for field in fields(FeedLimits)}
    assert bounds["wait_seconds"].le == LONGEST_WAIT_SECONDS
    assert bounds["page_events"].le == LARGEST_FEED_PAGE


def test_each_limit_is_read_by_somebody() -> None:
    """A limit that nothing obeys would be set in vain."""
    source = Path(limits.__file__).parent
    read = {
        node.attr
        for module in source.rglob("*.py")
        if module.name != "limits.py"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert {field.name for _, field in all_fields()} <= read


def table() -> str:
    """Return what the document says of all limits: each variable, its default and the sentence that the code has."""
    rows = ["| variable | unless set | what it is for |", "|---|---|---|"]
    for group, field in all_fields():
        text = sentences()[type(getattr(Limits(), group)).__name__][field.name]
        rows.append(f"| `{field.encode_name}` | {field.default:.10g} | {text} |")
    return "\n".join(rows)


def test_the_document_lists_all_limits_with_their_defaults() -> None:
    """Whoever operates a service need not read the code; where the code says something else now, put this table there."""
    document = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()
    assert table() in document


@pytest.mark.parametrize("given", [3, LogLimits(), FollowerLimits], ids=["a number", "another group", "a class"])
def test_a_group_in_the_place_of_another_is_told(given: Any) -> None:
    """It would be found by an attribute that it lacks, in the middle of something."""
    with pytest.raises(SettingsError, match=r"write Limits\(followers=FollowerLimits\(…\)\)\."):
        Limits(followers=given)
