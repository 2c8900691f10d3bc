"""Checks of this machine: packages, accelerator, store and data folders."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.paths import cache_dir
from harness.core.store import make_writable

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "langchain-openai",
    "rouge-score",
    "scipy",
    "rich",
)


class Finding(NamedTuple):
    """One check; a run would fail if it is not `ok`."""

    what: str
    ok: bool
    detail: str


def examine(store: Path) -> list[Finding]:
    """Check everything that a run depends on."""
    return [
        Finding("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        *(_package(name) for name in PACKAGES),
        _accelerator(),
        _store(store),
        *_data_folders(),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed; run `pip install alignment-harness`")


def _accelerator() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("accelerator", True, "unknown without torch")
    if not torch.cuda.is_available():
        return Finding("accelerator", True, f"none; {os.cpu_count()} CPU cores")
    properties = torch.cuda.get_device_properties(0)
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    return Finding("accelerator", True, f"{properties.name}, {memory}")


def _store(store: Path) -> Finding:
    try:
        make_writable(store)
    except HarnessError as error:
        return Finding("store", False, str(error))
    return Finding("store", True, f"{store} is writable")


def _data_folders() -> Iterator[Finding]:
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    if data_dir is not None:
        exists = Path(data_dir).is_dir()
        detail = data_dir if exists else f"{data_dir} is not a folder"
        yield Finding("HARNESS_DATA_DIR", exists, detail)
    yield Finding("cache", True, str(cache_dir()))
