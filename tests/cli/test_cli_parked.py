import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.shaky_service import UNLUCKY, Throw, projecting, shaky

SHAKY = "tests.cli.shaky_service:shaky"
PROJECTING = "tests.cli.shaky_service:projecting"


def throws(player: str, *points: int) -> list[Throw]:
    return [Throw(player=player, points=each) for each in points]


@pytest.fixture(scope="module")
def parked_databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases to be copied: trying what fails takes its time."""
    made = CommandLine(tmp_path_factory.mktemp("parked"))
    made.fill(shaky, *throws("ann", 1, UNLUCKY, 3), *throws("bob", UNLUCKY), *throws("cem", 5))
    made.fill(projecting, *throws("ann", 1, UNLUCKY, 3))
    return made.folder


@pytest.fixture
def stuck(twofold: CommandLine, parked_databases: Path) -> CommandLine:
    """Ann's second throw has failed and holds up her third; bob's only one has failed; cem is well.

    The projection of the other service is held up by the second of three throws.
    """
    shutil.copytree(parked_databases, twofold.folder, dirs_exist_ok=True)
    return twofold


def parked(twofold: CommandLine, target: str = SHAKY) -> list[tuple[str, str, int]]:
    found = twofold.within("parked", "list", target, "--json").json
    return [(each["follower"], each["key"], each["events"]) for each in found]


def points(twofold: CommandLine, player: str) -> int:
    """Ask a service what the view has of a player."""
    with twofold.serving(SHAKY) as served:
        return int(served.ask("ScoreOf", player=player)["points"])


BOTH = [("score_v1", "player:ann", 2), ("score_v1", "player:bob", 1)]


def test_nothing_parked_is_said(twofold: CommandLine) -> None:
    """An empty list is an answer too, and for programs an empty array."""
    twofold.fill(shaky, *throws("ann", 1))
    assert twofold("parked", "list", SHAKY).lines == ["Nothing is parked."]
    assert twofold("parked", "list", SHAKY, "--json").json == []


def test_parked_keys_are_listed_with_the_first_failure(stuck: CommandLine) -> None:
    """How many events wait, since which, and why."""
    first = stuck("parked", "list", SHAKY, "--json").json[0]
    assert first.pop("parked_at").endswith("Z")
    assert first == {
        "service": "shaky", "follower": "score_v1", "key": "player:ann", "events": 2, "position": 2,
        "error": "ValueError: 13 is unlucky", "attempts": 4, "retry_at": None,
    }  # fmt: skip
    assert parked(stuck) == BOTH
    titles, ann, _ = stuck("parked", "list", SHAKY).lines
    assert titles.split() == [
        "service", "follower", "key", "events", "first", "parked", "at", "attempts", "next", "attempt", "error"
    ]  # fmt: skip
    assert ann.split()[:5] == ["shaky", "score_v1", "player:ann", "2", "2"]
    assert ann.split()[-5:] == ["4", "ValueError:", "13", "is", "unlucky"]


def test_views_count_what_is_parked(stuck: CommandLine) -> None:
    """Whoever looks at lag sees that something is held back, too."""
    (found,) = stuck("views", SHAKY, "--json").json
    assert (found["lag"], found["parked"]) == (0, 3)


def test_the_services_of_a_system_are_listed_together(stuck: CommandLine) -> None:
    """Each parked key is under its service; one service can be chosen."""
    target = "tests.cli.shaky_service:both"
    assert parked(stuck, target) == [*BOTH, ("best_v1", "", 2)]
    only = stuck("parked", "list", target, "--service", "projecting", "--json").json
    assert [each["service"] for each in only] == ["projecting"]


def test_a_parked_key_is_shown_with_its_events(stuck: CommandLine) -> None:
    """What failed stands with its reason, and what only waits with that."""
    failed, why, waiting, because = stuck("parked", "show", SHAKY, "score_v1", "player:ann").lines
    assert failed.split()[0] == "2"
    assert failed.endswith('player:ann  {"player":"ann","points":13}')
    assert why.strip() == "failed 4 times: ValueError: 13 is unlucky"
    assert waiting.split()[0] == "3"
    assert because.strip() == "waits for those before it"


def test_a_program_gets_parked_events_whole(stuck: CommandLine) -> None:
    """An event as the log has it, and what the follower noted."""
    failed, waiting = stuck("parked", "show", SHAKY, "score_v1", "player:ann", "--json").json
    assert (failed["type"], failed["data"]) == ("Thrown", {"player": "ann", "points": UNLUCKY})
    assert (failed["error"], failed["attempts"]) == ("ValueError: 13 is unlucky", 4)
    assert (waiting["position"], waiting["error"], waiting["attempts"]) == (3, "", 0)


def test_a_key_is_retried_by_the_running_service(stuck: CommandLine) -> None:
    """Once its cause is mended, a key's events are handled in order; the other key stays parked."""
    with stuck.serving(SHAKY) as served:
        stuck.write("mended", "")
        assert stuck("parked", "retry", SHAKY, "score_v1", "player:ann", "--wait").lines == ["1 of 1 keys are through."]
        assert served.ask("ScoreOf", player="ann")["points"] == 1 + UNLUCKY + 3
        assert parked(stuck) == BOTH[1:]
        receipt = served.send("Throw", player="ann", points=10)
        assert served.ask("ScoreOf", receipt, player="ann")["points"] == 1 + UNLUCKY + 3 + 10


def test_a_retry_without_waiting_says_when_it_will_be(stuck: CommandLine) -> None:
    """By a running service at once; otherwise by the next one, which needs no further telling."""
    assert stuck("parked", "retry", SHAKY, "score_v1", "player:ann").lines == [
        "score_v1 handles 2 parked events again when a service follows it again."
    ]
    stuck.write("mended", "")
    with stuck.serving(SHAKY):
        assert stuck("parked", "retry", SHAKY, "score_v1", "player:bob").lines == [
            "score_v1 handles 1 parked events again within a second."
        ]
        while parked(stuck):
            pass


def test_waiting_handles_the_events_here_if_no_service_runs(stuck: CommandLine) -> None:
    """The mended code is all that it takes."""
    stuck.write("mended", "")
    assert stuck("parked", "retry", SHAKY, "score_v1", "player:bob", "player:ann", "--wait").lines == [
        "2 of 2 keys are through."
    ]
    assert parked(stuck) == []
    assert points(stuck, "ann") == 1 + UNLUCKY + 3


def test_a_retry_that_fails_again_is_told_and_ends_with_1(stuck: CommandLine) -> None:
    """What still fails stays parked, one attempt older."""
    found = stuck("parked", "retry", SHAKY, "score_v1", "player:ann", "--wait")
    assert found.code == 1
    assert found.output.splitlines() == [
        "score_v1 player:ann: parked still, at position 2: ValueError: 13 is unlucky",
        "0 of 1 keys are through.",
    ]
    assert stuck("parked", "list", SHAKY, "--json").json[0]["attempts"] == 5
    assert parked(stuck) == BOTH


def test_everything_is_retried_with_all(stuck: CommandLine) -> None:
    """All keys of one follower, or of all; and nothing to retry is no error."""
    stuck.write("mended", "")
    assert stuck("parked", "retry", SHAKY, "--all", "--wait").lines == ["2 of 2 keys are through."]
    assert stuck("parked", "retry", SHAKY, "--all", "--wait").lines == ["0 of 0 keys are through."]
    assert stuck("parked", "retry", SHAKY, "score_v1", "--all").lines == ["Nothing is parked."]


def test_a_projection_has_one_order_and_needs_no_key(stuck: CommandLine) -> None:
    """Its events are shown, retried and discarded under the follower alone."""
    assert len(stuck("parked", "show", PROJECTING, "best_v1").lines) == 4
    failed = stuck("parked", "retry", PROJECTING, "best_v1", "--wait")
    assert (failed.code, failed.output.splitlines()[0]) == (
        1, "best_v1 (all): parked still, at position 2: ValueError: 13 is unlucky"
    )  # fmt: skip
    assert stuck("parked", "discard", PROJECTING, "best_v1", "--position", "2", "--yes").lines == [
        "1 of 2 parked events of best_v1 are dropped."
    ]
    assert stuck("parked", "retry", PROJECTING, "best_v1", "--wait").lines == ["1 of 1 keys are through."]


def test_one_event_is_discarded_and_the_rest_handled(stuck: CommandLine) -> None:
    """The view is without that one, and only that one."""
    with stuck.serving(SHAKY) as served:
        assert stuck("parked", "discard", SHAKY, "score_v1", "player:ann", "--position", "2", "--yes").lines == [
            "1 of 2 parked events of player:ann in score_v1 are dropped."
        ]
        while parked(stuck) != BOTH[1:]:
            pass
        assert served.ask("ScoreOf", player="ann")["points"] == 1 + 3


def test_later_events_flow_once_a_key_was_discarded(stuck: CommandLine) -> None:
    """A running service does not go on holding back the key of events that are no longer there."""
    with stuck.serving(SHAKY) as served:
        assert stuck("parked", "discard", SHAKY, "score_v1", "player:ann", "--yes").lines == [
            "2 of 2 parked events of player:ann in score_v1 are dropped."
        ]
        # What comes before the service has noticed waits for that.
        served.send("Throw", player="ann", points=10)
        while served.ask("ScoreOf", player="ann")["points"] != 1 + 10:
            pass
        receipt = served.send("Throw", player="ann", points=20)
        assert served.ask("ScoreOf", receipt, player="ann")["points"] == 1 + 10 + 20
        assert parked(stuck) == BOTH[1:]


def test_discarding_asks_first(stuck: CommandLine) -> None:
    """The question says what will be missing; without a yes, nothing is dropped."""
    found = stuck("parked", "discard", SHAKY, "score_v1", "player:ann", typed="n\n")
    assert found.code == 1
    assert found.errors.startswith(
        "Drop 2 parked events of player:ann in score_v1, so that they never have their effect there? [y/N]"
    )
    found = stuck("parked", "discard", SHAKY, "score_v1", "player:ann", "--position", "2", typed="")
    assert found.code == 1
    assert found.errors.startswith("Drop the event at position 2 of player:ann in score_v1")
    assert parked(stuck) == BOTH


KEYS = "Parked are player:ann, player:bob."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "SHAKY", "score_v2"], "score_v2 of shaky has parked nothing. It is score_v1 that has."),
        (["show", "SHAKY", "score_v1"], f"score_v1 has parked 2 keys: say which. {KEYS}"),
        (["show", "SHAKY", "score_v1", "ann"], f"score_v1 has parked nothing of 'ann'. {KEYS}"),
        (["retry", "SHAKY", "score_v1"], f"score_v1 has parked 2 keys: say which. {KEYS}"),
        (["retry", "SHAKY", "score_v1", "player:cem"], f"score_v1 has parked nothing of 'player:cem'. {KEYS}"),
        (
            ["retry", "SHAKY"],
            "Say what to retry: FOLLOWER and KEY as `twofold parked list` shows them, or --all.",
        ),
        (["retry", "SHAKY", "score_v1", "player:ann", "--all"], "Name keys, or say --all; not both."),
        (["discard", "SHAKY", "score_v1"], f"score_v1 has parked 2 keys: say which. {KEYS}"),
        (
            ["discard", "SHAKY", "score_v1", "player:ann", "--position", "5", "--yes"],
            "score_v1 has parked no event at position 5 of 'player:ann'.",
        ),
    ],
    ids=lambda value: " ".join(value[:1] + value[2:]) if isinstance(value, list) else "",
)
def test_what_is_not_parked_is_told_with_what_is(stuck: CommandLine, arguments: list[str], said: str) -> None:
    """A mistyped follower, key or position changes nothing, and the right ones are named."""
    assert stuck.within("parked", *[each.replace("SHAKY", SHAKY) for each in arguments]).complaint == f"twofold: {said}"
    assert parked(stuck) == BOTH


def test_what_earlier_code_has_parked_can_be_discarded_only(stuck: CommandLine) -> None:
    """Nobody would ever try it again, and that is said instead of waiting for it."""
    stuck.write("later.py", "from tests.cli.shaky_service import Player\nfrom twofold import Service\n"
                "shaky = Service('shaky', aggregates=[Player])\n")  # fmt: skip
    for options in (["score_v1", "player:ann", "--wait"], ["--all"]):
        assert stuck("parked", "retry", "later:shaky", *options).complaint == (
            "twofold: Nothing in the code of shaky follows as score_v1: run the code that does, or discard what it has "
            "parked. This code has no followers."
        )
    assert stuck("parked", "discard", "later:shaky", "score_v1", "player:ann", "--yes").code == 0
    assert parked(stuck, "later:shaky") == BOTH[1:]


def test_mending_makes_no_database(twofold: CommandLine) -> None:
    """In the wrong folder there is nothing to mend, and nothing is made."""
    for command in (["list", SHAKY], ["retry", SHAKY, "--all"], ["discard", SHAKY, "score_v1", "--yes"]):
        assert twofold("parked", *command).complaint.startswith("twofold: shaky.db: there is no such file.")
    assert list(twofold.folder.iterdir()) == []


def test_what_has_one_cause_is_one_group(stuck: CommandLine) -> None:
    """Two keys that fail alike are looked at once, and retried together by the group's name."""
    (group,) = stuck("parked", "groups", SHAKY, "--json").json
    assert (group["follower"], group["type"], group["error"]) == ("score_v1", "Thrown", "ValueError: 13 is unlucky")
    assert ([each["key"] for each in group["keys"]], group["events"]) == (["player:ann", "player:bob"], 3)
    titles, shown = stuck("parked", "groups", SHAKY).lines
    assert titles.split()[:6] == ["group", "service", "follower", "event", "keys", "events"]
    assert shown.split()[:6] == [group["name"], "shaky", "score_v1", "Thrown", "2", "3"]
    stuck.write("mended", "")
    told = stuck("parked", "retry", SHAKY, "--group", group["name"]).lines
    assert told == ["2 of 2 keys are through, 0 have failed again."]
    assert stuck("parked", "groups", SHAKY).lines == ["Nothing is parked."]


def test_a_retry_in_waves_stops_when_they_fail_again(stuck: CommandLine) -> None:
    """The first wave shows that the cause is not gone, and nothing else is tried."""
    ended = stuck("parked", "retry", SHAKY, "--all", "--wave", "1")
    assert ended.code == 1
    assert ended.output.splitlines() == [
        "0 of 2 keys are through, 1 have failed again.",
        "Stopped, as half of the last wave has failed: 1 keys were not tried.",
    ]
    attempts = [each["attempts"] for each in stuck("parked", "list", SHAKY, "--json").json]
    assert attempts == [5, 4]


def test_an_unknown_group_is_told_with_those_that_there_are(stuck: CommandLine) -> None:
    """A group goes when what is parked has changed."""
    (group,) = stuck("parked", "groups", SHAKY, "--json").json
    said = stuck("parked", "retry", SHAKY, "--group", "nope").complaint
    assert f"There is no group 'nope'. There are: {group['name']}." in said


def test_the_log_keeps_who_has_dropped_what_and_why(stuck: CommandLine) -> None:
    """What a view will never have the effect of can be accounted for later."""
    stuck("parked", "discard", SHAKY, "score_v1", "player:bob", "--yes", "--by", "zoe", "--reason", "a test throw")
    shown = [json.loads(line) for line in stuck("log", "show", SHAKY, "--json").lines]
    told = [each for each in shown if each["type"].startswith("twofold.")]
    assert [(each["type"], each["data"]) for each in told] == [
        (
            "twofold.EventDiscarded",
            {
                "parked": "score_v1/4", "key": "player:bob", "error": "ValueError: 13 is unlucky", "by": "zoe",
                "reason": "a test throw",
            },
        )
    ]  # fmt: skip


def test_a_view_does_not_see_an_event_otherwise_than_the_log_has_it(stuck: CommandLine) -> None:
    """It would be another view once it is filled anew."""
    said = stuck(
        "parked", "edit", SHAKY, "score_v1", "player:bob", "--position", "4", "--data", '{"player":"bob","points":1}',
    ).complaint  # fmt: skip
    assert "score_v1 fills a view, which is a fold of what the log has" in said
