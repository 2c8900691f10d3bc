"""Make checkpoints, and the data they learn from."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.options import (
    OUT,
    STORE,
    Batch,
    LaunchFile,
    MaxCost,
    OutFolder,
    OutputFormat,
    ProfileName,
    RecipeArgument,
    StoreFolder,
    find_launch,
    run_context,
)
from harness.cli.output import EXIT_CODES, Format, emit, emit_artifact

commands = typer.Typer()


@commands.command()
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
    from harness.data.convert import convert_file, describe_conversion, make_options

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
    emit(output, summary.model_dump(mode="json"), describe_conversion(summary))


@commands.command()
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
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    batch: Batch = None,
    output: OutputFormat = Format.text,
) -> None:
    """Make one checkpoint, with the parents and pairs it needs."""
    from harness.training.commands import train_recipe

    if dry_train:
        _dry_train(recipe, profile, launch, output)
        return
    with run_context(output, store, launch=launch, max_cost=max_cost, batch=batch) as context:
        made = train_recipe(recipe, profile, context, out=out)
    emit_artifact(output, made.directory, made.summary)


@commands.command()
def pairs(
    recipe: RecipeArgument,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    max_cost: MaxCost = None,
    batch: Batch = None,
    output: OutputFormat = Format.text,
) -> None:
    """Make preference pairs, judged in both orders or gold against the model's own answer."""
    from harness.training.commands import build_pairs

    with run_context(output, store, max_cost=max_cost, batch=batch) as context:
        made = build_pairs(recipe, profile, context)
    emit_artifact(output, made.directory, made.summary)


@commands.command()
def loop(
    file: Annotated[str, typer.Argument(help="A loop file, or the name of one of ours.")],
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    batch: Batch = None,
    output: OutputFormat = Format.text,
) -> None:
    """Train stage by stage, each gated; certify what comes out last, and promote it."""
    from harness.release.pipeline import run_loop
    from reports.promotions import describe_loop

    with run_context(output, store, launch=launch, max_cost=max_cost, batch=batch) as context:
        done = run_loop(file, context, out=out)
    code = EXIT_CODES[done.verdict]
    emit(output, {"exit_code": code} | done.model_dump(mode="json"), describe_loop(done))
    raise typer.Exit(code)


@commands.command()
def models(
    name: Annotated[
        str | None, typer.Argument(help="One name, with its whole history and lineage.")
    ] = None,
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """List the checkpoints that were promoted, or tell one name's history."""
    from harness.release.registry import Registry
    from reports.promotions import describe_promotion, describe_promotions

    registry = Registry(store)
    if name is None:
        found = [registry.find(each) for each in registry.names()]
        lines = describe_promotions(found)
    else:
        registry.find(name)
        found = registry.history(name)
        lines = (line for promotion in found for line in describe_promotion(promotion))
    emit(output, [promotion.model_dump(mode="json") for promotion in found], lines)


def _dry_train(recipe: str, profile: str, launch: str | None, output: Format) -> None:
    from harness.core.progress import show_progress
    from harness.training.dry_run import describe_dry_run, dry_run

    with show_progress() as progress:
        result = dry_run(recipe, profile, progress=progress, launch=find_launch(launch))
    emit(output, result.model_dump(mode="json"), describe_dry_run(result))
