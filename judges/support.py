"""Support by passages in judging: what is decided without a judge, and what a verdict depends on."""

from harness.config import SupportMetric
from harness.config.checklist import MET
from harness.types import GivenPassage, GradeRequest, JudgeRequest, Outcome
from harness.types.judgements import MissingReason

NOTHING_GIVEN = "no passage was given"


def decided_unasked(request: JudgeRequest) -> Outcome | None:
    """Return the outcome that follows from the answer and its passages alone; None where a judge is asked.

    An answer without statements has no verdict. One without passages has no support, and neither has a statement
    that is to cite and cites nothing, or a passage that was not given.
    """
    if not isinstance(request, GradeRequest) or not isinstance(request.metric, SupportMetric):
        return None
    if request.part is None:
        return Outcome(reason=f"{MissingReason.NOTHING_SAID}: the answer has no statement")
    if not request.passages:
        return Outcome(values={MET: 0.0}, rationale=NOTHING_GIVEN)
    cites = request.part.cites
    if cites == ():
        return Outcome(values={MET: 0.0}, rationale="cites nothing")
    absent = set(cites or ()) - {passage.rank for passage in request.passages}
    if absent:
        named = ", ".join(f"[{number}]" for number in sorted(absent))
        words = f"cites {named}, and {len(request.passages)} passages were given"
        return Outcome(values={MET: 0.0}, rationale=words)
    return None


def shown_passages(request: GradeRequest) -> tuple[GivenPassage, ...]:
    """Return the passages that a statement is held against: those that it cites, or all."""
    passages = request.passages or ()
    cited = request.part.cites if request.part else None
    return tuple(passage for passage in passages if cited is None or passage.rank in cited)
