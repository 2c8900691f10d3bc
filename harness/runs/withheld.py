"""Passes that the measurement cannot carry, whatever the scores: they become inconclusive.

Two things look like quality to scores and are none. A model that gives many questions the same
answer has not answered them; the rules of an offline judge count words and cannot tell true from
false.
"""

from collections.abc import Iterator, Sequence

from harness.config import metric_of
from harness.config.request import Request, judge_names
from harness.core.paths import bundle_root
from harness.gate.one_model import decide_alone
from harness.scoring.task_scores import TaskScores
from harness.types import Caveat, GateDecision, Plan, RunResult

REPEATED_SHARE = (
    0.2  # share of a model's answers that also answer other questions, which is too much
)


def withhold_pass(result: RunResult, request: Request, measured: Sequence[TaskScores]) -> RunResult:
    """Return the result without a pass that rests on repeated answers, or on offline rules alone.

    Nor does a model alone pass while claims are left that compare it with a baseline.
    """
    decision = decide_alone(result.decision, result.plan)
    result = result.model_copy(update={"decision": decision})
    if decision is None or decision.verdict != "pass":
        return result
    reasons = (
        *_repeated_answers(result.plan, measured),
        *_offline_rules_alone(result.plan, decision, request),
    )
    if not reasons:
        return result
    why = " ".join(caveat.text for caveat in reasons)
    inconclusive = {
        "verdict": "inconclusive",
        "sentence": f"{why} By the scores: {decision.sentence}",
    }
    return result.model_copy(
        update={
            "decision": decision.model_copy(update=inconclusive),
            "caveats": (*reasons, *result.caveats),
        }
    )


def _repeated_answers(plan: Plan, measured: Sequence[TaskScores]) -> Iterator[Caveat]:
    """Yield a reason for each of the gate's models that answers many questions alike."""
    assert plan.gate is not None
    claimed = {metric_of(claim.metric) for claim in plan.gate.claims}
    judged = {
        name for task in plan.tasks for name, m in task.metrics.items() if m.judge is not None
    }
    for part in measured:
        if not claimed & judged & part.task.metrics.keys():
            continue
        for model in dict.fromkeys(plan.gated):
            flags = part.flags[model]
            n = sum("repeated_answer" in found for found in flags.values())
            if n > REPEATED_SHARE * len(flags):
                yield Caveat(
                    code="repeated_answers",
                    text=f"{n} of {len(flags)} answers of '{model}' on '{part.task.name}' are word for "
                    "word its answers to other questions, which no pass can rest on.",
                )


def _offline_rules_alone(plan: Plan, decision: GateDecision, request: Request) -> Iterator[Caveat]:
    """Yield a reason for each metric that only offline rules judged, and that no people confirm.

    The profile `tiny` comes along to show the machine at work, and its models are no one's to ship.
    """
    if request.profile.profile == "tiny" and request.profile_root.is_relative_to(bundle_root()):
        return
    assert plan.gate is not None
    confirmed = {c.claim for c in decision.confirmations if c.confirmed}
    unconfirmed = {
        metric_of(claim.metric) for claim in plan.gate.claims if str(claim) not in confirmed
    }
    for metric in sorted(unconfirmed):
        judges = [request.profile.judges[name] for name in judge_names(metric, request)]
        if judges and all(judge.offline for judge in judges):
            yield Caveat(
                code="offline_rules_alone",
                text=f"{metric}: offline rules alone judged it. They count words and cannot tell true from "
                "false, so a pass also needs a language model's or people's word: add a judge "
                "('endpoint', 'local'), or labels that confirm the claim ('calibrated_by').",
            )
