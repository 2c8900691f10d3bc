"""Commands on studies: tell beforehand what one takes, run it, and render its report again."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness.cli.options import (
    OUT,
    STORE,
    Batch,
    Contaminated,
    LaunchFile,
    MaxCost,
    OutFolder,
    OutputFormat,
    RemotePhi,
    Serve,
    ServeOption,
    ShardOption,
    StoreFolder,
    Wait,
    run_context,
)
from harness.cli.output import Format, emit


class _RunByDefault(TyperGroup):
    """The group of study commands, in which a file without a command is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; `harness study FILE` is `harness study run FILE`."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


commands = typer.Typer()
study_app = typer.Typer(
    cls=_RunByDefault,
    help="Rank recipes: bases, methods, amounts of data and seeds under one suite.",
    no_args_is_help=True,
)
commands.add_typer(study_app, name="study")

StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study file, or the name of a bundled study (see `harness list`)."
    ),
]


@study_app.callback()
def study_group() -> None:
    """Rank recipes: bases, methods, amounts of data and seeds under one suite."""


@study_app.command()
def run(
    study: StudyArgument,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    jobs: Annotated[
        int | None,
        typer.Option(
            envvar="HARNESS_JOBS",
            min=1,
            help="Trainings at a time; by default one on each accelerator, or one.",
        ),
    ] = None,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    wait: Wait = 0.0,
    batch: Batch = None,
    serve: Serve = None,
    serve_option: ServeOption = None,
    shard: ShardOption = None,
    allow_remote_phi: RemotePhi = False,
    allow_contamination: Contaminated = False,
    output: OutputFormat = Format.text,
) -> None:
    """Train what is missing, answer, judge and rank; killed, the same command goes on. Exit code 0 where it ends."""
    from harness.core.errors import HarnessError
    from harness.study.grid import load_grid
    from harness.study.run import run_study
    from harness.study.trainings import count_devices
    from reports.study import describe_study

    if shard is not None:
        raise HarnessError(
            "--shard: a study is not done in parts, as arms are compared and dropped on all items together. Leave "
            "it out; --jobs trains several arms at a time."
        )
    grid = load_grid(
        study,
        allow_contamination=allow_contamination,
        allow_remote_phi=allow_remote_phi,
        by_batch=batch is not None,
        serve=serve,
        serve_options=serve_option or (),
    )
    bound = grid.study.budget.max_cost if max_cost is None else max_cost
    with run_context(
        output, store, launch=launch, max_cost=bound, batch=batch, wait_s=wait
    ) as context:
        one_each = count_devices() if grid.arms and launch is None else 1
        at_once = jobs or max(1, one_each)
        result, folder = run_study(grid, context, out=out, jobs=at_once)
    value = {"folder": str(folder), **result.model_dump(mode="json")}
    emit(output, value, describe_study(result, folder))


@study_app.command()
def plan(
    study: StudyArgument, store: StoreFolder = STORE, output: OutputFormat = Format.text
) -> None:
    """Tell what a study takes, and the smallest difference that it can find, without training or asking."""
    from harness.study.plan import describe_study_plan, forecast_study

    forecast = forecast_study(study, store)
    emit(output, forecast.model_dump(mode="json"), describe_study_plan(forecast))


@study_app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder of a finished study, with its study.json."),
    ],
    output: OutputFormat = Format.text,
) -> None:
    """Render the report and the tables of a finished study again from its study.json."""
    from harness.study.result import load_study_result
    from reports.study import describe_study, write_study

    result = load_study_result(folder)
    write_study(result, folder)
    value = {"folder": str(folder), **result.model_dump(mode="json")}
    emit(output, value, describe_study(result, folder))
