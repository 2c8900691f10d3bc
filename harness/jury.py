"""Juries and repeats: several verdicts on the same thing, made one before anything is scored.

    ballots of each judge and round → one judgement for each answer or ordered pair

Scores are averaged, labels and winners go by majority. A judge's own rounds are made one first,
then the judges are, so that no judge weighs more because its neighbour failed.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from harness.annotators import AnnotatorJudge, people_card
from harness.errors import HarnessError
from harness.people import People
from harness.provenance import content_hash
from harness.suite import Jury
from harness.types import Grade, JudgeCard, Judgement, Outcome, Preference, Winner
from judges.protocol import Judge
from judges.verdicts import Unscored, kind_of, unscored


class Panel(NamedTuple):
    """Who judges a metric: one judge or a jury, each asked `repeats` times.

    There is a verdict where `votes_needed` of the judges give one. Of people, `covers` are the
    items whose verdicts make the metric.
    """

    card: JudgeCard
    judges: tuple[Judge, ...]
    repeats: int = 1
    votes_needed: int = 1
    covers: tuple[str, ...] | None = None


class Ballot(NamedTuple):
    """Everything that one judge said on a metric in one round, counted from 0."""

    judge: JudgeCard
    round: int
    judgements: list[Judgement]


def make_panel(title: str, judges: Sequence[Judge], jury: Jury | None, repeats: int) -> Panel:
    """A panel of one judge, or of a jury's members.

    Raises:
        HarnessError: a judge would vote twice, or recorded verdicts be asked for again.
    """
    cards = tuple(judge.card for judge in judges)
    fingerprints = [card.fingerprint for card in cards]
    for card in cards:
        if fingerprints.count(card.fingerprint) > 1:
            raise HarnessError(
                f"jury '{title}': '{card.name}' is there twice under different names, and would "
                "vote twice."
            )
    for card in cards:
        if repeats > 1 and card.replayed:
            raise HarnessError(
                f"judge '{card.name}': recorded verdicts cannot be asked for again; "
                "state no 'repeats' for them."
            )
    if jury is None:
        return Panel(cards[0], tuple(judges), repeats)
    return Panel(_jury_card(title, cards, jury), tuple(judges), repeats, jury.votes_needed)


def make_people_panel(title: str, people: People, repeats: int) -> Panel:
    """A panel of everybody whose labels count.

    Raises:
        HarnessError: nobody's do, or they are to be asked again.
    """
    if repeats > 1:
        raise HarnessError(f"judge '{title}': people are asked once; state no 'repeats' for them.")
    judges = tuple(AnnotatorJudge(name, people) for name in people.annotators)
    if not judges:
        raise HarnessError(f"judge '{title}': nobody's votes count in {people.source}.")
    return Panel(people_card(title, people), judges, covers=people.covered)


def _jury_card(title: str, cards: tuple[JudgeCard, ...], jury: Jury) -> JudgeCard:
    names = ", ".join(card.name for card in cards)
    return JudgeCard(
        name=title,
        nature=f"jury of {names}; mean of scores, majority of labels, "
        f"at least {jury.votes_needed} of {len(cards)} verdicts",
        fingerprint=content_hash([card.fingerprint for card in cards], jury.votes_needed),
        remote=any(card.remote for card in cards),
        members=cards,
    )


def combine_ballots(ballots: Sequence[Ballot], votes_needed: int = 1) -> list[Judgement]:
    """One judgement for each answer or ordered pair, in the order of the first ballot.

    A judge's failed rounds do not count against its others. Without enough votes, or where they
    are split evenly between helpful and evasive, the judgement is unscored with a reason.
    """
    judges = rounds_by_judge(ballots)
    return _combine([(j.name, combine_rounds(own)) for j, own in judges.items()], votes_needed)


def rounds_by_judge(ballots: Sequence[Ballot]) -> dict[JudgeCard, list[Ballot]]:
    """Each judge's ballots, in the order of the rounds."""
    rounds: dict[JudgeCard, list[Ballot]] = {}
    for ballot in ballots:
        rounds.setdefault(ballot.judge, []).append(ballot)
    return rounds


def combine_rounds(rounds: Sequence[Ballot]) -> list[Judgement]:
    """What one judge says after all of its rounds."""
    return _combine([(f"round {b.round + 1}", b.judgements) for b in rounds], votes_needed=1)


def subject_of(judgement: Judgement) -> tuple[str, ...]:
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
            votes.setdefault(subject_of(judgement), []).append(_Vote(voter, judgement))
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
        return unscored(Unscored.SPLIT, ", ".join(labels))
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
    kinds = {kind_of(reason) for _, reason in reasons}
    if len(reasons) == len(votes) and len(kinds) == 1:
        return reasons[0][1]
    each = "; ".join(f"{voter}: {reason}" for voter, reason in reasons)
    found = len(votes) - len(reasons)
    return f"{Unscored.TOO_FEW_VOTES}: {found} of {votes_needed} needed; {each}"
