"""Columns of a checklist: each item within its own range, tags on the items that have them."""

import numpy as np
import pytest

from harness.config import Claim
from harness.data.criteria import find_ranges
from harness.gate.claim_tests import evaluate_claim
from harness.scoring.columns import GradeColumn, score_judgements, summarise_column
from harness.scoring.paired import PairedScores, fill_gaps, pair_scores
from harness.types import Grade, ItemCriterion, Task
from harness.types.samples import Responses
from tests.builders.judge_requests import checklist
from tests.builders.score_tasks import answers, task

A, B = ("axis:a",), ("axis:b",)
LISTS = (
    ((5, A), (5, B), (-10, A)),  # from -1
    ((4, A), (-1, B)),  # from -0.25
    ((2, B),),  # from 0
)


def make_task(*lists: tuple[tuple[float, tuple[str, ...]], ...]) -> Task:
    made = task(checklist(tags=A), n=len(lists))
    samples = tuple(
        sample.model_copy(update={"criteria": {"rubrics": tuple(
            ItemCriterion(criterion=f"c{i}", points=p, tags=tags) for i, (p, tags) in enumerate(own)
        )}})
        for sample, own in zip(made.samples, lists, strict=True)
    )  # fmt: skip
    metric = find_ranges("m", made.metrics["m"], samples)
    return made.model_copy(update={"samples": samples, "metrics": {"m": metric}})


def grades(model: str, *met: dict[int, float] | None) -> list[Grade]:
    return [
        Grade(
            sample_id=f"q{i}",
            model=model,
            metric="m",
            values=None if of is None else {f"c{place + 1}": value for place, value in of.items()},
            reason="refused" if of is None else None,
        )
        for i, of in enumerate(met)
    ]


def columns(
    made: Task, given: list[Grade], responses: dict[str, Responses]
) -> dict[str, GradeColumn]:
    scored = score_judgements(made, "m", given, responses)
    return {column.metric: column for column in scored if isinstance(column, GradeColumn)}


def two_models() -> dict[str, GradeColumn]:
    old = grades("old", {0: 1, 1: 1, 2: 0}, {0: 0, 1: 0}, {0: 1})
    new = grades("new", {0: 1, 1: 0, 2: 1}, {1: 1}, None)
    responses = {m: answers(m, "x", "x", "x") for m in ("old", "new")}
    return columns(make_task(*LISTS), [*old, *new], responses)


def test_scores_are_shares_of_each_items_own_points() -> None:
    column = two_models()["m"]
    assert column.scores["old"].tolist() == [1.0, 0.0, 1.0]
    assert column.scores["new"][0] == -0.5
    assert (column.low, column.high) == (-1.0, 1.0)


def test_a_gap_is_bounded_by_its_own_item() -> None:
    column = two_models()["m"]
    least, greatest = column.limits_of("new")
    assert least.tolist() == [-0.5, -0.25, 0.0]
    assert greatest.tolist() == [-0.5, 0.75, 1.0]
    assert column.reasons["new"] == [None, "no verdict on 1 of 2 criteria", "refused"]


def test_a_tag_has_the_items_with_positive_points_under_it() -> None:
    column = two_models()["m.a"]
    assert column.sample_ids == ("q0", "q1")
    assert column.scores["new"][0] == (5 - 10) / 5
    assert column.limits_of("new")[1][1] == 1.0


def test_the_worst_criterion_that_is_met_has_a_column() -> None:
    column = two_models()["m.worst"]
    assert column.scores["old"].tolist() == [0.0, 0.0, 0.0]
    assert column.scores["new"].tolist()[:2] == [-10.0, -1.0]
    assert column.scores["new"][2] == 0.0  # nothing below 0 could be met


def pair() -> PairedScores:
    (made,) = pair_scores(two_models()["m"], "old")
    return made


def test_differences_are_at_their_own_worst_for_the_candidate() -> None:
    made = pair()
    assert made.least.tolist() == [-1.5, -0.25, -1.0]
    assert made.greatest.tolist() == [-1.5, 0.75, 0.0]
    assert fill_gaps(made, adverse=True).candidate_scores.tolist() == [-0.5, -0.25, 0.0]


def test_claims_count_gaps_so_and_unseen_answers_at_the_worst_range_of_all_items() -> None:
    made = pair()
    assert made.bounds == (-2.0, 2.0)
    difference = Claim(metric="m", claim="superior")
    assert evaluate_claim(difference, made, 0.05).estimate == pytest.approx((-1.5 - 0.25 - 1) / 3)
    own = Claim(metric="m", claim="at_least", value=0.1)
    assert evaluate_claim(own, made, 0.05).estimate == pytest.approx((-0.5 - 0.25 + 0) / 3)


def test_a_model_without_an_answer_has_its_items_least_score() -> None:
    made = make_task(*LISTS)
    given = grades("old", {0: 1, 1: 1, 2: 0}, {0: 1, 1: 0}, {0: 1})
    column = columns(made, given, {"old": answers("old", None, "x", "x")})["m"]
    assert column.scores["old"].tolist() == [-1.0, 1.0, 1.0]


def test_an_item_without_positive_points_is_unscored_and_may_be_anywhere() -> None:
    made = make_task(((-5, A),), ((5, A), (-10, A)))
    given = grades("old", {0: 0}, {0: 1, 1: 0})
    column = columns(made, given, {"old": answers("old", "x", "x")})["m"]
    assert np.isnan(column.scores["old"][0])
    assert column.reasons["old"][0] == "no criterion with positive points"
    assert [ends[0] for ends in column.limits_of("old")] == [-2.0, 1.0]


def test_the_overall_score_is_the_mean_within_0_and_1() -> None:
    by_name = {s.metric: s for c in two_models().values() for s in summarise_column(c)}
    found = {(s.metric, s.model): s for c in two_models().values() for s in summarise_column(c)}
    assert found["m", "old"].overall_score == pytest.approx(2 / 3)
    assert found["m", "new"].mean.estimate == -0.5
    assert found["m", "new"].overall_score == 0.0
    assert by_name["m.worst"].overall_score is None
