"""Commands that evaluate models, from suite to verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from harness.cli.options import (
    OUT,
    STORE,
    AskAgainModel,
    AskAgainOption,
    Batch,
    Contaminated,
    JudgeName,
    LaunchFile,
    LedgerFile,
    Limit,
    MaxCost,
    Models,
    OutFolder,
    OutputFormat,
    ProfileName,
    RemotePhi,
    RunArgument,
    Seed,
    Serve,
    ServeOption,
    ShardOption,
    StoreFolder,
    SuiteArgument,
    Wait,
    run_context,
    split_names,
)
from harness.cli.output import (
    EXIT_CODES,
    INFRASTRUCTURE,
    NO_VERDICT,
    Format,
    emit,
    print_json,
    say_unverified,
)
from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from harness.config.request import Request
    from harness.config.shard import Shard
    from harness.training.context import RunContext
    from harness.types import RunResult

commands = typer.Typer()


@commands.command()
def run(
    suite: SuiteArgument,
    models: Models,
    profile: ProfileName = "tiny",
    judge: JudgeName = None,
    limit: Limit = None,
    seed: Seed = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    batch: Batch = None,
    shard: ShardOption = None,
    wait: Wait = 0.0,
    allow_remote_phi: RemotePhi = False,
    allow_contamination: Contaminated = False,
    serve: Serve = None,
    serve_option: ServeOption = None,
    ask_again: AskAgainOption = None,
    model: AskAgainModel = None,
    ledger: LedgerFile = None,
    output: OutputFormat = Format.text,
) -> None:
    """Evaluate models on a suite: train if missing, answer, judge, compare, decide, report."""
    from harness.config.request import load_request, read_ask_again
    from harness.runs.run import run_suite

    part = None if shard is None else _read_shard(shard, batch=batch, ask_again=ask_again)
    request = load_request(
        suite,
        profile,
        split_names(models),
        limit=limit,
        seed=seed,
        judge=judge,
        allow_remote_phi=allow_remote_phi,
        by_batch=batch is not None,
        allow_contamination=allow_contamination,
        serve=serve,
        serve_options=serve_option or (),
    )
    again = read_ask_again(ask_again, model, request)
    with run_context(
        output,
        store,
        launch=launch,
        max_cost=max_cost,
        batch=batch,
        again=again,
        wait_s=wait,
        ledger=ledger,
    ) as context:
        if part is not None:
            _run_shard(request, part, context, output)
        result, folder = run_suite(request, context, out=out)
    _emit_result(result, folder, output)
    raise typer.Exit(exit_code(result))


@commands.command()
def plan(
    suite: SuiteArgument,
    models: Models,
    profile: ProfileName = "tiny",
    judge: JudgeName = None,
    limit: Limit = None,
    seed: Seed = None,
    store: StoreFolder = STORE,
    ledger: LedgerFile = None,
    allow_remote_phi: RemotePhi = False,
    serve: Serve = None,
    serve_option: ServeOption = None,
    output: OutputFormat = Format.text,
) -> None:
    """Show what a run would do, and what its number of items can detect, without running it."""
    from harness.config.request import load_request
    from harness.planning.forecast import forecast_run, print_forecast

    request = load_request(
        suite,
        profile,
        split_names(models),
        limit=limit,
        seed=seed,
        judge=judge,
        allow_remote_phi=allow_remote_phi,
        serve=serve,
        serve_options=serve_option or (),
    )
    forecast = forecast_run(request, store, ledger)
    if output is Format.json:
        print_json(forecast.model_dump(mode="json"))
    else:
        print_forecast(forecast)


@commands.command()
def report(run: RunArgument, output: OutputFormat = Format.text) -> None:
    """Render the reports of a run again from its results.json."""
    from harness.artifacts.results_json import load_result
    from harness.runs.item_pages import write_run_reports

    result = load_result(run)
    say_unverified(result, run)
    write_run_reports(result, run)
    _emit_result(result, run, output)


@commands.command()
def validate(
    suite: SuiteArgument,
    profile: ProfileName = "tiny",
    output: OutputFormat = Format.text,
) -> None:
    """Check a suite with its prompts and data, and show its contents."""
    from harness.planning.forecast import describe_suite

    described = describe_suite(suite, profile)
    if output is Format.json:
        print_json(described)
    else:
        for key, value in described.items():
            typer.echo(f"{key}: {value}")


def _read_shard(text: str, *, batch: Path | None, ask_again: str | None) -> "Shard":
    """Read `--shard`, and refuse what is not done in parts.

    Raises:
        HarnessError: as `read_shard`, or together with batch files or `--ask-again`.
    """
    from harness.config.shard import read_shard

    other = "--batch" if batch is not None else "--ask-again" if ask_again is not None else None
    if other is not None:
        raise HarnessError(f"--shard and {other} do not go together: leave one of them out.")
    return read_shard(text)


def _run_shard(
    request: "Request", shard: "Shard", context: "RunContext", output: Format
) -> NoReturn:
    """Answer and judge one shard, say what is in the store, and exit without a verdict."""
    from harness.runs.shard import describe_shard, run_shard

    done, store = run_shard(request, shard, context), str(context.store.workspace)
    value = {"exit_code": NO_VERDICT, "verdict": None, "shard": shard.number, "of": shard.total}
    emit(output, {**value, "store": store, **done._asdict()}, describe_shard(done, shard, store))
    raise typer.Exit(NO_VERDICT)


def exit_code(result: "RunResult") -> int:
    """Return 0 for a pass or no gate, 1 for a fail, 3 for inconclusive, 4 for too many unscored."""
    from harness.runs.conclude import too_many_unscored

    if result.decision is None:
        return 0
    if too_many_unscored(result):
        return INFRASTRUCTURE
    return EXIT_CODES[result.decision.verdict]


def _emit_result(result: "RunResult", folder: Path, output: Format) -> None:
    if output is Format.json:
        print_json({"folder": str(folder), "exit_code": exit_code(result)} | _summary(result))
        return
    from rich.console import Console

    from reports.terminal import print_summary

    print_summary(result, Console(), report=folder / "report.html")


def _summary(result: "RunResult") -> dict[str, Any]:
    decision = result.decision
    return {
        "run_id": result.run_id,
        "verdict": decision.verdict if decision else None,
        "sentence": decision.sentence if decision else None,
        "claims": [claim.model_dump(mode="json") for claim in decision.claims] if decision else [],
        "not_decided": list(result.plan.not_decided),
        "tries": result.tries.model_dump(mode="json") if result.tries else None,
        "stopping": result.stopping.model_dump(mode="json") if result.stopping else None,
        "next_steps": [step.model_dump(mode="json") for step in result.next_steps],
    }
