"""The runs in an output folder: listed by date, and found by a short name.

runs/medical_rubric/4be81c02d4c1/results.json
"""

import json
from collections.abc import Iterator
from pathlib import Path

from harness.artifacts.results_json import RESULTS_FILE, load_result
from harness.core.errors import HarnessError, InfrastructureError, did_you_mean
from harness.types import Record

LATEST = "latest"
NO_GATE = "no gate"  # in place of a verdict


class RunLine(Record):
    """One run in a list; one that cannot be read has a `problem`, and may have nothing else.

    `verified` is false where an earlier version wrote the run, without hashes of its tables.
    """

    finished: str = ""
    suite: str = ""
    models: tuple[str, ...] = ()
    verdict: str = ""
    run_id: str = ""
    folder: str
    problem: str = ""
    verified: bool = True


def list_runs(out: Path, *, verify: bool = True) -> list[RunLine]:
    """List the runs in an output folder, the last one first; those that cannot be read come last.

    With `verify` each is read as every command reads it, which refuses changed files.
    """
    lines = [_read_line(path, verify=verify) for path in out.glob(f"*/*/{RESULTS_FILE}")]
    return sorted(lines, key=lambda line: (line.finished, line.folder), reverse=True)


def find_run(named: Path, out: Path) -> Path:
    """Return the folder of a run: as named, of its results.json, by `latest`, or by its id's beginning.

    Raises:
        HarnessError: `latest` where there is no run, or the beginning of several ids.
    """
    if named.is_dir():
        return named
    if named.name == RESULTS_FILE and named.is_file():
        return named.parent
    if len(named.parts) > 1:
        return named  # its reader says what is missing
    # Its reader verifies the one that is named.
    found = list_runs(out, verify=False)
    lines = [line for line in found if not line.problem]
    if str(named) == LATEST:
        if not lines and found:
            raise HarnessError(
                f"{out}: none of its {len(found)} runs can be read, such as {found[0].folder}. Run the "
                "suite again: answers and verdicts are stored, and nothing is asked again."
            )
        if not lines:
            raise HarnessError(f"{out}: holds no run yet, so none is the latest.")
        return Path(lines[0].folder)
    begun = [line for line in lines if len(str(named)) >= 4 and line.run_id.startswith(str(named))]
    if len(begun) > 1:
        raise HarnessError(
            f"{named}: {len(begun)} runs in {out} begin so: {', '.join(r.run_id for r in begun)}."
        )
    return Path(begun[0].folder) if begun else named


def last_run(suite: str, out: Path) -> RunLine:
    """Return the last run of a suite in an output folder.

    Raises:
        HarnessError: there is no run of that suite.
        InfrastructureError: one that cannot be read may be the last.
    """
    lines = list_runs(out, verify=False)
    own = [line for line in lines if suite in (line.suite, Path(line.folder).parent.name)]
    if not own:
        names = {line.suite for line in lines if line.suite}
        raise HarnessError(f"{out}: holds no run of '{suite}'. {did_you_mean(suite, names)}")
    for line in own:
        if line.problem:
            raise InfrastructureError(
                f"{line.folder}: {line.problem}, and it may be the last run of '{suite}'. Run the suite "
                "again, or remove that folder."
            )
    load_result(Path(own[0].folder))
    return own[0]


def describe_runs(lines: list[RunLine], out: Path) -> Iterator[str]:
    """Describe the runs, one a line: when, which suite and models, the verdict, and where."""
    if not lines:
        yield f"{out}: no runs yet. `harness run` writes them."
        return
    rows = [
        (line.finished[:16].replace("T", " "), line.suite, ",".join(line.models), line.verdict)
        for line in lines
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row, line in zip(rows, lines, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        note = line.problem or ("" if line.verified else "not verified")
        yield f"{cells}  {line.folder}" + (f"  ({note})" if note else "")


def _read_line(path: Path, *, verify: bool) -> RunLine:
    folder = str(path.parent)
    line = RunLine(folder=folder, problem="cannot be read")
    try:
        data = json.loads(path.read_bytes())
        decision = data["decision"]
        line = RunLine(
            finished=data["finished"],
            suite=data["plan"]["suite"],
            models=tuple(model["name"] for model in data["plan"]["models"]),
            verdict=NO_GATE if decision is None else decision["verdict"],
            run_id=data["run_id"],
            folder=folder,
            verified=bool(data.get("tables")),
        )
        if verify:
            load_result(path.parent)
    except InfrastructureError as error:
        return line.model_copy(update={"verdict": "none", "problem": str(error)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError, HarnessError):
        return RunLine(folder=folder, problem="cannot be read")
    return line
