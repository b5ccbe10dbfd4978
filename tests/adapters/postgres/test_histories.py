"""The stores of a simulation and PostgreSQL answer alike, whatever is done with them."""

import asyncio
from itertools import count

from hypothesis import HealthCheck, given, settings

from tests.simulation import log_histories, view_histories
from twofold.adapters.postgres import PostgresStore
from twofold.adapters.postgres.views import PostgresViews
from twofold.clock import SystemClock

serial = count(1)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log_histories.histories)
def test_a_simulated_log_answers_as_one_on_the_server(database: str, history: list[log_histories.Step]) -> None:
    """Every answer and every error: so what a simulation finds, it finds of PostgreSQL too."""
    url = f"{database}?schema=log{next(serial)}"
    found = asyncio.run(log_histories.answers(lambda: PostgresStore(url), history))
    assert found == asyncio.run(log_histories.answers(log_histories.simulated(), history))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(view_histories.histories)
def test_simulated_views_answer_as_those_on_the_server(database: str, history: list[view_histories.Step]) -> None:
    """Rows, claims, what is parked and what is rebuilt, though one keeps it in SQLite and the other does not."""
    url = f"{database}?schema=views{next(serial)}"
    found = asyncio.run(view_histories.answers(lambda: PostgresViews(url, SystemClock()), history))
    assert found == asyncio.run(view_histories.answers(view_histories.simulated(), history))
