"""A folder of a sentence-transformers model on this machine: found, named by its files, and what loads it."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.core.errors import HarnessError, nearest_file
from harness.core.hashing import content_hash, file_hash


def find_folder(checkpoint: str, root: Path, marker: str, kind: str) -> Path:
    """Return the folder, which has a file `marker` if it holds such a `kind` of model.

    Raises:
        HarnessError: it has none.
    """
    folder = root / checkpoint
    if not (folder / marker).is_file():
        raise HarnessError(
            f"{folder}: is no folder of a {kind}, which has a '{marker}'.{nearest_file(folder)}"
        )
    return folder.resolve()


def name_folder(folder: Path) -> str:
    """Return its name with a hash of its files."""
    return f"{folder.name} {_hash_folder(folder)[:12]}"


@lru_cache
def _hash_folder(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return content_hash([[path.relative_to(folder).as_posix(), file_hash(path)] for path in files])


def require_sentence_transformers(purpose: str) -> str:
    """Return the library with its version.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        return f"sentence-transformers {version('sentence-transformers')}"
    except PackageNotFoundError:
        raise HarnessError(
            f"{purpose} with a 'checkpoint' needs sentence-transformers: pip install "
            "'alignment-harness[dense]'."
        ) from None
