"""Commands that take a run's verdict elsewhere: a badge, and the team's tools."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OUT, OutputFormat
from harness.cli.output import Format, emit

commands = typer.Typer()


@commands.command()
def badge(
    suite: Annotated[str, typer.Argument(help="A suite: its name, or its file.")],
    runs: Annotated[
        Path,
        typer.Option("--runs", envvar="HARNESS_OUT", help="Folder of the reports."),
    ] = OUT,
    out: Annotated[
        Path, typer.Option("--out", "-o", envvar="HARNESS_BADGE", help="The file to write.")
    ] = Path("badge.svg"),
    output: OutputFormat = Format.text,
) -> None:
    """Draw a badge (SVG) of a suite's last verdict."""
    from harness.artifacts.run_list import last_run
    from harness.config.loading import load_suite
    from harness.core.files import write_output
    from reports.badge import draw_badge

    name = load_suite(suite)[0].suite if Path(suite).is_file() else suite
    line = last_run(name, runs)
    write_output(out, draw_badge(line.suite, line.verdict, line.finished))
    value = {"path": str(out), "run": line.run_id, "verdict": line.verdict, "folder": line.folder}
    emit(output, value, [f"{out}: {line.verdict}, run {line.run_id} of {line.finished[:10]}"])
