"""Formatting of numbers, intervals and recurring facts. Nothing is rounded anywhere else."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.config import Gate, Metric
from harness.config.claim_kinds import CLAIM_KINDS
from harness.types import Comparison, Interval, LengthEffect, Plan, SensitivityTable, Task

ABSENT = "—"
MINUS = "\N{MINUS SIGN}"
Side = Literal[1, 0, -1]  # above the null value, interval contains it, below it


# --- numbers ---------------------------------------------------------------------------------


def number(value: float, digits: int) -> str:
    """Return the value with a fixed number of decimals and a true minus sign."""
    if not math.isfinite(value):
        return "not estimable"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS if float(text) else "")


def signed(value: float, digits: int) -> str:
    """Return the value with an explicit sign, as for a difference."""
    text = number(value, digits)
    return f"+{text}" if math.isfinite(value) and float(f"{value:.{digits}f}") > 0 else text


def percent(share: float) -> str:
    """Return a share between 0 and 1 as a percentage."""
    return f"{number(100 * share, 1)} %"


def p_value(p: float | None) -> str:
    """Return a p-value with enough decimals that one close to 0.05 does not round across it."""
    if p is None:
        return ABSENT
    return "< 0.0001" if p < 0.0001 else number(p, 4 if p < 0.1 else 3)


def duration(seconds: float) -> str:
    """Return a time span in hours, minutes and seconds: 4 min 44 s."""
    if seconds < 60:
        return f"{number(seconds, 1)} s"
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {remaining_seconds} s"


def count(n: int, noun: str) -> str:
    """Return a number with its noun: 1 item, 1,204 items."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def format_interval(interval: Interval, digits: int) -> str:
    """Return the limits of an interval: 0.11 to 0.73."""
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def signed_with_interval(interval: Interval | None) -> str:
    """Return a difference with its sign and its interval; a dash when there is none."""
    if interval is None:
        return ABSENT
    low, high = signed(interval.low, 3), signed(interval.high, 3)
    return f"{signed(interval.estimate, 3)} ({low} to {high})"


def with_interval(interval: Interval | None, digits: int) -> str:
    """Return an estimate and its limits: 0.42 (0.11 to 0.73); a dash when there is none."""
    if interval is None:
        return ABSENT
    return f"{number(interval.estimate, digits)} ({format_interval(interval, digits)})"


def share_with_interval(interval: Interval | None) -> str:
    """Return a share and its limits as percentages: 81.2 % (75.0 to 86.9)."""
    if interval is None:
        return ABSENT
    limits = f"{number(100 * interval.low, 1)} to {number(100 * interval.high, 1)}"
    return f"{percent(interval.estimate)} ({limits})"


def join_names(names: Sequence[str]) -> str:
    """Join names for a sentence: a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def join_quoted(names: Sequence[str]) -> str:
    """Join names in quotation marks for a sentence: 'a', 'b' and 'c'."""
    return join_names([f"'{name}'" for name in names])


def favoured_side(interval: Interval, null: float) -> Side:
    """Return the side of the null value on which the whole interval lies; 0 if it contains it."""
    if interval.low > null:
        return 1
    return -1 if interval.high < null else 0


def models_compared(plan: Plan, comparison: Comparison | LengthEffect | SensitivityTable) -> str:
    """Return the compared pair of models; a dash in a run of two models, so the column is dropped."""
    if len(plan.models) <= 2:
        return ABSENT
    return f"{comparison.candidate} against {comparison.baseline}"


def models_measured(plan: Plan) -> str:
    """Return the two models that a run is about: `dpo against sft`, or `sft alone`."""
    if plan.alone:
        return f"{plan.candidate} alone"
    return f"{plan.candidate} against {plan.baseline}"


def number_or_dash(value: float | None, digits: int) -> str:
    """Return the number, or a dash when there is none."""
    return ABSENT if value is None else number(value, digits)


def digits_to_distinguish(value: float, other: float, digits: int) -> int:
    """Return the number of decimals at which two different values look different, at most 6."""
    while digits < 6 and value != other and number(value, digits) == number(other, digits):
        digits += 1
    return digits


# --- columns ---------------------------------------------------------------------------------


BOTH_HEADS = "Estimate"  # of differences and win rates in one column
DIFFERENCE_HEADS = ("Difference", "Win rate", BOTH_HEADS)


@dataclass(frozen=True)
class Column:
    """The range of one score column, and how its values are printed and drawn."""

    name: str
    low: float
    high: float
    is_win_rate: bool

    @property
    def has_points(self) -> bool:
        """Return whether scores are points on a scale; shares and win rates are between 0 and 1."""
        return self.high - self.low > 1

    @property
    def digits(self) -> int:
        """Return the number of decimals shown on this scale."""
        return 2 if self.has_points else 3

    @property
    def unit(self) -> str:
        """Return the unit of a difference on this column."""
        if self.is_win_rate:
            return "Win rate (0.5 means equal)"
        if self.has_points:
            return f"Difference in points (scale {self.low:g} to {self.high:g})"
        return "Difference in proportions (scale 0 to 1)"

    def difference(self, value: float) -> str:
        """Return a formatted difference; a win rate is its own difference and has no sign."""
        return number(value, self.digits) if self.is_win_rate else signed(value, self.digits)


def difference_head(columns: Iterable[Column]) -> str:
    """Return the head of a table's column of differences; a win rate is no difference."""
    rates = {column.is_win_rate for column in columns}
    return {True: "Win rate", False: "Difference"}[rates.pop()] if len(rates) == 1 else BOTH_HEADS


def columns_by_name(plan: Plan) -> dict[str, Column]:
    """Return every score column of the plan by name."""
    return {
        column.name: column
        for name, metric in plan.metrics.items()
        for column in _columns_of_metric(name, metric)
    }


def _columns_of_metric(name: str, metric: Metric) -> Iterator[Column]:
    for column in metric.columns(name):
        low, high = metric.bounds_of(column)
        yield Column(
            name=column,
            low=low,
            high=high,
            is_win_rate=metric.compares_pairs,
        )


def difference_with_interval(interval: Interval | None, column: Column) -> str:
    """Return a difference and its limits: +0.42 (0.11 to 0.73); a dash when there is none."""
    if interval is None:
        return ABSENT
    return f"{column.difference(interval.estimate)} ({format_interval(interval, column.digits)})"


def describe_items(task: Task, judged: str = "") -> str:
    """Return the number of items of a task (or `judged`, if given) and its metrics."""
    items = f"{judged} items" if judged else count(task.n_distinct, "item")
    if task.answers > 1:
        items += f" with {task.answers} answers each"
    if task.seeds:
        items += f" with {len(task.seeds)} training seeds each"
    return f"{items} for {', '.join(task.metrics)}{task.kinds_of_items}"


def gate_rule(gate: Gate) -> str:
    """Return the rule by which the verdicts on the claims are combined into one."""
    sentences = [_FAMILIES[gate.require].format(confidence=percent(1 - gate.alpha))]
    sentences.append(f"Each claim is tested one-sided at alpha {gate.alpha:g}.")
    kinds = {claim.claim for claim in gate.claims}
    sentences += [
        kind.gate_note for name, kind in CLAIM_KINDS.items() if name in kinds and kind.gate_note
    ]
    if gate.stop_early:
        sentences.append(
            f"Items are judged in {gate.looks} looks (interim analyses with O'Brien-Fleming "
            "boundaries, which keep alpha over all looks), and no more items are judged than the "
            "verdict needs."
        )
    if gate.decide_on == "corrected":
        sentences.append(
            "Claims that a judge scores are decided on its mean corrected by people's labels (PPI++)."
        )
    if gate.judges_as == "sample":
        sentences.append(
            "Claims are about judges like those of the jury, and not about these alone."
        )
    sentences.append(f"At most {percent(gate.max_unscored)} of the judgements may be missing.")
    return " ".join(sentences)


_FAMILIES = {
    "all": "All claims must hold.",
    "any": "One claim that holds is enough. P-values are adjusted with Holm's method, and the "
    "simultaneous intervals cover all differences together with {confidence} confidence.",
    "ordered": "The first claim decides; each later claim is tested only if all claims before it "
    "hold.",
}
