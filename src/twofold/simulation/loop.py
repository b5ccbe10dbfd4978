"""An event loop of virtual time: nothing sleeps, and chance, from a seed, says who of those who are ready has the next turn.

Whatever an event loop may do in any order is done here in an order that the seed decides, so another seed finds what another
machine, or luck, would have brought about; and the same seed finds it again.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, NoReturn, Protocol, Self, TypeVar, TypeVarTuple

from twofold.simulation.chance import Chance

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_TURNS_AT_ONE_TIME = 1_000_000


class Taker(Protocol):
    """Somebody whose turns can be refused: a process that is dead does not take its turns."""

    def takes(self, turn: Turn) -> bool:
        """Say whether a turn is to be done now."""
        ...

    def begins(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task."""
        ...


taker: ContextVar[Taker | None] = ContextVar("twofold_simulated_process", default=None)
"""In which simulated process something runs: tasks and callbacks inherit it from whoever makes them."""


class Standstill(Exception):
    """Nothing is left to do, or nothing gets ahead, and what was to be done is not done."""


class Turn(asyncio.TimerHandle):
    """A callback that waits for its turn, and the process that it belongs to."""

    __slots__ = ("taker",)

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], loop: SimulatedLoop, context: Context
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.taker = context.get(taker)


_OF_GATHER = "gather.<locals>._done_callback"


class _Numbered(asyncio.Future[Any]):
    """A future that sets keep in the order of numbers, where those of asyncio lie by their addresses in memory."""

    number = 0

    def __hash__(self) -> int:
        return self.number

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: Context | None = None) -> None:
        loop = self.get_loop()
        if self.done() and getattr(fn, "__qualname__", "") == _OF_GATHER and isinstance(loop, SimulatedLoop):
            # From Python 3.12 on, `asyncio.gather` takes in at once what is done already; before, it waits for turns.
            loop.call_at_once(fn, self, context=context)
        else:
            # Without a context it would be called in that of whoever is done, which may be a process that has just died.
            super().add_done_callback(fn, context=copy_context() if context is None else context)


class _Future(_Numbered):
    """What `SimulatedLoop.create_future` makes."""


class _Task(_Numbered, asyncio.Task[Any]):
    """What `SimulatedLoop.create_task` makes."""

    def __init__(self, number: int, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        self.number = number
        super().__init__(coroutine, **options)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """An event loop without threads, sockets, subprocesses and signals: whoever asks for one gets an error that says so."""

    def __init__(self, chance: Chance) -> None:
        self._random = chance.random
        self._now = 0.0
        self._ready: list[Turn] = []
        self._timers: list[tuple[float, int, Turn]] = []
        self._number = 0
        self.turns = 0
        """How many turns were taken."""
        self._turns_before = 0
        self._running = False
        self._at_once: list[Turn] = []
        self._is_at_once = False
        self._is_interrupted = False
        self.failed: list[str] = []
        """Which callbacks have raised an error, and which."""

    # Running.

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until a coroutine has ended, and return its result.

        Raises:
            Standstill: it waits for something that will not come.
            KeyboardInterrupt: between two turns, so that it can go on afterwards and let everything come to its end.
        """
        hooks, outer = sys.get_asyncgen_hooks(), asyncio._get_running_loop()
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        asyncio._set_running_loop(self)
        self._running = True
        self._is_interrupted = False
        try:
            with _interrupted_by(self._interrupt):
                task = self.create_task(main)
                while not task.done():
                    if self._is_interrupted:
                        raise KeyboardInterrupt
                    self._take_turn()
            result: T = task.result()
            return result
        finally:
            self._running = False
            asyncio._set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    def _interrupt(self, *signal: object) -> None:
        """Stop after this turn or, if it does not end and somebody insists, within it."""
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def _take_turn(self) -> None:
        ready = self._ready
        if not ready:
            self._advance()
        place = int(self._random() * len(ready)) if len(ready) > 1 else 0
        turn, last = ready[place], ready.pop()
        if turn is not last:
            ready[place] = last
        self.turns += 1
        if self.turns - self._turns_before > _TURNS_AT_ONE_TIME:
            raise Standstill(f"At {self._now:.3f} s there is always something to do, and time does not go on.")
        if not turn.cancelled() and (turn.taker is None or turn.taker.takes(turn)):
            turn._run()
            if self._at_once:
                self._run_at_once()

    def _run_at_once(self) -> None:
        """Do what belongs to the turn that has just been taken, and let whoever waited for that go on in the same turn."""
        while self._at_once:
            self._is_at_once = True
            self._run_all()
            self._is_at_once = False
            self._run_all()

    def _run_all(self) -> None:
        turns, self._at_once = self._at_once, []
        for each in turns:
            each._run()

    def _advance(self) -> None:
        """Go on to the time at which there is something to do next."""
        while self._timers and not self._ready:
            when = self._timers[0][0]
            while self._timers and self._timers[0][0] <= when:
                turn = heappop(self._timers)[2]
                if not turn.cancelled():
                    self._ready.append(turn)
            self._now = max(self._now, when)
            self._turns_before = self.turns
        if not self._ready:
            raise Standstill(f"At {self._now:.3f} s nothing is left to do.")

    def _finalize(self, generator: AsyncGenerator[Any, None]) -> None:
        if self._running:
            self.create_task(generator.aclose())

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> Turn:
        turn = Turn(self._now, callback, args, self, copy_context() if context is None else context)
        (self._at_once if self._is_at_once else self._ready).append(turn)
        return turn

    def call_at_once(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> None:
        """Call something when the turn is over that is being taken, before anybody else has one."""
        turn = Turn(self._now, callback, args, self, copy_context() if context is None else context)
        self._at_once.append(turn)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Turn:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Turn:
        turn = Turn(when, callback, args, self, copy_context() if context is None else context)
        self._number += 1
        heappush(self._timers, (when, self._number, turn))
        return turn

    def resume(self, turns: Iterable[Turn]) -> None:
        """Let turns be taken that were held back."""
        self._ready.extend(turns)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: whatever is cancelled is passed over when its time has come."""

    def create_future(self) -> _Future:
        future = _Future(loop=self)
        self._number += 1
        future.number = self._number
        return future

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> _Task:
        self._number += 1
        task = _Task(self._number, coro, loop=self, name=name or f"task {self._number}", context=context, **options)
        owner = context.get(taker) if context is not None else taker.get()
        if owner is not None:
            owner.begins(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Take note of a callback that has raised an error.

        All else asyncio finds out when memory is freed, and when that is, is no part of a run: who has tasks looks at them.
        """
        if isinstance(turn := context.get("handle"), Turn):
            called: Any = turn._callback  # type: ignore[attr-defined]  # Every handle has it.
            name = getattr(called, "__qualname__", type(called).__name__)
            self.failed.append(f"{name} failed with {context['exception']!r}")


def run_alone(work: Coroutine[Any, Any, T]) -> T:
    """Run something to its end on a loop on which nothing else happens, and return its result.

    Raises:
        Standstill: it waits for something that will not come.
    """
    loop = SimulatedLoop(Chance(0, "alone"))  # type: ignore[abstract]
    return loop.run(_with_all_that_it_begins(work))


async def _with_all_that_it_begins(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def _interrupted_by(interrupt: Callable[..., None]) -> Iterator[None]:
    """Have Ctrl-C call something in a block, where it would raise KeyboardInterrupt in the midst of anything."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _absent(method: str, what: str) -> Callable[..., NoReturn]:
    def absent(loop: SimulatedLoop, *values: object, **options: object) -> NoReturn:
        raise RuntimeError(
            f"loop.{method}() needs {what}, which no seed decides about: in a simulation there is none. Decisions and folds "
            "need none either; what an answer or a projection needs of the world outside cannot be had here."
        )

    return absent


_ABSENT = {
    "a thread": ("call_soon_threadsafe", "run_in_executor", "getaddrinfo", "getnameinfo"),
    "a socket": (
        "add_reader", "add_writer", "create_connection", "create_server", "create_datagram_endpoint",
        "create_unix_connection", "create_unix_server", "sock_accept", "sock_connect", "sock_recv", "sock_sendall", "sendfile",
        "start_tls", "connect_accepted_socket",
    ),
    "a process": ("subprocess_exec", "subprocess_shell", "connect_read_pipe", "connect_write_pipe"),
    "a signal": ("add_signal_handler", "remove_signal_handler"),
}  # fmt: skip

for _what, _methods in _ABSENT.items():
    for _method in _methods:
        setattr(SimulatedLoop, _method, _absent(_method, _what))
