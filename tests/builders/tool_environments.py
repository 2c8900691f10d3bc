"""The tools of `harness publish` in environments of their own, which `make test-tools` makes under .venv-tools/."""

import os
import re
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.core.paths import bundle_root
from harness.models.serving.process import EngineProcess, free_port

ENVIRONMENTS = Path(os.environ.get("HARNESS_TOOLS", bundle_root() / ".venv-tools"))
START_S = 600.0  # a busy machine imports MLflow for minutes
BLOCK = 32_768  # bytes of LevelDB's log format, in which wandb keeps an offline run
WHOLE, LAST = 1, 4


@contextmanager
def serve_mlflow(folder: Path) -> Iterator[str]:
    """The address of an MLflow server that keeps everything in the folder."""
    port = free_port()
    python = str(ENVIRONMENTS / "mlflow" / "bin" / "python")
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    kept = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]  # fmt: skip
    command = [python, "-m", "mlflow", "server", *where, *kept]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    process = EngineProcess("mlflow", command, env, port, folder / "log.txt")
    url = f"http://127.0.0.1:{port}"
    try:
        assert _becomes_healthy(process, f"{url}/health"), process.last_words()
        yield url
    finally:
        process.stop()


@contextmanager
def serve_trackio(folder: Path) -> Iterator[str]:
    """The address of a Trackio server that keeps everything in the folder, with the token to write there."""
    port, log = free_port(), folder / "log.txt"
    program = str(ENVIRONMENTS / "clients" / "bin" / "trackio")
    env = os.environ | {"TRACKIO_DIR": str(folder), "GRADIO_SERVER_PORT": str(port)}
    process = EngineProcess("trackio", [program, "show", "--host", "127.0.0.1"], env, port, log)
    try:
        end = time.monotonic() + START_S
        while not (found := re.search(r"http://\S+write_token=\S+", log.read_text())):
            assert time.monotonic() < end, process.last_words()
            assert process.alive, process.last_words()
            time.sleep(0.2)
        yield found.group()
    finally:
        process.stop()


def run_in(environment: str, program: str, *arguments: str) -> str:
    """What a Python program prints in one of the environments."""
    python = str(ENVIRONMENTS / environment / "bin" / "python")
    done = subprocess.run(
        [python, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_offline_run(path: Path) -> Iterator[Any]:
    """The records in a .wandb file, by wandb's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), 7, b""  # after its head
    while place + 7 <= len(content):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (WHOLE, LAST):
            yield Record.FromString(parts)
            parts = b""


def _becomes_healthy(process: EngineProcess, url: str) -> bool:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.alive:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.2)
    return False
