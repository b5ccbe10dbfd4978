"""Whether cached answers are right while another process does to the views whatever can be done to them."""

from collections.abc import Sequence
from typing import Any

from tests.support.tally_service import Greeting, Largest, RowOf, Share, Sum, Total, TotalOf, Totals
from twofold import Query
from twofold.followers import Checkpoint, Claim, Parked, claiming, parking
from twofold.queries.answers import as_json
from twofold.service import Running
from twofold.views import TableChange, ViewStore, layout, replacing
from twofold.views.bounds import Packer

Operation = tuple[str, str, str, int, bool]

QUERIES: list[Query[Any]] = [TotalOf(), RowOf(counter="b"), Totals(at_least=2), Share(), Sum(), Greeting()]
TABLES = {"total_v1": Total, "largest_v1": Largest}

# Filled again up to where it was, and with something else in it.
REWOUND: list[Operation] = [
    ("write", "total_v1", "a", 3, True),
    ("rewind", "total_v1", "a", 0, False),
    ("write", "total_v1", "a", 2, True),
]


class Elsewhere:
    """A process that follows, step by step, what another one answers from."""

    def __init__(self, store: ViewStore) -> None:
        self.store = store
        self._owners = 0

    async def do(self, what: str, table: str, key: str, value: int) -> None:
        claims = await self._claims(table)
        claim = claims[value % len(claims)]
        match what:
            case "write":
                await self.store.commit(Checkpoint(claim, claim.position + 1), [_put(table, key, value)])
            case "move":
                await self.store.commit(Checkpoint(claim, claim.position + 1))
            case "park":
                parked = Parked(table, f"counter:{key}", claim.position + 1, "broken", 1, 0)
                await self.store.commit(Checkpoint(claim, claim.position + 1, (parked,)))
            case "retry":
                for each in (await parking.parked(self.store, table))[:1]:
                    done = Checkpoint(claim, claim.position, unparked=((each.key, each.position),))
                    await self.store.commit(done, [_put(table, key, value)])
            case "split":
                if len(claims) < 4 and not any(each.merge_at for each in claims):
                    await claiming.split(self.store, table, 2)
            case "merge":
                await claiming.merge(self.store, table)
            case "rewind":
                await replacing.rewind(self.store, table, [table])
            case "take over":
                self._owners += 1

    async def _claims(self, table: str) -> Sequence[Claim]:
        # Leases end at once, so that whoever comes next gets all there is.
        found = await claiming.attend(self.store, f"owner {self._owners}", [table], 0.0)
        return [claim for claim in found if claim.follower == table]


def _put(table: str, key: str, value: int) -> TableChange:
    view = TABLES[table]
    row = Total(key=key, total=value) if view is Total else Largest(key=key, amount=value)
    return TableChange(layout(view), [Packer(layout(view)).row(row)], [])


async def always_the_same(asked: Running, elsewhere: Elsewhere, operations: Sequence[Operation]) -> None:
    """Check that between operations every answer is what is found at that moment, the first time and again."""
    for what, table, key, value, then_ask in operations:
        await elsewhere.do(what, table, key, value)
        for query in QUERIES if then_ask else ():
            expected = as_json(await asked.ask(query))
            assert await asked.answered(query) == expected
            assert await asked.answered(query) == expected
