"""Several processes that serve at one address, and the parent that keeps them running.

The parent serves nothing itself. It holds the sockets, starts the workers, starts again whichever ends, and ends them all when
it is told to; a worker that loses its parent ends by itself.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import click
import msgspec

from twofold.backoff import Backoff
from twofold.cli.serving import http, serve_here, tell_where
from twofold.cli.streams import guard
from twofold.cli.target import Complaint, load, services
from twofold.clock import Clock, SystemClock
from twofold.errors import TwofoldError
from twofold.limits import read_limits
from twofold.service import Role, Service, System, read_settings
from twofold.service.adapters import is_in_memory
from twofold.telemetry import configure_logging

_LEEWAY_SECONDS = 0.4
"""How much longer a worker is waited for than it gives itself to end."""

_RESTARTING = Backoff(first_seconds=0.1, longest_seconds=5.0)
_SOUND_SECONDS = 10.0
"""Who has lived for so long was not started in vain, and is started again without a long pause."""

_logger = logging.getLogger("twofold.cli")
# Started anew and not forked: whatever importing a target has opened or begun is the process's own.
_processes = multiprocessing.get_context("spawn")


class Options(msgspec.Struct, frozen=True):
    """What each worker has to know."""

    target: str
    roles: Sequence[Role]
    log_format: str
    log_level: str

    def configure_logging(self, worker: int | None = None) -> None:
        """Write the process's logs in the format that was asked for."""
        configure_logging(self.log_format, self.log_level, self.target.rpartition(":")[2], worker)


def run_workers(options: Options, count: int, host: str, port: int) -> int:
    """Keep so many workers running until SIGTERM or SIGINT, and return the exit code.

    Raises:
        Complaint: the service keeps something in memory, which workers would not share.
        SettingsError: the address cannot be listened on.
    """
    served = load(options.target)
    _check_shared(options.target)
    sockets = http().listen_for(count, host, port)
    try:
        workers = [_Worker(options, number, each) for number, each in enumerate(sockets, 1)]
        return asyncio.run(_keep_all(served, http().url_of(sockets[0]), workers))
    finally:
        for each in sockets:
            each.close()


def _check_shared(target: str) -> None:
    for service in services(target):
        settings = read_settings(service.name)
        if is_in_memory(settings.log) or is_in_memory(settings.views):
            raise Complaint(
                f"{service.name} keeps its log or its views in memory, of which each worker would have its own. Set "
                "TWOFOLD_LOG and TWOFOLD_VIEWS to a database, for example TWOFOLD_LOG=sqlite:///bank.db"
            )


async def _keep_all(served: Service | System, url: str, workers: list[_Worker]) -> int:
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    keeping = [asyncio.create_task(worker.keep()) for worker in workers]
    others = [asyncio.create_task(ending.wait()), asyncio.create_task(_tell_when_all_serve(served, url, workers))]
    ended, _ = await asyncio.wait([*keeping, others[0]], return_when=asyncio.FIRST_COMPLETED)
    for task in (*keeping, *others):
        task.cancel()
    await asyncio.gather(*keeping, *others, return_exceptions=True)
    _logger.info("All workers ended.")
    # Who has ended by itself, and not by being asked to, says what is wrong.
    return max(task.result() for task in keeping if task in ended or ending.is_set())


async def _tell_when_all_serve(served: Service | System, url: str, workers: list[_Worker]) -> None:
    for worker in workers:
        await worker.serves.wait()
    tell_where(served, url)


class _Worker:
    """One place among the workers, which one process after the other fills."""

    def __init__(self, options: Options, number: int, listening: socket.socket, clock: Clock | None = None) -> None:
        self._options = options
        self._number = number
        self._listening = listening
        self._clock = clock or SystemClock()
        limits = read_limits().http
        self._ending_seconds = limits.drain_seconds + limits.ending_seconds + _LEEWAY_SECONDS
        self.serves = asyncio.Event()

    async def keep(self) -> int:
        """Keep the place filled until cancelled, and return the exit code of the last process.

        If the first one of all does not come to serving, it is the settings that are wrong, and there is nothing to keep.
        """
        restarts = 0
        while True:
            began = self._clock.monotonic()
            process, told = self._start()
            number = process.pid
            try:
                await self._until_ended(process, told)
            except asyncio.CancelledError:
                return await self._end(process)
            finally:
                told.close()
            code = _exit_code(process)
            if not self.serves.is_set():
                return code or 1
            restarts = 1 if self._clock.monotonic() - began > _SOUND_SECONDS else restarts + 1
            pause = _RESTARTING.pause_seconds(restarts, self._clock.random())
            _logger.log(
                logging.ERROR if code else logging.INFO,
                "Worker %d (process %d) ended with %d, and is started again in %.1f seconds.",
                self._number, number, code, pause,
            )  # fmt: skip
            try:
                await self._clock.sleep(pause)
            except asyncio.CancelledError:
                return 0

    def _start(self) -> tuple[SpawnProcess, Connection]:
        told, tells = _processes.Pipe(duplex=False)
        process = _processes.Process(
            target=_work, args=(self._options, self._number, self._listening, tells), name=f"worker {self._number}"
        )
        process.start()
        tells.close()
        return process, told

    async def _until_ended(self, process: SpawnProcess, told: Connection) -> None:
        await _readable(told.fileno())
        try:
            told.recv()
        except EOFError:
            pass
        else:
            _logger.info("Worker %d serves, as process %d.", self._number, process.pid)
            self.serves.set()
        await _readable(process.sentinel)

    async def _end(self, process: SpawnProcess) -> int:
        process.terminate()
        try:
            async with asyncio.timeout(self._ending_seconds):
                await _readable(process.sentinel)
        except TimeoutError:
            _logger.error("Worker %d (process %d) did not end in time, and is killed.", self._number, process.pid)
            process.kill()
        code = _exit_code(process)
        return code if self.serves.is_set() else 0


def _exit_code(process: SpawnProcess) -> int:
    """Return how a process that is ending has ended; by a signal is 128 and its number, as a shell has it."""
    process.join()
    code = process.exitcode or 0
    process.close()
    return code if code >= 0 else 128 - code


async def _readable(descriptor: int) -> None:
    """Return when there is something to read, or will never be again."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


# What a worker does.


def _work(options: Options, number: int, listening: socket.socket, tells: Connection) -> None:
    # Ctrl-C in a terminal is for the parent, which passes it on; by both ways it would mean to hurry.
    os.setpgrp()
    guard()
    options.configure_logging(number)
    try:
        with listening:
            asyncio.run(_serve(load(options.target), options.roles, listening, tells))
    except (Complaint, TwofoldError) as error:
        click.echo(f"twofold: worker {number}: {error}", err=True)
        sys.exit(Complaint.exit_code)


async def _serve(served: Service | System, roles: Sequence[Role], listening: socket.socket, tells: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        raise AssertionError("a worker is started by its parent")
    asyncio.get_running_loop().add_reader(parent.sentinel, _end_orphaned, parent.sentinel)
    await serve_here(served, roles, tells.send, listening=listening)


def _end_orphaned(sentinel: int) -> None:
    asyncio.get_running_loop().remove_reader(sentinel)
    _logger.error("The parent of this worker is gone, so it ends.")
    os.kill(os.getpid(), signal.SIGTERM)
