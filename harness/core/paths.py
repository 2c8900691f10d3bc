"""The judges, trainers, reports and suites, located in a checkout and in an installed wheel.

A wheel carries them inside `harness/_bundle`, because `judges`, `reports` and `harness` are also
other people's distributions and one of them installs a top-level `judges`. Importing `harness`
puts the right folder first on `sys.path`; see docs/decisions/0002-one-name-in-site-packages.md.
"""

import os
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from harness.core.errors import HarnessError, did_you_mean

FILES_FROM = "HARNESS_FILES_FROM"

SIBLINGS = ("judges", "trainers", "reports")


def bundle_root() -> Path:
    """Return the folder that holds judges, trainers, reports and suites."""
    package = Path(__file__).resolve().parents[1]
    carried = package / "_bundle"
    return carried if carried.is_dir() else package.parent


def find_bundled(
    name: str, kind: str, candidates: Iterable[Path], known: Iterable[str], *, wanted: str
) -> Path:
    """Return the first of the candidate paths that is a file.

    Args:
        name: What the user wrote; the error message begins with it.
        kind: What was looked for, such as "suite".
        candidates: Where the file may be, in order of preference.
        known: The bundled names, listed in the error message.
        wanted: The part of the name that is compared with the known names.

    Raises:
        HarnessError: no candidate is a file; suggests the closest of the known names and of your own files.
    """
    candidates = list(candidates)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if Path(name).is_file():
        raise HarnessError(f"{name}: not a {kind}: its file name must end in .yaml.")
    known, folders = sorted(known), {candidate.parent for candidate in candidates}
    own = {file.stem: file for folder in folders for file in folder.glob("*.yaml")}
    near = get_close_matches(wanted, [*known, *own], n=1, cutoff=0.6)
    if near and near[0] not in known:
        suggestion = f"Did you mean '{own[near[0]]}'? Known: {', '.join(known)}."
        raise HarnessError(f"{name}: no such {kind}. {suggestion}")
    raise HarnessError(f"{name}: no such {kind}. {did_you_mean(wanted, known)}")


def suite_file_paths(path: str, root: Path | None) -> tuple[Path, ...]:
    """Return where a file that a suite or profile names may be: below its folder `root`, or among ours.

    What is in neither may be below HARNESS_DATA_DIR. Without a root the user named it on the command line,
    and it may be anywhere.

    Raises:
        HarnessError: as `require_inside`.
    """
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    folders = [root or Path(), bundle_root() / "suites", *([Path(data_dir)] if data_dir else ())]
    paths = tuple(folder / path for folder in folders)
    for candidate in paths:
        if root is not None and candidate.exists():
            require_inside(candidate, root)
            break
    return paths


def require_inside(file: Path, root: Path) -> None:
    """Refuse a file outside of the folder `root` of the file that names it, with links resolved.

    A suite can come with a cloned repository, and what it names as a prompt or as data is sent to the
    endpoints of its profile. So it may name what came with it, in its folder or its repository; what
    is ours; and what the user has opened: HARNESS_DATA_DIR, and the folders in HARNESS_FILES_FROM.

    Raises:
        HarnessError: the file is elsewhere; tells how to allow it.
    """
    resolved = file.resolve()
    opened = os.environ.get(FILES_FROM, "").split(os.pathsep)
    ours = bundle_root() / "suites", cache_dir() / "converted"
    folders = [root, *ours, *map(Path, filter(None, opened))]
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    if data_dir:
        folders.append(Path(data_dir))
    repository = _repository_of(root.resolve())
    if repository is not None:
        folders.append(repository)
    if not any(resolved.is_relative_to(folder.resolve()) for folder in folders):
        raise HarnessError(
            f"{file}: lies outside of {root.resolve()}, where the file that names it is, and could be sent "
            f"to a host that the same file names. If it is meant: {FILES_FROM}={resolved.parent}"
        )


def cache_dir() -> Path:
    """Return the folder of fetched data: HARNESS_CACHE_DIR, or the user's cache folder."""
    folder = os.environ.get("HARNESS_CACHE_DIR")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alignment-harness"


def _repository_of(folder: Path) -> Path | None:
    """Return the git repository around a folder; a home folder, or what is above it, is none."""
    home = Path.home().resolve()
    for parent in (folder, *folder.parents):
        if home.is_relative_to(parent):
            return None
        if (parent / ".git").exists():
            return parent
    return None


def link_bundle() -> None:
    """Put the bundle first on `sys.path`, so that `import judges` imports this project's package.

    Raises:
        ImportError: another distribution's module of that name was imported earlier.
    """
    root = bundle_root()
    for name in SIBLINGS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not Path(file).resolve().is_relative_to(root):
            raise ImportError(
                f"'{name}' was already imported from {file}, which is another project's. "
                "Import harness first, or use the two in separate processes."
            )
    if str(root) not in sys.path[:1]:
        sys.path.insert(0, str(root))
