"""Progress of a study in a few lines, without the intervals and exclusions of the report."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from harness.types import Vote


class AnnotatorProgress(NamedTuple):
    """One annotator's votes; `n_attentive` of `n_attention` items were answered as expected."""

    name: str
    n_votes: int
    n_attention: int
    n_attentive: int


class VoteSummary(NamedTuple):
    """Current votes on real pairs, from the candidate's side; two unsafe answers are a tie."""

    n_votes: int
    wins: int
    ties: int
    losses: int
    cannot_judge: int
    annotators: tuple[AnnotatorProgress, ...]

    @property
    def win_rate(self) -> float | None:
        """Return wins and half of the ties as a share of the decided votes; None without any."""
        decided = self.wins + self.ties + self.losses
        return (self.wins + self.ties / 2) / decided if decided else None


def summarise_votes(votes: Sequence[Vote]) -> VoteSummary:
    """Count the votes; repeats and attention items are not part of the win rate."""
    winners = Counter(vote.winner for vote in votes if vote.kind == "real")
    return VoteSummary(
        n_votes=winners.total(),
        wins=winners["candidate"],
        ties=winners["tie"],
        losses=winners["baseline"],
        cannot_judge=winners[None],
        annotators=tuple(
            _annotator_progress(name, [v for v in votes if v.annotator == name])
            for name in dict.fromkeys(vote.annotator for vote in votes)
        ),
    )


def _annotator_progress(name: str, votes: Sequence[Vote]) -> AnnotatorProgress:
    attention = [vote.attentive for vote in votes if vote.attentive is not None]
    return AnnotatorProgress(name, len(votes), len(attention), sum(attention))
