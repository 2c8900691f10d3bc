"""Files that are replaced whole: a reader, a kill or a full disk finds the old content or the new."""

import os
import secrets
from pathlib import Path

from harness.core.errors import InfrastructureError


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace a file through a temporary one in the same folder, which is created if missing.

    A private file can be read by its owner only (mode 0600).

    Raises:
        OSError: it could not be written; the old content is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    mode = 0o600 if private else 0o666
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb"
        ) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner may read: it may quote patients.

    Raises:
        InfrastructureError: it could not be written; the old content is unchanged.
    """
    try:
        write_atomically(path, content, private=True)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: could not write {len(content):,} bytes: {error.strerror}. "
            "Free some space or repair the folder, then run the same command again."
        ) from None
