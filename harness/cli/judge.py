"""Try judges, and collect what they reply by batch."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import STORE, MaxCost, OutputFormat, StoreFolder, make_budget
from harness.cli.output import INFRASTRUCTURE, Format, emit

commands = typer.Typer()


judge_app = typer.Typer(help="Try a judge itself.", no_args_is_help=True)


commands.add_typer(judge_app, name="judge")


@judge_app.callback()
def judge_group() -> None:
    """Try a judge itself."""


@judge_app.command()
def canary(
    profile: Annotated[str, typer.Argument(help="The profile whose judge is attacked.")] = "tiny",
    judge: Annotated[
        str, typer.Option(envvar="HARNESS_JUDGE", help="The judge's name in the profile.")
    ] = "default",
    suite: Annotated[
        str, typer.Option(envvar="HARNESS_SUITE", help="Whose rubric and pairwise metric are used.")
    ] = "medical_alignment",
    store: StoreFolder = STORE,
    max_cost: MaxCost = None,
    output: OutputFormat = Format.text,
) -> None:
    """Attack a judge with manipulated answers; exit with 1 if attacks succeed too often."""
    from harness.core.progress import show_progress
    from judges.attack_run import describe_report, passes, run_attacks

    budget = make_budget(max_cost)
    with show_progress() as progress:
        report = run_attacks(
            profile, judge, suite, workspace=store, progress=progress, budget=budget
        )
    emit(output, report.model_dump(mode="json"), describe_report(report))
    raise typer.Exit(0 if passes(report) else 1)


batch_app = typer.Typer(help="Results of batches that `--batch` wrote.", no_args_is_help=True)


commands.add_typer(batch_app, name="batch")


@batch_app.callback()
def batch_group() -> None:
    """Results of batches that `--batch` wrote."""


@batch_app.command()
def collect(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files of results and of errors, in any order."),
    ],
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """Keep the replies in files of results; exits 4 unless every line is a reply."""
    from harness.models.batch_results import describe_import, import_batch_results

    collected = import_batch_results(results, store)
    code = 0 if collected.complete else INFRASTRUCTURE
    emit(
        output,
        {"exit_code": code} | collected.model_dump(mode="json"),
        describe_import(collected),
    )
    raise typer.Exit(code)
