"""`twofold timers`: what is to happen later, whether the service runs or not."""

import asyncio
from datetime import UTC, datetime

from tests.cli.conftest import CommandLine
from tests.support.timer_service import Ask, Ring, plain, reminders
from twofold import Command, Service
from twofold.service import Settings
from twofold.testing import settled

TARGET = "tests.support.timer_service:reminders"
LATER = datetime(2999, 1, 1, tzinfo=UTC)
LATEST = datetime(2999, 1, 2, tzinfo=UTC)


def fill(twofold: CommandLine, service: Service, **commands: tuple[Command, datetime]) -> None:
    """Have a service wait for commands that are sent later, each under an id; and for a timer, if it has the process."""

    async def scenario() -> None:
        url = f"sqlite:///{twofold.folder}/{service.name}"
        async with service.run(Settings(log=f"{url}.db", views=f"{url}-views.db")) as running:
            for id, (command, due) in commands.items():
                await running.send(command, at=due, id=id)
            if service is reminders:
                await running.send(Ask(item="tea", due=LATER, label="ready"))
            await settled(running)

    asyncio.run(scenario())


def test_what_is_to_happen_is_listed_by_when_it_is_due(twofold: CommandLine) -> None:
    """Timers of processes and delayed commands alike, with what they are and whose."""
    fill(twofold, reminders, nightcap=(Ring(item="cocoa"), LATEST))
    assert twofold.within("timers", TARGET, "--json").json == [
        {
            "service": "reminders", "pending": 2, "next": "", "timers": [
                {
                    "service": "reminders", "id": "Reminding/item:tea/Alarm", "due_at": "2999-01-01T00:00:00Z",
                    "what": "Alarm", "instance": "Reminding/item:tea", "overdue_seconds": 0.0, "position": 3,
                },
                {
                    "service": "reminders", "id": "command:nightcap", "due_at": "2999-01-02T00:00:00Z", "what": "Ring",
                    "instance": "", "overdue_seconds": 0.0, "position": 1,
                },
            ],
        }
    ]  # fmt: skip
    titles, first, second = twofold.within("timers", TARGET).lines
    assert titles.split() == ["service", "due", "overdue", "what", "id"]
    assert first.split()[-2:] == ["Alarm", "Reminding/item:tea/Alarm"]
    assert second.split()[-2:] == ["Ring", "command:nightcap"]


def test_many_are_shown_page_by_page(twofold: CommandLine) -> None:
    """A page says how many there are, and how to go on."""
    fill(twofold, plain, **{f"r-{number}": (Ring(item="tea"), LATER) for number in range(3)})
    target = "tests.support.timer_service:plain"
    *_, last = twofold.within("timers", target, "--limit", "2").lines
    assert last.startswith("plain has 3 in all: --service plain --after ")
    _, row = twofold.within("timers", target, "--after", last.split()[-1]).lines
    assert row.endswith("command:r-2")


def test_nothing_is_to_happen_where_nothing_was_set(twofold: CommandLine) -> None:
    """Nor is there a table then."""
    fill(twofold, plain)
    assert twofold.within("timers", "tests.support.timer_service:plain").output == "Nothing is to happen later.\n"


def test_timers_are_not_filled_again_and_can_be_mended(twofold: CommandLine) -> None:
    """The follower is known in every service, as each may have commands that are sent later."""
    fill(twofold, plain, later=(Ring(item="tea"), LATER))
    target = "tests.support.timer_service:plain"
    assert (
        "timers fills no view, and what it has done" in twofold.within("views", "rebuild", target, "timers").complaint
    )
    assert (
        twofold.within("parked", "retry", target, "timers").complaint == "twofold: timers of plain has parked nothing."
    )
