"""Cached folders that are filled once; checksums of all files are verified before each later use."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from harness.core.errors import InfrastructureError
from harness.core.files import is_full_disk, make_folder, refuse_link, write_atomically
from harness.core.hashing import file_hash
from harness.core.store import make_writable

CHECKSUMS = "sha256.json"  # of every other file of the folder; written last


def build_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Fill the folder unless it is complete, and return it; a killed process leaves none.

    One process fills it, and others wait for that, also those in other containers.

    Raises:
        HarnessError: it cannot be written.
        InfrastructureError: the disk became full.
    """
    if is_complete(folder):
        return folder
    make_writable(folder.parent)
    lock = folder.with_name(f".{folder.name}.lock")
    refuse_link(lock)
    with FileLock(lock):
        if not is_complete(folder):  # another process may have been faster
            _build(folder, fill)
    return folder


def _build(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill the folder under another name, which it loses once it is complete."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # a killed process's
    make_folder(partial)
    try:
        fill(partial)
        checksums = {path.name: file_hash(path) for path in sorted(partial.iterdir())}
        write_atomically(partial / CHECKSUMS, json.dumps(checksums).encode())
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except Exception as error:
        if not is_full_disk(error):
            raise
        raise InfrastructureError(
            f"{folder.parent}: the disk is full. Free some space, then run the same command again."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """Return whether every file that was written exists and is unchanged."""
    try:
        checksums = json.loads((folder / CHECKSUMS).read_bytes())
        return all(file_hash(folder / name) == sha256 for name, sha256 in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False
