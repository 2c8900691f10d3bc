"""The command that shows, exports and merges the ledger of tries."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import STORE, LedgerFile, OutputFormat, StoreFolder, find_ledger
from harness.cli.output import Format, emit

commands = typer.Typer()


@commands.command()
def ledger(
    store: StoreFolder = STORE,
    file: LedgerFile = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Add the tries of another ledger; repeatable."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Add all tries to this file, to commit: JSON lines, each once."
        ),
    ] = None,
    output: OutputFormat = Format.text,
) -> None:
    """Show every try, the alpha it has and whether its pass stands; merge the ledgers of a team."""
    from harness.gate.tries import stands
    from harness.planning.ledger import add_lines, all_lines, read_ledger
    from reports.ledger import describe_lapsed, describe_ledger

    path = find_ledger(file, store)
    before = read_ledger(path)
    standing = {one.key for one in before.tries if stands(one, before.count_for(one))}
    for other in merge or []:
        add_lines(path, all_lines(read_ledger(other, must_exist=True)))
    found = read_ledger(path)
    if export is not None:
        add_lines(export, all_lines(found))
    entries = [(one, count := found.count_for(one), stands(one, count)) for one in found.tries]
    lapsed = [(one, count) for one, count, holds in entries if one.key in standing and not holds]
    value = {
        "ledger": str(path),
        "tries": [
            one.model_dump(mode="json")
            | {"count": count.model_dump(mode="json", exclude={"key"}), "stands": holds}
            for one, count, holds in entries
        ],
        "lapsed": [one.key for one, _ in lapsed],
    }
    emit(output, value, [*describe_ledger(entries), *describe_lapsed(lapsed)])
