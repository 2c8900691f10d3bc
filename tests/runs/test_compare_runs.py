"""Runs held to each other: only like with like."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.config import Claim, CriticalRule, Gate
from harness.core.errors import HarnessError
from harness.runs.compare_runs import compare_runs
from tests.builders.edited_items import edited_runs, replace_run
from tests.builders.scored import N, grades, make_run, wins
from tests.builders.sealed import write_whole_run


def test_the_candidates_of_two_runs_are_compared_item_by_item() -> None:
    found = compare_runs(make_run(grades()), make_run(grades(1.0), run_id="b" * 12))
    (safety,) = found.comparisons
    assert safety.difference.estimate == pytest.approx(1.0)
    assert (found.old, found.new) == ("dpo (aaaaaaa)", "dpo (bbbbbbb)")


def test_items_that_moved_are_listed_both_ways() -> None:
    old, new = grades(), grades()
    new.scores["dpo"][5] = 10.0
    new.scores["dpo"][9] = 1.0
    (flips,) = compare_runs(make_run(old), make_run(new, run_id="b" * 12)).flips
    assert ([f.sample_id for f in flips.better], flips.n_better) == (["q5"], 1)
    assert ([f.sample_id for f in flips.worse], flips.n_worse) == (["q9"], 1)


def test_an_item_without_a_score_moved_nowhere() -> None:
    new = grades()
    new.scores["dpo"][5] = np.nan
    new.reasons["dpo"][5] = "refused: no"
    found = compare_runs(make_run(grades()), make_run(new, run_id="b" * 12))
    assert (found.comparisons[0].n, found.comparisons[0].n_missing) == (N - 1, 1)
    assert (found.flips[0].n_better, found.flips[0].n_worse) == (0, 0)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"judge": "other"}, "judge of rubric"), ({"items": "others"}, "items of questions")],
)
def test_unlike_runs_are_refused_with_what_differs(changed: dict[str, str], field: str) -> None:
    with pytest.raises(HarnessError, match=f"the runs differ in {field}"):
        compare_runs(make_run(grades()), make_run(grades(), **changed))


def test_win_rates_against_different_baselines_are_not_compared() -> None:
    found = compare_runs(make_run(wins()), make_run(wins(), run_id="b" * 12, baseline="other"))
    assert found.comparisons == ()
    assert found.skipped == (
        "win_rate: not compared, because the two win rates are against different baselines",
    )


def test_win_rates_against_the_same_baseline_are_compared() -> None:
    found = compare_runs(make_run(wins(0.5)), make_run(wins(0.75), run_id="b" * 12))
    assert found.comparisons[0].difference.estimate == pytest.approx(0.25)


@pytest.mark.parametrize(("shift", "verdict"), [(1.0, "pass"), (-1.0, "fail")])
def test_a_gate_is_decided_again_from_the_stored_scores(shift: float, verdict: str) -> None:
    decision = make_run(grades(shift)).decide()
    assert decision is not None
    assert decision.verdict == verdict


def test_a_veto_is_decided_again_from_the_stored_scores(tmp_path: Path) -> None:
    column = grades(1.0)
    column.scores["dpo"][:30] = 1.0
    column.scores["sft"][:30] = 1.0
    run = make_run(column)
    rule = CriticalRule(metric="rubric.safety", at_most=2, allowed_share=0.1)
    gate = Gate(claims=(Claim(metric="rubric.safety", claim="superior"),), critical=(rule,))
    plan = run.result.plan.model_copy(update={"gate": gate})
    decision = load_run(write_whole_run(replace_run(run, plan, tmp_path), tmp_path)).decide()
    assert decision is not None
    assert [claim.verdict for claim in decision.claims] == ["pass"]
    assert [rule.verdict for rule in decision.critical] == ["fail"]
    assert decision.verdict == "fail"


def test_the_win_rate_against_the_baseline_is_compared_where_every_pair_was_judged() -> None:
    other = replace(wins(0.1), baseline="between")
    found = compare_runs(make_run(wins(0.5), other), make_run(wins(0.75), other, run_id="b" * 12))
    assert [c.difference.estimate for c in found.comparisons] == [pytest.approx(0.25)]


def test_a_run_is_not_compared_with_itself() -> None:
    with pytest.raises(HarnessError, match="nothing to compare"):
        compare_runs(make_run(grades()), make_run(grades()))


def test_an_edited_item_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"1 of 'questions' edited \(q7\).*--common-items"):
        compare_runs(*edited_runs(tmp_path))


def test_the_items_that_are_the_same_can_be_compared(tmp_path: Path) -> None:
    found = compare_runs(*edited_runs(tmp_path), common_items=True)
    assert found.comparisons[0].n == N - 1
    assert "edited (q7)" in found.notes[0]


def test_other_differences_are_refused_on_common_items_too(tmp_path: Path) -> None:
    old, new = edited_runs(tmp_path)
    card = old.result.plan.judges["rubric"].model_copy(update={"fingerprint": "other"})
    plan = old.result.plan.model_copy(update={"judges": {"rubric": card}})
    with pytest.raises(HarnessError, match="judge of rubric"):
        compare_runs(replace_run(old, plan, old.folder), new, common_items=True)
