"""The judges, trainers, reports and suites, located in a checkout and in an installed wheel.

A wheel carries them inside `harness/_bundle`, because `judges`, `reports` and `harness` are also
other people's distributions and one of them installs a top-level `judges`. Importing `harness`
puts the right folder first on `sys.path`; see docs/decisions/0002-one-name-in-site-packages.md.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from harness.core.errors import HarnessError, did_you_mean

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
        HarnessError: no candidate is a file; suggests the closest of the known names.
    """
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if Path(name).is_file():
        raise HarnessError(f"{name}: not a {kind}: its file name must end in .yaml.")
    raise HarnessError(f"{name}: no such {kind}. {did_you_mean(wanted, known)}")


def suite_file_paths(path: str, root: Path) -> tuple[Path, Path]:
    """Return where a file that a suite names may be: below its folder, or in the bundled suites."""
    return root / path, bundle_root() / "suites" / path


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
