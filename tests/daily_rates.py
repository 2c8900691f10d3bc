"""False alarms and days to an alarm of daily checks over a year, for docs/validity.md: `python -m tests.daily_rates`."""

from collections.abc import Callable

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.gate.tries import spending_share
from harness.selftest.simulation import pair_of
from harness.stats.daily_evidence import evidence_of_drop, p_values_of_days
from harness.stats.vectors import Vector

N, YEAR, WITHIN, ALPHA = 100, 365, 30, 0.05
YEARS, CHANGES, RESAMPLES = 500, 200, 199
MARGIN = 0.45  # 5 % of a scale from 1 to 10


def draw(rng: np.random.Generator, days: int, drop: float, first: int) -> "np.ndarray":
    """Whole scores of 100 fixed items on the baseline's day and later ones, lower by `drop` from day `first` on."""
    scores = rng.normal(7.5, 1.5, N) + rng.normal(0.0, 1.0, (days + 1, N))
    scores[first:] -= drop
    return np.clip(np.rint(scores), 1.0, 10.0)


def by_evidence(p_values: Vector, scores: "np.ndarray") -> "np.ndarray":
    return evidence_of_drop(p_values) >= 1 / ALPHA


def by_spending(p_values: Vector, scores: "np.ndarray") -> "np.ndarray":
    """The same p-values, each at its day's share of alpha."""
    shares = [ALPHA * spending_share(day + 1) for day in range(p_values.size)]
    return p_values <= np.array(shares)


def by_margin(p_values: Vector, scores: "np.ndarray") -> "np.ndarray":
    """`check --daily`: worse by more than the margin, at each day's share of alpha."""
    return np.array(
        [
            _worse(scores[day] - scores[0], ALPHA * spending_share(day))
            for day in range(1, len(scores))
        ]
    )


def _worse(d: Vector, alpha: float) -> bool:
    if d.mean() > -MARGIN:
        return False
    gate = Gate(alpha=alpha, claims=(Claim(metric="m", claim="non_inferior", margin=MARGIN),))
    return decide_gate(gate, {"m": pair_of(d)}, advise=False).verdict == "fail"


def false_alarms() -> None:
    rng, found = np.random.default_rng(1), []
    for _ in range(YEARS):
        scores = draw(rng, YEAR, 0.0, 1)
        p_values = p_values_of_days(scores, rng, RESAMPLES)
        found.append([rule(p_values, scores).any() for rule in (by_evidence, by_spending)])
    print(f"unchanged, {YEAR} days: e-process, spending:", np.mean(found, axis=0), flush=True)


RULES: tuple[Callable[[Vector, "np.ndarray"], "np.ndarray"], ...] = (by_evidence, by_spending, by_margin)  # fmt: skip


def days_to_an_alarm(drop: float, first: int) -> None:
    rng = np.random.default_rng(2)
    days: list[list[float]] = []
    for _ in range(CHANGES):
        scores = draw(rng, first + WITHIN - 1, drop, first)
        p_values = p_values_of_days(scores, rng)
        alarms = [np.flatnonzero(rule(p_values, scores)[first - 1 :]) for rule in RULES]
        days.append([float(a[0] + 1) if a.size else np.inf for a in alarms])
    median, share = np.median(days, axis=0), np.isfinite(days).mean(axis=0)
    print(
        f"{drop:g} less from day {first} on: median days {median}, within {WITHIN} days {share}",
        flush=True,
    )


if __name__ == "__main__":
    for drop in (0.3, 0.5):
        for first in (1, 8, 31, 181):
            days_to_an_alarm(drop, first)
    false_alarms()
