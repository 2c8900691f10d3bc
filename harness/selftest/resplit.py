"""A/A test of a gate on a run's own scores: the rate of wrong passes when the models are equal.

For each item a coin decides which of the two models is called the candidate. For any distribution
of scores (ties, ceilings, disasters, clusters) the two are then equal, and a claim of superiority
that passes is wrong. Nothing is judged again.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate
from harness.core.errors import HarnessError
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import Record

ALPHA = 0.05  # for a run without a gate
# A swap makes any difference symmetric, so that the test is easier than the gate's own task.
NOT_SEEN = (
    "Coin flips see only what these scores hold: not a rare disaster that no item shows, nor skewness, which a "
    "swap makes symmetric, nor a judge that leans, nor items that do not stand for others."
)
STANDARD_ERRORS = 2.6  # allowed above alpha by chance: 0.5 % of sound gates exceed it


class Resplit(Record):
    """The passes of one column's claim of superiority in `n_splits` splits without a difference."""

    column: str
    n: int
    n_splits: int
    passes: int
    limit: float

    @property
    def rate(self) -> float:
        """Return the share of wrong passes."""
        return self.passes / self.n_splits

    @property
    def holds(self) -> bool:
        """Return whether the rate is within what alpha and chance allow."""
        return self.rate <= self.limit


def resplit_run(run: Run, *, n_splits: int = 200, seed: int = 1) -> tuple[Resplit, ...]:
    """Split every column of the candidate and the baseline at random, many times.

    Raises:
        HarnessError: the run has nothing to compare.
    """
    plan = run.result.plan
    if plan.alone:
        raise HarnessError(f"{run.folder}: the run has one model only; to resplit it takes two.")
    alpha = plan.gate.alpha if plan.gate else ALPHA
    pairs = [
        pair
        for column in run.columns
        for pair in pair_scores(column, plan.baseline)
        if pair.candidate == plan.candidate and pair.missing < pair.d.size
    ]
    if not pairs:
        raise HarnessError(f"{run.folder}: no scores of both models to resplit.")
    limit = limit_of(alpha, n_splits)
    return tuple(_resplit(pair, alpha, limit, n_splits, seed) for pair in pairs)


def limit_of(alpha: float, n_splits: int) -> float:
    """Return the largest share of wrong passes that a gate at `alpha` has in so many splits by chance."""
    return alpha + STANDARD_ERRORS * math.sqrt(alpha * (1 - alpha) / n_splits)


def describe_resplits(resplits: Sequence[Resplit]) -> Iterator[str]:
    """Format the columns as lines of a Markdown table, and a last line with the outcome."""
    yield "| column | n | splits | wrong passes | limit | |"
    yield "|---|---:|---:|---:|---:|---|"
    for resplit in resplits:
        yield (
            f"| {resplit.column} | {resplit.n} | {resplit.n_splits} | {resplit.rate:.3f} | at most "
            f"{resplit.limit:.3f} | {'ok' if resplit.holds else 'FAILS'} |"
        )
    broken = sum(not resplit.holds for resplit in resplits)
    yield ""
    yield NOT_SEEN
    yield ""
    yield f"{broken} of {len(resplits)} limits broken" if broken else "all limits kept"


def _resplit(pair: PairedScores, alpha: float, limit: float, n_splits: int, seed: int) -> Resplit:
    gate = Gate(alpha=alpha, claims=(Claim(metric=pair.metric, claim="superior"),))
    rng = np.random.default_rng(seed)
    passes = 0
    for _ in range(n_splits):
        swapped = swap_models(pair, _coins(pair, rng))
        passes += decide_gate(gate, {pair.metric: swapped}, advise=False).verdict == "pass"
    return Resplit(column=pair.metric, n=pair.d.size, n_splits=n_splits, passes=passes, limit=limit)


def _coins(pair: PairedScores, rng: np.random.Generator) -> "np.ndarray":
    """Draw one coin for each item, or for each cluster, whose items are not independent."""
    if pair.clusters is None:
        return rng.random(pair.d.size) < 0.5
    names, indices = np.unique(pair.clusters, return_inverse=True)
    return (rng.random(names.size) < 0.5)[indices]


def swap_models(pair: PairedScores, swapped: "np.ndarray") -> PairedScores:
    """Swap the scores of baseline and candidate on the marked items; `own_votes` stay as they are."""
    votes = pair.votes
    return replace(
        pair,
        d=np.where(swapped, -pair.d, pair.d),
        least=np.where(swapped, -pair.greatest, pair.least),
        greatest=np.where(swapped, -pair.least, pair.greatest),
        baseline_scores=np.where(swapped, pair.candidate_scores, pair.baseline_scores),
        candidate_scores=np.where(swapped, pair.baseline_scores, pair.candidate_scores),
        votes=None if votes is None else np.where(swapped[:, None], -votes, votes),
    )
