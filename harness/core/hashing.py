"""Content hashes, and the versions that a run was made with."""

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "numpy", "scipy", "rouge-score")


def content_hash(*parts: object) -> str:
    """Return the sha256 of the parts as canonical JSON, the same on any machine."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """Write JSON with sorted keys and no spaces; pydantic records are dumped first."""
    return _CANONICAL.encode(value)


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def environment() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result, and the machine type."""
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _dump_record(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_dump_record
)
