"""The suite that certifies stores finds what is wrong with one: each fault here is one that a store has had."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from twofold.adapters.memory import MemoryStore
from twofold.errors import LogError
from twofold.log import (
    ALL,
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
    StoredPayload,
    TypeCount,
    stored_key,
)
from twofold.testing import LogConformance

SUITE = LogConformance()
FAULTS: list[tuple[type[MemoryStore], Callable[..., None], tuple[Any, ...]]] = []


def found_by(test: Callable[..., None], *arguments: Any) -> Callable[[type[MemoryStore]], type[MemoryStore]]:
    """Say which test of the suite is to fail for a store."""

    def note(store: type[MemoryStore]) -> type[MemoryStore]:
        FAULTS.append((store, test, arguments))
        return store

    return note


def without(append: Append, **changes: Any) -> Append:
    return msgspec.structs.replace(append, **changes)


@found_by(SUITE.test_of_appends_under_one_condition_exactly_one_gets_through, 3)
@found_by(SUITE.test_boundaries_that_overlap_conflict_however_they_are_described, 2)
@found_by(SUITE.test_of_two_that_count_on_each_other_only_one_changes, 2)
@found_by(SUITE.test_no_update_is_lost, 3)
class ChecksBeforeItLocks(MemoryStore):
    """Between the look at the conditions and the writing somebody else may write."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        broken = [self._newer(append) for append in batch]
        await asyncio.sleep(0)
        outcomes: list[Outcome] = []
        for append, newer in zip(batch, broken, strict=True):
            outcomes += [Conflict(newer)] if newer else await super().write([without(append, conditions=())], 1)
        return outcomes


@found_by(SUITE.test_no_more_is_counted_than_was_asked_for)
class CountsAll(MemoryStore):
    """The start of a service takes as long as its log is."""

    async def types(self, most: int) -> list[TypeCount]:
        return await super().types(1 << 60)


@found_by(SUITE.test_types_come_with_their_first_and_last_position)
class CountsFromTheFirstTypeOn(MemoryStore):
    """The last type is where a walk along an index ends too early."""

    async def types(self, most: int) -> list[TypeCount]:
        return (await super().types(most))[:-1]


@found_by(SUITE.test_conditions_see_the_earlier_appends_of_a_batch, ALL)
@found_by(SUITE.test_of_appends_under_one_condition_exactly_one_gets_through, 1)
class LooksOnceForTheWholeBatch(MemoryStore):
    """The appends of a batch do not see each other."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes: list[Outcome] = [Conflict(newer) for append in batch if (newer := self._newer(append))]
        if outcomes:
            return [Conflict()] * len(batch)
        return await super().write([without(append, conditions=()) for append in batch], recorded_at_us)


@found_by(SUITE.test_a_refused_append_leaves_nothing_and_fails_alone)
class RefusesTheWholeBatch(MemoryStore):
    """One conflict takes the others with it."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        if any(self._newer(append) for append in batch):
            return [Conflict()] * len(batch)
        return await super().write(batch, recorded_at_us, **how)


@found_by(SUITE.test_what_comes_between_an_append_and_the_one_that_counts_on_it_conflicts)
@found_by(SUITE.test_what_counts_on_a_refused_append_is_refused)
@found_by(SUITE.test_a_chain_of_appends_breaks_only_behind_a_refusal)
@found_by(SUITE.test_an_append_may_count_on_one_without_events)
class ForgetsWhatAnAppendCountsOn(MemoryStore):
    """``behind`` is taken for no condition at all."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        batch = [
            without(append, conditions=tuple([each for each in append.conditions if each.behind is None]))
            for append in batch
        ]
        return await super().write(batch, recorded_at_us, **how)


@found_by(SUITE.test_a_reader_never_sees_a_position_appear_behind_one_that_it_has_read)
class ShowsTheSecondCommitFirst(MemoryStore):
    """Positions are given out at the beginning of a write, and its events shown at its end, as by a database's sequence."""

    def __init__(self) -> None:
        super().__init__()
        self._unseen: set[int] = set()

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes = await super().write(batch, recorded_at_us, **how)
        written = {each.first for each in outcomes if isinstance(each, Appended)}
        self._unseen |= written
        for _ in range(min(written) % 5):
            await asyncio.sleep(0)
        self._unseen -= written
        return outcomes

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[RecordedEvent]:
        return [each for each in await super().read(criteria, after, limit, **how) if each.position not in self._unseen]


@found_by(SUITE.test_an_append_is_seen_whole_or_not_at_all)
class ShowsHalfAnAppend(MemoryStore):
    """Events are stored one by one."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for append in batch:
            parts = [without(append, events=(each,)) for each in append.events]
            found = [(await super(ShowsHalfAnAppend, self).write([part], recorded_at_us))[0] for part in parts]
            assert isinstance(found[0], Appended)
            outcomes.append(Appended(found[0].first, found[0].first + len(found) - 1))
        return outcomes


@found_by(SUITE.test_an_id_takes_effect_once, 2)
@found_by(SUITE.test_an_id_takes_effect_once_within_a_batch)
@found_by(SUITE.test_an_id_without_events_takes_effect_once, 1)
@found_by(SUITE.test_what_counts_on_a_repetition_is_refused)
class ForgetsIds(MemoryStore):
    """An append that comes again is done again."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        return await super().write([without(append, id="") for append in batch], recorded_at_us)


@found_by(SUITE.test_an_id_is_known_even_if_its_condition_would_fail_now)
class ChecksBeforeItRemembers(MemoryStore):
    """A repetition is refused because its own first effect stands against it."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        refused = {place: newer for place, append in enumerate(batch) if (newer := self._newer(append))}
        outcomes = await super().write(batch, recorded_at_us, **how)
        return [Conflict(refused[place]) if place in refused else each for place, each in enumerate(outcomes)]


@found_by(SUITE.test_an_append_without_events_is_remembered_by_its_id)
class RemembersOnlyEvents(MemoryStore):
    """The ids are those that the events bring along."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        batch = [append if append.events else without(append, id="") for append in batch]
        return await super().write(batch, recorded_at_us, **how)


@found_by(SUITE.test_a_refused_id_may_try_again)
class RemembersRefusals(MemoryStore):
    """A conflict is kept as what became of the id."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes = await super().write(batch, recorded_at_us, **how)
        for append, outcome in zip(batch, outcomes, strict=True):
            if append.id and isinstance(outcome, Conflict):
                self._processed[append.id] = ProcessedId(append.id, 1, 0)
        return outcomes


@found_by(SUITE.test_an_id_stands_for_one_content)
@found_by(SUITE.test_an_id_stands_for_one_content_within_a_batch)
@found_by(SUITE.test_what_an_id_stands_for_is_restored)
class KnowsIdsOnly(MemoryStore):
    """Whatever comes under an id is taken for what came first."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        return await super().write([without(append, digest=b"") for append in batch], recorded_at_us, **how)


@found_by(SUITE.test_a_content_that_is_not_known_is_taken_for_the_same)
class TakesNoContentForOne(MemoryStore):
    """Where no digest was given, one that is given is another."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        return await super().write(
            [without(append, digest=append.digest or b"none") for append in batch], recorded_at_us, **how
        )


@found_by(SUITE.test_what_an_id_stands_for_is_restored)
class RestoresNoContents(MemoryStore):
    """Of an id, only the positions are taken over."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        await super().restore(events, [ProcessedId(each.key, each.first, each.last) for each in processed])


class Selecting(MemoryStore):
    """A store that selects wrongly, reading and in conditions."""

    def criterion(self, given: Criterion) -> Criteria:
        return (given,)

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        changed = []
        for append in batch:
            conditions = [
                Condition(self._changed(each.criteria), each.after, each.behind) for each in append.conditions
            ]
            changed.append(without(append, conditions=tuple(conditions)))
        return await super().write(changed, recorded_at_us, **how)

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[RecordedEvent]:
        return await super().read(self._changed(criteria), after, limit, **how)

    def _changed(self, criteria: Criteria) -> Criteria:
        return tuple([changed for each in criteria for changed in self.criterion(each)])


SELECT = SUITE.test_criteria_select_as_the_specification_says


@found_by(SELECT, (Criterion(tags=("x:1", "y:1")),), [2, 5])
class TakesAnyTag(Selecting):
    def criterion(self, given: Criterion) -> Criteria:
        return tuple([Criterion(given.types, (tag,)) for tag in given.tags]) or (given,)


@found_by(SELECT, (Criterion(types=("A",), tags=("x:1",)),), [1])
@found_by(SUITE.test_an_append_fails_if_something_selected_came_after_the_position)
class TakesAnyType(Selecting):
    def criterion(self, given: Criterion) -> Criteria:
        return (Criterion((), given.tags) if given.tags else given,)


@found_by(SELECT, (Criterion(types=("A", "B")),), [1, 2, 3, 4])
@found_by(SUITE.test_criteria_may_have_hundreds_of_alternatives)
class TakesTheFirstType(Selecting):
    def criterion(self, given: Criterion) -> Criteria:
        return (Criterion(given.types[:1], given.tags),)


@found_by(SELECT, (Criterion(types=("A",)), Criterion(tags=("y:1",))), [1, 2, 3, 5])
@found_by(SUITE.test_of_two_that_count_on_each_other_only_one_changes, 1)
class TakesTheFirstCriterion(Selecting):
    def _changed(self, criteria: Criteria) -> Criteria:
        return super()._changed(criteria[:1])


@found_by(SELECT, (), [])
class TakesNoCriteriaForAll(Selecting):
    def _changed(self, criteria: Criteria) -> Criteria:
        return criteria or ALL


@found_by(SUITE.test_a_type_of_odd_characters_is_found_and_no_other)
class SplitsTypes(Selecting):
    def criterion(self, given: Criterion) -> Criteria:
        return (Criterion(tuple("|".join(given.types).split("|")) if given.types else (), given.tags),)


@found_by(SUITE.test_reading_goes_on_after_a_position_and_stops_at_the_limit)
@found_by(SUITE.test_a_follower_goes_on_from_where_it_was, 3)
class PassesOverEvents(MemoryStore):
    """The limit counts what was looked at and not what was selected."""

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[RecordedEvent]:
        looked_at = [each.position for each in await super().read(ALL, after, limit, **how)]
        return [each for each in await super().read(criteria, after, limit, **how) if each.position in looked_at]


@found_by(SUITE.test_reading_goes_on_after_a_position_and_stops_at_the_limit)
class PagesFromTheWrongEnd(MemoryStore):
    """Backwards, the limit is applied before the order."""

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        if not backwards:
            return await super().read(criteria, after, limit)
        older = await super().read(criteria, after, 1000, backwards=True)
        return older[::-1][:limit][::-1]


@found_by(SUITE.test_a_history_is_what_is_read_without_its_circumstances)
class FoldsOneEventTooMany(MemoryStore):
    """Loading a state counts the position that it goes on from to what comes after it."""

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        return await super().history(criteria, max(0, after - 1), limit)


@found_by(SUITE.test_the_latest_snapshot_is_kept)
class KeepsTheLastSnapshot(MemoryStore):
    """The last to come is taken for the latest."""

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        self._snapshots[fold, key] = snapshot


@found_by(SUITE.test_the_time_of_an_event_is_the_writers)
class KeepsSeconds(MemoryStore):
    """Times are rounded."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        return await super().write(batch, recorded_at_us // 1_000_000 * 1_000_000)


@found_by(SUITE.test_a_conflict_names_an_event_that_stands_against_the_append, ALL)
class BlamesTheHead(MemoryStore):
    """The position in a conflict is one that nothing has."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes = await super().write(batch, recorded_at_us, **how)
        return [Conflict(len(self._events) + 1) if isinstance(each, Conflict) else each for each in outcomes]


@found_by(SUITE.test_what_is_restored_is_as_it_was)
class GivesEventsItsOwnTime(MemoryStore):
    """What is restored has the time of the copy."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        await super().restore([msgspec.structs.replace(each, recorded_at_us=1) for each in events], processed)


@found_by(SUITE.test_what_is_restored_is_selected_and_stands_against_appends, "x:1")
@found_by(SUITE.test_whoever_follows_gets_what_is_restored)
class RestoresWithoutTags(MemoryStore):
    """The tags are in the events, and not where they are looked up."""

    def _keep(self, event: RecordedEvent, tags: tuple[str, ...]) -> None:
        super()._keep(event, () if event.id.startswith("id-") else tags)


@found_by(SUITE.test_other_events_are_neither_replaced_nor_continued, 2)
@found_by(SUITE.test_an_append_between_two_batches_is_found)
class TrustsTheHead(MemoryStore):
    """What is behind the head is taken to be there already."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        head = await self.head()
        await super().restore([each for each in events if each.position > head], processed)


@found_by(SUITE.test_other_events_are_neither_replaced_nor_continued, 3)
@found_by(SUITE.test_a_gap_is_not_restored, 0)
class RestoresIdsByThemselves(MemoryStore):
    """The ids are stored in a transaction of their own."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        await super().restore([], processed)
        await super().restore(events, [])


@found_by(SUITE.test_an_append_between_two_batches_is_found)
@found_by(SUITE.test_appending_goes_on_behind_what_is_restored)
class AppendsWhatIsRestored(MemoryStore):
    """It goes to the end of the log, wherever that is."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        head = await self.head()
        moved = [msgspec.structs.replace(each, position=head + n) for n, each in enumerate(events, 1)]
        await super().restore(moved[:1], processed)


@found_by(SUITE.test_another_outcome_of_an_id_is_not_replaced)
@found_by(SUITE.test_an_append_that_was_restored_meanwhile_is_not_made_again)
class ReplacesOutcomes(MemoryStore):
    """The last to come is taken for the truth."""

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        for each in processed:
            self._processed.pop(each.key, None)
        await asyncio.sleep(0)
        await super().restore(events, processed)


@found_by(SUITE.test_what_is_remembered_is_read_in_pages, 3)
class ListsIdsByPosition(MemoryStore):
    """The ids come in the order in which they were handled, and pages go by their names."""

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        found = await super().read_processed(since, until, after, 1000)
        return sorted(found, key=lambda each: each.last)[:limit]


@found_by(SUITE.test_what_was_handled_elsewhere_is_not_handled_again)
class ListsOnlyIdsWithEvents(MemoryStore):
    """What led to nothing is taken for nothing."""

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        return [each for each in await super().read_processed(since, until, after, limit) if each.first <= each.last]


@found_by(SUITE.test_an_id_is_remembered_under_the_same_key_by_every_log, "x" * 3000)
class KeepsIdsAsTheyAre(MemoryStore):
    """An id is remembered whole, which not every log can."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes = await super().write(batch, recorded_at_us, **how)
        for append in batch:
            if found := self._processed.pop(stored_key(append.id), None):
                self._processed[append.id] = msgspec.structs.replace(found, key=append.id)
        return outcomes


@pytest.mark.parametrize(
    ("store", "test", "arguments"),
    [pytest.param(*each, id=f"{each[0].__name__}-{each[1].__name__}") for each in FAULTS],
)
def test_the_suite_finds_a_fault(
    store: type[MemoryStore], test: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    """The named test of the suite passes with the store in memory, and fails with the one that has the fault."""
    sound, faulty = MemoryStore(), store()
    test(lambda: sound, *arguments)
    with pytest.raises((AssertionError, LogError, pytest.fail.Exception)):
        test(lambda: faulty, *arguments)
