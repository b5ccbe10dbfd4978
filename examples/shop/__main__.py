"""Runs the services, has them take in a file of documents, asks them over HTTP what they then know, and places orders."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from starlette.types import ASGIApp

from examples.shop import shop
from examples.shop.customers import show_orders
from examples.shop.generate import generate
from examples.shop.load import Send, client, deliver_again, load, over, rebuild, within
from examples.shop.orders import BadFile, Order, last_lines, read_orders
from examples.shop.payment_api import PaymentProvider
from examples.shop.payments import API_VARIABLE, PaymentApi, open_payment_api
from examples.shop.processes import NotServing, apart, databases, together
from examples.shop.totals import Refused, ask_for_result, tables
from twofold import Receipt
from twofold.cli.streams import run as run_to_its_end
from twofold.errors import TwofoldError
from twofold.http import asgi, serve
from twofold.operations.databases import Databases
from twofold.service import Running, Settings, read_settings

WEEK = Path(__file__).parents[3] / "shared/data/online-retail/week1.csv.gz"
CITATION = "Online Retail, Daqing Chen, UCI Machine Learning Repository, doi:10.1057/dbm.2012.17"


def main() -> None:
    run_to_its_end(load_and_ask, "shop")


def load_and_ask() -> None:
    arguments = parser().parse_args()
    try:
        asyncio.run(run(arguments))
    except* (BadFile, NotServing, Refused, TwofoldError, OSError, httpx.HTTPError) as failures:
        sys.exit(reason(failures))
    except* KeyboardInterrupt:
        sys.exit("Interrupted. With --data FOLDER, the next run goes on from here.")


def reason(error: BaseException) -> str:
    """Return the text of an error, or of the first in a group."""
    return reason(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else str(error)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--demo", action="store_true", help="print tables, then stay up for questions")
    what.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--orders", type=Path, metavar="FILE", help="invoice lines, .csv or .csv.gz (default: a week of them)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="keep the databases here, and go on with what is in them"
    )
    parser.add_argument("--port", type=int, default=0, help="serve HTTP here (default: a free port)")
    parser.add_argument(
        "--processes", type=int, default=0, metavar="N", help="run the services in N processes (default: in this one)"
    )
    parser.add_argument(
        "--transport", metavar="URL", help="run each service in a process of its own; this broker is between them"
    )
    parser.add_argument("--twice", action="store_true", help="submit every document twice")
    parser.add_argument("--deliver-twice", action="store_true", help="deliver every published event twice")
    parser.add_argument("--rebuild", action="store_true", help="rebuild every view from the first event after the load")
    return parser


async def run(arguments: argparse.Namespace) -> None:
    notes = Console(stderr=True, soft_wrap=True)
    if not arguments.data:
        # A temporary folder is always new, and nobody has to be told.
        logging.getLogger("twofold.service").setLevel(logging.ERROR)
    with nullcontext(arguments.data) if arguments.data else TemporaryDirectory() as data:
        folder = Path(data)
        path = arguments.orders or week(folder, notes)
        running = in_processes if arguments.processes or arguments.transport else in_this_process
        async with (
            serving(PaymentProvider(folder / "payment-api.json").app, port=0) as (api_url, _),
            running(arguments, folder, api_url) as services,
            client(services.urls) as http,
            httpx.AsyncClient(base_url=api_url) as api,
        ):
            receipts = await take_in(path, services.send, services.followed, arguments, notes)
            result = await ask_for_result(http, receipts)
            if arguments.json:
                print(msgspec.json.encode(result).decode())
            else:
                Console().print(tables(result))
                await show_orders(http, api)
                await question_time(services.urls["reporting"], services.server)


class Services(msgspec.Struct):
    """The services as they run: where they answer, what ends with them, how to send to them, and where they leave things."""

    urls: Mapping[str, str]
    server: Awaitable[object]
    send: Send
    followed: Mapping[str, Running | Databases]


@asynccontextmanager
async def in_this_process(arguments: argparse.Namespace, folder: Path, api_url: str) -> AsyncIterator[Services]:
    async with (
        shop.run(
            settings(folder), resources={"payments": {PaymentApi: partial(open_payment_api, api_url)}}
        ) as services,
        serving(asgi(services), arguments.port) as (url, server),
    ):
        yield Services(dict.fromkeys(shop.services, url), server, within(services), services)


@asynccontextmanager
async def in_processes(arguments: argparse.Namespace, folder: Path, api_url: str) -> AsyncIterator[Services]:
    variables = {**environment(folder), API_VARIABLE: api_url}
    if arguments.transport:
        starting = apart(arguments.port, variables | {"TWOFOLD_TRANSPORT": arguments.transport})
    else:
        starting = together(arguments.processes, arguments.port, variables)
    async with starting as (urls, server), over(urls) as send, databases(settings(folder)) as followed:
        yield Services(urls, server, send, followed)


async def take_in(
    path: Path,
    send: Send,
    followed: Mapping[str, Running | Databases],
    arguments: argparse.Namespace,
    notes: Console,
) -> dict[str, Receipt]:
    """Load the file in the way that the arguments ask for."""
    documents = last_lines(path)
    orders = read_orders(path, documents)
    with progress(notes, len(documents)) as sent:
        receipts = await load(send, twice(orders) if arguments.twice else orders, sent)
    if arguments.deliver_twice:
        await deliver_again(followed, has_broker=bool(arguments.transport))
    if arguments.rebuild:
        await rebuild(followed)
    return receipts


async def question_time(url: str, server: Awaitable[object]) -> None:
    """Stay up for whoever sits at the terminal; where nobody does, ask the question that would be suggested."""
    question = f"{url}/reporting/queries/RevenueByCountry?limit=3"
    print(f"Ask for yourself:\n\n  curl '{question}'\n")
    if sys.stdin.isatty() and sys.stdout.isatty():
        print(f"Whatever else there is: {url}/reporting/docs, and the same of the other services. Ctrl-C ends it.")
        await server
    else:
        async with httpx.AsyncClient() as http:
            print((await http.get(question)).raise_for_status().text)


def week(folder: Path, notes: Console) -> Path:
    """Return a file with a week of documents: the real one where it is at hand."""
    if WEEK.exists():
        notes.print(f"The documents are the first week of {CITATION}.")
        return WEEK
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "generated.csv"
    generate(path)
    notes.print(f"The documents are generated, in the format of {CITATION}.")
    return path


@asynccontextmanager
async def serving(app: ASGIApp, port: int) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve HTTP for a block; give its URL, and the task that ends when a signal does."""
    url = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        server = tasks.create_task(serve(app, port=port, ready=url.set_result))
        yield await url, server
        server.cancel()


def settings(folder: Path) -> dict[str, Settings]:
    """Give each service a log and views of its own: files in the folder, unless the environment names other databases."""
    return {name: read_settings(name, environment(folder)) for name in shop.services}


def environment(folder: Path) -> dict[str, str]:
    url = f"sqlite:///{quote(str(folder.absolute()))}"
    return {"TWOFOLD_LOG": url + "/{service}.db", "TWOFOLD_VIEWS": url + "/{service}-views.db", **os.environ}


def twice(orders: Iterator[Order]) -> Iterator[Order]:
    for order in orders:
        yield order
        yield order


@contextmanager
def progress(notes: Console, documents: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, which the function that is given moves on by one document."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:
        task = bar.add_task("Documents", total=documents)
        yield lambda: bar.advance(task)


if __name__ == "__main__":
    main()
