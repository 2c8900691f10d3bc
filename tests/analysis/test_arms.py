"""Arms' scores of columns, and their comparison at looks."""

from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.arms import (
    arm_mean,
    arm_scores,
    arm_strengths,
    beaten_arms,
    begin_standing,
    compare_at_look,
    final_pairs,
    look_levels,
)
from harness.scoring.columns import GradeColumn, PreferenceColumn
from harness.stats.bradley_terry import bradley_terry

SEEDS = np.tile([1, 2, 3], 20)
IDS = tuple(f"q{i}@seed{s}" for i in range(20) for s in (1, 2, 3))
CLUSTERS = np.repeat([f"q{i}" for i in range(20)], 3)


def grades(**means: float) -> GradeColumn:
    rng = np.random.default_rng(4)
    scores = {name: np.round(rng.normal(mean, 1, 60), 1) for name, mean in means.items()}
    scores["fixed"] = np.repeat(rng.normal(5, 1, 20), 3)
    return GradeColumn(
        metric="m",
        kind="points",
        low=-9,
        high=19,
        sample_ids=IDS,
        clusters=CLUSTERS,
        scores=scores,
        reasons={name: [None] * 60 for name in scores},
        generation_failed=dict.fromkeys(scores, 0),
        seeds=dict.fromkeys(means, SEEDS),
    )


def win(baseline: str, candidate: str, rate: float) -> PreferenceColumn:
    rng = np.random.default_rng([ord(baseline), ord(candidate)])
    wins = (rng.random(60) < rate).astype(np.float64)
    return PreferenceColumn(
        metric="w",
        baseline=baseline,
        candidate=candidate,
        sample_ids=IDS,
        clusters=CLUSTERS,
        by_order={"baseline_first": wins, "candidate_first": wins},
        reasons=[None] * 60,
        generation_failed=0,
        asked_orders=("baseline_first", "candidate_first"),
        seeds=SEEDS,
    )


def test_an_arms_scores_are_items_by_seeds_and_a_fixed_models_one_column() -> None:
    column = grades(a=5)
    scores = arm_scores([column], "m", ["a", "fixed"])
    assert scores.observed["a"][2, 1] == column.scores["a"][IDS.index("q2@seed2")]
    assert scores.observed["fixed"].shape == (20, 1)
    assert scores.clusters is not None
    assert list(scores.clusters) == [f"q{i}" for i in range(20)]


def test_a_difference_of_win_scores_is_the_win_rate_less_a_half_where_two_are_compared() -> None:
    column = win("a", "b", 0.7)
    scores = arm_scores([column], "w", ["a", "b"])
    (pair,) = final_pairs(compare_at_look(begin_standing(["a", "b"]), scores, 1, 0.05))
    assert pair.difference.estimate == pytest.approx(column.by_order["baseline_first"].mean() - 0.5)
    assert scores.inflation == 2


def test_win_scores_of_all_arms_sum_to_nothing() -> None:
    columns = [win("a", "b", 0.7), win("a", "c", 0.6), win("b", "c", 0.4)]
    scores = arm_scores(columns, "w", ["a", "b", "c"])
    assert sum(scores.observed.values()) == pytest.approx(0)
    mean = arm_mean(scores, "a")
    assert mean is not None
    assert 0 <= mean.low < mean.estimate < mean.high <= 1


def test_strengths_of_one_seed_are_those_of_bradley_and_terry() -> None:
    columns = [replace(win(a, b, rate), seeds=None) for a, b, rate in (("a", "b", 0.7), ("a", "c", 0.6), ("b", "c", 0.4))]  # fmt: skip
    found = arm_strengths(columns, "w", ["a", "b", "c"])
    games = [(i, j, column.by_order["baseline_first"]) for (i, j), column in zip([(0, 1), (0, 2), (1, 2)], columns, strict=True)]  # fmt: skip
    direct = bradley_terry(
        np.repeat([i for i, _, _ in games], 60),
        np.repeat([j for _, j, _ in games], 60),
        np.concatenate([wins for _, _, wins in games]),
        items=np.tile(CLUSTERS, 3),
        n_models=3,
    )
    assert found["b"] is not None
    expected = (direct.log_strength[1], direct.low[1], direct.high[1])
    assert (found["b"].estimate, found["b"].low, found["b"].high) == pytest.approx(expected)


def test_seeds_that_disagree_make_strengths_less_certain() -> None:
    columns = [win("a", "b", 0.6)]
    steady = arm_strengths(columns, "w", ["a", "b"])["b"]
    chance = np.random.default_rng(4).random(60)
    wins = np.where(SEEDS == 1, chance < 0.95, chance < 0.35).astype(np.float64)
    orders = {"baseline_first": wins, "candidate_first": wins}
    unsteady = arm_strengths([replace(columns[0], by_order=orders)], "w", ["a", "b"])["b"]
    assert steady is not None
    assert unsteady is not None
    assert unsteady.high - unsteady.low > 2 * (steady.high - steady.low)


def test_a_gap_widens_the_interval_to_both_sides() -> None:
    column = grades(a=5, b=6)
    before = arm_scores([column], "m", ["a", "b"])
    column.scores["b"][7] = np.nan
    after = arm_scores([column], "m", ["a", "b"])
    whole, gap = (
        final_pairs(compare_at_look(begin_standing(["a", "b"]), scores, 1, 0.05))[0].difference
        for scores in (before, after)
    )
    assert gap.low < whole.low
    assert gap.high > whole.high


def test_what_is_shown_at_one_look_stays_at_the_next() -> None:
    names = ["a", "b", "c"]
    column = grades(a=12, b=7, c=1)
    first = compare_at_look(begin_standing(names), arm_scores([column], "m", ["b", "c"]), 1, 0.01)
    assert beaten_arms(first, names) == {"c": "b"}
    last = compare_at_look(first, arm_scores([column], "m", ["a", "b"]), 2, 0.04)
    assert beaten_arms(last, names) == {"b": "a", "c": "b"}
    assert [pair.look for pair in final_pairs(last)] == [2, 1]


def test_the_looks_share_alpha() -> None:
    assert sum(look_levels(0.05, 4)) == pytest.approx(0.05)
    assert look_levels(0.05, 1) == [0.05]
