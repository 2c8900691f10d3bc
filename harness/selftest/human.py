"""Trials of `harness selftest` for people's votes, and for judges corrected by labels.

Annotators of known accuracy judge pairs whose better answer is known. Each annotator is a little
biased towards one of the models, as people are; the judge is biased more.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.selftest.simulation import ALPHA, Trial, pair_of
from harness.stats.annotator_means import Votes, two_way_mean
from harness.stats.judge_correction import Labelled, corrected_mean, corrected_share
from harness.stats.means import mean_difference
from harness.stats.proportions import wilson_interval
from harness.stats.vectors import Vector

ANNOTATORS = 5
ITEMS = 500  # judged by the judge; some of them are labelled
ACCURACY = 0.8  # of people: how often they choose the better answer
LEANING = 0.1  # standard deviation of annotators' biases towards the candidate
JUDGE_ACCURACY, JUDGE_LEANING = 0.75, 0.15
BETTER = 0.6  # share of items on which the candidate's answer is the better one
HELPFUL, SENSITIVITY, SPECIFICITY = 0.9, 0.9, 0.85
DRAWS = 4_000
TRUE_WINS = BETTER * ACCURACY + (1 - BETTER) * (1 - ACCURACY)
_AT_100 = (100,)


def people_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, intervals must cover `covered`."""
    # Votes of several annotators.
    people_name = f"{ANNOTATORS} annotators, {ACCURACY:.0%} accurate"
    yield Trial(
        "two-way interval of people's win rate",
        people_name,
        "coverage",
        covered,
        _two_way_covers,
        _AT_100,
    )
    yield Trial(
        "interval over items alone",
        f"{people_name}, leaning",
        "control",
        0.15,
        _items_miss,
        _AT_100,
    )
    yield Trial("gate, judge people: superior", "equal models", "error", limit, _passes, _AT_100)
    # Win rates and shares of a judge corrected by labels.
    judge_name = f"judge leans +{JUDGE_LEANING:g}, {ITEMS} items"
    yield Trial("PPI++ win rate, n labels", judge_name, "coverage", covered, _ppi_covers, (50, 100))
    yield Trial(
        "judge's own win rate, no labels", judge_name, "control", 0.5, _judge_misses, _AT_100
    )
    share_name = f"share {HELPFUL:g}, judge {SENSITIVITY:g} and {SPECIFICITY:g}"
    yield Trial(
        "double sampling, n labels", share_name, "coverage", covered, _double_covers, _AT_100
    )
    yield Trial("judge's own share, no labels", share_name, "control", 0.5, _share_misses, _AT_100)


# --- annotators ------------------------------------------------------------------------------


def draw_votes(rng: np.random.Generator, n: int, better: float = BETTER) -> Votes:
    """Draw votes of 1 or 0 of annotators with individual biases, on a random set of items."""
    is_better = rng.random(n) < better
    chance = np.where(is_better, ACCURACY, 1 - ACCURACY)[:, None]
    leaning = rng.normal(0.0, LEANING, ANNOTATORS)[None, :]
    # Few chances reach 0 or 1, so that clipping moves the truth by 0.0002.
    votes = rng.random((n, ANNOTATORS)) < np.clip(chance + leaning, 0.0, 1.0)
    return votes.astype(np.float64)


def _two_way_covers(rng: np.random.Generator, n: int) -> bool:
    low, high = two_way_mean(draw_votes(rng, n)).interval()
    return low <= TRUE_WINS <= high


def _items_miss(rng: np.random.Generator, n: int) -> bool:
    low, high = two_way_mean(draw_votes(rng, n)).interval_of_items()
    return not low <= TRUE_WINS <= high


def _passes(rng: np.random.Generator, n: int) -> bool:
    votes = draw_votes(rng, n, better=0.5) - 0.5
    pair = replace(pair_of(votes.mean(axis=1), (-0.5, 0.5)), votes=votes)
    gate = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="superior"),))
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"


# --- a judge corrected by labels -------------------------------------------------------------


def draw_judged_wins(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Draw people's and the judge's scores of all items; callers treat the first n as labelled."""
    is_better = rng.random(ITEMS) < BETTER
    chance = np.where(is_better, ACCURACY, 1 - ACCURACY)
    people = (rng.random(ITEMS) < chance).astype(np.float64)
    chance_of_yes = np.where(is_better, JUDGE_ACCURACY, 1 - JUDGE_ACCURACY) + JUDGE_LEANING
    judge = (rng.random(ITEMS) < chance_of_yes).astype(np.float64)
    return people, judge


def _ppi_covers(rng: np.random.Generator, n: int) -> bool:
    people, judge = draw_judged_wins(rng)
    low, high = corrected_mean(people[:n], judge[:n], judge[n:]).interval
    return low <= TRUE_WINS <= high


def _judge_misses(rng: np.random.Generator, n: int) -> bool:
    mean = mean_difference(draw_judged_wins(rng)[1])
    return not mean.ci_low <= TRUE_WINS <= mean.ci_high


def draw_judged_shares(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Draw whether answers are helpful, and whether the judge labels them so."""
    helpful = rng.random(ITEMS) < HELPFUL
    judged_helpful = rng.random(ITEMS) < np.where(helpful, SENSITIVITY, 1 - SPECIFICITY)
    return helpful.astype(np.float64), judged_helpful.astype(np.float64)


def count_labelled(people: Vector, judge: Vector) -> Labelled:
    """Count the labelled items by people's and the judge's label."""
    return Labelled(
        both=int((people * judge).sum()),
        judge_only=int(((1 - people) * judge).sum()),
        people_only=int((people * (1 - judge)).sum()),
        neither=int(((1 - people) * (1 - judge)).sum()),
    )


def _double_covers(rng: np.random.Generator, n: int) -> bool:
    people, judge = draw_judged_shares(rng)
    low, high = corrected_share(
        count_labelled(people[:n], judge[:n]),
        judge_yes_elsewhere=int(judge[n:].sum()),
        n_elsewhere=ITEMS - n,
        draws=DRAWS,
    ).interval
    return low <= HELPFUL <= high


def _share_misses(rng: np.random.Generator, n: int) -> bool:
    judge = draw_judged_shares(rng)[1]
    low, high = wilson_interval(float(judge.sum()), ITEMS)
    return not low <= HELPFUL <= high
