"""Reducers: the judgements of several rounds and judges, reduced to one for each answer or pair.

Scores are averaged, labels and winners are decided by majority. The rounds of each judge are
reduced first and the judges second, so that a judge with failed rounds keeps its weight.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple, TypeVar

from harness.types import Grade, JudgeCard, Judgement, Outcome, Preference
from harness.types.judgements import (
    NOBODY_JUDGED,
    JudgeRound,
    MissingReason,
    count_reasons,
)

Verdict = TypeVar("Verdict", bound=Hashable)


def reduce_judgements(
    judge_rounds: Sequence[JudgeRound], votes_needed: int = 1, *, shares: bool = False
) -> list[Judgement]:
    """Return one judgement for each answer or ordered pair, in the order of the first round.

    A judge's failed rounds do not count against its others. Without enough votes, or where they
    are split evenly between helpful and evasive, the judgement is unscored with a reason. `shares`
    says that values are yes (1) or no (0), which a majority decides also without labels.
    """
    judges = group_by_judge(judge_rounds)
    by_judge = [(j.name, reduce_rounds(own, shares=shares)) for j, own in judges.items()]
    return _reduce(by_judge, votes_needed, shares=shares)


def group_by_judge(judge_rounds: Sequence[JudgeRound]) -> dict[JudgeCard, list[JudgeRound]]:
    """Group rounds by judge, in their order."""
    by_judge: dict[JudgeCard, list[JudgeRound]] = {}
    for judge_round in judge_rounds:
        by_judge.setdefault(judge_round.judge, []).append(judge_round)
    return by_judge


def reduce_rounds(rounds: Sequence[JudgeRound], *, shares: bool = False) -> list[Judgement]:
    """Return one judge's judgements over all of its rounds."""
    by_round = [(f"round {r.round + 1}", r.judgements) for r in rounds]
    return _reduce(by_round, votes_needed=1, shares=shares)


def majority(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the verdict with the most votes; None where two have as many, or without votes."""
    ranked = Counter(verdicts).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[1][1] == ranked[0][1]):
        return None
    return ranked[0][0]


def subject_key(judgement: Judgement) -> tuple[str, ...]:
    """Return the subject of a judgement: an answer, or a pair of answers in one order."""
    if isinstance(judgement, Grade):
        return judgement.sample_id, judgement.model
    return judgement.sample_id, judgement.baseline, judgement.candidate, judgement.order


def _reduce(
    by_voter: Sequence[tuple[str, list[Judgement]]], votes_needed: int, *, shares: bool
) -> list[Judgement]:
    """Reduce the voters' judgements subject by subject; a single voter's stay as they are."""
    if len(by_voter) == 1:
        return by_voter[0][1]
    votes: dict[tuple[str, ...], list[_Vote]] = {}
    for voter, judgements in by_voter:
        for judgement in judgements:
            votes.setdefault(subject_key(judgement), []).append(_Vote(voter, judgement))
    return [_merge(on_subject, votes_needed, shares=shares) for on_subject in votes.values()]


class _Vote(NamedTuple):
    """One judgement on a subject, with the name of the judge or round it is from."""

    voter: str
    judgement: Judgement


def _merge(votes: Sequence[_Vote], votes_needed: int, *, shares: bool) -> Judgement:
    scored = [vote.judgement for vote in votes if vote.judgement.reason is None]
    if len(scored) < votes_needed:
        reason = _missing_reason(votes, votes_needed)
        return _replace_outcome(votes[0].judgement, Outcome(reason=reason))
    if isinstance(scored[0], Preference):
        # Without a majority neither answer wins.
        winner = majority([j.winner for j in scored if isinstance(j, Preference)]) or "tie"
        return scored[0].model_copy(update={"winner": winner, "rationale": None, "exchange": None})
    grades = [j for j in scored if isinstance(j, Grade)]
    return _replace_outcome(scored[0], _mean_grade(grades, shares=shares))


def _replace_outcome(judgement: Judgement, outcome: Outcome) -> Judgement:
    """Return the judgement with another outcome, and without what only one judge's round has."""
    update: dict[str, object] = {"rationale": None, "exchange": None, "reason": outcome.reason}
    if isinstance(judgement, Preference):
        return judgement.model_copy(update=update | {"winner": None})
    update |= {"values": outcome.values, "label": outcome.label, "missing": {}}
    return judgement.model_copy(update=update)


def _mean_grade(grades: Sequence[Grade], *, shares: bool) -> Outcome:
    """Return the mean scores; for labels the majority of helpful or evasive and its usual label."""
    values = [grade.values or {} for grade in grades]
    keys = dict.fromkeys(key for scores in values for key in scores)
    mean = {key: fmean(scores[key] for scores in values if key in scores) for key in keys}
    if not shares and all(grade.label is None for grade in grades):
        return Outcome(values=mean)
    share = mean["helpful"]
    if share == 0.5:
        votes = (
            g.label or _YES_OR_NO[scores["helpful"]]
            for g, scores in zip(grades, values, strict=True)
        )
        return Outcome(reason=f"{MissingReason.SPLIT}: {', '.join(votes)}")
    helpful = float(share > 0.5)
    agreeing = [g.label for g in grades if g.label and g.values == {"helpful": helpful}]
    label = Counter(agreeing).most_common(1)[0][0] if agreeing else None
    return Outcome(values={"helpful": helpful}, label=label)


_YES_OR_NO = {1.0: "helpful", 0.0: "not helpful"}


def _missing_reason(votes: Sequence[_Vote], votes_needed: int) -> str:
    """Return the common reason where all that judged have one kind; otherwise each voter's own."""
    reasons = [(vote.voter, vote.judgement.reason) for vote in votes if vote.judgement.reason]
    judged = [reason for _, reason in reasons if reason not in NOBODY_JUDGED]
    kinds = count_reasons(judged or [reason for _, reason in reasons])
    if len(reasons) == len(votes) and len(kinds) == 1:
        return judged[0] if judged else reasons[0][1]
    by_voter = "; ".join(f"{voter}: {reason}" for voter, reason in reasons)
    n_scored = len(votes) - len(reasons)
    return f"{MissingReason.TOO_FEW_VOTES}: {n_scored} of {votes_needed} needed; {by_voter}"
