"""Files that only their owner may read, written whole or not at all."""

import os
import tempfile
from pathlib import Path

from harness.core.errors import InfrastructureError


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 by way of another beside it, and put it on the disk.

    Raises:
        InfrastructureError: it cannot be written; what was there before is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InfrastructureError(f"{path}: could not be written: {error.strerror}.") from None


def write_file(path: Path, content: bytes) -> None:
    """Write one file of a report, whole or not at all.

    Raises:
        InfrastructureError: it could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: could not write {len(content):,} bytes: {error.strerror}. "
            "Free some space or mend the folder, then run `harness report` on it."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Through a temporary file of mode 0600 beside it: reports may quote patients."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
