"""One training run in several processes of this machine, through `accelerate launch`.

    this process ── pickled orders ──► accelerate launch ──► trainers/rank.py, once for each process
                 ◄── steps, as lines of standard output ───────
                 ◄── trained.json, tokenizer/, adapter ────────   or failed.RANK.json

What must be done once is done here: the data before it, merging and sealing after it. The processes
end when this one does: they watch their standard input, which is a pipe from here.
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


ORDERS = "orders.pickle"


GRACE_S = 10.0  # to end by themselves, before they are killed


LAST_WORDS = 2000  # characters of the log that an unforeseen end is told with


class WorkerJob(NamedTuple):
    """What every process is given: the job, and how often its batch is halved."""

    job: Job
    processes: int
    halvings: int


class WorkerResult(Record):
    """What the first process tells of a finished run."""

    adapter: str
    probes: list[list[int]]
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]


class WorkerFailure(Record):
    """Why a process ended: an error of the user's or the world's, its memory, or a fault of ours."""

    kind: Literal["input", "infrastructure", "memory", "fault"]
    message: str


def train_launched(job: Job, progress: ProgressCallback, launch: Launch) -> Trained:
    """The same job in the launch's processes; where memory ends in one, again with half the batch.

    Raises:
        HarnessError: what the run raised in any process, or one that means something else there.
        InfrastructureError: a process that ended otherwise; its last words are told.
    """
    from transformers import AutoTokenizer

    check_launch(job.recipe, launch)
    free_memory()  # of models that answered before: the GPUs are others' now
    halvings = 0
    while True:
        orders = WorkerJob(job, launch.processes, halvings)
        with tempfile.TemporaryDirectory(prefix="harness-launch-") as name:
            folder = Path(name)  # readable by nobody else, as a pickle must be
            (folder / ORDERS).write_bytes(pickle.dumps(orders))
            code = _run(launch, folder, progress)
            failure = _first_failure(folder)
            if failure is None and code == 0:
                told = WorkerResult.model_validate_json((folder / TRAINED).read_bytes())
                tokenizer = AutoTokenizer.from_pretrained(
                    folder / TOKENIZER, trust_remote_code=False
                )
                facts = told.facts | {"launched": launch.name}
                return Trained(**dict(told) | {"tokenizer": tokenizer, "facts": facts})
            if failure is None:
                failure = WorkerFailure(kind="infrastructure", message=_last_words(folder, code))
        if failure.kind != "memory":
            raise _error(failure)
        halvings += 1


# --- processes -------------------------------------------------------------------------------


def _run(launch: Launch, folder: Path, progress: ProgressCallback) -> int:
    """Launch, hand on the steps, and return the exit code; nothing is left running."""
    with (folder / "log").open("wb") as log, _started(launch, folder, log.fileno()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            step = _step(line)
            if step is None:
                log.write(line)
            else:
                progress(*step)
        return process.wait()


@contextmanager
def _started(launch: Launch, folder: Path, log: int) -> "Iterator[subprocess.Popen[bytes]]":
    """The launcher, in a session of its own: Ctrl-C reaches this process, which ends it."""
    threads = max(1, (os.cpu_count() or 1) // launch.processes) if launch.cpu else 1
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(launch.file), "--num_processes", str(launch.processes)]
    command += ["--main_process_port", "0"]  # any that is free
    command += ["--num_cpu_threads_per_process", str(threads)]
    command += ["--module", "trainers.distributed.worker", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - our own words, no shell
        command,
        env=_environment(launch),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _environment(launch: Launch) -> dict[str, str]:
    ours = [bundle_root(), Path(harness.__file__).resolve().parents[1]]  # one in a checkout
    paths = [*map(str, ours), os.environ.get("PYTHONPATH", "")]
    found = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return found | {"CUDA_VISIBLE_DEVICES": ""} if launch.cpu else found


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Have the processes end, which see their standard input end; kill what does not."""
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


def _step(line: bytes) -> tuple[str, int, int] | None:
    """What a line tells of the run; None for what a library printed."""
    try:
        told: JsonValue = json.loads(line)
    except ValueError:
        return None
    match told:
        case {"stage": str(stage), "done": int(done), "total": int(total)}:
            return stage, done, total
    return None


# --- failures --------------------------------------------------------------------------------


def _first_failure(folder: Path) -> WorkerFailure | None:
    """The one that explains the others: they are ended when one of them fails."""
    found = sorted(folder.glob("failed.*.json"), key=lambda path: path.stat().st_mtime_ns)
    return WorkerFailure.model_validate_json(found[0].read_bytes()) if found else None


def _error(failure: WorkerFailure) -> HarnessError:
    return (HarnessError if failure.kind == "input" else InfrastructureError)(failure.message)


def _last_words(folder: Path, code: int) -> str:
    said = (folder / "log").read_text(encoding="utf-8", errors="replace").strip()
    return f"The launched processes ended with code {code}. They said last:\n{said[-LAST_WORDS:]}"
