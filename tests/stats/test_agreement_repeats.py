import json
import math
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.agreement_repeats import flip_rate, icc_oneway

DATA = os.environ.get("HARNESS_DATA_DIR")
GAP = math.nan
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Table 2 of Shrout & Fleiss 1979: six targets, four judges."""

repeatable = settings(derandomize=True, deadline=None, max_examples=40)
tables = st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=2, max_size=15)


def test_icc_equals_shrout_and_fleiss():
    # Their table 3 has mean squares 11.24 between and 6.26 within; table 4 gives .17. The
    # interval is that of the R package psych.
    result = icc_oneway(SHROUT_FLEISS)
    assert result.estimate == pytest.approx((11.24 - 6.26) / (11.24 + 3 * 6.26), abs=5e-4)
    assert (result.ci_low, result.ci_high) == pytest.approx((-0.13, 0.72), abs=5e-3)
    assert result.n_items == 6


def test_a_missing_repeat_by_hand():
    # Means 2, 6, 9 and grand mean 5: MSB = (2 * 3^2 + 2 * 1^2 + 4^2) / 2 = 18, MSW = 4 / 2 = 2
    # and k = (5 - 9 / 5) / 2 = 1.6.
    result = icc_oneway([[1, 3], [5, 7], [9, GAP], [GAP, GAP]])
    assert result.estimate == pytest.approx((18 - 2) / (18 + 0.6 * 2))
    assert result.n_items == 3


def test_icc_is_the_share_of_variance_between_items():
    rng = np.random.default_rng(5)
    values = rng.normal(0, 2, (40_000, 1)) + rng.normal(0, 1, (40_000, 3))
    assert icc_oneway(values).estimate == pytest.approx(0.8, abs=0.005)


def test_icc_interval_covers_for_normal_scores():
    rng = np.random.default_rng(6)
    results = [
        icc_oneway(rng.normal(0, 1.2, (30, 1)) + rng.normal(0, 1, (30, 3))) for _ in range(400)
    ]
    share = 1.44 / 2.44
    covered = np.mean([result.ci_low <= share <= result.ci_high for result in results])
    assert 0.92 <= covered <= 0.98


def test_repeats_that_never_differ_have_icc_one_without_an_interval():
    result = icc_oneway([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7], [0.3, 0.3, 0.3]])
    assert result.estimate == 1
    assert math.isnan(result.ci_low)
    assert math.isnan(result.ci_high)


def test_scores_that_never_differ_have_no_icc():
    assert math.isnan(icc_oneway([[10, 10], [10, 10]]).estimate)
    assert math.isnan(icc_oneway([[1, GAP], [2, GAP]]).estimate)


def test_flip_rate_by_hand():
    # Of three pairs each: none, two and three differ; one lone repeat says nothing.
    result = flip_rate([[1, 1, 1], [1, 2, 1], [1, 2, 3], [4, GAP, GAP]])
    assert result.estimate == pytest.approx((0 + 2 / 3 + 1) / 3)
    assert result.any_flip == pytest.approx(2 / 3)
    assert result.n_items == 3
    assert 0 <= result.ci_low < result.estimate < result.ci_high <= 1


def test_no_flips_seen_is_not_no_flips_ever():
    result = flip_rate([[1, 1, 1]] * 50)
    assert (result.estimate, result.ci_low, result.any_flip) == (0, 0, 0)
    assert result.ci_high == pytest.approx(1.96**2 / (50 + 1.96**2), abs=1e-4)


def test_lone_repeats_have_no_flip_rate():
    result = flip_rate([[1, GAP], [GAP, 2]])
    assert math.isnan(result.estimate)
    assert math.isnan(result.any_flip)
    assert result.n_items == 0


@repeatable
@given(tables, st.randoms(use_true_random=False))
def test_order_of_items_and_repeats_does_not_matter(values, random):
    shuffled = [random.sample(row, len(row)) for row in random.sample(values, len(values))]
    assert icc_oneway(shuffled) == pytest.approx(icc_oneway(values), nan_ok=True)
    assert flip_rate(shuffled) == pytest.approx(flip_rate(values))


@repeatable
@given(tables)
def test_icc_is_the_items_share_of_the_variance_components(values):
    matrix = np.array(values, dtype=float)
    within = matrix.var(axis=1, ddof=1).mean()
    between = matrix.mean(axis=1).var(ddof=1) - within / matrix.shape[1]
    estimate = icc_oneway(values).estimate
    if between > 1e-9:
        assert estimate == pytest.approx(between / (between + within))
    else:
        assert math.isnan(estimate) or estimate <= 1e-9


def test_what_is_no_repeat_matrix_is_refused():
    with pytest.raises(ValueError, match="at least two repeats"):
        icc_oneway([[1], [2]])
    with pytest.raises(ValueError, match="at least two repeats"):
        flip_rate([1, 2])
    with pytest.raises(ValueError, match="At least two items with a score"):
        icc_oneway([[1, 2], [GAP, GAP]])
    with pytest.raises(ValueError, match="infinite"):
        flip_rate([[1, math.inf], [1, 2]])


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
def test_repeated_gpt4_scores_of_mt_bench():
    file = Path(DATA or "", "prometheus-eval/mt_bench_eval.json")
    values = [row["gpt4_score"] for row in json.loads(file.read_text(encoding="utf-8"))]
    n, k = len(values), 3
    grand = sum(map(sum, values)) / (n * k)
    between = k * sum((sum(row) / k - grand) ** 2 for row in values) / (n - 1)
    within = sum((x - sum(row) / k) ** 2 for row in values for x in row) / (n * (k - 1))
    flips = [sum(x != y for x, y in combinations(row, 2)) / 3 for row in values]
    assert icc_oneway(values).estimate == pytest.approx(
        (between - within) / (between + (k - 1) * within)
    )
    assert flip_rate(values).estimate == pytest.approx(sum(flips) / n)
    assert flip_rate(values).any_flip == pytest.approx(sum(len(set(row)) > 1 for row in values) / n)
