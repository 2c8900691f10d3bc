"""Files that are replaced whole: a reader, a kill or a full disk finds the old content or the new.

What is written may quote patients, so that only its owner may read it. A symbolic link in the place
of a file, as a cloned folder may hold, is replaced and never followed.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import HarnessError, InfrastructureError


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, for their owner alone (mode 0700).

    Raises:
        OSError: one could not be created.
    """
    for path in reversed([folder, *folder.parents]):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def is_full_disk(error: Exception) -> bool:
    """Return whether a full disk ended the writing, which libraries tell in words of their own."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors quotes the system; torch's archive writer names its own file alone.
    return any(words in str(error) for words in ("No space left on device", "inline_container.cc"))


@contextmanager
def replace_file(path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
    """Yield a new file beside `path` (mode 0600), which takes its place once the body has ended.

    One that is not `synced` may be lost with the machine's power, and costs no wait for the disk.

    Raises:
        OSError: it could not be written; the old content is unchanged.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file, whose folder is created if missing.

    Raises:
        OSError: it could not be written; the old content is unchanged.
    """
    with replace_file(path) as file:
        file.write(content)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file as `write_atomically`, with the error that a command ends with.

    Raises:
        InfrastructureError: it could not be written; the old content is unchanged.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: could not write {len(content):,} bytes: {error.strerror}. "
            "Free some space or repair the folder, then run the same command again."
        ) from None


def write_output(path: Path, content: bytes) -> None:
    """Write where a user said: a file is replaced; a device or pipe, as /dev/stdout, is written to.

    Raises:
        OSError: it could not be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
    else:
        write_atomically(path, content)


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link where a file is opened in place, since it may lead anywhere.

    Raises:
        HarnessError: it is one.
    """
    if path.is_symlink():
        raise HarnessError(f"{path}: is a symbolic link, which is not followed. Remove it.")
