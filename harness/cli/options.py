"""Options and arguments that commands share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import Format, exit_if_pending
from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from harness.config.request import AskAgain
    from harness.models.endpoint import Budget
    from harness.training.context import RunContext
    from trainers.distributed.config import Launch

OUT = Path("runs")

SuiteArgument = Annotated[
    str, typer.Argument(help="A suite file, or the name of a bundled suite (see `harness list`).")
]
RecipeArgument = Annotated[
    str, typer.Argument(help="A recipe file, or the name of a bundled recipe (see `harness list`).")
]


def find_named_run(run: Path) -> Path:
    """Return the folder that a run's argument names; runs are looked for in HARNESS_OUT, or `runs`."""
    from harness.artifacts.run_list import find_run

    return find_run(run, Path(os.environ.get("HARNESS_OUT") or OUT))


def find_named_runs(runs: list[Path]) -> list[Path]:
    """Return the folders that several arguments name."""
    return [find_named_run(run) for run in runs]


RUN_HELP = "A run: its folder, the beginning of its id, or `latest` (see `harness runs`)."
RunArgument = Annotated[Path, typer.Argument(help=RUN_HELP, callback=find_named_run)]
RunArguments = Annotated[
    list[Path], typer.Argument(help=f"{RUN_HELP} Several are allowed.", callback=find_named_runs)
]

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A checkpoint folder, a promoted name, a model of the profile, or a recipe."
    ),
]

Models = Annotated[
    str,
    typer.Option(
        envvar="HARNESS_MODELS",
        help="Names of the models in the profile: baseline first, candidate last; or one model, alone.",
        metavar="A,B",
    ),
]


def split_names(models: str) -> list[str]:
    """Split `a,b` into names."""
    return [name.strip() for name in models.split(",") if name.strip()]


def read_margins(options: list[str]) -> dict[str, float]:
    """Read `COLUMN=NUMBER` options as margins by column.

    Raises:
        HarnessError: one is written otherwise.
    """
    margins = {}
    for option in options:
        column, _, value = option.partition("=")
        try:
            margins[column] = float(value)
        except ValueError:
            raise HarnessError(
                f"--margin {option}: write COLUMN=NUMBER, for example rubric.safety=0.25."
            ) from None
    return margins


Alpha = Annotated[
    float,
    typer.Option(envvar="HARNESS_ALPHA", min=0.0, max=0.5, help="One-sided error probability."),
]

ProfileName = Annotated[
    str,
    typer.Option(
        envvar="HARNESS_PROFILE",
        help="Profile that defines models, judges and data: a file or a bundled name.",
    ),
]

JudgeName = Annotated[
    str | None,
    typer.Option(envvar="HARNESS_JUDGE", help="Use this judge of the profile for all metrics."),
]

Limit = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_LIMIT", min=1, help="Use only the first N items, for a trial run."
    ),
]

Seed = Annotated[
    int | None, typer.Option(envvar="HARNESS_SEED", help="Sampling seed, instead of the suite's.")
]

StoreFolder = Annotated[
    Path,
    typer.Option("--store", envvar="HARNESS_STORE", help="Folder for work that later runs reuse."),
]

OutFolder = Annotated[Path, typer.Option("--out", envvar="HARNESS_OUT", help="Folder for reports.")]

RemotePhi = Annotated[
    bool,
    typer.Option(
        "--allow-remote-phi",
        envvar="HARNESS_ALLOW_REMOTE_PHI",
        help="Allow sending data marked phi (protected health information) to remote endpoints.",
    ),
]

Contaminated = Annotated[
    bool,
    typer.Option(
        "--allow-contamination",
        envvar="HARNESS_ALLOW_CONTAMINATION",
        help="Continue if test items are in the training data; the report has a caveat.",
    ),
]

MaxCost = Annotated[
    float | None,
    typer.Option(
        envvar="HARNESS_MAX_COST",
        min=0.0,
        help="Stop before endpoint calls cost more than this; the same command continues later.",
    ),
]

Batch = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_BATCH",
        help="Write endpoint requests to batch files in this folder instead of sending them.",
    ),
]

Serve = Annotated[
    str | None,
    typer.Option(
        "--serve",
        envvar="HARNESS_SERVE",
        metavar="ENGINE",
        help="Start an inference engine (vllm, sglang, transformers) that answers for every checkpoint.",
    ),
]

ServeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--serve-option",
        metavar="NAME=VALUE",
        help="An option of the engine, also one that a profile may not set. Repeatable.",
    ),
]

AskAgainOption = Annotated[
    str | None,
    typer.Option(
        "--ask-again",
        envvar="HARNESS_ASK_AGAIN",
        metavar="WHAT",
        help="Ask again although it is stored: answers, unreadable (verdicts), or failed (empty "
        "answers, missing verdicts).",
    ),
]

AskAgainModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="With --ask-again: only this model's answers, or verdicts on them.",
    ),
]

ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        envvar="HARNESS_SHARD",
        metavar="NUMBER/COUNT",
        help="Answer and judge one part of the items into the store, without a verdict: 1/4 to 4/4 on four "
        "machines, then `harness store merge`.",
    ),
]

Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        envvar="HARNESS_WAIT",
        min=0.0,
        metavar="SECONDS",
        help="Wait so long for another process that uses the same store.",
    ),
]

LaunchFile = Annotated[
    str | None,
    typer.Option(
        "--launch",
        envvar="HARNESS_LAUNCH",
        metavar="FILE",
        help="Train in several processes: an accelerate configuration file, or one of multi_gpu, "
        "fsdp2, deepspeed_zero2, deepspeed_zero3, two_cpu.",
    ),
]

OutputFormat = Annotated[
    Format, typer.Option("--format", envvar="HARNESS_FORMAT", help="Output as text or JSON.")
]

BaselineFile = Annotated[
    Path,
    typer.Option("--baseline", envvar="HARNESS_BASELINE", help="Baseline file, to be committed."),
]

LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        envvar="HARNESS_LEDGER",
        metavar="FILE",
        help="Count tries in this file, such as a committed one, instead of the store's.",
    ),
]

Port = Annotated[
    int,
    typer.Option(
        envvar="HARNESS_PORT", min=0, max=65535, help="Port of the server; 0 takes a free one."
    ),
]

Host = Annotated[
    str | None,
    typer.Option(
        envvar="HARNESS_HOST",
        help="Address to listen on; without it, only this machine can connect.",
    ),
]

Expose = Annotated[
    bool,
    typer.Option(
        "--expose", envvar="HARNESS_EXPOSE", help="Allow other machines to connect with the link."
    ),
]

OpenBrowser = Annotated[
    bool,
    typer.Option(
        "--browser/--no-browser", envvar="HARNESS_BROWSER", help="Open the page in a browser."
    ),
]

STORE = Path(".harness")
BASELINE = Path("baseline.json")


@contextmanager
def run_context(
    output: Format,
    store: Path,
    *,
    launch: str | None = None,
    max_cost: float | None = None,
    batch: Path | None = None,
    again: "AskAgain | None" = None,
    wait_s: float = 0.0,
    ledger: Path | None = None,
) -> Iterator["RunContext"]:
    """Open the context that the options define, and show progress.

    If batch replies are pending, the command lists the batch files and exits with 3.

    Raises:
        HarnessError: as `find_launch`.
    """
    from harness.config.request import NOTHING_AGAIN
    from harness.core.progress import show_progress
    from harness.training.context import make_context

    with exit_if_pending(output), show_progress() as progress:
        yield make_context(
            store,
            progress,
            launch=find_launch(launch),
            budget=make_budget(max_cost),
            batch=batch,
            again=again or NOTHING_AGAIN,
            wait_s=wait_s,
            ledger=ledger,
        )


def find_ledger(file: Path | None, store: Path) -> Path:
    """Return the file in which tries are counted: that of `--ledger`, or the store's."""
    from harness.core.store import LEDGER

    return file or store / LEDGER


def find_launch(file: str | None) -> "Launch | None":
    """Load the launch configuration that `--launch` names; None without the option.

    Raises:
        HarnessError: no such file, or one that cannot launch a recipe.
    """
    from trainers.distributed.config import load_launch

    return None if file is None else load_launch(file)


def make_budget(max_cost: float | None) -> "Budget | None":
    """Make the budget that `--max-cost` sets; None without the option."""
    from harness.models.endpoint import Budget

    return None if max_cost is None else Budget(max_cost)
