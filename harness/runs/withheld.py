"""Passes that the measurement cannot carry, whatever the scores: they become inconclusive.

Two things look like quality to scores and are none. A model that gives many questions the same
answer has not answered them; the rules of an offline judge count words and cannot tell true from
false.
"""

from collections.abc import Iterator

from harness.config import JudgeSpec, metric_of
from harness.config.request import Request, judge_names
from harness.core.paths import bundle_root
from harness.gate.equal_answers import equal_answer_reasons, withhold_pass
from harness.gate.one_model import decide_alone
from harness.types import Caveat, GateDecision, JudgeCard, Plan, RunResult


def withhold_unearned_pass(result: RunResult, request: Request) -> RunResult:
    """Return the result without a pass that rests on repeated answers, or on offline rules alone.

    Nor does a model alone pass while claims are left that compare it with a baseline.
    """
    decision, plan = decide_alone(result.decision, result.plan), result.plan
    result = result.model_copy(update={"decision": decision})
    if decision is None or plan.gate is None or decision.verdict != "pass":
        return result
    claimed = [claim.metric for claim in plan.gate.claims]
    reasons = (
        *equal_answer_reasons(plan, result.hygiene, claimed, plan.gated),
        *_offline_rules_alone(plan, decision, request),
    )
    update = {
        "decision": withhold_pass(decision, reasons),
        "caveats": (*reasons, *result.caveats),
    }
    return result.model_copy(update=update)


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
        cards = plan.judges[metric].members or (plan.judges[metric],)
        if judges and all(map(_is_rules, judges, cards)):
            yield Caveat(
                code="offline_rules_alone",
                text=f"{metric}: offline rules alone judged it. They count words and cannot tell true from "
                "false, so a pass also needs a language model's or people's word: add a judge "
                "('endpoint', 'local'), or labels that confirm the claim ('calibrated_by').",
            )


def _is_rules(judge: JudgeSpec, card: JudgeCard) -> bool:
    """Return whether rules judge: ours, or a plug-in that names no language model."""
    return bool(judge.offline) or (judge.plugin is not None and card.model is None)
