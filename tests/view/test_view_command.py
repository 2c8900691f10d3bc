"""`harness view` as a command: which folder it takes, its link, and its end."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.artifacts.results_json import dump_result
from harness.web.serve import bind_address
from tests.builders.commands import environment, harness_here
from tests.builders.results import unmeasured_run

NO_BROWSER = ("--no-browser", "--port", "0")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "suite" / "run"
    folder.mkdir(parents=True)
    (folder / "results.json").write_bytes(dump_result(unmeasured_run()))
    return tmp_path / "runs"


@contextmanager
def started(out: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process, and the link that it prints."""
    command = (sys.executable, "-m", "harness", "view", str(out), *NO_BROWSER)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline() + process.stderr.readline()
            link = re.search(r"http://127\.0\.0\.1:\d+/enter/[0-9a-f]{64}", said)
            assert link, said
            yield process, link.group()
        finally:
            process.kill()


def test_two_are_served_beside_each_other_and_ctrl_c_ends_each(out: Path) -> None:
    with started(out) as (first, link), started(out) as (second, other):
        for address in (link, other):
            with urllib.request.urlopen(address) as reply:
                assert reply.status == 200
        for process in (first, second):
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere", "no such folder"), ("a_file", "is a file"), ("notes", "holds no runs"),
     ("runs/suite/run", "is a single run"), ("runs/suite", "of a single suite")],
)  # fmt: skip
def test_what_is_no_folder_of_runs_is_refused(out: Path, name: str, said: str) -> None:
    (out.parent / "a_file").touch()
    (out.parent / "notes" / "inner").mkdir(parents=True)
    done = harness_here("view", name, *NO_BROWSER, cwd=out.parent)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_port_that_is_taken_is_said(out: Path) -> None:
    taken = bind_address(None, 0, expose=False)
    with taken.socket:
        done = harness_here("view", str(out), "--no-browser", "--port", str(taken.port), cwd=out)
    assert (done.returncode, "--port" in done.stderr) == (2, True)


def test_other_machines_are_let_in_only_where_that_is_said(out: Path) -> None:
    done = harness_here("view", str(out), *NO_BROWSER, "--host", "0.0.0.0", cwd=out)
    assert (done.returncode, "--expose" in done.stderr) == (2, True)


def test_the_view_imports_neither_torch_nor_scipy() -> None:
    code = "import sys, harness.view.serve; print({'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
