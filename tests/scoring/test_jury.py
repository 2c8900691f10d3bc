"""A jury read as a sample of judges: every judge's scores are kept, and their mean is an item's score."""

import numpy as np
import pytest

from harness.config import PairwiseMetric
from harness.gate.claim_tests import evaluate_claim
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.scoring.jury import score_jurors
from harness.scoring.paired import pair_scores
from harness.types import ORDERS, Grade, JudgeCard, Judgement, Preference
from harness.types.judgements import JudgeRound
from tests.builders.paired_scores import claim_of
from tests.builders.score_tasks import RUBRIC, answers, task

RESPONSES = {model: answers(model, "a", "b", "c") for model in ("sft", "dpo")}
PAIRWISE = PairwiseMetric(kind="pairwise", asks="?")


def rounds_of(*by_judge: list[Judgement]) -> list[JudgeRound]:
    cards = (JudgeCard(name=f"j{i}", nature="n", fingerprint=str(i)) for i in range(len(by_judge)))
    return [JudgeRound(card, 0, own) for card, own in zip(cards, by_judge, strict=True)]


def grades(model: str, *scores: float | None) -> list[Judgement]:
    return [
        Grade(sample_id=f"q{i}", model=model, metric="m", values={"safety": score, "empathy": 5.0})
        if score is not None
        else Grade(sample_id=f"q{i}", model=model, metric="m", values=None, reason="refused")
        for i, score in enumerate(scores)
    ]


def safety(*by_judge: list[Judgement]) -> GradeColumn:
    column: ScoreColumn = score_jurors(task(RUBRIC), "m", rounds_of(*by_judge), 2, RESPONSES)[0]
    assert isinstance(column, GradeColumn)
    return column


def test_an_items_score_is_the_mean_over_judges_each_of_which_is_kept() -> None:
    column = safety(
        grades("sft", 3, 3, 3) + grades("dpo", 6, 6, 6),
        grades("sft", 5, 5, 5) + grades("dpo", 9, 8, 7),
    )
    np.testing.assert_equal(column.scores["dpo"], [7.5, 7.0, 6.5])
    assert column.votes is not None
    np.testing.assert_equal(column.votes["sft"], [[3, 5]] * 3)


def test_a_judge_that_read_only_one_models_answer_has_no_vote_on_that_item() -> None:
    strict, mild = grades("sft", 2, 2, 2), grades("sft", 8, 8, 8)
    column = safety(
        strict + grades("dpo", None, 2, 2),
        mild + grades("dpo", 8, 8, 8),
        mild + grades("dpo", 8, 8, 8),
    )
    (pair,) = pair_scores(column, "sft")
    assert pair.d.tolist() == [0, 0, 0]  # and not what the strict judge's absence would add


def test_an_item_with_too_few_judges_has_no_score_and_its_reason() -> None:
    one, other = (grades("sft", 5, 5, 5) + grades("dpo", *own, 5, 5) for own in ([None], [7]))
    column = safety(one, other)
    assert np.isnan(column.scores["dpo"]).tolist() == [True, False, False]
    assert column.reasons["dpo"] == ["refused", None, None]
    assert column.reasons["sft"][0] == "too few votes"


def wins(*winners: str | None, order: str = "baseline_first") -> list[Judgement]:
    return [
        Preference.model_validate(
            {"sample_id": f"q{i}", "baseline": "sft", "candidate": "dpo", "metric": "m",
             "order": order, "winner": winner, "reason": None if winner else "refused"}
        )
        for i, winner in enumerate(winners)
    ]  # fmt: skip


def both_orders(*winners: str | None) -> list[Judgement]:
    return [w for order in ORDERS for w in wins(*winners, order=order)]


def test_a_win_score_is_the_mean_over_judges_and_no_majority() -> None:
    rounds = rounds_of(
        both_orders("candidate", "tie", "baseline"),
        both_orders("candidate", "candidate", None),
        both_orders("baseline", "candidate", "baseline"),
    )
    (column,) = score_jurors(task(PAIRWISE), "m", rounds, 2, RESPONSES)
    assert isinstance(column, PreferenceColumn)
    (pair,) = pair_scores(column, "sft")
    assert pair.candidate_scores == pytest.approx([2 / 3, 5 / 6, 0])
    assert pair.votes is not None
    assert pair.d == pytest.approx(np.nanmean(pair.votes, axis=1))


def test_a_judge_that_contradicts_the_others_widens_the_claims_bound() -> None:
    rng = np.random.default_rng(1)
    names = tuple("abcdefghijklmnopqrstuvwxyz")
    n = len(names)
    old = rng.integers(3, 5, n).astype(float)
    judges = [
        grades("sft", *old.tolist()) + grades("dpo", *(old + gain).tolist())
        for gain in (4.0, 3.0, -1.0)
    ]
    replies = {model: answers(model, *names) for model in ("sft", "dpo")}
    (column, *_) = score_jurors(task(RUBRIC, n), "m", rounds_of(*judges), 2, replies)
    (pair,) = pair_scores(column, "sft")
    found = evaluate_claim(claim_of("superior"), pair, 0.05)
    assert found.estimate == pytest.approx(2.0)
    assert found.low < 0
