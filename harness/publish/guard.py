"""What is refused before anything is sent: a secret of this process in what would leave, and protected items."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.artifacts.parquet import read_parquet
from harness.core.errors import HarnessError
from harness.publish.files import Files
from harness.publish.records import Publication
from harness.types import Plan

_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential")
_LEAST_CHARS = 8  # shorter values stand in texts by chance


def require_no_secrets(publication: Publication, files: Files) -> None:
    """Refuse what holds the value of an environment variable that is named like a secret.

    Raises:
        HarnessError: names the file, or the field, and the variable; never the value.
    """
    secrets = dict(find_secrets())
    texts = {**publication.lineage, **publication.tags, "name": publication.name}
    for variable, value in secrets.items():
        places = [field for field, text in texts.items() if value in text]
        places += [name for name, content in files.items() if _holds(content, value)]
        if places:
            raise HarnessError(
                f"{places[0]}: holds the value of {variable}, so nothing is published. Remove it from "
                "where it came from, run again, and replace that secret."
            )


def require_publishable(plan: Plan, *, with_items: bool, allow_remote_phi: bool) -> None:
    """Refuse to publish the items of data that are marked as protected health information.

    Raises:
        HarnessError: names the task.
    """
    protected = [task.name for task in plan.tasks if task.phi]
    if protected and with_items and not allow_remote_phi:
        raise HarnessError(
            f"--with-items: the items of '{protected[0]}' are marked phi (protected health information). "
            "Publish without it, or add --allow-remote-phi if the tool's server may hold such data."
        )


def hide_secrets(text: str) -> str:
    """Replace the values of secrets in a client's words."""
    for _, value in find_secrets():
        text = text.replace(value, "[key]")
    return text


def find_secrets() -> Iterator[tuple[str, str]]:
    """Yield the environment variables that are named like secrets, with their values."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _LEAST_CHARS:
            yield name, value


def _holds(content: bytes | Path, value: str) -> bool:
    if isinstance(content, bytes):
        return value.encode() in content
    if content.suffix == ".parquet":
        return any(value in text for text in _texts_of(content))
    return value.encode() in content.read_bytes()


def _texts_of(path: Path) -> Iterable[str]:
    import pyarrow as pa

    table = read_parquet(path)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from (text for text in column.to_pylist() if text)
