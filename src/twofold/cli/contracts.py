"""``twofold contracts``: what services promise each other, and what would break it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twofold.cli.target import JSON, SERVICE, TARGET, Complaint, WithDefault, services

if TYPE_CHECKING:
    from twofold.contracts import Break

_FOUND = 1


@click.group(
    cls=WithDefault,
    default="write",
    short_help="Write what services promise; say what breaks it.",
    options_metavar="",
    subcommand_metavar="TARGET | check --against OLD TARGET",
)
def contracts() -> None:
    """Write what services publish and accept as AsyncAPI, or compare that with what it was before.

    `twofold contracts TARGET` is short for `twofold contracts write TARGET`.
    """


@contracts.command("write")
@TARGET
@SERVICE
@click.option("--out", "file", metavar="FILE", help="Write it there, and not to the standard output.")
def write(target: str, service: str | None, file: str | None) -> None:
    """Write AsyncAPI 3.0, with JSON Schemas: events that are published and heard, commands with how they are rejected.

    Nothing is run for it: the declarations say it all.
    """
    from twofold.cli.output import json_text
    from twofold.contracts import contract

    text = json_text(contract([each.declaration for each in services(target, service)]))
    if file is None:
        click.echo(text)
        return
    try:
        Path(file).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Complaint(f"{file} cannot be written: {error.strerror}.") from error


@contracts.command("check")
@TARGET
@SERVICE
@click.option("--against", "old", metavar="OLD", required=True, help="What `twofold contracts` wrote before.")
@JSON
def check(target: str, service: str | None, old: str, as_json: bool) -> None:
    """Say which changes break who goes by the contract of before: consumers, senders, and what is in the log.

    The exit code is 1 if there is any such change, with one line for each: run it before new code is merged. What is
    compatible is not mentioned.
    """
    from twofold.cli.output import print_json, printable

    found = _breaks(target, service, old)
    if as_json:
        print_json(found)
    else:
        for each in found:
            click.echo(printable(str(each)))
        if not found:
            click.echo(f"{target}: nobody who goes by {old} is broken.")
    if found:
        sys.exit(_FOUND)


def _breaks(target: str, service: str | None, old: str) -> list[Break]:
    from twofold.contracts import breaks
    from twofold.errors import InvalidMessage

    chosen = services(target, service)
    try:
        return breaks(_read(old), [each.declaration for each in chosen], None if service is None else [service])
    except InvalidMessage as error:
        raise Complaint(f"{old}: {error}") from error


def _read(file: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(Path(file).read_bytes())
    except OSError as error:
        raise Complaint(f"{file} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Complaint(f"{file} is no JSON: {error}.") from error
