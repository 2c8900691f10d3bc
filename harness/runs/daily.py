"""Daily checks of one model: alarms over all days together are wrong with a stated probability.

A check every day at alpha raises a false alarm sooner or later. So the t-th run may spend
6 / (pi^2 t^2) of alpha, shared by the columns: over all days and columns, a model that is no worse than
the margins raises any alarm with probability at most alpha. Nothing need be independent, and it is not: every
day has the same items and the same baseline scores.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.gate.tries import spending_share
from harness.runs.regression import Baseline, check_run
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


def check_daily(
    runs: Sequence[Run], baseline: Baseline, *, common_items: bool = False
) -> list[DailyCheck]:
    """Check runs in the order in which they were started, each at its share of alpha.

    Raises:
        HarnessError: as `check_run`, or a run that is named twice.
    """
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise HarnessError("--daily: a run is named twice, which would count as two days.")
    days = []
    for number, run in enumerate(sorted(runs, key=lambda run: run.result.started), start=1):
        alpha = baseline.alpha * spending_share(number) / len(baseline.columns)
        at_level = baseline.model_copy(update={"alpha": alpha})
        check = check_run(run, at_level, common_items=common_items)
        days.append(DailyCheck(run.result.started, alpha, check))
    return days
