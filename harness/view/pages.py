"""HTML of the pages, rendered from templates/. Jinja2 escapes every string; invisible characters are shown."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from harness.artifacts.integrity import NOT_VERIFIED
from harness.artifacts.running import RunningRun
from harness.types import RunResult
from harness.view.rows import (
    claim_rows,
    models_of,
    moment,
    run_row,
    side_table,
    suite_of,
    trend_values,
    verdict_name,
    visible,
)
from harness.view.side_by_side import SideBySide
from harness.view.trends import ItemSet, Trend
from harness.view.workspace import RunEntry
from reports.formatting import count
from reports.html import page_environment, source_hash, style_sheet
from reports.human_inputs import read_human_inputs
from reports.view import make_view

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
RUNS_PER_PAGE = 50
_SECTIONS = {"comparison", "plan"}  # of a report, that the page of a run shows too


class Filter(NamedTuple):
    """What a list of runs is limited to; empty is not limited."""

    suite: str = ""
    model: str = ""
    verdict: str = ""

    @property
    def any(self) -> bool:
        """Return whether the list is limited at all."""
        return any(self)

    def takes(self, entry: RunEntry) -> bool:
        """Return whether a run belongs to the list."""
        return (
            self.suite in ("", suite_of(entry))
            and (not self.model or self.model in models_of(entry))
            and self.verdict in ("", verdict_name(entry))
        )


class Pages:
    """The pages of one output folder, which stands at the head of each."""

    def __init__(self, out: Path) -> None:
        self._out = str(out)

    def runs(
        self,
        entries: Sequence[RunEntry],
        chosen: Filter,
        page: int,
        under_way: Sequence[RunningRun],
    ) -> str:
        """Render one page of the list of runs."""
        taken = [entry for entry in entries if chosen.takes(entry)]
        n_pages = max(1, -(-len(taken) // RUNS_PER_PAGE))
        page = min(max(page, 1), n_pages)
        first = (page - 1) * RUNS_PER_PAGE
        shown = taken[first : first + RUNS_PER_PAGE]
        listed = {
            "rows": [run_row(entry) for entry in shown],
            "counted": f"{first + 1:,} to {first + len(shown):,} of {count(len(taken), 'run')}, the last first",
            "suites": _values(entries, lambda entry: [suite_of(entry)]),
            "models": _values(entries, models_of),
            "verdicts": _values(entries, lambda entry: [verdict_name(entry)]),
            "chosen": chosen,
            "pages": [
                {"number": n, "here": n == page, "address": _page_address(chosen, n)}
                for n in range(1, n_pages + 1)
            ],
        }
        return self._render("runs.html", "/", list=listed, under_way=under_way)

    def run(self, entry: RunEntry, result: RunResult, files: Sequence[tuple[str, str, str]]) -> str:
        """Render a run that was read whole; `files` are addresses, names and what each is."""
        missing = [name for name in result.tables if not (entry.folder / name).is_file()]
        return self._render(
            "run.html",
            "",
            view=make_view(result, read_human_inputs(entry.folder, result.run_id)),
            shown=_SECTIONS,
            claims=claim_rows(result),
            files=files,
            verified=bool(result.tables) and not missing,
            integrity=_integrity(result, missing),
            folder=str(entry.folder),
            trends=f"/trends?{urlencode({'suite': result.plan.suite}, errors='replace')}"
            if result.decision
            else "",
        )

    def trends(
        self,
        trends: Sequence[Trend],
        suites: Sequence[str],
        suite: str,
        item_sets: Sequence[ItemSet],
        items: str,
    ) -> str:
        """Render the trends of the claims of one suite."""
        return self._render(
            "trends.html",
            "/trends",
            trends=[trend_values(trend) for trend in trends],
            suites=suites,
            suite=suite,
            item_sets=item_sets,
            items=items,
        )

    def compare(self, side: SideBySide) -> str:
        """Render runs side by side."""
        return self._render("compare.html", "", table=side_table(side))

    def progress(self, under_way: Sequence[RunningRun]) -> str:
        return self._render("progress.html", "/progress", under_way=under_way)

    def message(self, heading: str, text: str, *, address: str = "", link: str = "") -> str:
        """Render a message in the place of a page, with a link to what would work."""
        return self._render(
            "message.html", "", heading=heading, text=text, address=address, link=link
        )

    def entered(self) -> str:
        """Render the page that the link opens, which leads to the list."""
        return self._render("entered.html", "/")

    def _render(self, template: str, here: str, **values: object) -> str:
        from markupsafe import Markup

        return (
            _environment()
            .get_template(template)
            .render(
                here=here,
                out=self._out,
                style=Markup(_style()),  # noqa: S704 - our own file
                script=Markup(_script()),  # noqa: S704 - our own file
                **values,
            )
        )


def _integrity(result: RunResult, missing: Sequence[str]) -> str:
    """Say whether the tables are those of the run, after its reader has refused any that are not."""
    if not result.tables:
        return f"The tables are {NOT_VERIFIED}."
    if missing:
        return f"Not complete: {', '.join(missing)} is missing. Run the suite again: answers and verdicts are stored."
    return "Verified: the tables are those that this run was decided on (their sha256 is that in results.json)."


def policy() -> str:
    """Return the Content-Security-Policy of every page: our style and script, by their hashes."""
    return (
        f"default-src 'none'; style-src '{source_hash(_style())}'; script-src '{source_hash(_script())}'; "
        "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _values(entries: Sequence[RunEntry], values: Callable[[RunEntry], Sequence[str]]) -> list[str]:
    return sorted({value for entry in entries for value in values(entry)})


def _page_address(chosen: Filter, page: int) -> str:
    fields = {key: value for key, value in chosen._asdict().items() if value}
    return f"/?{urlencode({**fields, 'page': page}, errors='replace')}"


@cache
def _style() -> str:
    return style_sheet() + (TEMPLATES / "view.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    return (TEMPLATES / "progress.js").read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    environment = page_environment(TEMPLATES)
    environment.filters.update(visible=visible, moment=moment)
    return environment
