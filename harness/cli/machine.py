"""About the harness itself and the machine it runs on."""

from typing import Annotated

import typer

from harness.cli.options import STORE, OutputFormat, StoreFolder
from harness.cli.telling import INFRASTRUCTURE, Format, print_json, tell

commands = typer.Typer()


@commands.command()
def schema(
    of: Annotated[str, typer.Argument(help="suite, profile, recipe or results.")] = "suite",
) -> None:
    """Print a JSON Schema, for editors and for readers of results.json."""
    from harness.schemas import json_schema

    print_json(json_schema(of))


@commands.command()
def selftest(
    simulations: Annotated[
        int, typer.Option(envvar="HARNESS_SIMULATIONS", min=100, help="Of each method and world.")
    ] = 500,
    output: OutputFormat = Format.text,
) -> None:
    """Simulate how often the harness's own gates and tests are wrong; exits 1 if too often."""
    from harness.progress import show_progress
    from harness.selftest import describe_selftest, run_selftest

    with show_progress() as progress:
        found = run_selftest(simulations, progress=progress.advance)
    tell(output, {"holds": found.holds} | found.model_dump(mode="json"), describe_selftest(found))
    raise typer.Exit(0 if found.holds else 1)


@commands.command()
def doctor(store: StoreFolder = STORE, output: OutputFormat = Format.text) -> None:
    """Check this machine: packages, accelerator, data folder, and whether the store can be written."""
    from harness.doctor import examine

    findings = examine(store)
    if output is Format.json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(INFRASTRUCTURE)
