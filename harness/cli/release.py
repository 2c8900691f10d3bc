"""The command that decides about a release over several suites."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    OUT,
    STORE,
    LaunchFile,
    LedgerFile,
    MaxCost,
    OutFolder,
    OutputFormat,
    ProfileName,
    StoreFolder,
    Wait,
    run_context,
    split_names,
)
from harness.cli.output import EXIT_CODES, INFRASTRUCTURE, NO_VERDICT, Format, emit

commands = typer.Typer()


@commands.command()
def release(
    policy: Annotated[
        Path,
        typer.Argument(
            metavar="POLICY", help="A YAML file that names suites and runs with their roles."
        ),
    ],
    models: Annotated[
        str,
        typer.Option(
            envvar="HARNESS_MODELS",
            metavar="A,B",
            help="Models of the suites that are run, baseline first; not needed for finished runs.",
        ),
    ] = "",
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    wait: Wait = 0.0,
    ledger: LedgerFile = None,
    output: OutputFormat = Format.text,
) -> None:
    """Decide about a release over several suites. Exit codes: 0 all pass, 1 one fails or is worse, 3 undecided."""
    from harness.release.policy import run_release
    from reports.release import describe_release

    with run_context(
        output, store, launch=launch, max_cost=max_cost, wait_s=wait, ledger=ledger
    ) as context:
        result, folder = run_release(policy, split_names(models), profile, context, out=out)
    code = EXIT_CODES[result.verdict]
    if code == NO_VERDICT and any(line.infrastructure for line in result.lines):
        code = INFRASTRUCTURE
    value = {"folder": str(folder), "exit_code": code, **result.model_dump(mode="json")}
    emit(output, value, describe_release(result, folder))
    raise typer.Exit(code)
