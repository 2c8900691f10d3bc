"""Commands that use a checkpoint: chat, merge and export."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exit_codes import exit_now
from harness.cli.options import STORE, ModelArgument, OutputFormat, ProfileName, StoreFolder
from harness.cli.output import INFRASTRUCTURE, INTERRUPTED, Format, emit_artifact

commands = typer.Typer()


@commands.command()
def chat(
    model: ModelArgument,
    profile: ProfileName = "tiny",
    system: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_SYSTEM", help="File with a system prompt.", metavar="PROMPT.md"
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            envvar="HARNESS_TEMPERATURE",
            min=0.0,
            help="Sampling temperature; 0 is greedy decoding.",
        ),
    ] = 0.0,
    max_new_tokens: Annotated[
        int,
        typer.Option(
            envvar="HARNESS_MAX_NEW_TOKENS", min=1, help="Maximum length of an answer in tokens."
        ),
    ] = 512,
    seed: Annotated[int, typer.Option(envvar="HARNESS_SEED", help="Sampling seed.")] = 1,
    store: StoreFolder = STORE,
) -> None:
    """Chat with a model in the terminal, or through a pipe with one question per line."""
    from harness.release.chat import start_chat
    from harness.release.resolve import find_model

    named_model = find_model(model, profile, store)
    try:
        complete = start_chat(
            named_model,
            system=system,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
    except KeyboardInterrupt:  # a chat leaves no work that could be continued
        typer.echo(err=True)
        exit_now(INTERRUPTED)
    if not complete and not sys.stdin.isatty():
        raise typer.Exit(INFRASTRUCTURE)


@commands.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder with a LoRA adapter.")],
    into: Annotated[
        str,
        typer.Option(
            envvar="HARNESS_INTO",
            help="Its base model in full precision: a folder or a hub model.",
            metavar="BASE",
        ),
    ],
    out: Annotated[
        Path, typer.Option(envvar="HARNESS_CHECKPOINT", help="Folder for the checkpoint.")
    ],
    revision: Annotated[
        str | None, typer.Option(envvar="HARNESS_REVISION", help="Revision of the hub model.")
    ] = None,
    allow_other_base: Annotated[
        bool,
        typer.Option(
            "--allow-other-base",
            envvar="HARNESS_ALLOW_OTHER_BASE",
            help="Allow a base model that the adapter does not name.",
        ),
    ] = False,
    output: OutputFormat = Format.text,
) -> None:
    """Merge an adapter into its base model, and check that both compute the same answers."""
    from trainers.checkpoint import make_card
    from trainers.merge import merge_adapter

    made = merge_adapter(adapter, into, out, revision=revision, allow_other_base=allow_other_base)
    summary = {"fingerprint": made.fingerprint} | make_card(made, out.name).facts
    emit_artifact(output, str(out), summary)


@commands.command()
def export(
    checkpoint: ModelArgument,
    out: Annotated[
        Path, typer.Option(envvar="HARNESS_EXPORT", help="Folder for the model and its card.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            envvar="HARNESS_RUN",
            help="Folder of a run that evaluated it, for the card.",
            metavar="RUN",
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_PUSH",
            help="Also push to this hub repository; needs HF_TOKEN.",
            metavar="REPO",
        ),
    ] = None,
    profile: ProfileName = "tiny",
    store: StoreFolder = STORE,
    output: OutputFormat = Format.text,
) -> None:
    """Export a checkpoint with a model card, which can show a run's results, and push it to the hub."""
    from harness.release.export import export_checkpoint
    from harness.release.resolve import find_checkpoint

    named_model = find_checkpoint(checkpoint, profile, store)
    source, note = Path(named_model.source), named_model.note
    exported = export_checkpoint(source, out, run=run, push=push, note=note)
    pushed = {"pushed to": exported.url} if exported.url else {}
    emit_artifact(output, str(exported.folder), {"fingerprint": exported.fingerprint} | pushed)
