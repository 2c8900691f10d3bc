"""Commands that compare runs, check them against a baseline, and monitor scores."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from harness.cli.options import (
    BASELINE,
    OUT,
    RUN_HELP,
    Alpha,
    BaselineFile,
    OutFolder,
    OutputFormat,
    RunArgument,
    RunArguments,
    find_named_run,
    read_margins,
)
from harness.cli.output import EXIT_CODES, Format, emit
from harness.core.errors import HarnessError
from harness.core.files import refuse_link, write_output

commands = typer.Typer()

CommonItems = Annotated[
    bool,
    typer.Option(
        "--common-items", help="Compare on the items that are the same, where some differ."
    ),
]


@commands.command()
def compare(
    runs: RunArguments,
    common_items: CommonItems = False,
    output: OutputFormat = Format.text,
) -> None:
    """Compare the candidate of the first run with those of later ones, on equal items and judges."""
    from harness.artifacts.run_folder import load_run
    from harness.runs.compare_runs import compare_runs
    from reports.regression import describe_comparison

    if len(runs) < 2:
        raise HarnessError("name at least two runs: the earlier one first (see `harness runs`).")
    old, *later = map(load_run, runs)
    comparisons = [compare_runs(old, new, common_items=common_items) for new in later]
    values = [comparison.model_dump(mode="json") for comparison in comparisons]
    lines = [line for comparison in comparisons for line in describe_comparison(comparison)]
    emit(output, values[0] if len(values) == 1 else {"comparisons": values}, lines)


@commands.command()
def runs(
    out: OutFolder = OUT,
    output: OutputFormat = Format.text,
) -> None:
    """List the runs by date, with suite, models and verdict; `latest` names the first of them."""
    from harness.artifacts.run_list import describe_runs, list_runs

    found = list_runs(out)
    emit(output, [line.model_dump(mode="json") for line in found], describe_runs(found, out))


@commands.command()
def bless(
    run: RunArgument,
    baseline: BaselineFile = BASELINE,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=X", help="Acceptable deterioration of a column; repeatable."),
    ] = None,
    alpha: Alpha = 0.05,
) -> None:
    """Make a run's candidate the baseline of later regression checks."""
    from harness.artifacts.run_folder import load_run
    from harness.runs.compare_runs import unverified_notes
    from harness.runs.regression import bless_run, check_run, write_baseline
    from harness.runs.unchanged import describe_pass_rate, unchanged_pass_rate

    loaded = load_run(run)
    blessed = bless_run(loaded, margins=read_margins(margin or []), alpha=alpha)
    write_baseline(blessed, baseline)
    typer.echo(f"{baseline}: {blessed.model} of run {blessed.run_id}")
    for note in unverified_notes(loaded):
        typer.echo(f"  {note}")
    for name, column in blessed.columns.items():
        typer.echo(f"  {name}: margin {column.margin:g} ({len(column.scores):,} items)")
    typer.echo(describe_pass_rate(unchanged_pass_rate(loaded, blessed)))
    for claim in check_run(loaded, blessed).decision.claims:
        if claim.verdict != "pass":
            scores = blessed.columns[claim.metric].scores
            n_missing = sum(score is None for score in scores)
            cause, remedy = "too few items", "Set a wider margin, or use more items."
            if n_missing:
                cause = (
                    f"{n_missing:,} of {len(scores):,} scores are missing, and count at their worst"
                )
                remedy = "Run again until they are there, or set a wider margin."
            typer.echo(
                f"harness: {claim.metric}: {cause}: even this run itself does not pass the check. {remedy}",
                err=True,
            )


@commands.command()
def check(
    runs: Annotated[list[Path], typer.Argument(help=f"{RUN_HELP} Several are allowed.")],
    baseline: BaselineFile = BASELINE,
    summary: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_SUMMARY",
            help="Append the result in Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(envvar="HARNESS_JUNIT", help="Write the result as JUnit XML.")
    ] = None,
    comment: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_COMMENT",
            help="Write the result as a pull request comment, with a marker to find and replace it.",
        ),
    ] = None,
    common_items: CommonItems = False,
    daily: Annotated[
        bool,
        typer.Option(
            "--daily",
            help="The runs are daily checks of one model: raise alarms only, which are wrong with "
            "probability at most alpha over all days. Exit codes: 0 no alarm, 1 alarm.",
        ),
    ] = False,
    unchanged: Annotated[
        bool,
        typer.Option(
            "--unchanged",
            help="With --daily: alarm where the scores are below an unchanged model's, without a margin, "
            "by an e-process. Each day's answers must be drawn anew.",
        ),
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Check runs against the baseline. Exit codes: 0 none is worse, 1 one is, 3 inconclusive."""
    from harness.artifacts.run_folder import load_run
    from harness.runs.regression import check_run, read_baseline
    from reports.junit import render_check_junit
    from reports.regression import describe_check, render_check

    files = _CheckFiles(summary, junit, comment)
    if daily:
        if any(file is not None for file in files):
            raise HarnessError("--daily prints its alarms, and writes no files.")
        if unchanged and common_items:
            raise HarnessError("--unchanged compares days on all items: leave --common-items out.")
        _check_days(runs, baseline, output, common_items=common_items, unchanged=unchanged)
    if unchanged:
        raise HarnessError("--unchanged goes with --daily: one run alone is no series of days.")
    with files.failing_by_default():
        blessed = read_baseline(baseline)
        results = [
            check_run(load_run(find_named_run(run)), blessed, common_items=common_items)
            for run in runs
        ]
        markdown = "\n".join(map(render_check, results))
        xml = render_check_junit(*results)
    files.write(markdown, xml)
    codes = [EXIT_CODES[result.decision.verdict] for result in results]
    code = 1 if 1 in codes else max(codes)  # a worse run weighs more than an undecided one
    values = [result.model_dump(mode="json") for result in results]
    value = values[0] if len(values) == 1 else {"checks": values}
    lines = [line for result in results for line in describe_check(result)]
    emit(output, {"exit_code": code} | value, lines)
    raise typer.Exit(code)


def _check_days(
    runs: list[Path], baseline: Path, output: Format, *, common_items: bool, unchanged: bool
) -> NoReturn:
    from harness.artifacts.run_folder import load_run
    from harness.runs.daily import check_daily, check_unchanged, describe_unchanged
    from harness.runs.regression import read_baseline
    from reports.regression import describe_check

    blessed = read_baseline(baseline)
    loaded = [load_run(find_named_run(run)) for run in runs]
    value: dict[str, object]
    lines: Iterable[str]
    if unchanged:
        found = check_unchanged(loaded, blessed)
        n_alarms = sum(day.alarm for day in found.days)
        days = [day._asdict() | {"alarm": day.alarm} for day in found.days]
        value = {"repeated": found.n_repeated, "days": days}
        lines = describe_unchanged(found, blessed.alpha)
    else:
        checks = check_daily(loaded, blessed, common_items=common_items)
        alarms = [day for day in checks if day.alarm]
        n_alarms = len(alarms)
        value = {
            "days": [
                {"started": day.started, "alpha": day.alpha, "alarm": day.alarm}
                | day.check.model_dump(mode="json")
                for day in checks
            ]
        }
        lines = [
            f"{n_alarms} alarms in {len(checks)} daily checks; any alarm is wrong with probability at most "
            f"{blessed.alpha:g} over all days and columns. Silence does not show that nothing is worse.",
            *(
                f"{day.started[:10]}: {line}"
                for day in alarms
                for line in describe_check(day.check)
            ),
        ]
    code = int(n_alarms > 0)
    emit(output, {"exit_code": code, "alpha": blessed.alpha} | value, lines)
    raise typer.Exit(code)


@commands.command()
def monitor(
    scores: Annotated[
        Path, typer.Argument(help="File of scores (jsonl, csv) that grows, oldest first.")
    ],
    column: Annotated[
        str, typer.Option(envvar="HARNESS_COLUMN", help="Column with the scores.")
    ] = "score",
    at_least: Annotated[
        float, typer.Option(envvar="HARNESS_AT_LEAST", help="Promised mean.")
    ] = 0.5,
    low: Annotated[float, typer.Option(envvar="HARNESS_LOW", help="Lowest possible score.")] = 0.0,
    high: Annotated[
        float, typer.Option(envvar="HARNESS_HIGH", help="Highest possible score.")
    ] = 1.0,
    alpha: Alpha = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Monitor the mean of incoming scores, at any time. Exit codes: 0 no alarm, 1 below the promise."""
    from harness.runs.monitor import read_stream, watch_scores
    from reports.monitor import describe_monitor

    if not low < at_least < high:
        raise HarnessError(
            f"--at-least {at_least:g} must be between --low {low:g} and --high {high:g}."
        )
    if alpha == 0:
        raise HarnessError("--alpha must be above 0.")
    stream = read_stream(scores, column, bounds=(low, high))
    result = watch_scores(stream, at_least, bounds=(low, high), alpha=alpha)
    code = int(result.alarm)
    emit(output, {"exit_code": code} | result.model_dump(mode="json"), describe_monitor(result))
    raise typer.Exit(code)


class _CheckFiles(NamedTuple):
    """The files that the result of a check is written to."""

    summary: Path | None
    junit: Path | None
    comment: Path | None

    @contextmanager
    def failing_by_default(self) -> Iterator[None]:
        """Write that there is no result, so that those of an earlier check are not read as this one's."""
        from reports.junit import render_failed_check_junit
        from reports.regression import render_failed_check

        unmade = "The check has not ended: it is running, was killed, or crashed."
        self.write(render_failed_check(unmade), render_failed_check_junit(unmade), summarise=False)
        try:
            yield
        except BaseException as error:
            known = isinstance(error, HarnessError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self.write(render_failed_check(reason), render_failed_check_junit(reason))
            raise

    def write(self, markdown: str, junit: bytes, *, summarise: bool = True) -> None:
        """Write all of them; the summary, to which is only added, when there is an outcome."""
        from reports.regression import render_comment

        try:
            if self.junit is not None:
                write_output(self.junit, junit)
            if self.comment is not None:
                write_output(self.comment, render_comment(markdown).encode())
            if self.summary is not None and summarise:
                if self.summary.is_file():
                    refuse_link(self.summary)
                with self.summary.open("a", encoding="utf-8") as file:
                    file.write(markdown)
        except OSError as error:
            raise HarnessError(f"{error.filename}: cannot be written: {error.strerror}.") from None
