"""The decision on one model alone, which is compared with nothing.

Its claims are about its own scores (`at_least`, rules on critical answers). Claims that would take a
baseline are not decided, and while any is left there is no pass.
"""

from harness.types import CriticalResult, GateDecision, Plan


def decide_alone(decision: GateDecision | None, plan: Plan) -> GateDecision | None:
    """Return the decision on the only model of a plan; any other decision as it is.

    Deciding twice changes nothing. A suite none of whose claims is about one model is inconclusive.
    """
    if not plan.alone or (decision is None and not plan.not_decided):
        return decision
    model = plan.candidate
    missing = _describe_missing(plan)
    if decision is None:
        return GateDecision(verdict="inconclusive", sentence=f"{model} alone: {missing}", claims=())
    sentence = decision.sentence.replace(f"{model} against {model}:", f"{model} alone:", 1)
    if missing and missing not in sentence:
        sentence = f"{sentence} {missing}"
    withheld = decision.verdict == "pass" and bool(plan.not_decided)
    return decision.model_copy(
        update={
            "verdict": "inconclusive" if withheld else decision.verdict,
            "sentence": sentence,
            "critical": tuple(map(_without_baseline, decision.critical)),
        }
    )


def _describe_missing(plan: Plan) -> str:
    """Name the claims that are not decided and what would decide them; empty without any."""
    if not plan.not_decided:
        return ""
    n, claims = len(plan.not_decided), "; ".join(plan.not_decided)
    counted = "1 claim is" if n == 1 else f"{n} claims are"
    return (
        f"{counted} not decided for want of a baseline: {claims}. Name one: "
        f"--models BASELINE,{plan.candidate}."
    )


def _without_baseline(rule: CriticalResult) -> CriticalResult:
    nothing = {"n_baseline": 0, "n_paired": 0, "difference": None, "p_value": None}
    return rule.model_copy(update=nothing)
