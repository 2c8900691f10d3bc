import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.checklist import score_checklist, worst_met

verdict = st.sampled_from([0.0, 1.0])
points = st.integers(-10, 10).filter(bool).map(float)
lists = st.lists(st.tuples(points, verdict), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("points", "met", "score"),
    [
        ([5, 3, -4], [1, 0, 0], 5 / 8),
        ([5, 3, -4], [1, 1, 1], 4 / 8),
        ([5, -10], [0, 1], -2.0),
        ([5, -10], [1, 0], 1.0),
        ([0.1, 0.2], [1, 1], 1.0),
    ],
)
def test_a_score_is_the_points_met_over_the_positive_points(
    points: list[float], met: list[float], score: float
) -> None:
    found = score_checklist(points, met)
    assert found == pytest.approx((score, score, score), abs=1e-15)


def test_without_positive_points_there_is_no_score() -> None:
    assert score_checklist([-5, -1], [1, 0]) is None


def test_a_missing_verdict_is_bounded_by_the_sign_of_its_points() -> None:
    found = score_checklist([5, 3, -4], [1, None, None])
    assert found is not None
    assert math.isnan(found.score)
    assert (found.least, found.greatest) == (1 / 8, 1.0)


@given(lists, st.data())
def test_bounds_hold_every_score_that_missing_verdicts_could_give(
    rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    values, met = [p for p, _ in rows], [m for _, m in rows]
    hidden = [m if data.draw(st.booleans()) else None for m in met]
    full, bounded = score_checklist(values, met), score_checklist(values, hidden)
    if full is None or bounded is None:
        assert full is bounded
    else:
        assert bounded.least - 1e-12 <= full.score <= bounded.greatest + 1e-12


@pytest.mark.parametrize(
    ("met", "worst"),
    [
        ([1, 0, 0], (0, 0, 0)),
        ([0, 1, 1], (-9, -9, -9)),
        ([None, 1, 1], (-9, -9, -9)),
        ([1, 0, 0.5], (-3, -3, -3)),
        ([1, None, 1], (math.nan, -9, -3)),
    ],
)
def test_the_worst_criterion_that_is_met_is_known_or_bounded(
    met: list[float | None], worst: tuple[float, float, float]
) -> None:
    assert worst_met([5, -9, -3], met) == pytest.approx(worst, nan_ok=True)
