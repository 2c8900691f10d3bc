"""Use a checkpoint: talk with it, merge it, give it away."""

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
    from harness.release.chat import start_chat
    from harness.release.resolve import find_model

    found = find_model(model, profile, store)
    try:
        complete = start_chat(
            found,
            system=system,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
    except KeyboardInterrupt:  # nothing is kept that one could go on from
        typer.echo(err=True)
        exit_now(INTERRUPTED)
    if not complete and not sys.stdin.isatty():
        raise typer.Exit(INFRASTRUCTURE)


@commands.command()
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
    from trainers.checkpoint import make_card
    from trainers.merge import merge_adapter

    made = merge_adapter(adapter, into, out, revision=revision, allow_other_base=allow_other_base)
    summary = {"fingerprint": made.fingerprint} | make_card(made, out.name).facts
    emit_artifact(output, str(out), summary)


@commands.command()
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
    from harness.release.export import export_checkpoint
    from harness.release.resolve import find_checkpoint

    found = find_checkpoint(checkpoint, profile, store)
    exported = export_checkpoint(Path(found.source), out, run=run, push=push, note=found.note)
    pushed = {"pushed to": exported.url} if exported.url else {}
    emit_artifact(output, str(exported.folder), {"fingerprint": exported.fingerprint} | pushed)
