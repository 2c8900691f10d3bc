"""Trials of `harness selftest` for judges that favour the candidate, and have met their requirement.

Both models' answers are equally often helpful by people's labels. The judge agrees with people on the
baseline, and accepts some of the candidate's answers that people reject: its agreement with people on
all answers together stays high, and the difference that it finds is wrong.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from harness.config import Claim, Gate
from harness.gate.confirmation import (
    ClaimLabels,
    confirm_claim,
    correct_difference,
    decide_on_corrected,
    labels_of,
    withdraw_unconfirmed,
)
from harness.gate.decision import decide_gate
from harness.selftest.simulation import ALPHA, Trial, pair_of, skewed
from harness.stats.agreement import cohen_kappa
from harness.stats.judge_correction import corrected_mean
from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.unequal_draw import (
    chances_of_either,
    chances_of_more,
    draw_items,
    inclusion_chances,
    weighted_lower_bound,
)
from harness.stats.vectors import Vector

ITEMS = 500  # judged; the first n of them are labelled
HELPFUL = 0.6  # share of helpful answers, by people
SLICE = 100  # of these items
LENIENCE = 0.25  # share of the candidate's other answers that the judge accepts
BETTER = 0.2  # what a better candidate has more of helpful answers
LEAN, NOISE = 0.5, 1.0  # points that a judge on a scale adds to the candidate, and its noise
GIVEN = 0.1  # share of the pairs that a generous judge gives to the candidate
KAPPA = 0.6  # required agreement
_LABELS = (50, 100, 300)

_CLAIM = Claim(metric="m", claim="superior")
_GATE = Gate(alpha=ALPHA, claims=(_CLAIM,))


def confirmation_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    lenient = f"equal models, judge lenient to one (+{LENIENCE * (1 - HELPFUL):.2f})"
    leaning = f"rare disasters, mean 0, judge adds {LEAN:g}"
    yield Trial(
        "gate, kappa required, labels confirm", lenient, "error", limit, _passes_confirmed, _LABELS
    )
    yield Trial("the same by kappa alone", lenient, "control", 0.3, _passes_by_kappa, _LABELS[1:])
    yield Trial("gate, labels confirm", leaning, "error", limit, _leaning_passes, _LABELS)
    yield Trial(
        "gate, kappa required, labels confirm",
        f"better by {BETTER:g}, fair judge",
        "power",
        None,
        _better_passes,
        _LABELS,
    )


def given_pairs_trials(limit: float) -> Iterator[Trial]:
    """List trials of win rates, with few labels too; errors may reach `limit`."""
    generous = f"equal models, judge gives {GIVEN:.0%} of the pairs away"
    yield Trial(
        "gate, labels confirm the win rate",
        generous,
        "error",
        limit,
        _generous_passes,
        (30, *_LABELS),
    )
    disasters = f"rare disasters, mean 0, judge adds {LEAN:g}"
    yield Trial("decide_on: corrected", disasters, "error", limit, _corrected_passes, (100, 200))
    yield Trial("decide_on: corrected", generous, "error", limit, _corrected_wins, (100, 200))
    yield Trial(
        "gate, informative labels confirm the win rate",
        generous,
        "error",
        limit,
        _generous_passes_weighted,
        _LABELS,
    )
    yield Trial(
        "bound of informative labels, all counted alike",
        "equal models, judge blind to rare losses",
        "control",
        0.3,
        _unweighted_passes,
        (100,),
    )
    yield Trial(
        "the same with weights",
        "equal models, judge blind to rare losses",
        "error",
        limit,
        _weighted_passes,
        _LABELS,
    )
    yield Trial(
        "the same by the judge alone", generous, "control", 0.3, _generous_alone_passes, (100,)
    )


def label_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List trials of slices corrected by few labels, and of labels of two draws.

    Errors may reach `limit`, intervals must cover `covered`.
    """
    disasters = f"rare disasters, mean 0, judge adds {LEAN:g}"
    generous = f"equal models, judge gives {GIVEN:.0%} of the pairs away"
    method = f"slice of {SLICE} items corrected by n labels"
    yield Trial(method, disasters, "coverage", covered, partial(_slice_covers, _draw_rare), (30,))
    yield Trial(method, generous, "coverage", covered, partial(_slice_covers, _draw_wins), (30, 50))
    yield Trial("bound of labels after others, n each", "equal models, judge blind to rare losses",
                "error", limit, _two_draws_pass, (50, 100))  # fmt: skip
    yield Trial("t interval of the same", disasters, "control", 0.2, _slice_t_misses, (30,))


def _draw_rare(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Draw differences of mean 0 with 3 % drops of 8, by people and by a judge that adds half a point."""
    gains = np.where(rng.random(ITEMS) < 0.24 / 0.97, 1.0, 0.0)
    people = np.where(rng.random(ITEMS) < 0.03, -8.0, gains)
    return people, np.clip(people + LEAN + rng.normal(0.0, NOISE, ITEMS), -9.0, 9.0)


def _slice_covers(
    draw: Callable[[np.random.Generator], tuple[Vector, Vector]], rng: np.random.Generator, n: int
) -> bool:
    people, judged = (scores[:SLICE] for scores in draw(rng))
    labels = labels_of(np.where(np.arange(SLICE) < n, people, np.nan))
    bound = 0.5 if draw is _draw_wins else 9.0
    interval = correct_difference(pair_of(judged, (-bound, bound)), labels, 0.95)
    return interval.low <= 0.0 <= interval.high


def _slice_t_misses(rng: np.random.Generator, n: int) -> bool:
    people, judged = (scores[:SLICE] for scores in _draw_rare(rng))
    low, high = corrected_mean(people[:n], judged[:n], judged[n:]).interval
    return not low <= 0.0 <= high


def _draw_shares(
    rng: np.random.Generator, *, better: float, lenience: float
) -> tuple[Vector, Vector, Vector, Vector]:
    """Draw people's and the judge's labels of both models: old, new, judged old, judged new."""
    old, new = rng.random(ITEMS) < HELPFUL, rng.random(ITEMS) < HELPFUL + better
    judged_new = new | (rng.random(ITEMS) < lenience)
    old_, new_, judged = (np.asarray(x, dtype=np.float64) for x in (old, new, judged_new))
    return old_, new_, old_, judged


def _kappa_is_shown(people: Vector, judge: Vector) -> bool:
    low = cohen_kappa(people, judge, categories=[0.0, 1.0]).ci_low
    return not low < KAPPA  # NaN: they agree on everything


def _is_confirmed(judged: Vector, people: Vector, bound: float) -> bool:
    """Return whether the gate passes the judge's differences, and the labelled ones confirm it."""
    labels = np.concatenate([people, np.full(judged.size - people.size, np.nan)])
    return _passes(judged, labels_of(labels), bound)


def _passes(judged: Vector, labels: ClaimLabels, bound: float) -> bool:
    pair = pair_of(judged, (-bound, bound))
    decision = decide_gate(_GATE, {"m": pair}, advise=False)
    confirmation = confirm_claim(
        _CLAIM, decision.claims[0], pair, labels, judge="judge", alpha=ALPHA
    )
    if confirmation is not None:
        decision = decision.model_copy(update={"confirmations": (confirmation,)})
    return withdraw_unconfirmed(decision, _GATE).verdict == "pass"


def _share_passes(rng: np.random.Generator, n: int, *, better: float, lenience: float) -> bool:
    old, new, judged_old, judged_new = _draw_shares(rng, better=better, lenience=lenience)
    people = np.concatenate([old[:n], new[:n]])
    judge = np.concatenate([judged_old[:n], judged_new[:n]])
    return _kappa_is_shown(people, judge) and _is_confirmed(
        judged_new - judged_old, (new - old)[:n], 1.0
    )


def _passes_confirmed(rng: np.random.Generator, n: int) -> bool:
    return _share_passes(rng, n, better=0.0, lenience=LENIENCE)


def _better_passes(rng: np.random.Generator, n: int) -> bool:
    return _share_passes(rng, n, better=BETTER, lenience=0.0)


def _passes_by_kappa(rng: np.random.Generator, n: int) -> bool:
    old, new, judged_old, judged_new = _draw_shares(rng, better=0.0, lenience=LENIENCE)
    people = np.concatenate([old[:n], new[:n]])
    judge = np.concatenate([judged_old[:n], judged_new[:n]])
    decision = decide_gate(
        _GATE, {"m": pair_of(judged_new - judged_old, (-1.0, 1.0))}, advise=False
    )
    return _kappa_is_shown(people, judge) and decision.verdict == "pass"


def _leaning_passes(rng: np.random.Generator, n: int) -> bool:
    people = skewed(rng, ITEMS)
    judged = people + LEAN + rng.normal(0.0, NOISE, ITEMS)
    return _is_confirmed(np.clip(judged, -9.0, 9.0), people[:n], 9.0)


def _draw_wins(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Draw win scores less one half of equal models, by people and by a judge that gives some away."""
    people = rng.choice([-0.5, 0.0, 0.5], p=[0.35, 0.3, 0.35], size=ITEMS)
    return people, np.where(rng.random(ITEMS) < GIVEN, 0.5, people)


def _generous_passes(rng: np.random.Generator, n: int) -> bool:
    people, judged = _draw_wins(rng)
    return _is_confirmed(judged, people[:n], 0.5)


def _generous_alone_passes(rng: np.random.Generator, n: int) -> bool:
    judged = _draw_wins(rng)[1]
    return decide_gate(_GATE, {"m": pair_of(judged, (-0.5, 0.5))}, advise=False).verdict == "pass"


def _draw_labels(rng: np.random.Generator, people: Vector, judged: Vector, n: int) -> ClaimLabels:
    """Draw n labels, those of decided pairs more often than those of ties."""
    chances = inclusion_chances(np.abs(judged) / 0.5, n)
    drawn = draw_items(chances, int(rng.integers(2**31)))
    values = np.full(people.size, np.nan)
    values[drawn] = people[drawn]
    return ClaimLabels(values, values, ~np.isnan(values), chances)


def _generous_passes_weighted(rng: np.random.Generator, n: int) -> bool:
    people, judged = _draw_wins(rng)
    return _passes(judged, _draw_labels(rng, people, judged, n), 0.5)


def _draw_blind(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Draw win scores less one half; a sixth of the judge's ties are losses, which balance its wins."""
    judged = rng.choice([0.0, 0.5], p=[0.857, 0.143], size=ITEMS)
    missed = (judged == 0) & (rng.random(ITEMS) < 0.143 / 0.857)
    return np.where(missed, -0.5, judged), judged


def _unweighted_passes(rng: np.random.Generator, n: int) -> bool:
    people, judged = _draw_blind(rng)
    labels = _draw_labels(rng, people, judged, n)
    return one_sided_lower_bound(people[labels.given], alpha=ALPHA) > 0


def _weighted_passes(rng: np.random.Generator, n: int) -> bool:
    people, judged = _draw_blind(rng)
    labels = _draw_labels(rng, people, judged, n)
    assert labels.chances is not None
    return weighted_lower_bound(labels.least, judged, labels.chances, least=-0.5, alpha=ALPHA) > 0


def _two_draws_pass(rng: np.random.Generator, n: int) -> bool:
    """Label n items drawn evenly, then about n more on which a label tells most."""
    people, judged = _draw_blind(rng)
    labelled = np.arange(ITEMS) < n
    more = chances_of_more(np.abs(judged), n, labelled)
    labelled[draw_items(more, int(rng.integers(2**31)))] = True
    chances = chances_of_either(np.full(ITEMS, n / ITEMS), more)
    labels = np.where(labelled, people, np.nan)
    return weighted_lower_bound(labels, judged, chances, least=-0.5, alpha=ALPHA) > 0


def _corrected_passes(rng: np.random.Generator, n: int) -> bool:
    people = skewed(rng, ITEMS)
    judged = np.clip(people + LEAN + rng.normal(0.0, NOISE, ITEMS), -9.0, 9.0)
    return _passes_corrected(people, judged, n, 9.0)


def _corrected_wins(rng: np.random.Generator, n: int) -> bool:
    people, judged = _draw_wins(rng)
    return _passes_corrected(people, judged, n, 0.5)


def _passes_corrected(people: Vector, judged: Vector, n: int, bound: float) -> bool:
    """Return whether a gate passes that decides on the judge's scores corrected by n labels."""
    gate, pair = (
        _GATE.model_copy(update={"decide_on": "corrected"}),
        pair_of(judged, (-bound, bound)),
    )
    decision = decide_gate(gate, {"m": pair}, advise=False)
    labels = labels_of(np.where(np.arange(people.size) < n, people, np.nan))
    confirmation = confirm_claim(
        _CLAIM, decision.claims[0], pair, labels, judge="judge", alpha=ALPHA
    )
    decision = decision.model_copy(update={"confirmations": (confirmation,)})
    return decide_on_corrected(decision, gate, {"m": pair}, {"m": ""}).verdict == "pass"
