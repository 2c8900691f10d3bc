"""The command line as a user has it: its own folder, its output, its exit code."""

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

from harness.cli import app
from harness.cli.exit_codes import exit_on_error

Done = subprocess.CompletedProcess[str]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any HARNESS_ variable, plus `extra`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HARNESS_")}
    return clean | dict(extra or {})


def harness(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 550
) -> Done:
    """`harness ARGS` run to its end in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *args],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def run_until(
    args: Sequence[str],
    cwd: Path,
    reached: Callable[[], bool],
    then: Callable[[int], None],
    env: Mapping[str, str] | None = None,
) -> Done:
    """`harness ARGS`, to whose process something is done once enough is reached, until it ends."""
    with (cwd / "stderr.txt").open("w") as errors, subprocess.Popen(
        [sys.executable, "-m", "harness", *args], cwd=cwd, env=env or environment(),
        stdout=subprocess.DEVNULL, stderr=errors,
    ) as process:  # fmt: skip
        while process.poll() is None and not reached():
            time.sleep(0.05)
        then(process.pid)
        code = process.wait(timeout=300)
    return Done(args, code, "", (cwd / "stderr.txt").read_text())


def harness_here(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, typed: str = ""
) -> Done:
    """`harness ARGS` in this process, which has imported everything already, given `typed` as input."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        chdir(cwd),
        patch.dict(os.environ, environment(env), clear=True),
        patch.object(sys, "stdin", TextIOWrapper(BytesIO(typed.encode()), encoding="utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(action="default"),
    ):
        try:
            with exit_on_error():
                code = app(args, standalone_mode=False)
        except SystemExit as exit_request:
            code = exit_request.code
    assert code is None or isinstance(code, int), code
    out.seek(0)
    err.seek(0)
    return Done(args, code or 0, out.read(), err.read())
