"""Two judges on the same answers: what must be equivalent is the difference that they see."""

import numpy as np
import pytest

from harness.analysis.judge_reliability import Scale
from harness.analysis.succession import (
    Contrast,
    compare_agreement,
    compare_contrasts,
    compare_verdicts,
    map_scores,
)
from harness.config import Claim, Gate
from harness.scoring.columns import GradeColumn
from harness.scoring.paired import pair_scores
from harness.stats.vectors import Vector
from harness.types import Verdict
from tests.builders.judged_runs import grades

JUDGES = ("old", "new")
SAFETY = "rubric.safety"
ALL = {"sft": [True] * 4, "dpo": [True] * 4}


def verdict(
    old: GradeColumn, new: GradeColumn, *, own: bool = False, margin: float = 0.5
) -> Verdict:
    pairs = [{SAFETY: pair_scores(column, "sft")[0]} for column in (old, new)]
    _, decision = compare_contrasts([Contrast(SAFETY, own, margin)], *pairs, JUDGES, 0.05)
    return decision.verdict


def column(sft: Vector, dpo: Vector) -> GradeColumn:
    return grades(SAFETY, sft, dpo)


def draw(rng: np.random.Generator, n: int) -> tuple[Vector, Vector]:
    """Scores of two models that stay on the scale of 1 to 10 by whatever noise is added."""
    return rng.integers(4, 7, n).astype(np.float64), rng.integers(4, 8, n).astype(np.float64)


def noise(rng: np.random.Generator, n: int) -> Vector:
    return rng.choice([-1.0, 0.0, 0.0, 1.0], n)


def test_a_judge_that_is_stricter_with_both_models_is_equivalent() -> None:
    sft, dpo = draw(np.random.default_rng(1), 200)
    assert verdict(column(sft, dpo), column(sft - 2, dpo - 2)) == "pass"
    assert verdict(column(sft, dpo), column(sft - 2, dpo - 2), own=True) == "fail"


def test_a_judge_that_leans_to_the_candidate_is_not() -> None:
    sft, dpo = draw(np.random.default_rng(1), 200)
    assert verdict(column(sft, dpo), column(sft, dpo + 1)) == "fail"
    assert verdict(column(sft, dpo), column(sft + 1, dpo)) == "fail"


@pytest.mark.parametrize("lean", [0.5, -0.5])
def test_a_lean_of_the_margin_passes_no_more_often_than_alpha(lean: float) -> None:
    rng, passed = np.random.default_rng(7), 0
    for _ in range(200):
        sft, dpo = draw(rng, 200)
        leaning = dpo + noise(rng, 200) + np.sign(lean) * (rng.random(200) < abs(lean))
        passed += verdict(column(sft, dpo), column(sft + noise(rng, 200), leaning)) == "pass"
    assert passed <= 18  # 5 % of 200, and three standard errors


def test_an_honest_noisy_judge_passes_on_two_hundred_items() -> None:
    rng, passed = np.random.default_rng(8), 0
    for _ in range(100):
        sft, dpo = draw(rng, 200)
        noisy = column(sft + noise(rng, 200), dpo + noise(rng, 200))
        passed += verdict(column(sft, dpo), noisy) == "pass"
    assert passed >= 90


def test_missing_verdicts_of_the_new_judge_count_at_their_worst() -> None:
    sft, dpo = draw(np.random.default_rng(1), 200)
    gaps = dpo.copy()
    gaps[:18] = np.nan
    assert verdict(column(sft, dpo), column(sft, gaps)) == "inconclusive"


def test_the_verdicts_of_both_judges_on_a_claim_are_shown() -> None:
    sft, dpo = draw(np.random.default_rng(1), 200)
    old, new = column(sft, dpo), column(sft, dpo - 2)
    gate = Gate(claims=(Claim(metric=SAFETY, claim="superior"),))
    pairs = [{SAFETY: pair_scores(c, "sft")[0]} for c in (old, new)]
    (change,) = compare_verdicts(gate, *pairs)
    assert (change.old, change.new) == ("pass", "fail")


def test_agreement_is_by_model_and_leaves_out_answers_that_were_not_judged() -> None:
    old = column(np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8]))
    new = column(np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 1, 1]))
    scale = Scale(SAFETY, "safety", tuple(map(float, range(1, 11))), ordinal=True)
    answered = ALL | {"dpo": [True, True, True, False]}
    shares = {
        part.over: (part.agreement.n, part.agreement.percent and part.agreement.percent.estimate)
        for part in compare_agreement(scale, old, new, JUDGES, answered)
    }
    assert shares["answers of sft"] == (4, 1.0)
    assert shares["answers of dpo"] == (3, pytest.approx(2 / 3))
    assert shares["all"] == (7, pytest.approx(6 / 7))


def test_scores_map_to_the_new_judges_mean() -> None:
    old = column(np.array([1.0, 1, 9, np.nan]), np.array([9.0, 9, 9, 9]))
    new = column(np.array([2.0, 4, 8, 3]), np.array([8.0, 8, 6, 6]))
    steps = map_scores(old, new, ALL).steps
    assert [(s.old, s.new, s.n) for s in steps] == [(1.0, 3.0, 2), (9.0, 7.2, 5)]
