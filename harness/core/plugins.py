"""Code that an installed package registers under a name, found and imported when that name is used.

A suite or profile holds the name and nothing of the code, so that it runs only what its user has
installed. What is measured depends on the code: the package's version and a hash of all its files are
part of whatever is keyed.
"""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash, file_hash
from harness.core.sanitize import printable_line

METRICS = "harness.metrics"
JUDGES = "harness.judges"


class Registered(NamedTuple):
    """A name that a package registers, not imported."""

    name: str
    package: str
    version: str


class Plugin(NamedTuple):
    """What a name stands for: the imported object, and the code that it is of.

    `source` is the sha256 of all files of the package that is imported.
    """

    name: str
    package: str
    version: str
    source: str
    registered: object

    def __str__(self) -> str:
        """Name the plug-in for messages and reports."""
        return f"plug-in {self.name} of {self.package} {self.version} (source {self.source[:12]})"


def list_plugins(group: str) -> list[Registered]:
    """List what the installed packages register, by name, without importing any of it."""
    found = (Registered(entry.name, *_package_of(entry)) for entry in entry_points(group=group))
    return sorted(found)


@cache
def load_plugin(group: str, name: str) -> Plugin:
    """Import what is registered under a name; of a name once in a process.

    Raises:
        HarnessError: nothing, or more than one thing, is registered so, or it cannot be imported.
    """
    entries = tuple(entry_points(group=group, name=name))
    if len(entries) != 1:
        raise HarnessError(_describe_wrong_number(group, name, entries))
    (entry,) = entries
    package, version = _package_of(entry)
    try:
        source = _hash_source(entry.module.partition(".")[0])
        registered = entry.load()
    except (Exception, SystemExit) as error:
        raise HarnessError(
            f"plug-in '{name}' of {package} {version} ({entry.value}) cannot be imported: "
            f"{describe_error(error)}. Repair or reinstall that package."
        ) from error
    return Plugin(name, package, version, source, registered)


def describe_error(error: BaseException) -> str:
    """Describe an error of a plug-in in its own words, on one line."""
    return printable_line(f"{type(error).__name__}: {error}".rstrip(": "))


def _describe_wrong_number(group: str, name: str, entries: tuple[EntryPoint, ...]) -> str:
    if entries:
        packages = " and ".join(" ".join(_package_of(entry)) for entry in entries)
        return (
            f"'{name}' is registered by {packages} under '{group}', and which is meant is unknown. "
            "Uninstall one of them."
        )
    names = [registered.name for registered in list_plugins(group)]
    return (
        f"no installed package registers '{name}' under '{group}'. {did_you_mean(name, names)} "
        "Install the package that does into the environment of the harness."
    )


def _package_of(entry: EntryPoint) -> tuple[str, str]:
    assert entry.dist is not None  # it was found in an installed package
    return entry.dist.name, entry.dist.version


def _hash_source(module: str) -> str:
    """Hash all files of a top-level module or package, without importing it.

    Raises:
        ModuleNotFoundError: there is none, or it is not made of files.
    """
    spec = find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{module}'")
    if spec.submodule_search_locations is None:
        return content_hash(file_hash(Path(spec.origin or "")))
    folders = sorted(map(Path, spec.submodule_search_locations))
    return content_hash([hashes for folder in folders for hashes in _hash_files(folder)])


def _hash_files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(folder).as_posix(), file_hash(file)
