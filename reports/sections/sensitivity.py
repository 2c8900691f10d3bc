"""The section on sensitivity: each claim and comparison, analysed in other ways."""

from collections.abc import Iterator, Sequence

from harness.config import Gate
from harness.types import (
    ClaimVerdict,
    RunResult,
    SensitivityRow,
    SensitivityTable,
    SensitivityVariant,
    TippingPoint,
)
from reports.components import LABELS, Section, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    columns_by_name,
    count,
    difference_head,
    difference_with_interval,
    models_compared,
    number,
)
from reports.sections.appendix import FLAG_LABELS

_ANALYSES: dict[SensitivityVariant, str] = {
    "as_decided": "as decided",
    "complete_cases": "items with missing scores excluded",
    "missing_at_worst": "missing scores at their worst value",
    "missing_at_best": "missing scores at their best value",
    "without_flagged": "without flagged answers",
    "inconsistent_as_ties": "order-dependent pairs counted as ties",
    "consistent_only": "order-dependent pairs excluded",
    "equal_length": "adjusted to equal length",
}


def sensitivity_section(result: RunResult) -> Section | None:
    """Return the verdicts under other analyses; None if there is no other analysis."""
    tables = [table for table in result.sensitivities if len(table.rows) > 1]
    if not tables:
        return None
    columns, gate = columns_by_name(result.plan), result.plan.gate
    claimed = [table for table in tables if table.claim is not None]
    return Section(
        name="sensitivity",
        title="Sensitivity analysis",
        lead=_lead(claimed),
        tables=(
            *_summary(claimed, columns),
            *(_rows_table(table, columns[table.metric], gate) for table in claimed),
            *_without_claim(result, [table for table in tables if table.claim is None], columns),
        ),
        notes=tuple(_notes(tables)),
    )


def _lead(claimed: Sequence[SensitivityTable]) -> str:
    if not claimed:
        return "Each result under other analyses. None of them affects the verdict."
    n_changed = sum(bool(_changed_rows(table)) for table in claimed)
    if not n_changed:
        return (
            "Every claim has the same verdict under all analyses below. The gate uses only the "
            "planned analysis."
        )
    return (
        f"For {n_changed} of {count(len(claimed), 'claim')}, another analysis gives another verdict. "
        "The gate uses only the planned analysis; this section shows how robust its verdict is."
    )


def _changed_rows(table: SensitivityTable) -> list[SensitivityRow]:
    """Return the analyses whose verdict differs from the one decided."""
    decided, *others = table.rows
    return [row for row in others if row.verdict not in (None, decided.verdict)]


# --- tables ----------------------------------------------------------------------------------


def _summary(claimed: Sequence[SensitivityTable], columns: dict[str, Column]) -> Iterator[Table]:
    if claimed:
        rows = [
            (
                table.claim or ABSENT,
                _word(table.rows[0].verdict),
                "; ".join(f"{_word(row.verdict)}: {_analysis(row)}" for row in _changed_rows(table))
                or "none",
                _tipping_point(table.tipping, columns[table.metric]),
            )
            for table in claimed
        ]
        head = (
            "Claim",
            "As decided",
            "Analyses with another verdict",
            "Missing scores that would change the verdict",
        )
        title = "Claims under other analyses"
        yield without_empty_columns(Table(title, head, "llll", tuple(rows)))


def _rows_table(table: SensitivityTable, column: Column, gate: Gate | None) -> Table:
    alone = table.baseline == table.candidate
    about_mean = gate is not None and any(
        str(claim) == table.claim and claim.kind.own_mean for claim in gate.claims
    )
    rows = [
        (
            _analysis(row),
            f"{row.n:,}",
            _estimate(row, column, about_mean=about_mean),
            _word(row.verdict),
        )
        for row in table.rows
    ]
    head = (
        "Analysis",
        "n",
        "Mean" if alone else "Candidate's mean" if about_mean else difference_head([column]),
        "Verdict",
    )
    return Table(f"{table.claim}: all analyses", head, "lrrl", tuple(rows), folded=True)


def _without_claim(
    result: RunResult, tables: Sequence[SensitivityTable], columns: dict[str, Column]
) -> Iterator[Table]:
    alone = result.plan.alone
    rows = [
        (
            table.metric,
            models_compared(result.plan, table),
            _analysis(row),
            f"{row.n:,}",
            _estimate(row, columns[table.metric], about_mean=alone),
        )
        for table in tables
        for row in table.rows
    ]
    if rows:
        measured = "Mean" if alone else difference_head(columns[table.metric] for table in tables)
        head = ("Metric", "Models", "Analysis", "n", measured)
        what = "Scores" if alone else "Comparisons"
        title = f"{what} without a claim: all analyses"
        yield without_empty_columns(Table(title, head, "lllrr", tuple(rows), folded=True))


def _notes(tables: Sequence[SensitivityTable]) -> Iterator[str]:
    variants = {row.counting for table in tables for row in table.rows}
    if "missing_at_worst" in variants:
        yield (
            "Where scores are missing, the decided verdict covers every value that they could have "
            "had: a pass must hold with all of them at their worst, a fail with all of them at their "
            "best."
        )
    if variants & {"without_flagged", "consistent_only"}:
        yield (
            "Excluding items reduces their number, which alone can make a verdict inconclusive. "
            "The remaining items may also be easier for one of the models."
        )
    if "equal_length" in variants:
        yield (
            "Adjusted to equal length: judges often prefer longer answers, but an answer can also "
            "be better because it is longer. Missing scores are excluded there."
        )


# --- cells -----------------------------------------------------------------------------------


def _analysis(row: SensitivityRow) -> str:
    if row.without is None:
        return _ANALYSES[row.counting]
    flag = "any flag" if row.without == "any_flag" else FLAG_LABELS[row.without]
    return f"without flagged answers ({flag})"


def _word(verdict: ClaimVerdict | None) -> str:
    return ABSENT if verdict is None else LABELS[verdict].word.lower()


def _estimate(row: SensitivityRow, column: Column, *, about_mean: bool) -> str:
    if row.estimate is None:
        return row.problem or ABSENT
    text = difference_with_interval(row.estimate, column)
    return text.removeprefix("+") if about_mean else text


def _tipping_point(tipping: TippingPoint | None, column: Column) -> str:
    if tipping is None:
        return ABSENT
    if not tipping.flips:
        return f"no value of the {count(tipping.n_missing, 'missing score')} changes it"
    changes = [
        f"{_word(verdict)} from {_tipping_value(value, tipping, column)}"
        for value, verdict in tipping.flips
    ]
    at_worst = f"{_word(tipping.at_worst)} with all {tipping.n_missing:,} at their worst"
    return "; ".join([at_worst, *changes])


def _tipping_value(value: float, tipping: TippingPoint, column: Column) -> str:
    match tipping.scale:
        case "share_at_best":
            return f"{round(value * tipping.n_missing):,} of them at their best"
        case "difference":
            return f"a difference of {column.difference(value)}"
        case "win_rate":
            return f"a win rate of {number(value, column.digits)}"
        case "score":
            return f"a score of {number(value, column.digits)}"
