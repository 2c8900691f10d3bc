"""Comparisons outside the gate: adjusted together, and never those that a claim is about."""

import numpy as np
import pytest

from harness.analysis.comparisons import adjust_exploratory
from harness.config import Gate
from harness.stats.multiplicity import benjamini_hochberg
from harness.types import Comparison, Plan
from tests.builders.results import passing_run, three_model_run


def p_values(*values: float, plan: Plan | None = None) -> tuple[tuple[Comparison, ...], Plan]:
    run = passing_run()
    comparisons = tuple(
        found.model_copy(update={"test": found.test.model_copy(update={"p_value": p})})
        for found, p in zip(run.comparisons, values, strict=False)
    )
    return comparisons, plan or run.plan


def test_without_a_gate_all_comparisons_are_exploratory() -> None:
    comparisons, plan = p_values(0.01, 0.04, 0.03, 0.5)
    found = adjust_exploratory(comparisons, plan.model_copy(update={"gate": None}))
    expected = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5]))
    assert [c.p_exploratory for c in found] == pytest.approx(list(expected))


def test_a_claimed_comparison_has_none_and_is_no_part_of_the_family() -> None:
    comparisons, plan = p_values(0.01, 0.04, 0.03, 0.5)
    assert plan.gate
    claimed = {claim.metric for claim in plan.gate.claims}
    found = adjust_exploratory(comparisons, plan)
    outside = [c for c in found if c.metric not in claimed]
    assert 0 < len(outside) < len(found)
    assert all(c.p_exploratory is None for c in found if c.metric in claimed)
    expected = benjamini_hochberg(np.array([c.test.p_value for c in outside]))
    assert [c.p_exploratory for c in outside] == pytest.approx(list(expected))


def test_a_claim_is_about_the_candidate_and_not_about_other_models() -> None:
    run = three_model_run()
    gate = run.plan.gate or Gate(claims=passing_run().plan.gate.claims)  # type: ignore[union-attr]
    plan = run.plan.model_copy(update={"gate": gate})
    for found in adjust_exploratory(run.comparisons, plan):
        of_gate = (found.baseline, found.candidate) == (plan.baseline, plan.candidate)
        claimed = found.metric in {claim.metric for claim in gate.claims}
        assert (found.p_exploratory is None) is (of_gate and claimed)


def test_where_every_comparison_is_claimed_nothing_changes() -> None:
    comparisons, plan = p_values(0.01)
    assert plan.gate
    about = plan.gate.claims[0].model_copy(update={"metric": comparisons[0].metric})
    claimed = plan.model_copy(update={"gate": Gate(claims=(about,))})
    assert adjust_exploratory(comparisons, claimed) == comparisons
