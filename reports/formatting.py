"""How numbers and recurring facts are put into words. Nothing is rounded anywhere else."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.config import Gate, Metric
from harness.config.claim_kinds import CLAIM_KINDS
from harness.types import Comparison, Interval, LengthEffect, Plan, SensitivityTable, Task

ABSENT = "—"


MINUS = "\N{MINUS SIGN}"


Side = Literal[1, 0, -1]  # above no difference, not clear of it, below it


# --- numbers ---------------------------------------------------------------------------------


def number(value: float, digits: int) -> str:
    """The value with a fixed number of decimals and a true minus sign."""
    if not math.isfinite(value):
        return "not estimable"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS if float(text) else "")


def signed(value: float, digits: int) -> str:
    """The value with its sign always shown, as differences are."""
    text = number(value, digits)
    return f"+{text}" if math.isfinite(value) and float(f"{value:.{digits}f}") > 0 else text


def percent(share: float) -> str:
    """A share between 0 and 1 as a percentage."""
    return f"{number(100 * share, 1)} %"


def p_value(p: float | None) -> str:
    """A p-value; close to the usual 0.05 it keeps enough decimals not to round across it."""
    if p is None:
        return ABSENT
    return "< 0.0001" if p < 0.0001 else number(p, 4 if p < 0.1 else 3)


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 60:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(n: int, noun: str) -> str:
    """A number of things: 1 item, 1,204 items."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def format_interval(interval: Interval, digits: int) -> str:
    """The limits of an interval: 0.11 to 0.73."""
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def with_span(interval: Interval | None, digits: int) -> str:
    """An estimate and its limits: 0.42 (0.11 to 0.73), or a dash when there is none."""
    if interval is None:
        return ABSENT
    return f"{number(interval.estimate, digits)} ({format_interval(interval, digits)})"


def share_with_span(interval: Interval | None) -> str:
    """A share and its limits as percentages: 81.2 % (75.0 to 86.9)."""
    if interval is None:
        return ABSENT
    limits = f"{number(100 * interval.low, 1)} to {number(100 * interval.high, 1)}"
    return f"{percent(interval.estimate)} ({limits})"


def listing(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def quoted(names: Sequence[str]) -> str:
    """Names in quotation marks as a sentence has them: 'a', 'b' and 'c'."""
    return listing([f"'{name}'" for name in names])


def favoured_side(interval: Interval, null: float) -> Side:
    """On which side of no difference the whole interval lies."""
    if interval.low > null:
        return 1
    return -1 if interval.high < null else 0


def models_compared(plan: Plan, found: Comparison | LengthEffect | SensitivityTable) -> str:
    """Who was compared; a dash where there are only two models, so that nobody need read it."""
    return f"{found.candidate} against {found.baseline}" if len(plan.models) > 2 else ABSENT


def optional(value: float | None, digits: int) -> str:
    """The number, or a dash when there is none."""
    return ABSENT if value is None else number(value, digits)


def digits_to_distinguish(value: float, other: float, digits: int) -> int:
    """Enough decimals for two different values to look different."""
    while digits < 6 and value != other and number(value, digits) == number(other, digits):
        digits += 1
    return digits


# --- columns ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A scored column: its range, and how its values are printed and drawn."""

    name: str
    low: float
    high: float
    is_win_rate: bool

    @property
    def has_points(self) -> bool:
        """Whether scores are points on a scale; shares and win rates are between 0 and 1."""
        return self.high - self.low > 1

    @property
    def digits(self) -> int:
        """Decimals that matter on this scale."""
        return 2 if self.has_points else 3

    @property
    def unit(self) -> str:
        """What a difference on this column is measured in."""
        if self.is_win_rate:
            return "Win rate (0.5 is even)"
        if self.has_points:
            return f"Difference in points (scale {self.low:g} to {self.high:g})"
        return "Difference in shares (scale 0 to 1)"

    def difference(self, value: float) -> str:
        """A difference in print; a win rate is its own difference and has no sign."""
        return number(value, self.digits) if self.is_win_rate else signed(value, self.digits)


def columns_by_name(plan: Plan) -> dict[str, Column]:
    """Every scored column of the plan."""
    return {
        column.name: column
        for task in plan.tasks
        for name, metric in task.metrics.items()
        for column in _columns_of_metric(name, metric)
    }


def _columns_of_metric(name: str, metric: Metric) -> Iterator[Column]:
    low, high = metric.bounds
    for column in metric.columns(name):
        yield Column(
            name=column,
            low=low,
            high=high,
            is_win_rate=metric.compares_pairs,
        )


def estimate_with_span(interval: Interval | None, column: Column) -> str:
    """A difference and its limits: +0.42 (0.11 to 0.73)."""
    if interval is None:
        return ABSENT
    return f"{column.difference(interval.estimate)} ({format_interval(interval, column.digits)})"


def items_of(task: Task, judged: str = "") -> str:
    """How many items a task has, or `judged` of them, and for which metrics."""
    items = f"{judged} items" if judged else count(task.n_items // task.answers, "item")
    if task.answers > 1:
        items += f", asked {task.answers} times each,"
    return f"{items} for {', '.join(task.metrics)}"


def gate_rule(gate: Gate) -> str:
    """How the verdicts on the claims become one."""
    told = [_FAMILIES[gate.require].format(confidence=percent(1 - gate.alpha))]
    told.append(f"Each is tested one-sided at alpha {gate.alpha:g}.")
    kinds = {claim.claim for claim in gate.claims}
    told += [
        kind.gate_note for name, kind in CLAIM_KINDS.items() if name in kinds and kind.gate_note
    ]
    if gate.stop_early:
        told.append(
            f"Items are judged in {gate.looks} looks (O'Brien and Fleming's boundaries, which keep "
            "alpha over all of them), and no further than the verdict needs."
        )
    told.append(f"At most {percent(gate.max_unscored)} of the judgements may be missing.")
    return " ".join(told)


_FAMILIES = {
    "all": "All claims must hold.",
    "any": "One claim is enough; p-values are adjusted with Holm's method, and the simultaneous "
    "intervals hold all at once with {confidence} confidence.",
    "ordered": "The first claim decides; each later one is tested only if all before it hold.",
}
