"""One process of a launched run, started by accelerate: `python -m trainers.distributed.worker FOLDER`."""

import json
import os
import pickle
import sys
import threading
import traceback
from pathlib import Path

from harness.core.errors import HarnessError, InfrastructureError
from trainers.distributed.config import WorldInfo
from trainers.distributed.launch import (
    JOB,
    TOKENIZER,
    TRAINED,
    WorkerFailure,
    WorkerJob,
    WorkerResult,
)
from trainers.method import Trained
from trainers.training import train_in_process

INTERRUPTED = 130


def main(folder: Path) -> int:
    """Run the folder's job with the rank that accelerate assigned, and return the exit code."""
    threading.Thread(target=_exit_with_launcher, daemon=True).start()
    from harness.models.weights import quiet_torch
    from trainers.trl_config import quiet_libraries

    quiet_torch()
    quiet_libraries()
    import torch

    # Read the job.
    worker_job: WorkerJob = pickle.loads((folder / JOB).read_bytes())  # noqa: S301 - ours, in a private folder
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    # Train. Rank 0 reports and writes; every process writes its own failure.
    try:
        if world_size != worker_job.processes:
            raise InfrastructureError(
                f"accelerate started {world_size} processes, not {worker_job.processes}."
            )
        world = WorldInfo(rank, world_size, worker_job.halvings)
        progress = _print_progress if world.is_main else _ignore_progress
        trained = train_in_process(worker_job.job, progress, world)
        if world.is_main:
            _write_result(trained, folder)
    except HarnessError as error:
        kind = "infrastructure" if isinstance(error, InfrastructureError) else "input"
        return _write_failure(folder, rank, WorkerFailure(kind=kind, message=str(error)))
    except torch.OutOfMemoryError as error:
        return _write_failure(folder, rank, WorkerFailure(kind="memory", message=str(error)))
    except Exception:  # noqa: BLE001 - reported by the launching process
        message = (
            f"Process {rank} of {world_size} failed; please report it:\n{traceback.format_exc()}"
        )
        return _write_failure(folder, rank, WorkerFailure(kind="fault", message=message.rstrip()))
    return 0


def _exit_with_launcher() -> None:
    """Exit when standard input closes, which it does when the launching process ends."""
    while os.read(0, 4096):
        pass
    os._exit(INTERRUPTED)


def _print_progress(stage: str, done: int, total: int) -> None:
    print(json.dumps({"stage": stage, "done": done, "total": total}), flush=True)  # noqa: T201


def _ignore_progress(stage: str, done: int, total: int) -> None:
    pass


def _write_result(trained: Trained, folder: Path) -> None:
    trained.tokenizer.save_pretrained(folder / TOKENIZER)
    result = WorkerResult(**{name: getattr(trained, name) for name in WorkerResult.model_fields})
    (folder / TRAINED).write_text(result.model_dump_json(), encoding="utf-8")


def _write_failure(folder: Path, rank: int, failure: WorkerFailure) -> int:
    (folder / f"failed.{rank}.json").write_text(failure.model_dump_json(), encoding="utf-8")
    return 1


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # without waiting for the other processes, which may wait for this one
