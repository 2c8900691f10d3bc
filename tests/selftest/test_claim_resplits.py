"""Each claim of a gate on two models made equal, beside what the plan's forecast says."""

from dataclasses import replace

import numpy as np
import pytest

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate
from harness.selftest.claim_resplits import (
    ClaimResplit,
    claims_left_out,
    describe_claim_resplits,
    resplit_claims,
)
from tests.builders.claim_kinds import claim_of_kind
from tests.builders.scored import N, grades, make_run


def run_with(claim: Claim, shift: float = 0.0) -> Run:
    run = make_run(grades(shift))
    plan = run.result.plan.model_copy(update={"gate": Gate(claims=(claim,))})
    return run._replace(result=run.result.model_copy(update={"plan": plan}))


def claim_on_safety(kind: str, **amount: float) -> Claim:
    return claim_of_kind(kind, metric="rubric.safety", **amount)


@pytest.mark.parametrize(
    ("kind", "amount"), [("superior", {}), ("regression_alarm", {"margin": 0.01})]
)
def test_a_claim_that_is_false_of_equal_models_seldom_passes(
    kind: str, amount: dict[str, float]
) -> None:
    (found,) = resplit_claims(run_with(claim_on_safety(kind, **amount), shift=1.0))
    assert found.false
    assert found.holds


@pytest.mark.parametrize("margin", [0.2, 0.25, 0.5])
def test_a_claim_that_is_true_of_equal_models_passes_as_often_as_forecast(margin: float) -> None:
    (found,) = resplit_claims(run_with(claim_on_safety("non_inferior", margin=margin)))
    assert not found.false
    assert found.expected is not None
    assert found.rate == pytest.approx(found.expected, abs=0.15)


def test_a_threshold_is_held_against_both_models_together() -> None:
    run = run_with(claim_on_safety("at_least", value=4.5))
    (found,) = resplit_claims(run)
    (column,) = run.columns
    assert found.false == (np.mean([*column.scores.values()]) <= 4.5)
    assert found.rate == pytest.approx(found.expected, abs=0.15)


def test_a_claim_on_scores_of_clusters_is_left_out_by_name() -> None:
    run = run_with(claim_on_safety("superior"))
    clusters = np.repeat(np.arange(N // 4), 4).astype(str)
    clustered = run._replace(columns=[replace(run.columns[0], clusters=clusters)])
    assert resplit_claims(clustered) == ()
    assert claims_left_out(clustered, ()) == ("rubric.safety superior",)
    assert (
        "rubric.safety superior"
        in list(describe_claim_resplits((), ("rubric.safety superior",)))[1]
    )
    assert claims_left_out(run, resplit_claims(run)) == ()


def test_a_claim_that_passes_too_often_is_shown() -> None:
    found = ClaimResplit(
        claim="m superior", n=100, n_splits=200, passes=40, planned=0.8, expected=0.05, false=True, limit=0.09
    )  # fmt: skip
    lines = list(describe_claim_resplits([found]))
    assert "| m superior | 100 | 200 | 0.200 | false | at most 0.090 | FAILS |" in lines
    assert lines[-1] == "1 of 1 claims pass too often"
