"""Training on this machine opens no connection, also where the libraries would report it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REFUSE_SOCKETS = """\
import socket, sys

def refuse(name, real):
    def call(*args, **options):
        if name == "getaddrinfo" or args[0].family != socket.AF_UNIX:
            with open("connections", "a") as log:
                print(name, args[1:] if name != "getaddrinfo" else args, file=log)
            raise OSError("no connection in this test")
        return real(*args, **options)
    return call

socket.getaddrinfo = refuse("getaddrinfo", socket.getaddrinfo)
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse(name, getattr(socket.socket, name)))
sys.argv[0] = "harness"
PROGRAM
"""
TRAIN = "from harness.cli import main; main()"
SEND = "from trl.trainer.base_trainer import send_telemetry; send_telemetry('x'); import time; time.sleep(2)"


def connections(folder: Path, program: str, *args: str) -> str:
    """Run a program as an agent would, with the hub switched on; return the connections it tried."""
    away = {"HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "TRANSFORMERS_OFFLINE"}
    env = {name: value for name, value in os.environ.items() if name not in away}
    env |= {"AI_AGENT": "some-agent", "HF_HOME": str(folder / "hub")}
    code = REFUSE_SOCKETS.replace("PROGRAM", program)
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = folder / "connections"
    return log.read_text() if log.exists() else ""


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["sft", "dpo"])
def test_training_opens_no_connection(tmp_path: Path, recipe: str) -> None:
    assert connections(tmp_path, TRAIN, "train", f"tiny/{recipe}.yaml", "--dry-train") == ""


@pytest.mark.slow
def test_without_the_harness_the_libraries_would(tmp_path: Path) -> None:
    assert "huggingface.co" in connections(tmp_path, SEND)
