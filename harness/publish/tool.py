"""What a tool is to `harness publish`: where it sends, and how."""

from collections.abc import Callable, Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.hub import unreachable_reason
from harness.publish.records import Publication
from reports.formatting import count


class Destination(NamedTuple):
    """A place: the tool's server or folder (None: its own choice), and the project there."""

    project: str
    uri: str | None
    where: str


class Tool(NamedTuple):
    """A tool with its client's package, which the extra of its name installs.

    `resolve` finds the destination from options and the tool's own environment variables. `send` sends the
    files of a folder, too, and yields what has arrived, the page to open last.
    """

    name: str
    package: str
    resolve: Callable[[Publication, str | None, str | None], Destination]
    send: Callable[[Publication, Path, Destination], Iterator[str]]


def require_client(tool: Tool) -> None:
    """Check that the tool's client is installed.

    Raises:
        HarnessError: it is not; names what installs it.
    """
    if find_spec(tool.package) is None:
        raise HarnessError(
            f"--to {tool.name}: needs the package '{tool.package}'. "
            f"Install it with: pip install 'alignment-harness[{tool.name}]'"
        )


def require_reachable(uri: str) -> None:
    """Check that something listens at an address, before a client retries for minutes.

    Raises:
        InfrastructureError: nothing does.
    """
    if uri.startswith(("http://", "https://")):
        problem = unreachable_reason(uri)
        if problem is not None:
            raise InfrastructureError(f"{shown_uri(uri)} cannot be reached ({problem})")


def count_files(folder: Path) -> str:
    """Return the number of files in a folder, in words."""
    return count(sum(path.is_file() for path in folder.rglob("*")), "file")


def still_there(names: Collection[str]) -> Iterator[str]:
    """Say which files of an earlier publication stay, as those of one with `--with-items` do."""
    if names:
        yield f"still there from before, to be removed by hand: {', '.join(sorted(names))}"


def shown_uri(uri: str) -> str:
    """Return an address without user, password and query, which may hold a token."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
