"""The runs of an output folder, each read once until its file changes."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.results_json import RESULTS_FILE, load_result
from harness.artifacts.running import RUNNING
from harness.core.errors import HarnessError
from harness.planning.plan_diff import claim_fields, measurement_fields
from harness.types import GateDecision, Plan


class Decided(NamedTuple):
    """What pages about several runs need of a result.

    `measured` and `claimed` are the statements of its plan by field (harness/planning/plan_diff.py).
    """

    finished: str
    plan: Plan
    decision: GateDecision | None
    fingerprints: dict[str, str]
    measured: dict[str, str]
    claimed: dict[str, str]

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names of the models, the baseline's first."""
        return tuple(model.name for model in self.plan.models)


class RunEntry(NamedTuple):
    """A run of the output folder: `suite` and `name` are its folders; without a result the problem."""

    suite: str
    name: str
    folder: Path
    decided: Decided | None
    problem: str = ""

    @property
    def verdict(self) -> str:
        """Return the verdict, `none` without a gate, or `problem` where the run cannot be read."""
        if self.decided is None:
            return "problem"
        return self.decided.decision.verdict if self.decided.decision else "none"

    @property
    def finished(self) -> str:
        """Return when the run ended (ISO 8601, UTC); empty where it cannot be read."""
        return self.decided.finished if self.decided else ""


Stamp = tuple[int, int, int]  # of a file: when it was changed, its size, its inode


class Workspace:
    """An output folder of runs. A result is read again once its file has changed."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._known: dict[Path, tuple[Stamp, RunEntry]] = {}

    def runs(self) -> list[RunEntry]:
        """Return all runs, the last one first; those that cannot be read come last."""
        self._known = {
            path: (stamp, self._entry(path, stamp))
            for path in self.out.glob(f"*/*/{RESULTS_FILE}")
            if (stamp := _stamp(path)) is not None
        }
        entries = [entry for _, entry in self._known.values()]
        return sorted(entries, key=lambda entry: (entry.finished, str(entry.folder)), reverse=True)

    def find(self, suite: str, name: str) -> RunEntry | None:
        """Return the run in the folder `suite`/`name`; None if there is none (any more)."""
        return find_entry(self.runs(), suite, name)

    def _entry(self, path: Path, stamp: Stamp) -> RunEntry:
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        return _read(path.parent)


def find_entry(entries: Iterable[RunEntry], suite: str, name: str) -> RunEntry | None:
    """Return the run of these names among the entries."""
    return next((entry for entry in entries if (entry.suite, entry.name) == (suite, name)), None)


def require_workspace(out: Path) -> None:
    """Refuse a path that is no folder of runs; one that is empty still may become it.

    Raises:
        HarnessError: says what the path is instead, and what to name.
    """
    if (out / RESULTS_FILE).is_file():
        raise HarnessError(
            f"{out}: is a single run. Name the folder of all runs, which is {out.parent.parent}."
        )
    if not out.is_dir():
        what = "is a file" if out.exists() else "no such folder"
        raise HarnessError(f"{out}: {what}. Name the folder that `harness run --out` writes into.")
    if next(out.glob(f"*/{RESULTS_FILE}"), None) is not None:
        raise HarnessError(
            f"{out}: holds the runs of a single suite. Name the folder above it, which is {out.parent}."
        )
    empty = next(out.iterdir(), None) is None
    if not (empty or (out / RUNNING).is_dir() or next(out.glob(f"*/*/{RESULTS_FILE}"), None)):
        raise HarnessError(
            f"{out}: holds no runs. Name the folder that `harness run --out` writes into, such as runs."
        )


def _read(folder: Path) -> RunEntry:
    """Read a run without its tables, which are verified when it is opened."""
    entry = RunEntry(folder.parent.name, folder.name, folder, None)
    if not (folder / RESULTS_FILE).is_file():  # reading a pipe would wait for ever
        return entry._replace(problem=f"{folder / RESULTS_FILE}: is no regular file.")
    try:
        result = load_result(folder, hash_tables=False)
    except HarnessError as error:
        return entry._replace(problem=str(error))
    plan = result.plan
    if unjudged := [m for task in plan.tasks for m in task.metrics if m not in plan.judges]:
        return entry._replace(problem=f"{folder}: its plan names no judge of '{unjudged[0]}'.")
    decided = Decided(
        finished=result.finished,
        plan=plan,
        decision=result.decision,
        fingerprints=result.fingerprints,
        measured=measurement_fields(plan),
        claimed=claim_fields(plan),
    )
    return entry._replace(decided=decided)


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with the file; None if it has just been removed."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
