"""Hold a run's judge to people."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OutputFormat, RunArgument
from harness.cli.output import Format, emit

commands = typer.Typer()


@commands.command()
def calibrate(
    run: RunArgument,
    study: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_STUDY", help="The study whose votes are used, where a run has several."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_LABELS",
            metavar="FILE",
            help="Labels given elsewhere: item, annotator, winner or model with scores.",
        ),
    ] = None,
    drawn: Annotated[
        bool,
        typer.Option(
            "--random", envvar="HARNESS_RANDOM", help="The items of --labels were drawn at random."
        ),
    ] = False,
    half_width: Annotated[
        float,
        typer.Option(
            envvar="HARNESS_HALF_WIDTH",
            min=0.0005,
            max=0.5,
            help="Say how many more labels bring the interval to ± this.",
        ),
    ] = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Hold a run's judge to people's votes, and correct its figures by them."""
    from harness.artifacts.run_folder import load_run
    from harness.core.sanitize import escape_invisible
    from harness.human.calibration import calibrate_run, find_human_labels
    from harness.human.summary import describe_human_summary
    from harness.runs.item_pages import write_run_reports
    from reports.calibration import write_calibration
    from reports.calibration_text import describe_calibration

    people = find_human_labels(run, study=study, labels=labels, drawn_at_random=drawn)
    finished = load_run(run)
    found = calibrate_run(finished, people, half_width=half_width)
    page = write_calibration(found, run)
    write_run_reports(finished.result, run)  # which links to the page from now on
    lines = [*describe_human_summary(found.people), *describe_calibration(found), str(page)]
    emit(output, found.model_dump(mode="json"), map(escape_invisible, lines))
