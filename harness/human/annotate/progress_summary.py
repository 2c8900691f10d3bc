"""How far a study is, in a few lines. Intervals, agreement and exclusions are the report's."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from harness.types import Study, Vote


class AnnotatorProgress(NamedTuple):
    """What one annotator has done: votes on pairs, and on attention items as expected."""

    name: str
    n_votes: int
    n_attention: int
    n_attentive: int


class VoteSummary(NamedTuple):
    """The votes on real pairs that stand, from the candidate's side; two unsafe answers are a tie."""

    n_votes: int
    wins: int
    ties: int
    losses: int
    cannot_judge: int
    annotators: tuple[AnnotatorProgress, ...]

    @property
    def win_rate(self) -> float | None:
        """Wins and half of the ties among the votes that judge; None without any."""
        judged = self.wins + self.ties + self.losses
        return (self.wins + self.ties / 2) / judged if judged else None


def summarise_votes(votes: Sequence[Vote]) -> VoteSummary:
    """The votes counted; repeats and attention items are no part of the win rate."""
    real = Counter(vote.winner for vote in votes if vote.kind == "real")
    return VoteSummary(
        n_votes=real.total(),
        wins=real["candidate"],
        ties=real["tie"],
        losses=real["baseline"],
        cannot_judge=real[None],
        annotators=tuple(
            _tally(name, [v for v in votes if v.annotator == name])
            for name in dict.fromkeys(vote.annotator for vote in votes)
        ),
    )


def describe_votes(study: Study, summary: VoteSummary) -> list[str]:
    """The summary in lines for a terminal."""
    total = len(study.items)
    lines = [
        f"{each.name}: {each.n_votes} of {total} pairs"
        + (f", attention {each.n_attentive} of {each.n_attention}" if each.n_attention else "")
        for each in summary.annotators
    ]
    if summary.win_rate is not None:
        lines.append(
            f"{study.candidate} against {study.baseline}: win rate {summary.win_rate:.1%} "
            f"(wins {summary.wins}, ties {summary.ties}, losses {summary.losses}, could not be "
            f"judged {summary.cannot_judge})"
        )
    return lines or ["no votes yet"]


def _tally(name: str, votes: Sequence[Vote]) -> AnnotatorProgress:
    attention = [vote.attentive for vote in votes if vote.attentive is not None]
    return AnnotatorProgress(name, len(votes), len(attention), sum(attention))
