from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from harness.types import Grade, JudgeCard, Judgement, Outcome, Preference, Winner
from harness.types.judgements import JudgeRound, MissingReason, reason_kind


def reduce_judgements(ballots: Sequence[JudgeRound], votes_needed: int = 1) -> list[Judgement]:
    """One judgement for each answer or ordered pair, in the order of the first ballot.

    A judge's failed rounds do not count against its others. Without enough votes, or where they
    are split evenly between helpful and evasive, the judgement is unscored with a reason.
    """
    judges = group_by_judge(ballots)
    return _combine([(j.name, reduce_rounds(own)) for j, own in judges.items()], votes_needed)


def group_by_judge(ballots: Sequence[JudgeRound]) -> dict[JudgeCard, list[JudgeRound]]:
    """Each judge's ballots, in the order of the rounds."""
    rounds: dict[JudgeCard, list[JudgeRound]] = {}
    for ballot in ballots:
        rounds.setdefault(ballot.judge, []).append(ballot)
    return rounds


def reduce_rounds(rounds: Sequence[JudgeRound]) -> list[Judgement]:
    """What one judge says after all of its rounds."""
    return _combine([(f"round {b.round + 1}", b.judgements) for b in rounds], votes_needed=1)


def subject_key(judgement: Judgement) -> tuple[str, ...]:
    """What a judgement is about: an answer, or a pair of answers in one order."""
    if isinstance(judgement, Grade):
        return judgement.sample_id, judgement.model
    return judgement.sample_id, judgement.baseline, judgement.candidate, judgement.order


def _combine(said: Sequence[tuple[str, list[Judgement]]], votes_needed: int) -> list[Judgement]:
    """The voters' judgements, subject by subject."""
    if len(said) == 1:
        return said[0][1]
    votes: dict[tuple[str, ...], list[_Vote]] = {}
    for voter, judgements in said:
        for judgement in judgements:
            votes.setdefault(subject_key(judgement), []).append(_Vote(voter, judgement))
    return [_merge(on_subject, votes_needed) for on_subject in votes.values()]


class _Vote(NamedTuple):
    voter: str
    judgement: Judgement


def _merge(votes: Sequence[_Vote], votes_needed: int) -> Judgement:
    given = [vote.judgement for vote in votes if vote.judgement.reason is None]
    if len(given) < votes_needed:
        return _decided(votes[0].judgement, Outcome(reason=_why_none(votes, votes_needed)))
    if isinstance(given[0], Preference):
        winner = _winner([j.winner for j in given if isinstance(j, Preference)])
        return given[0].model_copy(update={"winner": winner, "rationale": None, "exchange": None})
    return _decided(given[0], _grade([j for j in given if isinstance(j, Grade)]))


def _decided(judgement: Judgement, outcome: Outcome) -> Judgement:
    """The judgement with another outcome in place of its own."""
    said = {"rationale": None, "exchange": None, "reason": outcome.reason}
    if isinstance(judgement, Preference):
        return judgement.model_copy(update=said | {"winner": None})
    return judgement.model_copy(update=said | {"values": outcome.values, "label": outcome.label})


def _grade(grades: Sequence[Grade]) -> Outcome:
    """Mean scores; for labels, whether most call the answer helpful, and what most of them call it."""
    values = [grade.values or {} for grade in grades]
    keys = dict.fromkeys(key for each in values for key in each)
    mean = {key: fmean(each[key] for each in values if key in each) for key in keys}
    labels = [grade.label for grade in grades if grade.label is not None]
    if not labels:
        return Outcome(values=mean)
    share = mean["helpful"]
    if share == 0.5:
        return Outcome(reason=f"{MissingReason.SPLIT}: {chr(44).join(labels)}".replace(",", ", "))
    helpful = float(share > 0.5)
    agreeing = [g.label for g in grades if g.values == {"helpful": helpful}]
    return Outcome(values={"helpful": helpful}, label=Counter(agreeing).most_common(1)[0][0])


def _winner(winners: Sequence[Winner | None]) -> Winner:
    """Who has more votes than anyone else; otherwise it is a tie."""
    (winner, most), *others = Counter(winners).most_common()
    return winner if winner and all(n < most for _, n in others) else "tie"


def _why_none(votes: Sequence[_Vote], votes_needed: int) -> str:
    """The common reason where there is one kind of it; otherwise everybody's own."""
    reasons = [(vote.voter, vote.judgement.reason) for vote in votes if vote.judgement.reason]
    kinds = {reason_kind(reason) for _, reason in reasons}
    if len(reasons) == len(votes) and len(kinds) == 1:
        return reasons[0][1]
    each = "; ".join(f"{voter}: {reason}" for voter, reason in reasons)
    found = len(votes) - len(reasons)
    return f"{MissingReason.TOO_FEW_VOTES}: {found} of {votes_needed} needed; {each}"
