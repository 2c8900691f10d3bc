"""Which processes of a test still run."""

import time
from collections.abc import Iterable
from pathlib import Path


def running_with(text: str) -> list[int]:
    """The processes with this text in their command lines, zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and text in (folder / "cmdline").read_bytes().decode():
                found.append(int(folder.name))
        except (OSError, UnicodeDecodeError):  # it ended meanwhile
            continue
    return found


def wait_until_none(text: str, seconds: float) -> list[int]:
    """What still runs after so many seconds at most."""
    deadline = time.monotonic() + seconds
    while (left := running_with(text)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def wait_until_some(text: str, seconds: float) -> list[int]:
    """What runs as soon as anything does, after so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not (found := running_with(text)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def running_in(folder: Path) -> list[int]:
    """The processes that work in this folder, whatever they call themselves; zombies left out."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").resolve(strict=True) == folder:
                found.append(int(process.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def wait_until_none_in(folder: Path, seconds: float) -> list[int]:
    """What still works in the folder after so many seconds at most."""
    deadline = time.monotonic() + seconds
    while (left := running_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def largest(processes: Iterable[int]) -> int:
    """The process that holds most memory: of an engine the one with the weights."""
    return max(processes, key=lambda one: int(Path(f"/proc/{one}/statm").read_text().split()[1]))


def parent_of(process: int) -> int:
    """The process that started this one."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])
