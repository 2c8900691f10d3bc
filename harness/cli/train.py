"""Commands that train checkpoints, and build their training data."""

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
    Wait,
    find_launch,
    run_context,
)
from harness.cli.output import EXIT_CODES, Format, emit, emit_artifact

commands = typer.Typer()


@commands.command()
def init(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model to train.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="File of chats, or questions and answers.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the three files.")] = Path(),
) -> None:
    """Write a profile, a recipe and a suite for your model and your data, to begin with."""
    from harness.training.starter import FEW, MARGIN, write_starter

    made = write_starter(model, data, out)
    for path in made.files:
        typer.echo(f"written: {path}")
    typer.echo(
        f"{made.n_train} rows to learn from, {made.n_eval} questions to ask that are not learnt"
    )
    if made.n_eval < FEW:
        typer.echo(f"Below {FEW} questions a verdict is often inconclusive; more rows help.")
    recipe, profile, suite = made.files
    typer.echo(f"Learning rate {made.learning_rate:g}, by the model's width: {recipe} has it.")
    typer.echo(
        f"The verdict is a pass where ROUGE-L F1 is shown to be higher by more than {MARGIN:g} "
        f"('margin' in {suite})."
    )
    typer.echo(f"Next: harness plan {suite} --models base,sft --profile {profile}")
    typer.echo(f"      harness run {suite} --models base,sft --profile {profile}")


@commands.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A data file, a folder of MedQuAD XML files, or a YAML file that names a source.",
        ),
    ],
    to: Annotated[
        Literal["sft", "preference", "labelled", "questions", "corpus"],
        typer.Option(
            help="Rows for supervised fine-tuning, preference pairs, answers with labels, or questions with "
            "the documents that answer them and these documents."
        ),
    ],
    out: Annotated[Path, typer.Option(help="JSON Lines file to write.")],
    source_format: Annotated[
        str | None, typer.Option("--from", help="Source format, if its columns do not identify it.")
    ] = None,
    fields: Annotated[
        str,
        typer.Option(
            help="Columns of a plain table: input=Q,reference=A (or chosen=, rejected=; label=)."
        ),
    ] = "",
    system: Annotated[
        str | None, typer.Option(help="File with a system prompt for rows without one.")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="File with ids to exclude, such as those of a test set.")
    ] = None,
    min_words: Annotated[
        int | None, typer.Option(min=0, help="Drop answers with fewer words.")
    ] = None,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="Drop answers with more words.")
    ] = None,
    dedupe: Annotated[
        Literal["row", "question", "normalised", "none"],
        typer.Option(help="What counts as a duplicate; the first one is kept."),
    ] = "row",
    take: Annotated[int | None, typer.Option(min=1, help="Keep a random subset of N rows.")] = None,
    split: Annotated[
        float | None, typer.Option(help="Share of questions for evaluation; writes two files.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --take and --split.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a row that cannot be used.")
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Convert a public data set to training rows or preference pairs; dropped rows are counted."""
    from harness.data.convert import convert_file, make_options
    from reports.conversion import describe_conversion

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
            envvar="HARNESS_CHECKPOINT", help="Folder for the checkpoint, instead of the store."
        ),
    ] = None,
    dry_train: Annotated[
        bool,
        typer.Option(
            "--dry-train",
            envvar="HARNESS_DRY_TRAIN",
            help="Train two steps of the recipe and its parents at a small size; nothing is kept.",
        ),
    ] = False,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    batch: Batch = None,
    wait: Wait = 0.0,
    output: OutputFormat = Format.text,
) -> None:
    """Train one checkpoint, with the parents and pairs that it needs."""
    from harness.training.commands import train_recipe

    if dry_train:
        _dry_train(recipe, profile, launch, output)
        return
    with run_context(
        output, store, launch=launch, max_cost=max_cost, batch=batch, wait_s=wait
    ) as context:
        artifact = train_recipe(recipe, profile, context, out=out)
    emit_artifact(output, artifact.directory, artifact.summary)


@commands.command()
def pairs(
    recipe: RecipeArgument,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    max_cost: MaxCost = None,
    batch: Batch = None,
    wait: Wait = 0.0,
    output: OutputFormat = Format.text,
) -> None:
    """Build preference pairs: sampled answers judged in both orders, or gold against own answers."""
    from harness.training.commands import build_pairs

    with run_context(output, store, max_cost=max_cost, batch=batch, wait_s=wait) as context:
        artifact = build_pairs(recipe, profile, context)
    emit_artifact(output, artifact.directory, artifact.summary)


@commands.command()
def loop(
    file: Annotated[
        str, typer.Argument(help="A loop file, or the name of a bundled loop (see `harness list`).")
    ],
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    launch: LaunchFile = None,
    max_cost: MaxCost = None,
    batch: Batch = None,
    wait: Wait = 0.0,
    output: OutputFormat = Format.text,
) -> None:
    """Train in gated stages, certify the last checkpoint, and promote it if it passes."""
    from harness.release.pipeline import run_loop
    from reports.promotions import describe_loop

    with run_context(
        output, store, launch=launch, max_cost=max_cost, batch=batch, wait_s=wait
    ) as context:
        result = run_loop(file, context, out=out)
    code = EXIT_CODES[result.verdict]
    emit(output, {"exit_code": code} | result.model_dump(mode="json"), describe_loop(result))
    raise typer.Exit(code)


@commands.command()
def models(
    name: Annotated[
        str | None, typer.Argument(help="Name whose history and lineage are shown.")
    ] = None,
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """List the promoted checkpoints, or show the history of one name."""
    from harness.release.registry import Registry
    from reports.promotions import describe_promotion, describe_promotions

    registry = Registry(store)
    if name is None:
        promotions = [registry.find(promoted_name) for promoted_name in registry.names()]
        lines = describe_promotions(promotions)
    else:
        registry.find(name)
        promotions = registry.history(name)
        lines = (line for promotion in promotions for line in describe_promotion(promotion))
    emit(output, [promotion.model_dump(mode="json") for promotion in promotions], lines)


def _dry_train(recipe: str, profile: str, launch: str | None, output: Format) -> None:
    from harness.core.progress import show_progress
    from harness.training.dry_run import describe_dry_run, dry_run

    with show_progress() as progress:
        result = dry_run(recipe, profile, progress=progress, launch=find_launch(launch))
    emit(output, result.model_dump(mode="json"), describe_dry_run(result))
