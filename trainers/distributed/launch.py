"""One training run in several processes of this machine, with `accelerate launch`.

    this process ── job.pickle ─────────────────► accelerate launch ──► worker.py, once for each process
                 ◄── steps, as lines of standard output ────────
                 ◄── trained.json, tokenizer/, adapter ─────────   or failed.RANK.json

Preparing the data, merging and writing the manifest stay in this process. The workers end when it
does: their standard input is a pipe from here, and they exit at its end.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import JsonValue

import harness
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.paths import bundle_root
from harness.types import Curve, Record
from trainers.adapter import free_memory
from trainers.distributed.config import Launch, check_launch
from trainers.method import Job, ProgressCallback, Trained

TRAINED = "trained.json"
TOKENIZER = "tokenizer"
JOB = "job.pickle"
GRACE_S = 10.0  # for the processes to end by themselves, before they are killed
LOG_TAIL = 2000  # characters of the log in the error of an unexplained exit


class WorkerJob(NamedTuple):
    """The input of every worker: the job, the number of workers, and halvings of the batch."""

    job: Job
    processes: int
    halvings: int


class WorkerResult(Record):
    """The output of rank 0: a `Trained` without its tokenizer, which has a folder of its own."""

    adapter: str
    probes: list[list[int]]
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]


class WorkerFailure(Record):
    """Why a worker ended: a user's mistake, its environment, too little memory, or a bug of ours."""

    kind: Literal["input", "infrastructure", "memory", "fault"]
    message: str


def train_launched(job: Job, progress: ProgressCallback, launch: Launch) -> Trained:
    """Run a job in the launch's processes; when memory runs out, restart with half the batch.

    Raises:
        HarnessError: the run's error in any process, or a recipe that cannot be launched so.
        InfrastructureError: a process ended for another reason; quotes the end of its log.
    """
    from transformers import AutoTokenizer

    check_launch(job.recipe, launch)
    free_memory()  # of models that generated answers here: the workers need the GPUs
    halvings = 0
    while True:
        # The folder is private to this user, which a pickle requires.
        with tempfile.TemporaryDirectory(prefix="harness-launch-") as name:
            folder = Path(name)
            # Run the workers.
            worker_job = WorkerJob(job, launch.processes, halvings)
            (folder / JOB).write_bytes(pickle.dumps(worker_job))
            code = _run_workers(launch, folder, progress)
            # Read their result.
            failure = _first_failure(folder)
            if failure is None and code == 0:
                result = WorkerResult.model_validate_json((folder / TRAINED).read_bytes())
                tokenizer = AutoTokenizer.from_pretrained(
                    folder / TOKENIZER, trust_remote_code=False
                )
                facts = result.facts | {"launched": launch.name}
                return Trained(**dict(result) | {"tokenizer": tokenizer, "facts": facts})
            if failure is None:
                message = _unexplained_exit(folder, code)
                failure = WorkerFailure(kind="infrastructure", message=message)
        if failure.kind != "memory":
            raise _as_error(failure)
        halvings += 1


# --- processes -------------------------------------------------------------------------------


def _run_workers(launch: Launch, folder: Path, progress: ProgressCallback) -> int:
    """Run the workers, report their steps, and return the exit code; no process is left running."""
    with (folder / "log").open("wb") as log, _launcher(launch, folder, log.fileno()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            step = _parse_progress(line)
            if step is None:
                log.write(line)
            else:
                progress(*step)
        return process.wait()


@contextmanager
def _launcher(launch: Launch, folder: Path, log: int) -> "Iterator[subprocess.Popen[bytes]]":
    """Run accelerate's launcher in its own session, so that Ctrl-C reaches this process alone.

    On exit, also after Ctrl-C, this process terminates the launcher.
    """
    threads = max(1, (os.cpu_count() or 1) // launch.processes) if launch.cpu else 1
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(launch.file), "--num_processes", str(launch.processes)]
    command += ["--main_process_port", "0"]  # any free port
    command += ["--num_cpu_threads_per_process", str(threads)]
    command += ["--module", "trainers.distributed.worker", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
        command,
        env=_worker_env(launch),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _terminate(process)


def _worker_env(launch: Launch) -> dict[str, str]:
    roots = [bundle_root(), Path(harness.__file__).resolve().parents[1]]  # the same in a checkout
    paths = [*map(str, roots), os.environ.get("PYTHONPATH", "")]
    # Safe path: a module of the working directory, as ./json.py, is not imported in any process.
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONSAFEPATH": "1",
    }
    return env | {"CUDA_VISIBLE_DEVICES": ""} if launch.cpu else env


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """End the launcher and its workers, which exit when their standard input ends; then kill."""
    assert process.stdin is not None
    assert process.stdout is not None
    if process.poll() is None:
        process.terminate()
    process.stdin.close()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def _parse_progress(line: bytes) -> tuple[str, int, int] | None:
    """Return the step that a worker's line reports; None for the output of a library."""
    try:
        message: JsonValue = json.loads(line)
    except ValueError:
        return None
    match message:
        case {"stage": str(stage), "done": int(done), "total": int(total)}:
            return stage, done, total
    return None


# --- failures --------------------------------------------------------------------------------


def _first_failure(folder: Path) -> WorkerFailure | None:
    """Return the earliest failure: when one process fails, the others are ended because of it."""
    files = sorted(folder.glob("failed.*.json"), key=lambda path: path.stat().st_mtime_ns)
    return WorkerFailure.model_validate_json(files[0].read_bytes()) if files else None


def _as_error(failure: WorkerFailure) -> HarnessError:
    return (HarnessError if failure.kind == "input" else InfrastructureError)(failure.message)


def _unexplained_exit(folder: Path, code: int) -> str:
    log = (folder / "log").read_text(encoding="utf-8", errors="replace").strip()
    return (
        f"The launched processes ended with code {code}. The end of their log:\n{log[-LOG_TAIL:]}"
    )
