"""Daily checks of one model: alarms over all days together are wrong with a stated probability.

Against the margins: a check every day at alpha raises a false alarm sooner or later. So the t-th run may spend
6 / (pi^2 t^2) of alpha, shared by the columns: over all days and columns, a model that is no worse than
the margins raises any alarm with probability at most alpha. Nothing need be independent, and it is not: every
day has the same items and the same baseline scores.

Against an unchanged model: an alarm is raised by each column's e-process (harness/stats/daily_evidence.py) at the number of
columns over alpha. It has no margin, and finds smaller drops; it takes answers that are drawn anew each day.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.gate.tries import spending_share
from harness.runs.regression import (
    Baseline,
    check_run,
    pair_with_baseline,
    require_same_measurement,
)
from harness.scoring.paired import PairedScores
from harness.stats.daily_evidence import evidence_of_drop, p_values_of_days
from harness.stats.vectors import Vector
from harness.types import Check


class DailyCheck(NamedTuple):
    """One run's check at the alpha of its place in time."""

    started: str
    alpha: float
    check: Check

    @property
    def alarm(self) -> bool:
        """Return whether a column is shown to be worse by more than its margin."""
        return self.check.decision.verdict == "fail"


class DailyEvidence(NamedTuple):
    """The evidence against an unchanged model after one run, by column; an alarm from `alarm_at` on."""

    started: str
    evidence: dict[str, float]
    alarm_at: float

    @property
    def alarm(self) -> bool:
        """Return whether a column's evidence reaches the alarm."""
        return any(found >= self.alarm_at for found in self.evidence.values())


class UnchangedCheck(NamedTuple):
    """All days that count, and how many runs repeat the answers of another and tell nothing."""

    days: list[DailyEvidence]
    n_repeated: int


def check_daily(
    runs: Sequence[Run], baseline: Baseline, *, common_items: bool = False
) -> list[DailyCheck]:
    """Check runs in the order in which they were started, each at its share of alpha.

    Raises:
        HarnessError: as `check_run`, or a run that is named twice.
    """
    days = []
    for number, run in enumerate(_by_date(runs), start=1):
        alpha = baseline.alpha * spending_share(number) / len(baseline.columns)
        at_level = baseline.model_copy(update={"alpha": alpha})
        check = check_run(run, at_level, common_items=common_items)
        days.append(DailyCheck(run.result.started, alpha, check))
    return days


def check_unchanged(runs: Sequence[Run], baseline: Baseline) -> UnchangedCheck:
    """Weigh the evidence that the model has become worse, over the runs in the order of their start.

    Missing scores count as the best possible ones on every day, so that none raises an alarm. The baseline's own
    run, and runs with the same scores as one before, are no further draws.

    Raises:
        HarnessError: a run did not measure the same, on all items, or is named twice.
    """
    kept: list[Run] = []
    scores: dict[str, list[Vector]] = {metric: [] for metric in baseline.columns}
    for run in _by_date(runs):
        pairs = pair_with_baseline(
            run, baseline, require_same_measurement(run, baseline, common_items=False)
        )
        _require_all_items(run, baseline, pairs)
        for metric, pair in pairs.items():
            scores[metric] = scores[metric] or [_filled(pair.baseline_scores, pair)]
        today = {metric: _filled(pair.candidate_scores, pair) for metric, pair in pairs.items()}
        if run.result.run_id == baseline.run_id or _is_repeated(today, scores):
            continue
        kept.append(run)
        for metric, own in today.items():
            scores[metric].append(own)
    evidence = {
        metric: evidence_of_drop(_p_values(metric, rows, baseline))
        for metric, rows in scores.items()
        if kept
    }
    alarm_at = len(baseline.columns) / baseline.alpha
    days = [
        DailyEvidence(run.result.started, {m: float(e[day]) for m, e in evidence.items()}, alarm_at)
        for day, run in enumerate(kept)
    ]
    return UnchangedCheck(days, len(runs) - len(kept))


def describe_unchanged(found: UnchangedCheck, alpha: float) -> Iterator[str]:
    """Describe the evidence of each column now and at its highest, and the day of the first alarm."""
    yield (
        f"{len(found.days)} days with answers of their own, against an unchanged model; an alarm is wrong with "
        f"probability at most {alpha:g} over all days and columns."
    )
    if found.n_repeated:
        yield (
            f"  {found.n_repeated} runs are the baseline's own or repeat the scores of another, and tell nothing. Ask "
            "anew each day: harness run … --ask-again answers"
        )
    for metric in found.days[-1].evidence if found.days else ():
        by_day = [day.evidence[metric] for day in found.days]
        yield (
            f"  {metric}: evidence {by_day[-1]:.3g} now, {max(by_day):.3g} at its highest; alarm at {found.days[-1].alarm_at:g}"
        )
        first = next((day for day in found.days if day.evidence[metric] >= day.alarm_at), None)
        if first is not None:
            yield f"  {first.started[:10]}: ALARM: {metric} is below an unchanged model's. It lasts until a new baseline is blessed."


def _by_date(runs: Sequence[Run]) -> list[Run]:
    """Return the runs in the order of their start.

    Raises:
        HarnessError: a run is named twice.
    """
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise HarnessError("--daily: a run is named twice, which would count as two days.")
    return sorted(runs, key=lambda run: run.result.started)


def _require_all_items(run: Run, baseline: Baseline, pairs: Mapping[str, PairedScores]) -> None:
    for metric, pair in pairs.items():
        n = len(baseline.columns[metric].sample_ids)
        if len(pair.sample_ids) < n:
            raise HarnessError(
                f"--unchanged: {run.folder} judged {len(pair.sample_ids):,} of the {n:,} items of {metric}. Run the suite "
                "without 'stop_early', or leave --unchanged out."
            )


def _filled(scores: Vector, pair: PairedScores) -> Vector:
    return np.where(np.isnan(scores), pair.score_bounds[1], scores)


def _is_repeated(today: Mapping[str, Vector], scores: Mapping[str, Sequence[Vector]]) -> bool:
    """Return whether a day's scores are those of one before, on every item and column."""
    n_before = len(next(iter(scores.values())))
    return any(
        all(np.array_equal(own, scores[metric][day]) for metric, own in today.items())
        for day in range(n_before)
    )


def _p_values(metric: str, rows: Sequence[Vector], baseline: Baseline) -> Vector:
    """Return the p-value of each day; the same days have the same random draws."""
    seed = int(content_hash("daily", baseline.run_id, metric)[:16], 16)
    return p_values_of_days(np.array(rows), np.random.default_rng(seed))
