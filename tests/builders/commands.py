"""The command line as a user has it: another process, its own folder, its exit code."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

Done = subprocess.CompletedProcess[str]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any HARNESS_ variable, plus `extra`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HARNESS_")}
    return clean | dict(extra or {})


def harness(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 550
) -> Done:
    """`harness ARGS` run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *args],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
