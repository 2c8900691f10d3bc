"""A request that failed on its way is a gap for both models, and never an answer."""

import numpy as np
import pytest

from harness.config import Claim, Gate, PairwiseMetric
from harness.core.errors import InfrastructureError
from harness.gate.decision import decide_gate
from harness.models.generate import require_answers
from harness.scoring.columns import (
    GradeColumn,
    PreferenceColumn,
    score_judgements,
    summarise_coverage,
)
from harness.scoring.paired import pair_scores
from harness.types import Grade, Response
from harness.types.samples import RECORDED_FAILURE, REQUEST_FAILURES
from tests.builders.score_tasks import RUBRIC, answers, task

WORDS = "server_error: HTTP 500: CUDA out of memory"


def failed(model: str, sample_id: str, reason: str = WORDS) -> Response:
    return Response(sample_id=sample_id, model=model, text=None, finish="failed", reason=reason)


def graded(model: str, value: float, n: int) -> list[Grade]:
    values = {"safety": value, "empathy": value}
    return [Grade(sample_id=f"q{i}", model=model, metric="m", values=values) for i in range(n)]


@pytest.mark.parametrize("kind", REQUEST_FAILURES)
@pytest.mark.parametrize("model", ["old", "new"])
def test_a_failed_request_leaves_no_score(model: str, kind: str) -> None:
    responses = {m: answers(m, *["fine"] * 3) for m in ("old", "new")}
    responses[model]["q1"] = failed(model, "q1", f"{kind}: in its own words")
    column = score_judgements(
        task(RUBRIC), "m", [*graded("old", 5, 3), *graded("new", 5, 3)], responses
    )[0]
    assert isinstance(column, GradeColumn)
    assert np.isnan(column.scores[model]).tolist() == [False, True, False]
    assert column.reasons[model][1] == f"request failed: {kind}: in its own words"
    assert column.generation_failed == {"old": 0, "new": 0}


def test_a_model_that_answered_nothing_still_has_the_worst_score() -> None:
    responses = {"old": answers("old", "a", "b", "c"), "new": answers("new", "a", None, "c")}
    judgements = [*graded("old", 5, 3), *graded("new", 5, 3)]
    column = score_judgements(task(RUBRIC), "m", judgements, responses)[0]
    assert isinstance(column, GradeColumn)
    assert column.scores["new"].tolist() == [5.0, 1.0, 5.0]
    assert column.generation_failed == {"old": 0, "new": 1}


@pytest.mark.parametrize("model", ["old", "new"])
def test_nobody_wins_a_pair_because_the_other_was_not_reached(model: str) -> None:
    responses = {m: answers(m, *["fine"] * 3) for m in ("old", "new")}
    responses[model]["q1"] = failed(model, "q1")
    [column] = score_judgements(task(PairwiseMetric(kind="pairwise", asks="?")), "m", [], responses)
    assert isinstance(column, PreferenceColumn)
    assert all(np.isnan(wins[1]) for wins in column.by_order.values())
    assert column.reasons[1] == f"request failed: {WORDS}"


def test_failed_requests_are_counted_apart_from_missing_verdicts() -> None:
    responses = {m: answers(m, *["fine"] * 3) for m in ("old", "new")}
    responses["new"]["q1"] = failed("new", "q1")
    judgements = [*graded("old", 5, 3), *graded("new", 5, 2)]
    column = score_judgements(task(RUBRIC), "m", judgements, responses)[0]
    new = next(cover for cover in summarise_coverage(column) if cover.model == "new")
    assert (new.n_scored, new.judge_failed, new.request_failed) == (1, 1, 1)
    assert new.reasons == {"not judged": 1, "request failed": 1}


@pytest.mark.parametrize("n_failed", [1, 6, 14])
def test_failures_of_the_baseline_never_help_the_candidate(n_failed: int) -> None:
    """Equal models: with the worst score for the baseline's failures, the candidate would win."""
    n = 120
    responses = {m: answers(m, *["fine"] * n) for m in ("old", "new")}
    responses["old"] |= {f"q{i}": failed("old", f"q{i}") for i in range(n_failed)}
    judgements = [*graded("old", 7, n), *graded("new", 7, n)]
    column = score_judgements(task(RUBRIC, n), "m", judgements, responses)[0]
    [pair] = pair_scores(column, "old")
    gate = Gate(max_unscored=0.2, claims=(Claim(metric="m.safety", claim="superior"),))
    assert decide_gate(gate, {"m.safety": pair}).verdict != "pass"


@pytest.mark.parametrize(("n_failed", "most"), [(3, 1.0), (2, 0.3), (1, 0.0)])
def test_too_many_failures_end_the_run_in_the_servers_words(n_failed: int, most: float) -> None:
    responses = answers("old", "a", "b", "c")
    responses |= {f"q{i}": failed("old", f"q{i}") for i in range(n_failed)}
    with pytest.raises(InfrastructureError, match="HTTP 500: CUDA out of memory"):
        require_answers(task(RUBRIC), "old", responses, most)


@pytest.mark.parametrize("most", [0.34, 0.1])
def test_a_run_goes_on_with_as_many_failures_as_the_gate_allows_rounded_up(most: float) -> None:
    responses = answers("old", "a", "b", "c") | {"q0": failed("old", "q0")}
    require_answers(task(RUBRIC), "old", responses, most)


def test_words_of_a_server_about_protected_items_are_not_repeated() -> None:
    responses = answers("old", "a") | {"q0": failed("old", "q0", "bad_request: about Mr Smith")}
    protected = task(RUBRIC, 1).model_copy(update={"phi": True})
    with pytest.raises(InfrastructureError) as raised:
        require_answers(protected, "old", responses, most_failed=0.0)
    assert "Smith" not in str(raised.value)


def test_recorded_answers_that_do_not_count_are_called_so() -> None:
    responses = answers("new", *["fine"] * 3)
    responses["q1"] = failed("new", "q1", f"{RECORDED_FAILURE}: invalidated: broken sandbox")
    words = r"1 of 3 recorded answers do not count \(invalidated: broken sandbox\)\. Record them"
    with pytest.raises(InfrastructureError, match=words):
        require_answers(task(RUBRIC), "new", responses, 0.0)
    require_answers(task(RUBRIC), "new", responses, 0.4)
