"""Commands on stores: merge those of several machines, check one, remove what it no longer needs."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import STORE, OutputFormat, StoreFolder, Wait
from harness.cli.output import INFRASTRUCTURE, Format, emit

commands = typer.Typer()
store_app = typer.Typer(help="Merge, check or clean stores.", no_args_is_help=True)
commands.add_typer(store_app, name="store")


@store_app.callback()
def store_group() -> None:
    """Merge, check or clean stores."""


@store_app.command()
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="STORE...", help="Folders given as --store to the shards."),
    ],
    into: Annotated[
        Path,
        typer.Option(
            metavar="STORE", help="Folder of the merged store, which may hold something already."
        ),
    ],
    first_wins: Annotated[
        bool,
        typer.Option(
            "--first-wins",
            help="Where stores contradict each other, keep the row of the one named first.",
        ),
    ] = False,
    wait: Wait = 0.0,
    output: OutputFormat = Format.text,
) -> None:
    """Make one store of several: rows, plans and tries, each once. The others are only read."""
    from harness.stores.describe import describe_merge
    from harness.stores.merge import merge_stores

    merged = merge_stores(sources, into, first_wins=first_wins, wait_s=wait)
    value = merged._asdict() | {
        "into": str(into),
        "added": {str(source): n for source, n in merged.added.items()},
        "left": [str(path) for path in merged.left],
    }
    emit(output, value, describe_merge(merged, into))


@store_app.command()
def check(store: StoreFolder = STORE, output: OutputFormat = Format.text) -> None:
    """Check every row of a store and show its size. Exit codes: 0 every row can be used, 4 otherwise."""
    from harness.stores.check import check_store
    from harness.stores.describe import describe_check

    found = check_store(store)
    code = 0 if found.sound else INFRASTRUCTURE
    emit(output, {"exit_code": code} | found.model_dump(mode="json"), describe_check(found))
    raise typer.Exit(code)


@store_app.command()
def gc(
    store: StoreFolder = STORE,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="DAYS",
            help="Also answers, verdicts and replies made before so many days.",
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove it; without this it is only shown.")
    ] = False,
    wait: Wait = 0.0,
    output: OutputFormat = Format.text,
) -> None:
    """Show, or remove, what a store no longer needs: rows that cannot be used, leftovers, old rows."""
    from harness.stores.describe import describe_garbage
    from harness.stores.gc import collect_garbage

    found = collect_garbage(store, older_than_days=older_than, delete=delete, wait_s=wait)
    emit(output, found.model_dump(mode="json"), describe_garbage(found))
