"""Cached folders that are filled once; checksums of all files are verified before each later use."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.core.files import write_atomically
from harness.core.hashing import file_hash
from harness.core.store import make_writable

CHECKSUMS = "sha256.json"  # of every other file of the folder; written last


def build_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Fill the folder unless it is complete, and return it; a killed process leaves none.

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
        checksums = {path.name: file_hash(path) for path in sorted(partial.iterdir())}
        write_atomically(partial / CHECKSUMS, json.dumps(checksums).encode())
        if not is_complete(folder):  # another process may have been faster
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def is_complete(folder: Path) -> bool:
    """Return whether every file that was written exists and is unchanged."""
    try:
        checksums = json.loads((folder / CHECKSUMS).read_bytes())
        return all(file_hash(folder / name) == sha256 for name, sha256 in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False
