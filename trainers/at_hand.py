"""Whether rows can be read here: what a plan or a dry run may look at."""

import os
from pathlib import Path

from harness.bundle import bundle_root
from harness.errors import InfrastructureError
from harness.rows import cache_dir
from harness.suite import Source
from trainers.converted import inner_source, is_made, plain_source


def at_hand(source: Source, root: Path) -> bool:
    """Whether its rows lie here: a file, or a pinned one that was fetched or given before.

    A conversion is at hand if it was made, or if what it is made of is at hand. A hub data set
    counts as absent: whether it lies in the cache only its loader can tell.
    """
    if source.convert is not None:
        inner = inner_source(source.convert, root)
        return is_made(source.convert, root) or at_hand(inner.source, inner.root)
    if source.path is not None:
        return any((folder / source.path).exists() for folder in (root, bundle_root() / "suites"))
    if source.url is None:
        return False
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    given = Path(data_dir, source.local) if data_dir and source.local else None
    assert source.sha256 is not None
    return (given is not None and given.is_file()) or (cache_dir() / source.sha256).is_file()


def why_absent(source: Source, root: Path) -> str | None:
    """Why its rows cannot be read now; None if they can.

    A conversion is made if it can be, which fetches what it is made of, once. Nothing else is
    fetched.

    Raises:
        HarnessError: a source that can never be read.
    """
    if source.convert is None:
        return None if at_hand(source, root) else f"{source.label} is not here"
    try:
        plain_source(source, root)
    except InfrastructureError as error:
        return str(error)
    return None
