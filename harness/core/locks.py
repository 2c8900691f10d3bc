"""A folder lock for one process at a time; the kernel frees it when the process ends."""

import fcntl
import json
import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from harness.core.errors import StoreLockedError
from harness.core.files import refuse_link, write_atomically

_OWNER = "lock.owner"


class FolderLock:
    """An exclusive lock on a folder; the file `lock.owner` names its holder, for error messages."""

    def __init__(self, folder: Path, *, advice: str) -> None:
        self._folder = folder
        self._owner = folder / _OWNER
        self._advice = advice
        self._lock = FileLock(folder / "lock")

    def take(self, wait_s: float = 0.0) -> None:
        """Acquire the lock, for which another process is given so many seconds.

        Raises:
            StoreLockedError: another process holds it; names that process and gives the advice.
            OSError: the folder cannot be written.
        """
        try:
            refuse_link(self._folder / "lock")
            self._lock.acquire(timeout=wait_s)
        except Timeout:
            raise StoreLockedError(
                f"{self._folder}: in use by {read_owner(self._folder)}. {self._advice}"
            ) from None
        try:
            owner = {"pid": os.getpid(), "host": platform.node()}
            write_atomically(self._owner, json.dumps(owner).encode())
        except OSError:
            self._lock.release()
            raise

    def release(self) -> None:
        self._lock.release()


def read_owner(folder: Path) -> str:
    """Return which process took the lock of a folder last."""
    try:
        owner = json.loads((folder / _OWNER).read_text())
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock of a folder; nothing is written there.

    Raises:
        OSError: the lock cannot be read, as where there is none.
    """
    # A pipe in its place is not waited for, and a link not followed.
    handle = os.open(folder / "lock", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
