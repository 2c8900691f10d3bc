"""Which processes of a test still run."""

import time
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
