"""Commands that test judges, copy their prompts and import batch replies."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import STORE, MaxCost, OutputFormat, StoreFolder, make_budget
from harness.cli.output import INFRASTRUCTURE, Format, emit
from harness.core.errors import HarnessError

commands = typer.Typer()
judge_app = typer.Typer(help="Test a judge.", no_args_is_help=True)
commands.add_typer(judge_app, name="judge")


@judge_app.callback()
def judge_group() -> None:
    """Test a judge."""


@judge_app.command()
def canary(
    profile: Annotated[str, typer.Argument(help="Profile with the judge to attack.")] = "tiny",
    judge: Annotated[
        str, typer.Option(envvar="HARNESS_JUDGE", help="Name of the judge in the profile.")
    ] = "default",
    suite: Annotated[
        str,
        typer.Option(
            envvar="HARNESS_SUITE", help="Suite with the rubric and pairwise metric to attack."
        ),
    ] = "medical_alignment",
    store: StoreFolder = STORE,
    max_cost: MaxCost = None,
    output: OutputFormat = Format.text,
) -> None:
    """Attack a judge with manipulated answers. Exit codes: 0 robust, 1 attacked successfully too often."""
    from harness.core.progress import show_progress
    from judges.attack_run import describe_report, passes, run_attacks

    budget = make_budget(max_cost)
    with show_progress() as progress:
        report = run_attacks(
            profile, judge, suite, workspace=store, progress=progress, budget=budget
        )
    emit(output, report.model_dump(mode="json"), describe_report(report))
    raise typer.Exit(0 if passes(report) else 1)


@judge_app.command()
def prompt(
    kind: Annotated[
        str, typer.Argument(help="A judged kind of metric: rubric, pairwise or evasion.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="New file, instead of the screen.")
    ] = None,
) -> None:
    """Copy our prompt to a judge, as the start of one of your own (`prompt:` of a metric)."""
    from harness.core.files import write_private
    from judges.prompts import own_prompt

    text = f"{own_prompt(kind)}\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise HarnessError(f"{out}: is there already, and may be yours. Name a new file.")
    write_private(out, text.encode())
    typer.echo(f"{out}: name it as 'prompt' of a {kind} metric")


batch_app = typer.Typer(
    help="Import results of batch files written with --batch.", no_args_is_help=True
)
commands.add_typer(batch_app, name="batch")


@batch_app.callback()
def batch_group() -> None:
    """Import results of batch files written with --batch."""


@batch_app.command()
def collect(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Result and error files of batches, in any order."),
    ],
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """Import the replies in result files. Exit codes: 0 every line is a reply, 4 otherwise."""
    from harness.models.batch_results import import_batch_results
    from reports.batches import describe_import

    collected = import_batch_results(results, store)
    code = 0 if collected.complete else INFRASTRUCTURE
    emit(
        output,
        {"exit_code": code} | collected.model_dump(mode="json"),
        describe_import(collected),
    )
    raise typer.Exit(code)
