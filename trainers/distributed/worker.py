"""One of the processes of a launched run: `python -m trainers.rank FOLDER`, by way of accelerate."""

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
    ORDERS,
    TOKENIZER,
    TRAINED,
    WorkerFailure,
    WorkerJob,
    WorkerResult,
)
from trainers.method import Trained
from trainers.training import train_here

INTERRUPTED = 130


def main(folder: Path) -> int:
    """Run what is ordered in the folder as the process that accelerate says this is; the exit code."""
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    from harness.models.weights import quiet_torch
    from trainers.trl_config import quiet_libraries

    quiet_torch()
    quiet_libraries()
    import torch

    orders: WorkerJob = pickle.loads((folder / ORDERS).read_bytes())  # noqa: S301 - our own, in a private folder
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    try:
        if size != orders.processes:
            raise InfrastructureError(
                f"accelerate started {size} processes, not {orders.processes}."
            )
        crew = WorldInfo(rank, size, orders.halvings)
        trained = train_here(orders.job, _tell if crew.first else _be_quiet, crew)
        if crew.first:
            _write(trained, folder)
    except HarnessError as error:
        kind = "infrastructure" if isinstance(error, InfrastructureError) else "input"
        return _fail(folder, rank, WorkerFailure(kind=kind, message=str(error)))
    except torch.OutOfMemoryError as error:
        return _fail(folder, rank, WorkerFailure(kind="memory", message=str(error)))
    except Exception:  # noqa: BLE001 - told by the process that launched this one
        told = f"Process {rank} of {size} failed; please report it:\n{traceback.format_exc()}"
        return _fail(folder, rank, WorkerFailure(kind="fault", message=told.rstrip()))
    return 0


def _end_with_the_launcher() -> None:
    """Wait for the end of standard input, which comes when the launching process ends, however."""
    while os.read(0, 4096):
        pass
    os._exit(INTERRUPTED)


def _tell(stage: str, done: int, total: int) -> None:
    print(json.dumps({"stage": stage, "done": done, "total": total}), flush=True)  # noqa: T201


def _be_quiet(stage: str, done: int, total: int) -> None:
    pass


def _write(trained: Trained, folder: Path) -> None:
    trained.tokenizer.save_pretrained(folder / TOKENIZER)
    known = {name: getattr(trained, name) for name in WorkerResult.model_fields}
    (folder / TRAINED).write_text(WorkerResult(**known).model_dump_json(), encoding="utf-8")


def _fail(folder: Path, rank: int, failure: WorkerFailure) -> int:
    (folder / f"failed.{rank}.json").write_text(failure.model_dump_json(), encoding="utf-8")
    return 1


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # whoever failed must not wait for the others, nor they for it
