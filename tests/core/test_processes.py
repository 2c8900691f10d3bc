"""Processes that share work: their order, and what ends them."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError
from harness.core.processes import SAFE_PATH, parallel_map

# One process works on an element for a minute; its parent prints its number and waits for it.
LONG_WORK = """
import time
from multiprocessing import active_children
from harness.core.processes import parallel_map
if __name__ == "__main__":
    with parallel_map(time.sleep, 1, at_once=1) as start:
        results = start([60])
        print(active_children()[0].pid, flush=True)
        list(results)
"""


def test_results_come_in_the_order_of_the_elements() -> None:
    with parallel_map(abs, 2, at_once=2) as start:
        assert list(start(range(-5, 0))) == [5, 4, 3, 2, 1]


def test_a_killed_process_is_a_failure_of_the_machine() -> None:
    with (
        pytest.raises(InfrastructureError, match="was killed, perhaps for want of memory"),
        parallel_map(os._exit, 1, at_once=1) as start,
    ):
        list(start([9]))


def test_an_error_ends_processes_at_their_work() -> None:
    with pytest.raises(ZeroDivisionError), parallel_map(time.sleep, 1, at_once=1) as start:
        list(start(60 / part for part in (1, 0)))
    assert not active_children()


def test_processes_end_when_their_parent_is_killed() -> None:
    command = [sys.executable, "-c", LONG_WORK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_processes_import_nothing_of_the_working_folder(tmp_path: Path) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "clone"
    script.write_text(LONG_WORK.replace("60", "0"))
    folder.mkdir()
    (folder / "pickle.py").write_text("raise SystemExit('imported')")
    subprocess.run([sys.executable, script], cwd=folder, check=True)


@pytest.mark.parametrize("before", [None, "", "mine"])
def test_a_setting_of_the_search_path_is_as_before(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SAFE_PATH, raising=False)
    if before is not None:
        monkeypatch.setenv(SAFE_PATH, before)
    with parallel_map(abs, 1, at_once=1):
        assert os.environ[SAFE_PATH] == "1"
    assert os.environ.get(SAFE_PATH) == before


def is_running(process: int) -> bool:
    """Return whether a process works: an ended one may wait for the machine's init to forget it."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
