"""The reports of a run, with the pages of its items and explorer.html where the run folder has its tables."""

from pathlib import Path

from harness.runs.item_prompts import prompts_of_run
from harness.runs.items import has_items, read_items
from harness.types import RunResult
from reports.explorer import write_explorer
from reports.item_pages import write_item_pages
from reports.write import write_reports


def write_run_reports(result: RunResult, folder: Path) -> Path:
    """Write all reports of a run and return the path of report.html.

    Pages of its items and explorer.html are written if the run folder has its tables.

    Raises:
        InfrastructureError: a file could not be written.
        HarnessError: a table of the run is damaged.
    """
    n_shown = 0
    if has_items(folder):
        plan = result.plan
        title = f"{plan.title or plan.suite} · run {result.run_id}"
        shown = read_items(result, folder)
        n_shown = write_item_pages(
            shown.items,
            folder,
            title=title,
            n_items=shown.n_items,
            prompts=prompts_of_run(plan),
        )
        write_explorer(shown.items, result, folder, n_items=shown.n_items)
    return write_reports(result, folder, n_items=n_shown)
