"""Pauses grow, have bounds, and differ by chance alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.backoff import Backoff

seconds = st.floats(1e-3, 1e3)
attempts = st.integers(1, 10_000)
chances = st.floats(0, 1, exclude_max=True)


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    first, longest = sorted([draw(seconds), draw(seconds)])
    return Backoff(first, longest, draw(st.floats(1, 100)), draw(st.floats(0, 1)))


@given(backoffs(), attempts, chances)
def test_a_pause_is_within_its_bounds(backoff: Backoff, attempt: int, chance: float) -> None:
    """However often something has failed, it is tried again in time; and only a jitter of 1 lets a pause be none."""
    pause = backoff.pause_seconds(attempt, chance)
    assert backoff.first_seconds * (1 - backoff.jitter) <= pause <= backoff.longest_seconds


@given(backoffs(), attempts)
def test_pauses_grow_by_their_factor_until_they_are_as_long_as_may_be(backoff: Backoff, attempt: int) -> None:
    """What does not come back at once is asked less and less."""
    pause, following = backoff.pause_seconds(attempt, 0), backoff.pause_seconds(attempt + 1, 0)
    assert following == pytest.approx(min(pause * backoff.factor, backoff.longest_seconds))
    assert backoff.pause_seconds(1, 0) == backoff.first_seconds


@given(backoffs(), attempts, chances)
def test_chance_shortens_a_pause_by_its_part(backoff: Backoff, attempt: int, chance: float) -> None:
    """Those who failed together come back over the whole of that part, and none of them later than without chance."""
    whole = backoff.pause_seconds(attempt, 0)
    assert backoff.pause_seconds(attempt, chance) == pytest.approx(whole * (1 - backoff.jitter * chance))


@pytest.mark.parametrize(
    "arguments", [(0, 1), (-1, 1), (2, 1), (1, 2, 0.5), (1, 2, 2, -0.1), (1, 2, 2, 1.1), (float("nan"), 1)]
)
def test_pauses_that_there_cannot_be_are_refused(arguments: tuple[float, ...]) -> None:
    """Where they are declared, and not when something has failed."""
    with pytest.raises(ValueError, match="pauses begin above 0"):
        Backoff(*arguments)
