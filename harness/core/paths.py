"""Where judges, trainers, reports and suites lie, in a checkout and in an installed wheel.

A wheel carries them inside `harness/_bundle`, because `judges`, `reports` and `harness` are also
other people's distributions and one of them installs a top-level `judges`. Importing `harness`
puts the right folder first on `sys.path`; see docs/decisions/0002-one-name-in-site-packages.md.
"""

import sys
from pathlib import Path

SIBLINGS = ("judges", "trainers", "reports")


def bundle_root() -> Path:
    """The folder that holds judges, trainers, reports and suites."""
    package = Path(__file__).resolve().parents[1]
    carried = package / "_bundle"
    return carried if carried.is_dir() else package.parent


def link_bundle() -> None:
    """Make `import judges` mean ours.

    Raises:
        ImportError: another distribution's module of that name was imported earlier.
    """
    root = bundle_root()
    for name in SIBLINGS:
        found = getattr(sys.modules.get(name), "__file__", None)
        if found is not None and not Path(found).resolve().is_relative_to(root):
            raise ImportError(
                f"'{name}' was already imported from {found}, which is another project's. "
                "Import harness first, or use the two in separate processes."
            )
    if str(root) not in sys.path[:1]:
        sys.path.insert(0, str(root))
