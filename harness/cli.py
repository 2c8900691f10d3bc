"""The command line: options in, exit codes out. Each command is a few lines over one function.

Exit codes: 0 gate passed (or no gate), 1 gate failed, 2 wrong usage or input, 3 inconclusive or no
verdict yet, 4 infrastructure, 130 interrupted. Never 0 when something was left undone.
"""

import atexit
import errno
import gc
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
import typer.exceptions

from harness.errors import HarnessError
from harness.interrupts import end_on_signals, notice_interrupt

if TYPE_CHECKING:
    from harness.asking import Awaited
    from harness.types import RunResult

app = typer.Typer(
    name="harness",
    help="Is this checkpoint better, and is it safe to ship?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NO_VERDICT = 3
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": NO_VERDICT}
INFRASTRUCTURE = 4
INTERRUPTED = 130
GARBAGE_AFTER = 50_000  # new objects; Python's 700 costs a run a second of looking for cycles
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Format(StrEnum):
    """How a command tells its outcome."""

    text = "text"
    json = "json"


SuiteArgument = Annotated[str, typer.Argument(help="A suite file, or the name of one of ours.")]
RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of one of ours.")]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder, with its results.json.")]
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A checkpoint's folder, a promoted name, a model of the profile, or a recipe."
    ),
]
Models = Annotated[
    str,
    typer.Option(
        envvar="HARNESS_MODELS",
        help="Models by name: baseline first, candidate last.",
        metavar="A,B",
    ),
]
ProfileName = Annotated[
    str,
    typer.Option(envvar="HARNESS_PROFILE", help="What the names of models, judges and data mean."),
]
JudgeName = Annotated[
    str | None,
    typer.Option(envvar="HARNESS_JUDGE", help="One judge of the profile for all metrics."),
]
Limit = Annotated[
    int | None,
    typer.Option(envvar="HARNESS_LIMIT", min=1, help="Only the first N items: a trial run."),
]
Seed = Annotated[
    int | None, typer.Option(envvar="HARNESS_SEED", help="Instead of the suite's sampling seed.")
]
StoreFolder = Annotated[
    Path, typer.Option("--store", envvar="HARNESS_STORE", help="Where work is kept between runs.")
]
OutFolder = Annotated[Path, typer.Option("--out", envvar="HARNESS_OUT", help="Where reports go.")]
RemotePhi = Annotated[
    bool,
    typer.Option(
        "--allow-remote-phi",
        envvar="HARNESS_ALLOW_REMOTE_PHI",
        help="Data marked phi may go to endpoints on other machines.",
    ),
]
Contaminated = Annotated[
    bool,
    typer.Option(
        "--allow-contamination",
        envvar="HARNESS_ALLOW_CONTAMINATION",
        help="Go on where items stand in the training data; the report says so.",
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        envvar="HARNESS_MAX_COST",
        min=0.0,
        help="Stop before endpoints have cost more than this; run again to go on.",
    ),
]
Batch = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_BATCH",
        help="Write what endpoints would be asked into files in this folder, and send nothing.",
    ),
]
OutputFormat = Annotated[
    Format, typer.Option("--format", envvar="HARNESS_FORMAT", help="Text to read, or JSON.")
]

BaselineFile = Annotated[
    Path, typer.Option("--baseline", envvar="HARNESS_BASELINE", help="The file to commit.")
]

STORE = Path(".harness")
BASELINE = Path("baseline.json")
OUT = Path("runs")


@app.command()
def run(
    suite: SuiteArgument,
    models: Models,
    profile: ProfileName = "tiny",
    judge: JudgeName = None,
    limit: Limit = None,
    seed: Seed = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    max_cost: MaxCost = None,
    batch: Batch = None,
    allow_remote_phi: RemotePhi = False,
    allow_contamination: Contaminated = False,
    output: OutputFormat = Format.text,
) -> None:
    """Train what is missing, answer, judge, compare, decide, and write the report."""
    from harness.asking import RepliesAwaitedError
    from harness.endpoint import Budget
    from harness.plan import load_request
    from harness.progress import show_progress
    from harness.run import run_suite

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
    )
    try:
        with show_progress() as progress:
            result, folder = run_suite(
                request,
                workspace=store,
                out=out,
                progress=progress,
                budget=Budget(max_cost) if max_cost is not None else None,
                batch=batch,
            )
    except RepliesAwaitedError as error:
        _tell_awaited(error.awaited, output)
        raise typer.Exit(NO_VERDICT) from None
    _tell(result, folder, output)
    raise typer.Exit(exit_code(result))


@app.command()
def plan(
    suite: SuiteArgument,
    models: Models,
    profile: ProfileName = "tiny",
    judge: JudgeName = None,
    limit: Limit = None,
    seed: Seed = None,
    store: StoreFolder = STORE,
    allow_remote_phi: RemotePhi = False,
    output: OutputFormat = Format.text,
) -> None:
    """Say what a run would do, and what its number of items can show; do nothing."""
    from harness.forecast import forecast_run, print_forecast
    from harness.plan import load_request

    request = load_request(
        suite,
        profile,
        split_names(models),
        limit=limit,
        seed=seed,
        judge=judge,
        allow_remote_phi=allow_remote_phi,
    )
    forecast = forecast_run(request, store)
    if output is Format.json:
        _print_json(forecast.model_dump(mode="json"))
    else:
        print_forecast(forecast)


@app.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A file, a folder of MedQuAD's XML, or a YAML file that names a source.",
        ),
    ],
    to: Annotated[
        Literal["sft", "preference"], typer.Option(help="Rows to imitate, or preference pairs.")
    ],
    out: Annotated[Path, typer.Option(help="The JSON Lines to write.")],
    source_format: Annotated[
        str | None, typer.Option("--from", help="The format, where its columns do not tell it.")
    ] = None,
    fields: Annotated[
        str,
        typer.Option(help="Columns of a plain table: input=Q,reference=A (or chosen, rejected)."),
    ] = "",
    system: Annotated[
        str | None, typer.Option(help="A file: the system prompt of rows that bring none.")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="A file of ids that are left out, such as a test set's.")
    ] = None,
    min_words: Annotated[int | None, typer.Option(min=0, help="Drop shorter answers.")] = None,
    max_words: Annotated[int | None, typer.Option(min=1, help="Drop longer answers.")] = None,
    dedupe: Annotated[
        Literal["row", "question", "normalised", "none"],
        typer.Option(help="What counts as a repetition; the first is kept."),
    ] = "row",
    take: Annotated[int | None, typer.Option(min=1, help="A random subset of N rows.")] = None,
    split: Annotated[
        float | None, typer.Option(help="Share of questions for evaluation: two files.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides --take and --split.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="A row that cannot be used is an error.")
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Make a public data set into rows or preference pairs that recipes read; lose no row unseen."""
    from trainers.convert import convert_file, describe_conversion, make_options

    options = make_options(
        to=to,
        source_format=source_format,
        fields=fields,
        system=system,
        without=without,
        min_words=min_words,
        max_words=max_words,
        dedupe=dedupe,
        take=take,
        split=split,
        seed=seed,
        strict=strict,
    )
    summary = convert_file(source, out, options)
    if output is Format.json:
        _print_json(summary.model_dump(mode="json"))
    else:
        for line in describe_conversion(summary):
            typer.echo(line)


@app.command()
def train(
    recipe: RecipeArgument,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    out: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_CHECKPOINT", help="A folder for the checkpoint, instead of the store."
        ),
    ] = None,
    dry_train: Annotated[
        bool,
        typer.Option(
            "--dry-train",
            envvar="HARNESS_DRY_TRAIN",
            help="Two steps of it and its parents, at a small size; nothing is kept.",
        ),
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Make one checkpoint, with the parents and pairs it needs."""
    from harness.prepare import train_recipe
    from harness.progress import show_progress

    if dry_train:
        _rehearse(recipe, profile, output)
        return
    with show_progress() as progress:
        made = train_recipe(recipe, profile, workspace=store, out=out, progress=progress)
    _tell_made(made.directory, made.summary, output)


@app.command()
def pairs(
    recipe: RecipeArgument,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """Make preference pairs, judged in both orders or gold against the model's own answer."""
    from harness.prepare import build_pairs
    from harness.progress import show_progress

    with show_progress() as progress:
        made = build_pairs(recipe, profile, workspace=store, progress=progress)
    _tell_made(made.directory, made.summary, output)


@app.command()
def loop(
    file: Annotated[str, typer.Argument(help="A loop file, or the name of one of ours.")],
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    max_cost: MaxCost = None,
    output: OutputFormat = Format.text,
) -> None:
    """Train stage by stage, each gated; certify what comes out last, and promote it."""
    from harness.endpoint import Budget
    from harness.loop import describe_loop, run_loop
    from harness.progress import show_progress

    with show_progress() as progress:
        done = run_loop(
            file,
            workspace=store,
            out=out,
            progress=progress,
            budget=Budget(max_cost) if max_cost is not None else None,
        )
    code = EXIT_CODES[done.verdict]
    if output is Format.json:
        _print_json({"exit_code": code} | done.model_dump(mode="json"))
    else:
        for line in describe_loop(done):
            typer.echo(line)
    raise typer.Exit(code)


@app.command()
def models(
    name: Annotated[
        str | None, typer.Argument(help="One name, with its whole history and lineage.")
    ] = None,
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """List the checkpoints that were promoted, or tell one name's history."""
    from harness.registry import Registry, describe_promotion, describe_promotions

    registry = Registry(store)
    if name is None:
        found = [registry.find(each) for each in registry.names()]
        lines = describe_promotions(found)
    else:
        registry.find(name)
        found = registry.history(name)
        lines = (line for promotion in found for line in describe_promotion(promotion))
    if output is Format.json:
        _print_json([promotion.model_dump(mode="json") for promotion in found])
        return
    for line in lines:
        typer.echo(line)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The earlier run's folder.")],
    new: Annotated[Path, typer.Argument(help="The later run's folder.")],
    output: OutputFormat = Format.text,
) -> None:
    """Compare the candidates of two runs on the same items; refuses runs that differ otherwise."""
    from harness.runs import compare_runs, load_run
    from reports.regression import describe_comparison

    found = compare_runs(load_run(old), load_run(new))
    if output is Format.json:
        _print_json(found.model_dump(mode="json"))
        return
    for line in describe_comparison(found):
        typer.echo(line)


@app.command()
def bless(
    run: RunArgument,
    baseline: BaselineFile = BASELINE,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=X", help="How much worse is still acceptable; repeatable."),
    ] = None,
    alpha: Annotated[float, typer.Option(envvar="HARNESS_ALPHA", min=0.0, max=0.5)] = 0.05,
) -> None:
    """Make a run's candidate the baseline that later runs are checked against."""
    from harness.regression import bless_run, write_baseline
    from harness.runs import load_run

    blessed = bless_run(load_run(run), margins=_read_margins(margin or []), alpha=alpha)
    write_baseline(blessed, baseline)
    typer.echo(f"{baseline}: {blessed.model} of run {blessed.run_id}")
    for name, column in blessed.columns.items():
        typer.echo(f"  {name}: no worse than by {column.margin:g} ({len(column.scores):,} items)")


@app.command()
def check(
    run: RunArgument,
    baseline: BaselineFile = BASELINE,
    summary: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_SUMMARY",
            help="Add the outcome in Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Check a run against the blessed baseline: 0 no worse, 1 worse, 3 cannot tell."""
    from harness.regression import check_run, read_baseline
    from harness.runs import load_run
    from reports.regression import describe_check, render_check

    found = check_run(load_run(run), read_baseline(baseline))
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(render_check(found))
    code = EXIT_CODES[found.decision.verdict]
    if output is Format.json:
        _print_json({"exit_code": code} | found.model_dump(mode="json"))
    else:
        for line in describe_check(found):
            typer.echo(line)
    raise typer.Exit(code)


@app.command()
def chat(
    model: ModelArgument,
    profile: ProfileName = "tiny",
    system: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_SYSTEM", help="A file with a system prompt.", metavar="PROMPT.md"
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option(envvar="HARNESS_TEMPERATURE", min=0.0, help="0 is greedy decoding.")
    ] = 0.0,
    max_new_tokens: Annotated[
        int,
        typer.Option(envvar="HARNESS_MAX_NEW_TOKENS", min=1, help="Where an answer is cut off."),
    ] = 512,
    seed: Annotated[int, typer.Option(envvar="HARNESS_SEED", help="Decides what is sampled.")] = 1,
    store: StoreFolder = STORE,
) -> None:
    """Talk with a model in the terminal, or through a pipe with a question a line."""
    from harness.chat import talk
    from harness.named_model import find_model

    found = find_model(model, profile, store)
    try:
        complete = talk(
            found,
            system=system,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
    except KeyboardInterrupt:  # nothing is kept that one could go on from
        typer.echo(err=True)
        _leave(INTERRUPTED)
    if not complete and not sys.stdin.isatty():
        raise typer.Exit(INFRASTRUCTURE)


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="A folder with a LoRA adapter.")],
    into: Annotated[
        str,
        typer.Option(
            envvar="HARNESS_INTO",
            help="Its base in full precision: a folder or a hub model.",
            metavar="BASE",
        ),
    ],
    out: Annotated[
        Path, typer.Option(envvar="HARNESS_CHECKPOINT", help="A folder for the checkpoint.")
    ],
    revision: Annotated[
        str | None, typer.Option(envvar="HARNESS_REVISION", help="The hub model's revision.")
    ] = None,
    allow_other_base: Annotated[
        bool,
        typer.Option(
            "--allow-other-base",
            envvar="HARNESS_ALLOW_OTHER_BASE",
            help="Also into a base that the adapter does not name.",
        ),
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Make one checkpoint of an adapter and its base, and check that the two answer alike."""
    from trainers.checkpoint import card
    from trainers.merge import merge_adapter

    made = merge_adapter(adapter, into, out, revision=revision, allow_other_base=allow_other_base)
    summary = {"fingerprint": made.fingerprint} | card(made, out.name).facts
    _tell_made(str(out), summary, output)


@app.command()
def export(
    checkpoint: ModelArgument,
    out: Annotated[
        Path, typer.Option(envvar="HARNESS_EXPORT", help="A folder for the model and its card.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_RUN", help="The folder of a run that evaluated it.", metavar="RUN"
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_PUSH",
            help="Also to this repository of the hub; needs HF_TOKEN.",
            metavar="REPO",
        ),
    ] = None,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """Write a checkpoint for others: its model and a model card, with a run's results."""
    from harness.export import export_checkpoint
    from harness.named_model import find_checkpoint

    found = find_checkpoint(checkpoint, profile, store)
    exported = export_checkpoint(Path(found.source), out, run=run, push=push, note=found.note)
    pushed = {"pushed to": exported.url} if exported.url else {}
    _tell_made(str(exported.folder), {"fingerprint": exported.fingerprint} | pushed, output)


@app.command()
def report(run: RunArgument, output: OutputFormat = Format.text) -> None:
    """Render a run's reports again from its results.json."""
    from reports.results_json import load_result
    from reports.write import write_reports

    result = load_result(run)
    write_reports(result, run)
    _tell(result, run, output)


@app.command()
def validate(
    suite: SuiteArgument,
    profile: ProfileName = "tiny",
    output: OutputFormat = Format.text,
) -> None:
    """Check a suite, its prompts and its data, and say what it holds."""
    from harness.forecast import describe_suite

    described = describe_suite(suite, profile)
    if output is Format.json:
        _print_json(described)
    else:
        for key, value in described.items():
            typer.echo(f"{key}: {value}")


@app.command()
def schema(
    of: Annotated[str, typer.Argument(help="suite, profile, recipe or results.")] = "suite",
) -> None:
    """Print a JSON Schema, for editors and for readers of results.json."""
    from harness.schemas import json_schema

    _print_json(json_schema(of))


@app.command()
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
    if output is Format.json:
        _print_json({"holds": found.holds} | found.model_dump(mode="json"))
    else:
        for line in describe_selftest(found):
            typer.echo(line)
    raise typer.Exit(0 if found.holds else 1)


@app.command()
def doctor(store: StoreFolder = STORE, output: OutputFormat = Format.text) -> None:
    """Check this machine: packages, accelerator, data folder, and whether the store can be written."""
    from harness.doctor import examine

    findings = examine(store)
    if output is Format.json:
        _print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(INFRASTRUCTURE)


judge_app = typer.Typer(help="Try a judge itself.", no_args_is_help=True)
app.add_typer(judge_app, name="judge")


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
    """Attack a judge with answers that speak to it; exits 1 if it gives in too often."""
    from harness.canary import describe_canaries, try_canaries, withstands
    from harness.endpoint import Budget
    from harness.progress import show_progress

    budget = Budget(max_cost) if max_cost is not None else None
    with show_progress() as progress:
        report = try_canaries(
            profile, judge, suite, workspace=store, progress=progress, budget=budget
        )
    if output is Format.json:
        _print_json(report.model_dump(mode="json"))
    else:
        for line in describe_canaries(report):
            typer.echo(line)
    raise typer.Exit(0 if withstands(report) else 1)


batch_app = typer.Typer(help="Results of batches that `run --batch` wrote.", no_args_is_help=True)
app.add_typer(batch_app, name="batch")


@batch_app.callback()
def batch_group() -> None:
    """Results of batches that `run --batch` wrote."""


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
    from harness.batches import collect_replies, describe_collected

    collected = collect_replies(results, store)
    code = 0 if collected.complete else INFRASTRUCTURE
    if output is Format.json:
        _print_json({"exit_code": code} | collected.model_dump(mode="json"))
    else:
        for line in describe_collected(collected):
            typer.echo(line)
    raise typer.Exit(code)


def main() -> NoReturn:
    """Run the command line; every ending has its exit code."""
    end_on_signals()
    gc.set_threshold(GARBAGE_AFTER)
    try:
        with _explained_errors():
            sys.exit(app(standalone_mode=False))
    except SystemExit as ending:
        _leave(ending.code)


def exit_code(result: "RunResult") -> int:
    """0 passed or nothing to decide, 1 failed, 3 inconclusive, 4 too much unscored."""
    from harness.results import too_many_unscored

    if result.decision is None:
        return 0
    if too_many_unscored(result):
        return INFRASTRUCTURE
    return EXIT_CODES[result.decision.verdict]


def _read_margins(stated: list[str]) -> dict[str, float]:
    margins = {}
    for each in stated:
        column, _, value = each.partition("=")
        try:
            margins[column] = float(value)
        except ValueError:
            raise HarnessError(
                f"--margin {each}: write COLUMN=NUMBER, for example rubric.safety=0.25."
            ) from None
    return margins


def split_names(models: str) -> list[str]:
    """The names in `a,b`."""
    return [name.strip() for name in models.split(",") if name.strip()]


# --- telling ---------------------------------------------------------------------------------


def _tell(result: "RunResult", folder: Path, output: Format) -> None:
    if output is Format.json:
        _print_json({"folder": str(folder), "exit_code": exit_code(result)} | _essence(result))
        return
    from rich.console import Console

    from reports.terminal import print_summary

    print_summary(result, Console(), report=folder / "report.html")


def _tell_awaited(awaited: "Awaited | None", output: Format) -> None:
    from harness.asking import describe_awaited

    assert awaited is not None  # the run has written it down
    if output is Format.json:
        _print_json({"exit_code": NO_VERDICT, "verdict": None, **awaited.model_dump(mode="json")})
        return
    for line in describe_awaited(awaited):
        typer.echo(line)


def _essence(result: "RunResult") -> dict[str, Any]:
    decision = result.decision
    return {
        "run_id": result.run_id,
        "verdict": decision.verdict if decision else None,
        "sentence": decision.sentence if decision else None,
        "claims": [claim.model_dump(mode="json") for claim in decision.claims] if decision else [],
    }


def _tell_made(directory: str, summary: dict[str, str], output: Format) -> None:
    if output is Format.json:
        _print_json({"path": directory} | summary)
        return
    for key, value in summary.items():
        typer.echo(f"{key}: {value}")
    typer.echo(directory)


def _rehearse(recipe: str, profile: str, output: Format) -> None:
    from harness.progress import show_progress
    from harness.rehearsal import describe_rehearsal, rehearse

    with show_progress() as progress:
        rehearsal = rehearse(recipe, profile, progress=progress)
    if output is Format.json:
        _print_json(rehearsal.model_dump(mode="json"))
        return
    for line in describe_rehearsal(rehearsal):
        typer.echo(line)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


_STOPPED = "interrupted; what was done is kept, and the same command goes on from there."


# --- endings ---------------------------------------------------------------------------------


@contextmanager
def _explained_errors() -> Iterator[None]:
    try:
        yield
    except HarnessError as error:
        _end(str(error), error.exit_code)
    except typer.exceptions.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # the vendored click's, which has no types
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        notice_interrupt()
        _end(_STOPPED, INTERRUPTED)
    except SystemExit as ending:  # typer's own way to end after Ctrl-C says nothing
        if ending.code == INTERRUPTED:
            notice_interrupt()
            _end(_STOPPED, INTERRUPTED)
        raise
    except OSError as error:
        if error.errno in NO_SPACE:
            _end(f"{error.filename or 'disk'}: {error.strerror}. Free some space and run again.", 4)
        _end_with_traceback()
    except Exception:  # noqa: BLE001 - an unforeseen error must not end like a failed gate (1)
        _end_with_traceback()


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"harness: {message}", err=True)
    sys.exit(code)


def _leave(code: str | int | None) -> NoReturn:
    """End the process here and now, with everything said and cleaned up.

    Python's own way out would unwind judges' threads in the middle of compiled code, which aborts
    the process now and then, and takes a second to take torch and scipy apart.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _end_with_traceback() -> NoReturn:
    traceback.print_exc()
    _end("this should not happen; please report it with the lines above.", INFRASTRUCTURE)
