"""The components of a report: verdict, facts, claims, tables, charts and texts, ready to lay out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reports.formatting import ABSENT

CAVEATS_TITLE = "Caveats: read these first"
FACTS_TITLE = "Models and items"
NEXT_TITLE = "What to do next"
N_ROWS_SHOWN = 20  # a table of varying length is folded if it is longer
VerdictWord = Literal["pass", "fail", "inconclusive", "not_tested", "none"]


@dataclass(frozen=True)
class VerdictLabel:
    """A verdict as word, symbol and CSS class, so that colour is never the only cue."""

    value: VerdictWord
    word: str
    symbol: str


@dataclass(frozen=True)
class KeyValue:
    """One fact about the run: a model or the items of a task."""

    label: str
    name: str
    detail: str


@dataclass(frozen=True)
class ClaimLine:
    """One claim with its verdict, the reason, and the numbers behind it."""

    verdict: VerdictLabel
    claim: str
    why: str
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of formatted cells; `align` holds one letter for each column, l or r."""

    title: str
    head: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    note: str = ""


def without_empty_columns(table: Table) -> Table:
    """Return the table without the columns in which every cell is a dash.

    The table must have at least one row.
    """
    filled = [i for i, cells in enumerate(zip(*table.rows, strict=True)) if set(cells) != {ABSENT}]
    return replace(
        table,
        head=tuple(table.head[i] for i in filled),
        align="".join(table.align[i] for i in filled),
        rows=tuple(tuple(row[i] for i in filled) for row in table.rows),
    )


@dataclass(frozen=True)
class Mark:
    """A boundary that a claim is tested against, drawn on a forest plot."""

    value: float
    label: str


@dataclass(frozen=True)
class ForestRow:
    """One interval of a forest plot, with its formatted numbers."""

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
    """The distributions of one metric; `binned` values are the low edges of bins.

    `baseline` is None for a model alone.
    """

    title: str
    low: float
    high: float
    binned: bool
    baseline: Series | None
    candidate: Series

    @property
    def series(self) -> tuple[Series, ...]:
        """Return the series that there are, the baseline's first."""
        return (self.candidate,) if self.baseline is None else (self.baseline, self.candidate)


@dataclass(frozen=True)
class PreferenceBar:
    """The number of items that each side won, and of ties."""

    title: str
    baseline: str
    candidate: str
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class CurveChart:
    """One training curve and its formatted last value."""

    title: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    last: str


@dataclass(frozen=True)
class TrendPoint:
    """One run on a trend: `low` to `high` is its interval, in which an end that has no bound is None.

    `change` is the number of the change of measurement before it; 0 where nothing changed.
    """

    label: str
    verdict: VerdictWord
    estimate: float
    low: float | None
    high: float | None
    change: int = 0


@dataclass(frozen=True)
class TrendChart:
    """One claim over several runs, the oldest first, with the boundaries that it was tested against."""

    title: str
    points: tuple[TrendPoint, ...]
    boundaries: tuple[Mark, ...]


@dataclass(frozen=True)
class ScatterPoint:
    """A value with its interval at a place on the horizontal axis; drawn `filled` or hollow."""

    label: str
    x: float
    estimate: float
    low: float
    high: float
    filled: bool


@dataclass(frozen=True)
class ScatterChart:
    """Values with intervals against a cost, on a logarithmic axis where it spans a factor of ten."""

    title: str
    x_title: str
    points: tuple[ScatterPoint, ...]


Chart = ForestPanel | Histogram | PreferenceBar | CurveChart | TrendChart | ScatterChart


@dataclass(frozen=True)
class TextBlock:
    """A text shown verbatim, such as an answer, a prompt or a command."""

    title: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class ExampleCard:
    """One item: the question, the answers of both models side by side, and the address of its own page."""

    title: str
    subtitle: str
    question: tuple[TextBlock, ...]
    answers: tuple[TextBlock, ...]
    address: str = ""


@dataclass(frozen=True)
class Link:
    """A page in the folder of the report, by its file name without .html or .md."""

    page: str
    text: str


@dataclass(frozen=True)
class Section:
    """One part of the report below the first screen; `alerts` are shown prominently."""

    name: str
    title: str
    lead: str = ""
    alerts: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    caption: str = ""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    examples: tuple[ExampleCard, ...] = ()
    text_blocks: tuple[TextBlock, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class View:
    """A whole report: the first screen, then the sections. `links` are addresses by words of the next steps."""

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
    next_steps: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    claims_title: str = "Claims"


LABELS: dict[VerdictWord, VerdictLabel] = {
    "pass": VerdictLabel("pass", "PASS", "✓"),
    "fail": VerdictLabel("fail", "FAIL", "✗"),
    "inconclusive": VerdictLabel("inconclusive", "INCONCLUSIVE", "?"),
    "not_tested": VerdictLabel("not_tested", "NOT TESTED", "-"),
    "none": VerdictLabel("none", "NO GATE", "○"),
}
