"""The best of several candidates: each is tested, and Holm's method corrects for their number.

With K candidates the best passes at alpha / K. Those that pass are left out, and the others tested
again at alpha over their number (Holm 1979, Scandinavian Journal of Statistics 6:65): a candidate none
of whose claims is true passes with probability at most alpha among all of them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from harness.config import Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.types import Plan


class BestOf(NamedTuple):
    """The candidate that is decided on, and all that pass."""

    name: str
    passing: tuple[str, ...]


def gate_of_each(gate: Gate, n_candidates: int) -> Gate:
    """Return the gate at the alpha at which each candidate is tested."""
    if gate.candidates == "last" or n_candidates < 2:
        return gate
    return gate.model_copy(update={"alpha": gate.alpha / n_candidates})


def is_best_of(plan: Plan) -> bool:
    """Return whether the plan's gate decides on the best of several candidates."""
    return plan.gate is not None and plan.gate.candidates == "best" and len(plan.models) > 2


def choose_best(gate: Gate, pairs: Mapping[str, Mapping[str, PairedScores]]) -> BestOf:
    """Choose the candidate with the highest estimate of the first claim, of those that pass first.

    `gate` has the alpha of all together; `pairs` are each candidate's against the baseline, by column.
    """
    left, passing, first = list(pairs), list[str](), list[str]()
    estimates: dict[str, float] = {}
    while left:
        at_step = gate_of_each(gate, len(left))
        decisions = {name: decide_gate(at_step, pairs[name]) for name in left}
        estimates |= {name: decision.claims[0].estimate for name, decision in decisions.items()}
        now = [name for name, decision in decisions.items() if decision.verdict == "pass"]
        if not now:
            break
        first = first or now
        passing += now
        left = [name for name in left if name not in now]
    return BestOf(max(first or list(pairs), key=estimates.__getitem__), tuple(passing))
