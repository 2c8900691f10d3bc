"""Comparisons that no claim is about: shown with their false discoveries held down, never decided on."""

from collections.abc import Sequence

import numpy as np

from harness.stats import benjamini_hochberg
from harness.types import Comparison, Plan


def adjust_exploratory(comparisons: Sequence[Comparison], plan: Plan) -> tuple[Comparison, ...]:
    """The comparisons, each outside the gate with its p-value as Benjamini and Hochberg adjust it.

    The family is every pair of models on every column that no claim is about, so what looks like
    a finding among many is a chance one in at most alpha of the cases, on average.
    """
    outside = [found for found in comparisons if not _is_claimed(found, plan)]
    if not outside:
        return tuple(comparisons)
    adjusted = iter(benjamini_hochberg(np.array([found.test.p_value for found in outside])))
    return tuple(
        found
        if _is_claimed(found, plan)
        else found.model_copy(update={"p_exploratory": float(next(adjusted))})
        for found in comparisons
    )


def _is_claimed(found: Comparison, plan: Plan) -> bool:
    claimed = {claim.metric for claim in plan.gate.claims} if plan.gate else set()
    return found.metric in claimed and (found.baseline, found.candidate) == plan.gated
