"""The section that counts again in other ways, and says which verdicts would change."""

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
    estimate_with_span,
    models_compared,
    number,
)
from reports.sections.appendix import FLAG_LABELS

_COUNTED: dict[SensitivityVariant, str] = {
    "as_decided": "as decided",
    "complete_cases": "missing scores left out",
    "missing_at_worst": "missing scores at their worst",
    "missing_at_best": "missing scores at their best",
    "without_flagged": "without flagged answers",
    "inconsistent_as_ties": "pairs that hang on the order as ties",
    "consistent_only": "pairs that hang on the order left out",
    "equal_length": "at equal length",
}


def sensitivity_section(result: RunResult) -> Section | None:
    """What the verdict would be otherwise; None where there is no other way of counting."""
    tables = [table for table in result.sensitivities if len(table.rows) > 1]
    if not tables:
        return None
    columns, gate = columns_by_name(result.plan), result.plan.gate
    claimed = [table for table in tables if table.claim is not None]
    return Section(
        name="sensitivity",
        title="Does it hang on how it is counted?",
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
        return "Each difference again, counted in other ways. None of them decides anything."
    n = sum(bool(_turned(table)) for table in claimed)
    if not n:
        return "No: every claim has the same verdict however it is counted. None of this decides."
    return (
        f"For {n} of {count(len(claimed), 'claim')} some other way of counting gives another "
        "verdict. The gate decides as it was stated; this says how firm that is."
    )


def _turned(table: SensitivityTable) -> list[SensitivityRow]:
    """The ways of counting that give another verdict than the one decided."""
    decided, *others = table.rows
    return [row for row in others if row.verdict not in (None, decided.verdict)]


# --- tables ----------------------------------------------------------------------------------


def _summary(claimed: Sequence[SensitivityTable], columns: dict[str, Column]) -> Iterator[Table]:
    if claimed:
        rows = [
            (
                table.claim or ABSENT,
                _word(table.rows[0].verdict),
                "; ".join(f"{_word(row.verdict)} {_counted(row)}" for row in _turned(table))
                or "nowhere",
                _tipping(table.tipping, columns[table.metric]),
            )
            for table in claimed
        ]
        head = (
            "Claim",
            "As decided",
            "Otherwise where",
            "What the missing scores would have to be",
        )
        title = "Claims, counted in other ways"
        yield without_empty_columns(Table(title, head, "llll", tuple(rows)))


def _rows_table(table: SensitivityTable, column: Column, gate: Gate | None) -> Table:
    own = gate is not None and any(
        str(claim) == table.claim and claim.kind.own_mean for claim in gate.claims
    )
    rows = [
        (_counted(row), f"{row.n:,}", _estimate(row, column, own=own), _word(row.verdict))
        for row in table.rows
    ]
    head = ("Counted", "n", "Candidate's mean" if own else "Difference", "Verdict")
    return Table(f"{table.claim}, counted in other ways", head, "lrrl", tuple(rows), folded=True)


def _without_claim(
    result: RunResult, tables: Sequence[SensitivityTable], columns: dict[str, Column]
) -> Iterator[Table]:
    rows = [
        (
            table.metric,
            models_compared(result.plan, table),
            _counted(row),
            f"{row.n:,}",
            _estimate(row, columns[table.metric], own=False),
        )
        for table in tables
        for row in table.rows
    ]
    if rows:
        head = ("Metric", "Models", "Counted", "n", "Difference")
        title = "Comparisons without a claim, counted in other ways"
        yield without_empty_columns(Table(title, head, "lllrr", tuple(rows), folded=True))


def _notes(tables: Sequence[SensitivityTable]) -> Iterator[str]:
    counted = {row.counting for table in tables for row in table.rows}
    if "missing_at_worst" in counted:
        yield (
            "Where scores are missing, what was decided spans all that they could have been: a pass "
            "must hold with all of them at their worst, a fail with all at their best."
        )
    if counted & {"without_flagged", "consistent_only"}:
        yield (
            "Leaving items out leaves fewer of them: a verdict may become inconclusive for that "
            "alone. And what is left may be easier for one of the models."
        )
    if "equal_length" in counted:
        yield (
            "At equal length: judges often like longer answers, but length may also be how an "
            "answer is better. Missing scores are left out there."
        )


# --- words -----------------------------------------------------------------------------------


def _counted(row: SensitivityRow) -> str:
    if row.without is None:
        return _COUNTED[row.counting]
    flag = "any flag" if row.without == "any_flag" else FLAG_LABELS[row.without]
    return f"without flagged answers ({flag})"


def _word(verdict: ClaimVerdict | None) -> str:
    return ABSENT if verdict is None else LABELS[verdict].word.lower()


def _estimate(row: SensitivityRow, column: Column, *, own: bool) -> str:
    if row.estimate is None:
        return row.problem or ABSENT
    text = estimate_with_span(row.estimate, column)
    return text.removeprefix("+") if own else text


def _tipping(tipping: TippingPoint | None, column: Column) -> str:
    if tipping is None:
        return ABSENT
    if not tipping.flips:
        return f"no value of the {tipping.n_missing:,} missing flips it"
    turns = [f"{_word(verdict)} from {_value(value, tipping, column)}" for value, verdict in tipping.flips]  # fmt: skip
    return f"{_word(tipping.at_worst)} with all {tipping.n_missing:,} at their worst; {'; '.join(turns)}"


def _value(value: float, tipping: TippingPoint, column: Column) -> str:
    match tipping.scale:
        case "share_at_best":
            return f"{round(value * tipping.n_missing):,} of them at their best"
        case "difference":
            return f"a difference of {column.difference(value)}"
        case "win_rate":
            return f"a win rate of {number(value, column.digits)}"
        case "score":
            return f"a score of {number(value, column.digits)}"
