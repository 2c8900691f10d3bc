"""Commands that take a run's verdict elsewhere: a badge, and the team's tools."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OUT, OutputFormat, RemotePhi, RunArgument
from harness.cli.output import Format, emit, print_json
from harness.core.sanitize import escape_invisible

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
    from harness.core.errors import HarnessError
    from harness.core.files import write_output
    from reports.badge import draw_badge

    name = load_suite(suite)[0].suite if Path(suite).is_file() else suite
    line = last_run(name, runs)
    try:
        write_output(out, draw_badge(line.suite, line.verdict, line.finished))
    except OSError as error:
        raise HarnessError(f"--out {out}: cannot be written: {error.strerror}.") from None
    value = {"path": str(out), "run": line.run_id, "verdict": line.verdict, "folder": line.folder}
    emit(output, value, [f"{out}: {line.verdict}, run {line.run_id} of {line.finished[:10]}"])


@commands.command()
def publish(
    run: RunArgument,
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="TOOL", help="mlflow, wandb, trackio or hub; repeatable."),
    ],
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            metavar="NAME",
            help="Experiment, project or repository there; else the tool's own setting, or the suite's name.",
        ),
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(
            "--uri", metavar="URI", help="The tool's server; else its own environment variable."
        ),
    ] = None,
    with_items: Annotated[
        bool,
        typer.Option(
            "--with-items", help="Also send questions, answers, judgements and item pages."
        ),
    ] = False,
    allow_remote_phi: RemotePhi = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would go where, and send nothing.")
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Publish a run's numbers, verdict, lineage and reports in MLflow, W&B, Trackio or on the hub."""
    from harness.publish.send import describe_plan, describe_sent, prepare, send, summarise

    prepared = prepare(
        run, to, project=project, uri=uri, with_items=with_items, allow_remote_phi=allow_remote_phi
    )
    if dry_run:
        emit(
            output, summarise(prepared), [*describe_plan(prepared), "nothing was sent (--dry-run)"]
        )
        return
    if output is Format.text:
        emit(output, None, describe_plan(prepared))
    outcomes = []
    for sent in send(prepared):
        outcomes.append(sent)
        for line in describe_sent(sent) if output is Format.text or sent.problem else ():
            typer.echo(
                escape_invisible(f"harness: {line}" if sent.problem else line),
                err=bool(sent.problem),
            )
    code = max(sent.exit_code for sent in outcomes)
    if output is Format.json:
        print_json(
            summarise(prepared) | {"exit_code": code, "sent": [s.model_dump() for s in outcomes]}
        )
    raise typer.Exit(code)
