"""Commands that import records of other tools, and export the tables and logs of a run."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import OutputFormat, RunArgument
from harness.cli.output import Format, emit

commands = typer.Typer()


class Target(StrEnum):
    """The format of exported files."""

    csv = "csv"
    inspect = "inspect"


@commands.command(name="import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL=]FILE...",
            help="Logs and results of lm-eval, Inspect, AlpacaEval, MT-Bench, Arena-Hard, simple-evals "
            "or promptfoo; one file is enough where it has all models.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="New folder for the study.")],
    output: OutputFormat = Format.text,
) -> None:
    """Import records of other tools as a study: items, answers, verdicts, suite and profile."""
    from harness.interop.importing import describe_import, import_records

    imported = import_records(files, out)
    value = imported._asdict() | {"folder": str(imported.folder), "command": imported.command}
    emit(output, value, describe_import(imported))


@commands.command()
def extract(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    to: Annotated[
        Target, typer.Option("--to", help="CSV tables, or logs for Inspect.")
    ] = Target.csv,
    output: OutputFormat = Format.text,
) -> None:
    """Export a run's answers, judgements and scores as CSV tables or Inspect logs."""
    from harness.core.store import make_writable

    make_writable(out)
    # CSV tables.
    if to is Target.csv:
        from harness.artifacts.csv_export import write_csv_files

        files = write_csv_files(run, out)
        lines = [f"{file.path}: {file.n_rows:,} rows" for file in files]
        n_escaped = sum(file.n_escaped for file in files)
        if n_escaped:
            lines.append(
                f"{n_escaped:,} texts begin like a formula and have an apostrophe in front here; "
                "the Parquet tables have the original texts."
            )
        value = [{"path": str(f.path), "rows": f.n_rows, "guarded": f.n_escaped} for f in files]
        emit(output, value, lines)
        return
    # Inspect logs.
    from harness.artifacts.run_folder import load_run
    from harness.interop.inspect_export import write_inspect_logs

    logs = write_inspect_logs(load_run(run), out)
    emit(
        output,
        [{"path": str(log.path), "samples": log.n_samples} for log in logs],
        [f"{log.path}: {log.n_samples:,} samples" for log in logs],
    )
