"""That a log's store knows the types of its events, as tests: by these, code is compared with what it has to read."""

from __future__ import annotations

from typing import Any

from twofold.log import Log, TypeCount
from twofold.testing.log_scenarios import LogScenarios, by_type, event

_ODD_TYPES = ("sales.B", "it's", "50%", "B_", "b", "B", "Ä 🙂", "z\u0301", "B,C", "A|D")


class LogTypes(LogScenarios):
    """What there is of each type."""

    def test_a_new_log_has_no_types(self, stores: Any) -> None:
        """Nothing was appended, so there is nothing to be read."""

        async def scenario(log: Log) -> None:
            assert await log.store.types(10) == []

        self.run(stores, scenario)

    def test_types_come_with_their_first_and_last_position(self, stores: Any) -> None:
        """Each type is there once, in the order of its bytes, whatever is in its name and however its events lie."""

        async def scenario(log: Log) -> None:
            await log.append([event(each) for each in _ODD_TYPES])
            await log.append([event("B"), event("b"), event("B")])
            found = await log.store.types(10)
            assert [each.type for each in found] == sorted(_ODD_TYPES, key=str.encode)
            for each in found:
                at = [one.position for one in await log.read(by_type(each.type))]
                assert each == TypeCount(each.type, len(at), at[0], at[-1])

        self.run(stores, scenario)

    def test_no_more_is_counted_than_was_asked_for(self, stores: Any) -> None:
        """The start of a service takes no longer where a log is longer; where a type ends is known all the same."""

        async def scenario(log: Log) -> None:
            await log.append([event("AB"[n % 3 == 0]) for n in range(3000)])
            assert await log.store.types(1500) == [TypeCount("A", 1500, 2, 3000), TypeCount("B", 1000, 1, 2998)]
            assert await log.store.types(1) == [TypeCount("A", 1, 2, 3000), TypeCount("B", 1, 1, 2998)]

        self.run(stores, scenario)
