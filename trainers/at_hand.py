"""Whether rows can be read without asking anyone: what a plan or a dry run may look at."""

import os
from pathlib import Path

from harness.bundle import bundle_root
from harness.samples import cache_dir
from harness.suite import Source


def at_hand(source: Source, root: Path) -> bool:
    """Whether its rows lie here: a file, or a pinned one that was fetched or given before.

    A hub data set counts as absent: whether it lies in the cache only its loader can tell.
    """
    if source.path is not None:
        return any((folder / source.path).is_file() for folder in (root, bundle_root() / "suites"))
    if source.url is None:
        return False
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    given = Path(data_dir, source.local) if data_dir and source.local else None
    assert source.sha256 is not None
    return (given is not None and given.is_file()) or (cache_dir() / source.sha256).is_file()
