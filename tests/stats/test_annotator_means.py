"""The two-way cluster-robust mean, held to its definition worked out in loops."""

import math

import numpy as np
import pytest

from harness.stats.annotator_means import two_way_mean
from harness.stats.means import mean_difference

NAN = math.nan
VOTES = np.array(
    [[1, 1, 0.5], [0, 1, NAN], [NAN, 0, 0], [1, 1, 1], [0.5, NAN, 0], [1, 0, 0], [1, 1, 0.5]]
)


def by_loops(votes: np.ndarray) -> tuple[float, float, float, float]:
    """The mean, and the variances over items, annotators and single votes."""
    n_items, n_annotators = votes.shape
    cells = [
        (i, j, votes[i, j], 1 / (n_items * np.sum(~np.isnan(votes[i]))))
        for i in range(n_items)
        for j in range(n_annotators)
        if not math.isnan(votes[i, j])
    ]
    mean = sum(w * v for _, _, v, w in cells)

    def variance(groups: list[object]) -> float:
        sums = {
            g: sum(
                w * (v - mean) for (_, _, v, w), of in zip(cells, groups, strict=True) if of == g
            )
            for g in groups
        }
        n = len(sums)
        return n / (n - 1) * sum(s * s for s in sums.values())

    items, annotators = [c[0] for c in cells], [c[1] for c in cells]
    return mean, variance(items), variance(annotators), variance(list(range(len(cells))))


def test_the_variance_is_items_plus_annotators_less_votes():
    found = two_way_mean(VOTES)
    mean, items, annotators, votes = by_loops(VOTES)
    assert found.estimate == pytest.approx(mean)
    assert found.se == pytest.approx(math.sqrt(max(items, annotators, items + annotators - votes)))
    assert found.se_items == pytest.approx(math.sqrt(items))
    assert (found.df, found.n_items, found.n_annotators, found.n_votes) == (2, 7, 3, 18)


def test_annotators_who_agree_add_no_variance():
    column = np.array([1.0, 0, 1, 1, 0, 0.5, 1, 0])
    found = two_way_mean(np.array([column, column, column]).T)
    assert found.se == pytest.approx(mean_difference(column).se)


def test_one_annotator_is_a_sample_of_items():
    column = np.array([1.0, 0, 1, 1, 0, 0.5, 1, 0])
    found, plain = two_way_mean(column[:, None]), mean_difference(column)
    assert (found.estimate, found.se, found.df) == pytest.approx((plain.estimate, plain.se, 7))
    assert found.interval() == pytest.approx((plain.ci_low, plain.ci_high))


def test_annotators_who_lean_apart_widen_the_interval():
    rng = np.random.default_rng(1)
    apart = (rng.random((100, 4)) < [0.2, 0.5, 0.6, 0.9]).astype(float)
    found = two_way_mean(apart)
    assert found.se > 3 * found.se_items


def test_items_of_one_cluster_count_once():
    votes = np.repeat(VOTES, 2, axis=0)
    labels = np.repeat(np.arange(len(VOTES)), 2)
    found = two_way_mean(votes, clusters=labels)
    assert found.se_items == pytest.approx(two_way_mean(VOTES).se_items)
    assert (found.n_items, found.n_units) == (14, 7)


def test_votes_that_do_not_vary_have_no_p_value_in_between():
    found = two_way_mean(np.ones((5, 3)))
    assert (found.se, found.p_above(0.5), found.p_below(0.5)) == (0.0, 0.0, 1.0)


def test_no_votes_at_all_are_refused():
    with pytest.raises(ValueError, match="nobody voted"):
        two_way_mean(np.full((3, 2), NAN))
