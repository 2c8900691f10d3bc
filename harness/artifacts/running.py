"""Runs under way in an output folder, for those who look on: `harness view`.

    runs/.running/3f9c…/progress.json   the stages so far
    runs/.running/3f9c…/lock            held by the run's process, so that a dead one is seen to be dead

A run's folder here is removed when the run ends, and that of a dead process by the next run.
"""

import json
import math
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.core.errors import StoreLockedError
from harness.core.files import make_folder, replace_file
from harness.core.locks import FolderLock, is_locked, read_owner
from harness.core.progress import Progress
from harness.types import Plan, Record

RUNNING = ".running"
PROGRESS_FILE = "progress.json"
WRITE_EVERY_S = 1.0
MAX_BYTES = 1_000_000  # of a progress file that is read; ours have some hundred


class StageProgress(Record):
    """A stage of a run: how many of its steps are done, and a note such as the cost so far."""

    name: str
    done: int
    total: int
    note: str = ""


class RunProgress(Record):
    """What a run under way does: the stages that have begun, in order. Times are ISO 8601, UTC."""

    suite: str
    models: tuple[str, ...]
    plan: str
    started: str
    updated: str
    stages: tuple[StageProgress, ...] = ()


class RunningRun(NamedTuple):
    """A run that has not ended: `alive` is whether its process is, and `owner` names that."""

    progress: RunProgress
    alive: bool
    owner: str


class _ProgressFile:
    """A progress display that also writes the stages into a file, at most once a second.

    A file that cannot be written is no reason to end a run: it is said once.
    """

    def __init__(self, path: Path, plan: Plan, shown: Progress) -> None:
        self._path, self._shown = path, shown
        self._progress = RunProgress(
            suite=plan.suite,
            models=tuple(model.name for model in plan.models),
            plan=plan.hash,
            started=_now(),
            updated=_now(),
        )
        self._stages: dict[str, tuple[int, int, str]] = {}
        self._written_at = -math.inf
        self._failed = False
        self.write()

    def log(self, line: str) -> None:
        self._shown.log(line)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Pass the stage on, and write it when it begins or ends, and once a second between."""
        self._shown.advance(stage, done, total, note)
        begins = stage not in self._stages
        self._stages[stage] = done, total, note
        now = time.monotonic()
        if begins or done >= total or now - self._written_at >= WRITE_EVERY_S:
            self._written_at = now
            self.write()

    def write(self) -> None:
        """Write the stages so far."""
        stages = tuple(
            StageProgress(name=name, done=done, total=total, note=note)
            for name, (done, total, note) in tuple(self._stages.items())
        )
        update = {"updated": _now(), "stages": stages}
        content = self._progress.model_copy(update=update).model_dump_json().encode()
        try:
            with replace_file(self._path, synced=False) as file:
                file.write(content)
        except OSError as error:
            if not self._failed:
                self.log(
                    f"{self._path}: {error.strerror}, so `harness view` does not see this run."
                )
            self._failed = True


@contextmanager
def announce_run(plan: Plan, out: Path, progress: Progress) -> Iterator[Progress]:
    """Yield a display that shows `progress`, and that `harness view` of the output folder sees too.

    What is announced is removed when the body ends, also by an error.
    """
    folder = out / RUNNING / secrets.token_hex(8)
    lock = FolderLock(folder, advice="")
    try:
        _remove_dead(out)
        make_folder(folder)
        lock.take(wait_s=1.0)
    except (OSError, StoreLockedError) as error:
        progress.log(f"{folder}: {error}, so `harness view` does not see this run.")
        yield progress
        return
    try:
        yield _ProgressFile(folder / PROGRESS_FILE, plan, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        with suppress(OSError):
            folder.parent.rmdir()  # unless another run is under way


def running_runs(out: Path) -> list[RunningRun]:
    """Return the runs that have not ended in an output folder, the last begun first."""
    found = [run for folder in (out / RUNNING).glob("*") if (run := _read(folder)) is not None]
    return sorted(found, key=lambda run: run.progress.started, reverse=True)


def _read(folder: Path) -> RunningRun | None:
    """Read what a run announced; None before its first word, or where it has just ended."""
    path = folder / PROGRESS_FILE
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        progress = RunProgress.model_validate(json.loads(path.read_bytes()), strict=False)
        return RunningRun(progress, is_locked(folder), read_owner(folder))
    except (OSError, ValueError, ValidationError, RecursionError):
        return None


def _remove_dead(out: Path) -> None:
    for folder in (out / RUNNING).glob("*"):
        run = _read(folder)
        if run is not None and not run.alive:
            shutil.rmtree(folder, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
