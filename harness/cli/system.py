"""About the harness itself and the machine it runs on."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harness.cli.options import STORE, OutputFormat, StoreFolder
from harness.cli.output import INFRASTRUCTURE, Format, emit, print_json

commands = typer.Typer()


@commands.command("list")
def list_(output: OutputFormat = Format.text) -> None:
    """List the suites, profiles, recipes, loops and launches that come with the harness."""
    from harness.cli.catalog import describe_offers, list_catalog

    offers = list_catalog()
    emit(output, [offer.model_dump() for offer in offers], describe_offers(offers))


@commands.command()
def schema(
    of: Annotated[str, typer.Argument(help="suite, profile, recipe or results.")] = "suite",
) -> None:
    """Print a JSON Schema, for editors and for readers of results.json."""
    from harness.cli.json_schema import json_schema

    print_json(json_schema(of))


@commands.command()
def selftest(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run's folder: resplit its scores at random instead (A/A)."),
    ] = None,
    simulations: Annotated[
        int, typer.Option(envvar="HARNESS_SIMULATIONS", min=100, help="Of each method and world.")
    ] = 500,
    resplits: Annotated[
        int, typer.Option(envvar="HARNESS_RESPLITS", min=20, help="Of a run's scores.")
    ] = 200,
    jobs: Annotated[
        int, typer.Option(envvar="HARNESS_JOBS", min=1, help="Processes that share the work.")
    ] = 1,
    output: OutputFormat = Format.text,
) -> None:
    """Try how often the harness's own gates and tests are wrong; exits 1 if too often."""
    from harness.core.progress import show_progress
    from harness.selftest.run import describe_selftest, run_selftest

    if run is not None:
        _resplit(run, resplits, output)
    with show_progress() as progress:
        found = run_selftest(simulations, jobs=jobs, progress=progress.advance)
    emit(output, {"holds": found.holds} | found.model_dump(mode="json"), describe_selftest(found))
    raise typer.Exit(0 if found.holds else 1)


def _resplit(run: Path, n_splits: int, output: Format) -> NoReturn:
    from harness.artifacts.run_folder import load_run
    from harness.selftest.resplit import describe_resplits, resplit_run

    found = resplit_run(load_run(run), n_splits=n_splits)
    holds = all(each.holds for each in found)
    columns = [each.model_dump(mode="json") for each in found]
    emit(output, {"holds": holds, "columns": columns}, describe_resplits(found))
    raise typer.Exit(0 if holds else 1)


@commands.command()
def doctor(store: StoreFolder = STORE, output: OutputFormat = Format.text) -> None:
    """Check this machine: packages, accelerator, data folder, and whether the store can be written."""
    from harness.cli.doctor import examine

    findings = examine(store)
    if output is Format.json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(INFRASTRUCTURE)
