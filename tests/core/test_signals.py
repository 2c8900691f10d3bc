"""An interruption that Python swallows is made again."""

import subprocess
import sys

SWALLOWED = """
import os, signal, time
from harness.core import signals as interrupts
interrupts.RESEND_AFTER_S = 0.2
interrupts.install_signal_handlers()

class Careless:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

try:
    careless = Careless()
    del careless
    print("goes on", flush=True)
    time.sleep(20)
except KeyboardInterrupt:
    interrupts.acknowledge_interrupt()
    time.sleep(0.5)
    print("tidied up")
"""


def test_an_interruption_that_a_destructor_swallows_comes_again_and_then_no_more() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stdout) == (0, "goes on\ntidied up\n"), done.stderr
    assert "Exception ignored" in done.stderr


TURNED = """
import os, signal, sys
from pydantic import BaseModel, Field
from harness.cli.exit_codes import exit_on_error
from harness.core.signals import install_signal_handlers

def kill(value):
    os.kill(os.getpid(), signal.SIGINT)
    return False

class Row(BaseModel):
    text: str = Field(default="", exclude_if=kill)

install_signal_handlers()
with exit_on_error():
    Row().model_dump_json()
"""


def test_an_interruption_that_a_library_turns_into_its_own_error_ends_as_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TURNED], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 130
    assert done.stderr.startswith("harness: interrupted")
