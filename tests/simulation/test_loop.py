"""The loop of a simulation: virtual time, an order that a seed decides, and processes whose memory is lost."""

import asyncio
import signal
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from twofold.simulation.chance import Chance
from twofold.simulation.clock import SimulatedClock
from twofold.simulation.loop import SimulatedLoop, Standstill
from twofold.simulation.process import Process, ProcessDied
from twofold.simulation.trace import Trace


def loop_of(seed: int) -> SimulatedLoop:
    return SimulatedLoop(Chance(seed, "turns"))  # type: ignore[abstract]


def run(main: Coroutine[Any, Any, Any], seed: int = 1) -> Any:
    return loop_of(seed).run(main)


def process_on(loop: SimulatedLoop) -> Process:
    return Process("process", loop, SimulatedClock(loop, Chance(1, "process")), Trace(loop.time))


def test_sleeping_takes_no_time() -> None:
    """A week of leases and pauses is over at once, and each sleeps for as long as it said."""

    async def week() -> float:
        await asyncio.sleep(7 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(week()) == 7 * 86_400
    assert time.monotonic() - began < 60


def test_a_seed_decides_who_of_those_that_are_ready_goes_first() -> None:
    """The same one always the same, and among some seeds there are different orders."""

    async def race() -> str:
        order: list[str] = []

        async def runner(name: str) -> None:
            await asyncio.sleep(0)
            order.append(name)

        await asyncio.gather(*[runner(name) for name in "abcd"])
        return "".join(order)

    found = [run(race(), seed) for seed in range(20)]
    assert found == [run(race(), seed) for seed in range(20)]
    assert len(set(found)) > 5


@pytest.mark.parametrize(
    ("leave", "what"),
    [
        (lambda: asyncio.to_thread(time.monotonic), r"run_in_executor\(\) needs a thread"),
        (lambda: asyncio.open_connection("127.0.0.1", 1), r"create_connection\(\) needs a socket"),
        (lambda: asyncio.create_subprocess_exec("true"), r"subprocess_exec\(\) needs a process"),
    ],
)
def test_whoever_leaves_the_simulation_is_told(leave: Any, what: str) -> None:
    """An answer that opens a connection cannot be repeated by a seed, and the error says what it has asked for."""

    async def leaving() -> None:
        await leave()

    with pytest.raises(RuntimeError, match=what):
        run(leaving())


def test_what_never_comes_is_found() -> None:
    """Nothing is left to do, and the main task still waits: it would wait for ever."""

    async def waiting() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Standstill, match="nothing is left to do"):
        run(waiting())


def test_of_a_dead_process_nothing_goes_on() -> None:
    """No step, no timer and no `finally`, until it is buried; and who waits for its answer is told that there is none."""
    loop, done = loop_of(1), []

    async def working() -> None:
        try:
            await asyncio.sleep(1)
            done.append("worked")
        finally:
            done.append("tidied up")

    async def main() -> None:
        process = process_on(loop)
        calling = asyncio.ensure_future(process.call(working))
        await asyncio.sleep(0.5)
        process.kill()
        with pytest.raises(ProcessDied):
            await calling
        await asyncio.sleep(5)
        assert done == []
        await process.bury()
        assert done == ["tidied up"]

    loop.run(main())


def test_a_paused_process_goes_on_as_if_nothing_had_happened() -> None:
    """Its timers are late by as long as it has stood still."""
    loop = loop_of(1)

    async def working() -> float:
        await asyncio.sleep(1)
        return loop.time()

    async def main() -> float:
        process = process_on(loop)
        calling = asyncio.ensure_future(process.call(working))
        await asyncio.sleep(0.5)
        process.pause()
        await asyncio.sleep(9.5)
        process.resume()
        return await calling

    assert loop.run(main()) == 10


def test_an_interrupt_comes_between_two_turns() -> None:
    """Nothing is torn in the middle, so that whoever is interrupted can go on and come to an end."""
    loop, ended = loop_of(1), []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            ended.append("turn")
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)
            ended.append("work")

    async def bury(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    async def main() -> None:
        tasks.append(asyncio.create_task(work()))
        await asyncio.sleep(10)

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(KeyboardInterrupt):
        loop.run(main())
    assert ended == ["turn"]
    loop.run(bury(tasks[0]))
    assert ended == ["turn", "work"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_insists_interrupts_a_turn_that_does_not_end() -> None:
    """The first Ctrl-C waits for the turn, the second does not."""

    async def endless() -> None:
        while True:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(endless())


def test_a_callback_that_fails_is_taken_note_of() -> None:
    """The loop goes on, as others do, and who judges the run can see it."""
    loop = loop_of(1)

    def fail() -> None:
        raise ValueError("no")

    async def main() -> None:
        loop.call_soon(fail)
        await asyncio.sleep(1)

    loop.run(main())
    (told,) = loop.failed
    assert told.endswith("fail failed with ValueError('no')")


def test_what_fails_while_a_process_ends_is_seen_by_whoever_awaits_it() -> None:
    """An orderly end gives everybody a turn; only what nobody awaits is a failure at which nobody has looked."""
    loop = loop_of(1)
    process = process_on(loop)

    async def fail() -> None:
        raise ValueError("It failed at the last moment.")

    async def look() -> None:
        failing = asyncio.create_task(fail())
        await asyncio.wait([failing])
        failing.exception()

    async def main() -> list[str]:
        process.run(look())
        await process.run(process.finish())
        return list(process.unseen_failures())

    assert loop.run(main()) == []
