"""Hold runs to each other, and to a blessed baseline."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from harness.cli.options import BASELINE, BaselineFile, OutputFormat, RunArgument
from harness.cli.output import EXIT_CODES, Format, emit
from harness.core.errors import HarnessError

commands = typer.Typer()


@commands.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The earlier run's folder.")],
    new: Annotated[Path, typer.Argument(help="The later run's folder.")],
    output: OutputFormat = Format.text,
) -> None:
    """Compare the candidates of two runs on the same items; refuses runs that differ otherwise."""
    from harness.artifacts.run_folder import load_run
    from harness.runs.compare_runs import compare_runs
    from reports.regression import describe_comparison

    found = compare_runs(load_run(old), load_run(new))
    emit(output, found.model_dump(mode="json"), describe_comparison(found))


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
    from harness.artifacts.run_folder import load_run
    from harness.runs.regression import bless_run, check_run, write_baseline

    loaded = load_run(run)
    blessed = bless_run(loaded, margins=_read_margins(margin or []), alpha=alpha)
    write_baseline(blessed, baseline)
    typer.echo(f"{baseline}: {blessed.model} of run {blessed.run_id}")
    for name, column in blessed.columns.items():
        typer.echo(f"  {name}: no worse than by {column.margin:g} ({len(column.scores):,} items)")
    for claim in check_run(loaded, blessed).decision.claims:
        if claim.verdict != "pass":
            typer.echo(
                f"harness: {claim.metric}: on so few items not even this run itself passes the check. "
                "State a wider margin, or use more items.",
                err=True,
            )


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
    junit: Annotated[
        Path | None, typer.Option(envvar="HARNESS_JUNIT", help="Write the outcome as JUnit XML.")
    ] = None,
    comment: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_COMMENT",
            help="Write the outcome as a pull request's comment, with a mark to find it by.",
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Check a run against the blessed baseline: 0 no worse, 1 worse, 3 cannot tell."""
    from harness.artifacts.run_folder import load_run
    from harness.runs.regression import check_run, read_baseline
    from reports.junit import render_check_junit, render_failed_check_junit
    from reports.regression import describe_check, render_check, render_failed_check

    files = _CheckFiles(summary, junit, comment)
    try:
        found = check_run(load_run(run), read_baseline(baseline))
    except HarnessError as error:  # a file of an earlier check must not stand for this one
        files.write(render_failed_check(str(error)), render_failed_check_junit(str(error)))
        raise
    files.write(render_check(found), render_check_junit(found))
    code = EXIT_CODES[found.decision.verdict]
    emit(output, {"exit_code": code} | found.model_dump(mode="json"), describe_check(found))
    raise typer.Exit(code)


@commands.command()
def monitor(
    scores: Annotated[
        Path, typer.Argument(help="A growing file of scores (jsonl, csv), oldest first.")
    ],
    column: Annotated[
        str, typer.Option(envvar="HARNESS_COLUMN", help="The column that holds the scores.")
    ] = "score",
    at_least: Annotated[
        float, typer.Option(envvar="HARNESS_AT_LEAST", help="What the mean is promised to be.")
    ] = 0.5,
    low: Annotated[
        float, typer.Option(envvar="HARNESS_LOW", help="The least score there can be.")
    ] = 0.0,
    high: Annotated[
        float, typer.Option(envvar="HARNESS_HIGH", help="The greatest score there can be.")
    ] = 1.0,
    alpha: Annotated[float, typer.Option(envvar="HARNESS_ALPHA", min=0.0, max=0.5)] = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Watch scores as they come in, as often as you like: 0 no alarm, 1 the promise is broken."""
    from harness.runs.monitor import read_stream, watch_scores
    from reports.monitor import describe_monitor

    if not low < at_least < high:
        raise HarnessError(f"--at-least {at_least:g} must lie between {low:g} and {high:g}.")
    if alpha == 0:
        raise HarnessError("--alpha must be above 0.")
    stream = read_stream(scores, column, bounds=(low, high))
    found = watch_scores(stream, at_least, bounds=(low, high), alpha=alpha)
    code = int(found.alarm)
    emit(output, {"exit_code": code} | found.model_dump(mode="json"), describe_monitor(found))
    raise typer.Exit(code)


class _CheckFiles(NamedTuple):
    """Where a check's outcome is written to, beside the terminal."""

    summary: Path | None
    junit: Path | None
    comment: Path | None

    def write(self, markdown: str, junit: bytes) -> None:
        from reports.regression import render_comment

        try:
            if self.summary is not None:
                with self.summary.open("a", encoding="utf-8") as file:
                    file.write(markdown)
            if self.junit is not None:
                self.junit.write_bytes(junit)
            if self.comment is not None:
                self.comment.write_text(render_comment(markdown), encoding="utf-8")
        except OSError as error:
            raise HarnessError(f"{error.filename}: cannot be written: {error.strerror}.") from None


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
