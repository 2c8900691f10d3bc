"""What a report is made of: verdict, facts, claims, tables, charts and texts, ready to lay out."""

from dataclasses import dataclass, replace
from typing import Literal

from reports.formatting import ABSENT

N_ROWS_SHOWN = 20  # of a table that can grow; a longer one is folded


VerdictWord = Literal["pass", "fail", "inconclusive", "not_tested", "none"]


@dataclass(frozen=True)
class VerdictLabel:
    """A verdict as word, symbol and class, so that colour is never the only sign."""

    value: VerdictWord
    word: str
    symbol: str


@dataclass(frozen=True)
class KeyValue:
    """One line of who was compared, and on what."""

    label: str
    name: str
    detail: str


@dataclass(frozen=True)
class ClaimLine:
    """One claim with its verdict, why, and the numbers behind it."""

    verdict: VerdictLabel
    claim: str
    why: str
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Cells ready to print; `align` holds one letter a column, l or r; `note` explains them."""

    title: str
    head: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    note: str = ""


def without_empty_columns(table: Table) -> Table:
    """The table without columns in which every cell is a dash; it has a row at least."""
    kept = [i for i, cells in enumerate(zip(*table.rows, strict=True)) if set(cells) != {ABSENT}]
    return replace(
        table,
        head=tuple(table.head[i] for i in kept),
        align="".join(table.align[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
    )


@dataclass(frozen=True)
class Mark:
    """A boundary that a claim is tested against, drawn on a forest plot."""

    value: float
    label: str


@dataclass(frozen=True)
class ForestRow:
    """One interval of a forest plot, with its printed numbers."""

    label: str
    numbers: str
    estimate: float
    low: float
    high: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class ForestPanel:
    """Intervals that share one unit and one null value."""

    title: str
    null: float
    baseline: str
    candidate: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True)
class Series:
    """One model's counts by value."""

    label: str
    counts: dict[float, int]


@dataclass(frozen=True)
class Histogram:
    """The paired distributions of one metric; `binned` values are the low edges of bins."""

    title: str
    low: float
    high: float
    binned: bool
    baseline: Series
    candidate: Series


@dataclass(frozen=True)
class PreferenceBar:
    """How often each side won, in items."""

    title: str
    baseline: str
    candidate: str
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class CurveChart:
    """One training curve and its last value in print."""

    title: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    last: str


Chart = ForestPanel | Histogram | PreferenceBar | CurveChart


@dataclass(frozen=True)
class TextBlock:
    """A text shown as it is, such as an answer, a prompt or a command."""

    title: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class ExampleCard:
    """One item shown side by side: what was asked, and what each model said."""

    title: str
    subtitle: str
    question: tuple[TextBlock, ...]
    answers: tuple[TextBlock, ...]


@dataclass(frozen=True)
class Link:
    """A page that lies beside the report, by its name without .html or .md."""

    page: str
    words: str


@dataclass(frozen=True)
class Section:
    """One part of the report below the first screen; `alerts` are what its reader must not miss."""

    name: str
    title: str
    lead: str = ""
    alerts: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    caption: str = ""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    exhibits: tuple[ExampleCard, ...] = ()
    passages: tuple[TextBlock, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class View:
    """A whole report: the first screen, then the sections."""

    title: str
    provenance: str
    verdict: VerdictLabel
    sentence: str
    summary: tuple[str, ...]
    facts: tuple[KeyValue, ...]
    claims: tuple[ClaimLine, ...]
    claims_note: str
    caveats: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: str


LABELS: dict[VerdictWord, VerdictLabel] = {
    "pass": VerdictLabel("pass", "PASS", "✓"),
    "fail": VerdictLabel("fail", "FAIL", "✗"),
    "inconclusive": VerdictLabel("inconclusive", "INCONCLUSIVE", "?"),
    "not_tested": VerdictLabel("not_tested", "NOT TESTED", "-"),
    "none": VerdictLabel("none", "NO GATE", "○"),
}
