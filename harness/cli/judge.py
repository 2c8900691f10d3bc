"""Commands that test and replace judges, copy their prompts and import batch replies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    RUN_HELP,
    STORE,
    Alpha,
    MaxCost,
    OutputFormat,
    RemotePhi,
    StoreFolder,
    Wait,
    find_named_run,
    make_budget,
    read_margins,
    run_context,
)
from harness.cli.output import EXIT_CODES, INFRASTRUCTURE, Format, emit
from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from harness.runs.regression import Baseline
    from harness.runs.succession import Succession
    from harness.types.succession import JudgeSuccession

commands = typer.Typer()
judge_app = typer.Typer(help="Test a judge, or replace one.", no_args_is_help=True)
commands.add_typer(judge_app, name="judge")


@judge_app.callback()
def judge_group() -> None:
    """Test a judge, or replace one."""


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
        str, typer.Argument(help="A judged kind of metric: rubric, pairwise, evasion or checklist.")
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


@judge_app.command()
def succeed(
    old: Annotated[
        str, typer.Argument(help="The run's judge: its name in the profile or in the report.")
    ],
    new: Annotated[str, typer.Argument(help="The judge of the profile that is to succeed it.")],
    run: Annotated[Path, typer.Option("--on", help=RUN_HELP, callback=find_named_run)],
    profile: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_PROFILE", help="Profile with the new judge; by default the run's."
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(envvar="HARNESS_SUITE", help="Suite of the run, if it is a file.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=X",
            help="Largest shift of a column's difference that is acceptable; repeatable. By default the "
            "claim's own margin, or 5 % of the column's range.",
        ),
    ] = None,
    alpha: Alpha = 0.05,
    carry: Annotated[
        Path | None,
        typer.Option(
            metavar="BASELINE",
            help="Rewrite this baseline file with the new judge's scores, if equivalence is shown.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(envvar="HARNESS_STUDY", help="Study of the run whose votes are compared too."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_LABELS", metavar="FILE", help="People's labels that are compared too."
        ),
    ] = None,
    store: StoreFolder = STORE,
    max_cost: MaxCost = None,
    wait: Wait = 0.0,
    allow_remote_phi: RemotePhi = False,
    output: OutputFormat = Format.text,
) -> None:
    """Compare a new judge with a run's judge. Exit codes: 0 equivalent, 1 not, 3 undecided."""
    from harness.artifacts.run_folder import load_run
    from harness.human.calibration import find_labels_if_any
    from harness.runs.regression import read_baseline
    from harness.runs.succession import request_successor, succeed_judge

    finished = load_run(run)
    baseline = None if carry is None else read_baseline(carry)
    people = find_labels_if_any(run, study=study, labels=labels)
    margins = read_margins(margin or [])
    if suite is None:
        _require_suite(finished.result.plan.suite)
    request = request_successor(
        finished, new, suite=suite, profile=profile, allow_remote_phi=allow_remote_phi
    )
    with run_context(output, store, max_cost=max_cost, wait_s=wait) as context:
        found = succeed_judge(
            finished,
            old,
            request,
            context,
            margins=margins,
            alpha=alpha,
            baseline=baseline,
            people=people,
        )
    shown = found.shown
    if carry is not None and baseline is not None:
        shown = _carry_over(found, baseline, carry)
    _emit_succession(shown, finished.folder, carry, output)
    raise typer.Exit(EXIT_CODES[shown.verdict])


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
    from harness.stores.attached import require_store
    from reports.batches import describe_import

    require_store(store)
    collected = import_batch_results(results, store)
    code = 0 if collected.complete else INFRASTRUCTURE
    emit(
        output,
        {"exit_code": code} | collected.model_dump(mode="json"),
        describe_import(collected),
    )
    raise typer.Exit(code)


def _carry_over(found: "Succession", baseline: "Baseline", path: Path) -> "JudgeSuccession":
    """Rewrite the baseline file with the new judge's scores if equivalence is shown; say so in the result."""
    from harness.runs.regression import write_baseline
    from harness.runs.succession import carry_baseline

    carried = carry_baseline(baseline, found)
    if carried is None:
        return found.shown
    write_baseline(carried, path)
    return found.shown.model_copy(update={"carried": str(path)})


def _emit_succession(
    shown: "JudgeSuccession", folder: Path, carry: Path | None, output: Format
) -> None:
    """Write the succession's files into the run folder, and print it."""
    from harness.core.sanitize import escape_invisible
    from reports.succession import describe_succession, write_succession

    page, code = write_succession(shown, folder), EXIT_CODES[shown.verdict]
    lines = [*describe_succession(shown), str(page)]
    if carry is not None and not shown.carried:
        lines.append(f"{carry}: not carried over, because equivalence is not shown")
    emit(output, {"exit_code": code, **shown.model_dump(mode="json")}, map(escape_invisible, lines))


def _require_suite(name: str) -> None:
    """Refuse a run whose suite is not found by its name, with the option that names its file."""
    from harness.config.loading import load_suite

    try:
        load_suite(name)
    except HarnessError as error:
        raise HarnessError(f"{error} Name the run's own file with --suite.") from None
