"""Files that only their owner may read, written whole or not at all."""

import os
from pathlib import Path

from harness.errors import InfrastructureError


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
