"""Runs that ended early, held to others: on the items that both judged, and never as if on all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate
from harness.core.errors import HarnessError
from harness.gate.interim import level_of_look, schedule_looks
from harness.runs.compare_runs import compare_runs
from harness.runs.daily import check_unchanged
from harness.runs.regression import Baseline, bless_run, check_run
from harness.scoring.columns import GradeColumn
from harness.types import Stopping, TaskLooks, TaskStop
from reports.regression import describe_comparison
from tests.builders.scored import N, grades, make_run, wins

ORDER = np.random.default_rng(9).permutation(N)


def looks() -> TaskLooks:
    gate = Gate(claims=(Claim(metric="rubric.safety", claim="superior"),), stop_early=True)
    found = schedule_looks("questions", [1] * N, gate)
    assert found is not None
    return found


def ended(shift: float, look: int, run_id: str = "b" * 12) -> Run:
    """A run whose judging ended at that look, with its items in their random order."""
    seen = ORDER[: looks().sizes[look - 1]]
    run = make_run(take(grades(shift), seen), run_id=run_id)
    stopping = Stopping(
        look=look, looks=5, alpha=0.05, reason="complete" if look == 5 else "pass",
        tasks=(TaskStop(task="questions", n_items=seen.size, n_most=N),),
        claims=(), verdicts_skipped=0, answers_skipped=0, savings=(),
    )  # fmt: skip
    plan = run.result.plan.model_copy(update={"looks": (looks(),)})
    return run._replace(result=run.result.model_copy(update={"stopping": stopping, "plan": plan}))


def take(column: GradeColumn, items: np.ndarray) -> GradeColumn:
    return replace(
        column,
        sample_ids=tuple(column.sample_ids[i] for i in items),
        scores={model: scores[items] for model, scores in column.scores.items()},
        reasons={model: [why[i] for i in items] for model, why in column.reasons.items()},
    )


def blessed(margin: float = 0.5) -> Baseline:
    return bless_run(make_run(grades()), margins={"rubric.safety": margin})


def test_they_are_compared_on_the_items_that_both_judged() -> None:
    found = compare_runs(ended(0.0, 4), ended(1.0, 2, run_id="c" * 12))
    (safety,) = found.comparisons
    assert safety.n == looks().sizes[1]
    assert safety.difference.estimate == pytest.approx(1.0)
    assert "run bbbbbbb stopped early, after 96 of 120 items" in found.notes
    assert "run ccccccc stopped early, after 48 of 120 items" in found.notes
    assert "the differences are biased" in found.notes[-1]


def test_one_that_ended_early_is_compared_with_a_whole_one_item_by_item() -> None:
    old, new = make_run(grades()), ended(1.0, 2)
    new.columns[0].scores["dpo"][3] = 1.0
    found = compare_runs(old, new)
    assert found.comparisons[0].n == looks().sizes[1]
    assert found.flips[0].worse[0].sample_id == f"q{ORDER[3]}"


def test_one_that_was_judged_to_the_end_is_compared_in_whole_and_without_a_note() -> None:
    found = compare_runs(make_run(grades()), ended(1.0, 5))
    assert found.comparisons[0].n == N
    assert found.comparisons[0].difference.estimate == pytest.approx(1.0)
    assert found.notes == ()


def test_runs_that_judged_no_item_in_common_are_not_compared() -> None:
    early = ended(0.0, 1)
    rest = make_run(take(grades(), ORDER[24:]), run_id="c" * 12)
    found = compare_runs(early, rest)
    assert found.comparisons == ()
    assert found.skipped == (
        "rubric.safety: not compared, because no item was judged in both runs",
    )


def test_items_that_differ_for_no_known_reason_are_refused() -> None:
    with pytest.raises(HarnessError, match="different items"):
        compare_runs(make_run(grades()), make_run(take(grades(), ORDER[:50]), run_id="b" * 12))


def test_a_check_is_made_at_the_level_of_the_look() -> None:
    check = check_run(ended(1.0, 2), blessed())
    (claim,) = check.decision.claims
    assert claim.n == looks().sizes[1]
    level = level_of_look(looks(), 2, 0.05)
    assert level < 0.01
    assert f"at look 2 of 5, so the check uses the items judged by then, at that look's alpha {level:.2g}" in check.decision.sentence  # fmt: skip


def test_the_bound_of_a_check_at_a_look_is_wider_than_at_alpha() -> None:
    early = ended(0.2, 5)
    at_once = early._replace(result=early.result.model_copy(update={"stopping": None}))
    early.columns[0].scores["dpo"][::2] -= 0.5
    at_look, at_alpha = (check_run(run, blessed()).decision.claims[0] for run in (early, at_once))
    assert at_look.bound is not None
    assert at_alpha.bound is not None
    assert at_look.bound < at_alpha.bound


def test_a_check_that_few_items_leave_open_says_how_to_check_on_all() -> None:
    found = check_run(ended(0.0, 1), blessed(margin=0.05)).decision
    assert found.verdict == "inconclusive"
    assert "without 'stop_early' to check every item" in found.sentence


def test_a_run_that_was_judged_in_looks_to_the_end_is_checked_on_every_item() -> None:
    decision = check_run(ended(0.2, 5), blessed()).decision
    assert (decision.verdict, decision.claims[0].n) == ("pass", N)
    assert "look 5 of 5" in decision.sentence


def test_a_baseline_must_hold_every_item(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="Run the suite without 'stop_early' and bless that run"):
        bless_run(ended(1.0, 2))


def test_a_baseline_that_lacks_judged_items_is_refused() -> None:
    held = bless_run(make_run(take(grades(), ORDER[:30])), margins={"rubric.safety": 0.5})
    with pytest.raises(HarnessError, match="different items"):
        check_run(ended(0.2, 2), held)


def test_levels_over_all_looks_are_those_of_the_plan() -> None:
    levels = [level_of_look(looks(), number, 0.05) for number in range(1, 6)]
    assert levels == pytest.approx(looks().alphas)


def test_a_win_rate_against_another_model_is_never_a_pass() -> None:
    held = bless_run(make_run(wins(0.5)), margins={"win_rate": 0.1})
    same = make_run(wins(0.75), run_id="b" * 12)
    assert check_run(same, held).decision.verdict == "pass"
    other = make_run(wins(0.75), run_id="b" * 12, baseline="weaker")
    with pytest.raises(HarnessError, match="against another model"):
        check_run(other, held)


def test_what_several_people_judged_is_no_baseline_without_their_votes() -> None:
    votes = np.stack([grades().scores["dpo"]] * 2, axis=1)
    column = replace(grades(), votes={"sft": votes, "dpo": votes})
    with pytest.raises(HarnessError, match="judged by 2 people"):
        bless_run(make_run(column), margins={"rubric.safety": 0.5})


def test_people_who_judged_two_runs_stay_a_source_of_uncertainty() -> None:
    leaning = np.array([-1.5, 0.0, 1.5])
    old, new = (replace(grades(shift), votes={}) for shift in (0.0, 0.5))
    for column, lean in ((old, 0.0), (new, 1.0)):
        for model, scores in column.scores.items():
            assert column.votes is not None
            column.votes[model] = scores[:, None] + lean * leaning[None, :]
    alone = [replace(column, votes=None) for column in (old, new)]
    few, many = (
        compare_runs(make_run(a), make_run(b, run_id="b" * 12)).comparisons[0].difference
        for a, b in ((old, new), alone)
    )
    assert few.high - few.low > 2 * (many.high - many.low)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, float("nan")])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(HarnessError, match="alpha must be between"):
        bless_run(make_run(grades()), alpha=alpha)


def test_they_are_told_as_what_they_are() -> None:
    told = "\n".join(
        describe_comparison(compare_runs(ended(0.0, 4), ended(1.0, 2, run_id="c" * 12)))
    )
    assert "n 48" in told
    assert "compared on the items that both runs judged" in told


def test_one_that_ended_early_is_no_day_of_an_unchanged_model() -> None:
    with pytest.raises(HarnessError, match="judged 48 of the 120 items"):
        check_unchanged([ended(0.0, 2)], blessed())
