"""Options and arguments that commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import Format, exit_if_pending

if TYPE_CHECKING:
    from harness.models.endpoint import Budget
    from harness.training.context import RunContext
    from trainers.distributed.config import Launch

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


LaunchFile = Annotated[
    str | None,
    typer.Option(
        "--launch",
        envvar="HARNESS_LAUNCH",
        metavar="FILE",
        help="Train in several processes: an accelerate configuration, or multi_gpu, fsdp2, "
        "deepspeed_zero2, deepspeed_zero3, two_cpu.",
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


@contextmanager
def run_context(
    output: Format,
    store: Path,
    *,
    launch: str | None = None,
    max_cost: float | None = None,
    batch: Path | None = None,
) -> Iterator["RunContext"]:
    """Give a command the context of its options, while its progress is shown.

    Where replies are to come by batch first, the command says which, and exits 3.

    Raises:
        HarnessError: as `find_launch`.
    """
    from harness.core.progress import show_progress
    from harness.training.context import make_context

    with exit_if_pending(output), show_progress() as progress:
        yield make_context(
            store,
            progress,
            launch=find_launch(launch),
            budget=make_budget(max_cost),
            batch=batch,
        )


def find_launch(file: str | None) -> "Launch | None":
    """What `--launch` names, if it names anything.

    Raises:
        HarnessError: no such file, or one that cannot launch a recipe.
    """
    from trainers.distributed.config import load_launch

    return None if file is None else load_launch(file)


def make_budget(max_cost: float | None) -> "Budget | None":
    """The limit that `--max-cost` sets, if it sets one."""
    from harness.models.endpoint import Budget

    return None if max_cost is None else Budget(max_cost)
