"""The gate's test of a mean: what may hide among answers that were not seen."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import ArrayLike

from harness.stats.means import mean_moments
from harness.stats.one_sided import hall_asymmetry, mean_above_test, one_sided_lower_bound
from harness.stats.unseen_worst import (
    SAFETY,
    above_p,
    bound_below,
    lower_bounds,
    moments_within,
    share_not_excluded,
    turning_share,
)

SCALE = (-9.0, 9.0)


def mean_above_p(d: ArrayLike, boundary: float, *, clusters: ArrayLike | None = None) -> float:
    return above_p(moments_within(d, SCALE, clusters), boundary, worst=-9)


def lower_bound(d: ArrayLike, *, alpha: float = 0.05, clusters: ArrayLike | None = None) -> float:
    return bound_below(moments_within(d, SCALE, clusters), worst=-9, alpha=alpha)


def scores(n: int, mean: float = 0.4, seed: int = 0) -> np.ndarray:
    d = np.random.default_rng(seed).normal(mean, 1.5, n)
    return np.clip(np.rint(d), *SCALE)


def test_the_p_value_is_the_largest_over_the_shares_that_may_hide() -> None:
    d, boundary = scores(40), -0.3
    shares = np.linspace(0, 0.5, 5001)
    by_share = [
        (1 - e) ** 40 * min(1, SAFETY * mean_above_test(d, (boundary + e * 9) / (1 - e)).p_gate)
        for e in shares
    ]
    found = mean_above_p(d, boundary)
    assert found == pytest.approx(max(by_share), rel=2e-3)
    assert found > by_share[0]


@pytest.mark.parametrize("alpha", [0.05, 0.0125, 0.0004])
@pytest.mark.parametrize("n", [12, 40, 300])
def test_the_bound_is_the_boundary_at_which_the_p_value_is_alpha(n: int, alpha: float) -> None:
    d = scores(n)
    low = lower_bound(d, alpha=alpha)
    assert mean_above_p(d, low - 1e-6) <= alpha
    assert low == -9 or mean_above_p(d, low + 1e-6) >= alpha


def test_it_is_at_most_the_bound_of_what_was_seen_and_reaches_it_with_many_items() -> None:
    for n in (20, 200):
        assert lower_bound(scores(n)) <= one_sided_lower_bound(scores(n))
    many = scores(5000)
    seen = one_sided_lower_bound(many, alpha=0.05 / SAFETY)
    assert lower_bound(many) == pytest.approx(seen, abs=1e-3)


def test_scores_that_do_not_vary_give_the_rule_of_three() -> None:
    assert lower_bound([1.0] * 60) == pytest.approx(1 - 10 * (1 - 0.05 ** (1 / 60)))
    assert mean_above_p([1.0] * 60, 0.5) == pytest.approx((1 - 0.5 / 10) ** 60)
    assert mean_above_p([0.0] * 60, 0.0) == 1


def test_clusters_are_what_may_hide() -> None:
    d = np.repeat(scores(30), 5)
    labels = np.repeat(np.arange(30), 5)
    assert lower_bound(d, clusters=labels) == pytest.approx(lower_bound(scores(30)))
    assert lower_bound(d, clusters=np.zeros(150)) == -9
    assert mean_above_p(d, 0.0, clusters=np.zeros(150)) == 1


def test_a_worst_that_is_no_worst_is_refused() -> None:
    with pytest.raises(ValueError, match="below the worst that is possible"):
        moments_within([-3.0, 1.0], (-2.0, 9.0), None)


def test_what_turns_a_pass_and_what_items_cannot_exclude() -> None:
    assert turning_share(0.5, 0.0, -9.0) == pytest.approx(0.5 / 9.5)
    assert turning_share(-0.5, 0.0, -9.0) == 0
    assert share_not_excluded(59, 0.05) == pytest.approx(0.0495, abs=1e-4)


# --- error rates, exactly over all samples of three values --------------------------------------


def size(n: int, chances: dict[float, float]) -> float:
    """The chance that n scores of three values, mean 0, have a bound above 0."""
    values, p = np.array(list(chances)), np.array(list(chances.values()))
    assert abs(float(values @ p)) < 1e-9
    total = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        counts = (a, b, n - a - b)
        if counts[2] < 0:
            continue
        log = math.lgamma(n + 1) - sum(math.lgamma(k + 1) for k in counts)
        chance = math.exp(log + sum(k * math.log(q) for k, q in zip(counts, p, strict=True)))
        if chance > 1e-7:
            total += chance * _passes(np.repeat(values, counts))
    return total


def _passes(d: np.ndarray) -> bool:
    return d.sum() > 0 and lower_bound(d) > 0


@pytest.mark.parametrize(
    ("n", "chances", "of_seen"),
    [
        (100, {-9.0: 0.005, 0.0: 0.95, 1.0: 0.045}, 0.45),
        (100, {-8.0: 0.01, 0.0: 0.91, 1.0: 0.08}, 0.33),
        (50, {-9.0: 0.075, 0.0: 0.8, 5.4: 0.125}, 0.05),
        (80, {-8.0: 0.05, 0.0: 0.95 - 0.4 / 3, 3.0: 0.4 / 3}, 0.05),
    ],
)
def test_what_fools_a_test_of_the_seen_scores_seldom_fools_this_one(
    n: int, chances: dict[float, float], of_seen: float
) -> None:
    assert size(n, chances) <= 0.066
    seen = np.random.default_rng(1).choice(list(chances), p=list(chances.values()), size=(2000, n))
    wrong = np.mean([mean_above_test(d, 0.0).p_gate <= 0.05 for d in seen if d.std() > 0])
    assert wrong >= of_seen


def test_many_samples_at_once_have_the_bounds_of_each() -> None:
    samples = [scores(25, seed=seed) for seed in range(5)]
    moments = [mean_moments(d) for d in samples]
    together = lower_bounds(
        np.array([m.estimate for m in moments]),
        np.array([m.se for m in moments]),
        np.array([hall_asymmetry(m) for m in moments]),
        df=24,
        units=25,
        worst=-9.0,
        alpha=0.05,
    )
    assert together == pytest.approx([lower_bound(d) for d in samples])
