"""The command that compares the judge of a run with human votes."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OutputFormat, RunArgument
from harness.cli.output import Format, emit, say_unverified

commands = typer.Typer()


@commands.command()
def calibrate(
    run: RunArgument,
    study: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_STUDY", help="Study whose votes are used, if the run has several."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_LABELS",
            metavar="FILE",
            help="Table of labels instead: item, annotator, and winner or model with scores; or a "
            "YAML file that describes other tables.",
        ),
    ] = None,
    random_items: Annotated[
        bool,
        typer.Option(
            "--random", envvar="HARNESS_RANDOM", help="The items of --labels are a random sample."
        ),
    ] = False,
    half_width: Annotated[
        float,
        typer.Option(
            envvar="HARNESS_HALF_WIDTH",
            min=0.0005,
            max=0.5,
            help="Precision (±) for which the number of labels needed is computed.",
        ),
    ] = 0.05,
    output: OutputFormat = Format.text,
) -> None:
    """Compare a run's judge with human votes, and correct its estimates with them."""
    from harness.artifacts.run_folder import load_run
    from harness.core.sanitize import escape_invisible
    from harness.human.calibration import calibrate_run, find_human_labels
    from harness.runs.item_pages import write_run_reports
    from reports.annotation import describe_human_summary
    from reports.calibration import write_calibration
    from reports.calibration_text import describe_calibration

    people = find_human_labels(run, study=study, labels=labels, drawn_at_random=random_items)
    finished = load_run(run)
    say_unverified(finished.result, run)
    calibration = calibrate_run(finished, people, half_width=half_width)
    page = write_calibration(calibration, run)
    write_run_reports(finished.result, run)  # with a link to the new page
    lines = [
        *describe_human_summary(calibration.people),
        *describe_calibration(calibration),
        str(page),
    ]
    emit(output, calibration.model_dump(mode="json"), map(escape_invisible, lines))
