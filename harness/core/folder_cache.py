"""Folders of the cache that are filled once, and whose every file is proved before it is used again."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.core.hashing import file_hash
from harness.core.store import make_writable

CHECKSUMS = "sha256.json"  # of every other file of the folder; written last


def build_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled by `fill` unless it is there and whole; killed half-way it is not there.

    Raises:
        HarnessError: it cannot be written.
    """
    if is_complete(folder):
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    make_writable(partial)
    try:
        fill(partial)
        seal = {path.name: file_hash(path) for path in sorted(partial.iterdir())}
        (partial / CHECKSUMS).write_text(json.dumps(seal), encoding="utf-8")
        if not is_complete(folder):  # another process may have been faster
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether every file that was written is there and unchanged."""
    try:
        seal = json.loads((folder / CHECKSUMS).read_bytes())
        return all(file_hash(folder / name) == sha256 for name, sha256 in seal.items())
    except (OSError, ValueError, AttributeError):
        return False
