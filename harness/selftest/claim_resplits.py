"""A/A test of each claim of a run's gate: how often it passes if the models are equal, and what its plan says.

In every split the items are drawn again with replacement, and a coin for each decides which of the two models
is called the candidate. Their true difference is then none, and a candidate's true mean that of both together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate, Metric, metric_of
from harness.gate.decision import decide_gate
from harness.planning.claims import AssumedTest, assume_test, chance_to_decide
from harness.scoring.paired import PairedScores, pair_scores
from harness.selftest.resplit import limit_of, swap_models
from harness.types import Record


class ClaimResplit(Record):
    """How often a claim on `n` items was decided (an alarm: raised) in `n_splits` splits.

    `planned` is the chance that the plan's forecast gives, at the truth and spread that it assumes;
    `expected` is what the same formula gives at those of the splits. `false` claims are not true of
    equal models: they are expected at alpha at most, and `limit` adds what chance may.
    """

    claim: str
    n: int
    n_splits: int
    passes: int
    planned: float | None
    expected: float | None
    false: bool
    limit: float

    @property
    def rate(self) -> float:
        """Return the share of splits in which the claim was decided."""
        return self.passes / self.n_splits

    @property
    def holds(self) -> bool:
        """Return whether a false claim passes no more often than alpha and chance allow."""
        return not self.false or self.rate <= self.limit


def resplit_claims(run: Run, *, n_splits: int = 200, seed: int = 1) -> tuple[ClaimResplit, ...]:
    """Split the scores behind each claim but for `claims_left_out`."""
    plan = run.result.plan
    if plan.gate is None or plan.alone:
        return ()
    pairs = {
        pair.metric: pair
        for column in run.columns
        for pair in pair_scores(column, plan.baseline)
        if pair.candidate == plan.candidate and _is_plain(pair)
    }
    return tuple(
        _resplit(
            claim,
            plan.gate,
            plan.metrics[metric_of(claim.metric)],
            pairs[claim.metric],
            n_splits,
            seed,
        )
        for claim in plan.gate.claims
        if claim.metric in pairs
    )


def claims_left_out(run: Run, claims: Sequence[ClaimResplit]) -> tuple[str, ...]:
    """Return the gate's claims that were not split: on scores of clusters, people or several seeds."""
    gate, split = run.result.plan.gate, {resplit.claim for resplit in claims}
    return tuple(str(c) for c in gate.claims if str(c) not in split) if gate else ()


def describe_claim_resplits(
    claims: Sequence[ClaimResplit], left_out: Sequence[str] = ()
) -> Iterator[str]:
    """Format the claims as lines of a Markdown table with the outcome, and name those left out."""
    if left_out:
        yield ""
        yield (
            "not split, as only items that are independent and have one score of each of two models are: "
            f"{', '.join(left_out)}"
        )
    if not claims:
        return
    yield ""
    yield "| claim, of equal models | n | splits | decided | planned | expected here | |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for c in claims:
        planned, expected = ("" if x is None else f"{x:.2f}" for x in (c.planned, c.expected))
        if c.false:
            planned, expected = "false", f"at most {c.limit:.3f}"
        outcome = ("ok" if c.holds else "FAILS") if c.false else ""
        yield (
            f"| {c.claim} | {c.n} | {c.n_splits} | {c.rate:.3f} | {planned} | {expected} | {outcome} |"
        )
    broken = sum(not c.holds for c in claims)
    yield ""
    yield (
        f"{broken} of {len(claims)} claims pass too often"
        if broken
        else "no claim passes too often"
    )


def _is_plain(pair: PairedScores) -> bool:
    """Return whether the items are independent and have one score of each model."""
    return pair.clusters is None and pair.votes is None and pair.seeds is None


def _resplit(
    claim: Claim, gate: Gate, metric: Metric, pair: PairedScores, n_splits: int, seed: int
) -> ClaimResplit:
    alpha, n = gate.level_of(claim), pair.d.size
    single = Gate(alpha=alpha, claims=(claim,), guarantee=gate.guarantee, max_unscored=1.0)
    rng, passes = np.random.default_rng(seed), 0
    decided = "fail" if claim.kind.alarm else "pass"
    for _ in range(n_splits):
        drawn = swap_models(_take(pair, rng.integers(n, size=n)), rng.random(n) < 0.5)
        verdict = decide_gate(single, {claim.metric: drawn}, advise=False).claims[0].verdict
        passes += verdict == decided
    planned = assume_test(claim, metric, gate, clustered=False)
    here = _of_splits(claim, planned, metric, pair)
    side = -1 if claim.kind.alarm else 1
    return ClaimResplit(
        claim=str(claim),
        n=n,
        n_splits=n_splits,
        passes=passes,
        planned=chance_to_decide(planned, n),
        expected=chance_to_decide(here, n),
        false=side * (here.truth - here.boundary) <= 0,
        limit=limit_of(alpha, n_splits),
    )


def _take(pair: PairedScores, drawn: "np.ndarray") -> PairedScores:
    return replace(
        pair,
        sample_ids=tuple(map(str, range(drawn.size))),
        d=pair.d[drawn],
        least=pair.least[drawn],
        greatest=pair.greatest[drawn],
        baseline_scores=pair.baseline_scores[drawn],
        candidate_scores=pair.candidate_scores[drawn],
    )


def _of_splits(
    claim: Claim, planned: AssumedTest, metric: Metric, pair: PairedScores
) -> AssumedTest:
    """Return the planned test with the truth and the spread of the splits."""
    if claim.value is None:
        spread = float(np.sqrt(np.nanmean(pair.d**2)))
        return planned._replace(truth=metric.null, sd=spread)
    both = np.concatenate([pair.baseline_scores, pair.candidate_scores])
    return planned._replace(truth=float(np.nanmean(both)), sd=float(np.nanstd(both)))
