"""Suites and profiles: how files are found by path or name, and read."""

from collections.abc import Iterable
from pathlib import Path

from harness.config.profile import Profile
from harness.config.suite import Suite
from harness.core.paths import bundle_root, find_bundled
from harness.core.yaml_loader import load_spec


def load_suite(path_or_name: str, *, search_dir: Path | None = None) -> tuple[Suite, Path]:
    """Read a suite; return it with the folder that its relative paths start from.

    A file in `search_dir`, the folder of the file that names the suite, comes first.

    Raises:
        HarnessError: no such suite (with a suggestion), or a mistake in it (with its line).
    """
    bundled = bundle_root() / "suites"
    path = find_config(path_or_name, "suite", bundled, known_suites(), search_dir=search_dir)
    return load_spec(path, Suite), path.parent


def load_profile(path_or_name: str, *, search_dir: Path | None = None) -> tuple[Profile, Path]:
    """Read a profile; return it with the folder that its relative paths start from (`suites`)."""
    bundled = bundle_root() / "suites" / "profiles"
    path = find_config(path_or_name, "profile", bundled, known_profiles(), search_dir=search_dir)
    profile = load_spec(path, Profile)
    return profile, path.parent.parent if path.parent.name == "profiles" else path.parent


def known_suites() -> list[str]:
    """Return the names of the suites that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites").glob("*.yaml"))


def known_profiles() -> list[str]:
    """Return the names of the profiles that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites" / "profiles").glob("*.yaml"))


def find_config(
    path_or_name: str,
    kind: str,
    bundled: Path,
    known: Iterable[str],
    *,
    search_dir: Path | None = None,
) -> Path:
    """Return the file of a suite, profile or loop that is named on the command line.

    A name without a suffix means a bundled file first, then one in the working directory.

    Raises:
        HarnessError: there is no such file; suggests a bundled one.
    """
    path = Path(path_or_name)
    candidates = [] if search_dir is None else [search_dir / path]
    if path.suffix in {".yaml", ".yml"}:
        # `suites/medical_rubric.yaml` also works outside a checkout.
        candidates += [path, bundle_root() / path, bundled / path]
    else:
        candidates += [bundled / f"{path_or_name}.yaml", Path(f"{path_or_name}.yaml")]
    return find_bundled(path_or_name, kind, candidates, known, wanted=path.stem)
