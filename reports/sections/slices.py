"""The section on slices: comparisons on parts of the items, which an overall mean can hide."""

from collections.abc import Iterator, Sequence

from harness.types import Interval, RunResult, SliceComparison
from reports.components import N_ROWS_SHOWN, Section, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    columns_by_name,
    count,
    difference_head,
    format_interval,
    join_names,
    models_measured,
    number,
    p_value,
)


def slice_section(result: RunResult) -> Section | None:
    """Return the worst slice of each score column, and all slices; None if there are none."""
    if not result.slices:
        return None
    columns, plan = columns_by_name(result.plan), result.plan
    worst = [line for line in result.slices if line.worst]
    all_slices = Table(
        "All slices",
        _head(result.slices, columns),
        "llrrrrrrr",
        _rows(result.slices, columns),
        folded=len(result.slices) > N_ROWS_SHOWN or bool(worst),
        note="" if plan.alone else _NOT_TESTED,
    )
    return Section(
        name="slices",
        title="Scores by slice" if plan.alone else "Differences by slice",
        lead=f"{models_measured(plan)} for each value of "
        f"{join_names(list(dict.fromkeys(line.slice for line in result.slices)))}.",
        tables=(*_worst_table(worst, columns), without_empty_columns(all_slices)),
        notes=tuple(_notes(result.slices, tested=not plan.alone)),
    )


_NOT_TESTED = "A slice with fewer than 30 scored items (or clusters) is not tested."


def _worst_table(worst: Sequence[SliceComparison], columns: dict[str, Column]) -> Iterator[Table]:
    if worst:
        rows = _rows(worst, columns)
        head = _head(worst, columns)
        yield without_empty_columns(Table("The worst slice of each score", head, "llrrrrrrr", rows))


def _head(lines: Sequence[SliceComparison], columns: dict[str, Column]) -> tuple[str, ...]:
    alone = lines[0].baseline == lines[0].candidate
    measured = "Mean" if alone else difference_head(columns[line.metric] for line in lines)
    return (
        "Metric",
        "Slice",
        "Items",
        "Missing",
        measured,
        "95 % CI",
        "p",
        "Adjusted p",
        "Corrected by labels",
    )


def _rows(
    lines: Sequence[SliceComparison], columns: dict[str, Column]
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            line.metric,
            f"{line.slice}: {line.value}",
            f"{line.n:,}",
            f"{line.n_missing:,}" if line.n_missing else ABSENT,
            _estimate(line, columns[line.metric]),
            format_interval(line.difference, columns[line.metric].digits)
            if line.difference
            else ABSENT,
            p_value(line.p_value),
            p_value(line.p_adjusted),
            _corrected(line, columns[line.metric]),
        )
        for line in lines
    )


def _estimate(line: SliceComparison, column: Column) -> str:
    return ABSENT if line.difference is None else _mean(line.difference, line, column)


def _mean(interval: Interval, line: SliceComparison, column: Column) -> str:
    if line.baseline == line.candidate:
        return number(interval.estimate, column.digits)
    return column.difference(interval.estimate)


def _corrected(line: SliceComparison, column: Column) -> str:
    """Return the corrected estimate with its interval, or how many labels are too few for one."""
    if line.n_labels is None:
        return ABSENT
    if line.corrected is None:
        return f"{count(line.n_labels, 'label')}, not corrected"
    interval = format_interval(line.corrected, column.digits)
    return f"{_mean(line.corrected, line, column)} ({interval}), {count(line.n_labels, 'label')}"


_CORRECTED = (
    "Corrected by labels: what people would have said of the slice, from the judge's scores and people's labels of "
    "its items, with a 95 % interval. With fewer than 30 labels of a slice it is not corrected."
)


def _notes(lines: Sequence[SliceComparison], *, tested: bool) -> Iterator[str]:
    if any(line.n_labels is not None for line in lines):
        yield _CORRECTED
    if not tested:
        return
    n_tests = lines[0].n_tests
    if not n_tests:
        yield "No slice has enough scored items for a test."
        return
    yield (
        f"Exploratory: all {count(n_tests, 'slice test')} of this run are one family, and the "
        "adjusted p-values correct for it (Benjamini-Hochberg). Intervals are not adjusted. The "
        "worst of several slices looks worse than it is: to confirm it, state a claim about it and "
        "test that claim on new items."
    )
