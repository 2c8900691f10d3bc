"""Commands on the harness itself and the machine it runs on."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harness.cli.options import STORE, OutputFormat, StoreFolder, find_named_run
from harness.cli.output import INFRASTRUCTURE, Format, emit, print_json

commands = typer.Typer()


@commands.command("list")
def list_(output: OutputFormat = Format.text) -> None:
    """List the bundled suites, profiles, recipes, loops and launch configurations, and installed plug-ins."""
    from harness.cli.catalog import describe_catalog, list_catalog

    entries = list_catalog()
    emit(output, [entry.model_dump() for entry in entries], describe_catalog(entries))


@commands.command()
def schema(
    of: Annotated[
        str, typer.Argument(help="suite, profile, recipe, release or results.")
    ] = "suite",
) -> None:
    """Print the JSON Schema of a file format, for editors and for programs that read results.json."""
    from harness.cli.json_schema import json_schema

    print_json(json_schema(of))


@commands.command()
def selftest(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="A run: split its scores at random instead (A/A test).",
            callback=lambda run: None if run is None else find_named_run(run),
        ),
    ] = None,
    simulations: Annotated[
        int,
        typer.Option(
            envvar="HARNESS_SIMULATIONS", min=100, help="Simulations of each method and scenario."
        ),
    ] = 500,
    resplits: Annotated[
        int,
        typer.Option(envvar="HARNESS_RESPLITS", min=20, help="Random splits of a run's scores."),
    ] = 200,
    jobs: Annotated[
        int, typer.Option(envvar="HARNESS_JOBS", min=1, help="Number of parallel processes.")
    ] = 1,
    output: OutputFormat = Format.text,
) -> None:
    """Simulate the error rates of gates and tests. Exit codes: 0 within limits, 1 too high."""
    from harness.core.progress import show_progress
    from harness.selftest.run import describe_selftest, run_selftest

    if run is not None:
        _resplit(run, resplits, output)
    with show_progress() as progress:
        result = run_selftest(simulations, jobs=jobs, progress=progress.advance)
    emit(
        output, {"holds": result.holds} | result.model_dump(mode="json"), describe_selftest(result)
    )
    raise typer.Exit(0 if result.holds else 1)


def _resplit(run: Path, n_splits: int, output: Format) -> NoReturn:
    from harness.artifacts.run_folder import load_run
    from harness.selftest.claim_resplits import (
        claims_left_out,
        describe_claim_resplits,
        resplit_claims,
    )
    from harness.selftest.resplit import describe_resplits, resplit_run

    loaded = load_run(run)
    resplits = resplit_run(loaded, n_splits=n_splits)
    claims = resplit_claims(loaded, n_splits=n_splits)
    left_out = claims_left_out(loaded, claims)
    holds = all(column.holds for column in resplits) and all(claim.holds for claim in claims)
    found = {
        "holds": holds,
        "columns": [column.model_dump(mode="json") for column in resplits],
        "claims": [claim.model_dump(mode="json") for claim in claims],
        "claims_left_out": left_out,
    }
    lines = [*describe_resplits(resplits), *describe_claim_resplits(claims, left_out)]
    emit(output, found, lines)
    raise typer.Exit(0 if holds else 1)


@commands.command("allow-key")
def allow_key(
    variable: Annotated[str, typer.Argument(help="The environment variable that holds the key.")],
    host: Annotated[
        str, typer.Argument(help="The host that may get it, with its port if it has one.")
    ],
) -> None:
    """Confirm that a key may be sent to a host, once for all your profiles."""
    from harness.models.endpoint import key_consent

    path = key_consent.allow_key(variable, host)
    typer.echo(f"{variable} may be sent to {host}: noted in {path}")


@commands.command()
def doctor(
    store: StoreFolder = STORE,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Also ask each endpoint of this profile once, and read a judge's verdict."
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Check this machine: packages, accelerator, data folder, store, and a profile's endpoints."""
    from harness.cli.doctor import examine, examine_endpoints

    findings = examine(store)
    if profile is not None:
        findings += examine_endpoints(profile)
    if output is Format.json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(INFRASTRUCTURE)
