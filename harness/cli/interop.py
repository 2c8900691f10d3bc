"""Bring records of other tools in, and give a run's tables and logs out."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OutputFormat, RunArgument
from harness.cli.output import Format, emit

commands = typer.Typer()


class Target(StrEnum):
    """What a run is written out as."""

    csv = "csv"
    inspect = "inspect"


@commands.command(name="import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL=]FILE...",
            help="lm-eval samples, AlpacaEval outputs and annotations, Inspect logs.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new folder for the study.")],
    output: OutputFormat = Format.text,
) -> None:
    """Make a study of what other tools recorded: items, answers, verdicts, suite and profile."""
    from harness.interop.importing import describe_import, import_records

    found = import_records(files, out)
    value = found._asdict() | {"folder": str(found.folder), "command": found.command}
    emit(output, value, describe_import(found))


@commands.command()
def extract(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The folder that files are written to.")],
    to: Annotated[
        Target, typer.Option("--to", help="CSV tables, or logs that Inspect reads.")
    ] = Target.csv,
    output: OutputFormat = Format.text,
) -> None:
    """Write a run's answers, judgements and scores out for spreadsheets or for Inspect."""
    if to is Target.csv:
        from harness.artifacts.csv_export import write_csv_files

        files = write_csv_files(run, out)
        lines = [f"{file.path}: {file.n_rows:,} rows" for file in files]
        n_escaped = sum(file.n_escaped for file in files)
        if n_escaped:
            lines.append(
                f"{n_escaped:,} texts begin like a formula and got an apostrophe in front; "
                "the Parquet tables have them as they were."
            )
        told = [{"path": str(f.path), "rows": f.n_rows, "guarded": f.n_escaped} for f in files]
        emit(output, told, lines)
        return
    from harness.artifacts.run_folder import load_run
    from harness.interop.inspect_export import write_inspect_logs

    logs = write_inspect_logs(load_run(run), out)
    emit(
        output,
        [{"path": str(log.path), "samples": log.n_samples} for log in logs],
        [f"{log.path}: {log.n_samples:,} samples" for log in logs],
    )
