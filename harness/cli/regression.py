"""Hold runs to each other, and to a blessed baseline."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import BASELINE, BaselineFile, OutputFormat, RunArgument
from harness.cli.telling import EXIT_CODES, Format, tell
from harness.errors import HarnessError

commands = typer.Typer()


@commands.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The earlier run's folder.")],
    new: Annotated[Path, typer.Argument(help="The later run's folder.")],
    output: OutputFormat = Format.text,
) -> None:
    """Compare the candidates of two runs on the same items; refuses runs that differ otherwise."""
    from harness.runs import compare_runs, load_run
    from reports.regression import describe_comparison

    found = compare_runs(load_run(old), load_run(new))
    tell(output, found.model_dump(mode="json"), describe_comparison(found))


@commands.command()
def bless(
    run: RunArgument,
    baseline: BaselineFile = BASELINE,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=X", help="How much worse is still acceptable; repeatable."),
    ] = None,
    alpha: Annotated[float, typer.Option(envvar="HARNESS_ALPHA", min=0.0, max=0.5)] = 0.05,
) -> None:
    """Make a run's candidate the baseline that later runs are checked against."""
    from harness.regression import bless_run, write_baseline
    from harness.runs import load_run

    blessed = bless_run(load_run(run), margins=_read_margins(margin or []), alpha=alpha)
    write_baseline(blessed, baseline)
    typer.echo(f"{baseline}: {blessed.model} of run {blessed.run_id}")
    for name, column in blessed.columns.items():
        typer.echo(f"  {name}: no worse than by {column.margin:g} ({len(column.scores):,} items)")


@commands.command()
def check(
    run: RunArgument,
    baseline: BaselineFile = BASELINE,
    summary: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_SUMMARY",
            help="Add the outcome in Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Check a run against the blessed baseline: 0 no worse, 1 worse, 3 cannot tell."""
    from harness.regression import check_run, read_baseline
    from harness.runs import load_run
    from reports.regression import describe_check, render_check

    found = check_run(load_run(run), read_baseline(baseline))
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(render_check(found))
    code = EXIT_CODES[found.decision.verdict]
    tell(output, {"exit_code": code} | found.model_dump(mode="json"), describe_check(found))
    raise typer.Exit(code)


def _read_margins(stated: list[str]) -> dict[str, float]:
    margins = {}
    for each in stated:
        column, _, value = each.partition("=")
        try:
            margins[column] = float(value)
        except ValueError:
            raise HarnessError(
                f"--margin {each}: write COLUMN=NUMBER, for example rubric.safety=0.25."
            ) from None
    return margins
