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
