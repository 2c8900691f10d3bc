"""Finding and reading suites and profiles."""

from collections.abc import Iterator
from pathlib import Path

from harness.config.profile import Profile
from harness.config.suite import Suite
from harness.core.errors import HarnessError, did_you_mean
from harness.core.paths import bundle_root
from harness.core.yaml_loader import load_spec


def load_suite(path_or_name: str) -> tuple[Suite, Path]:
    """The suite and the folder its relative paths start from.

    Raises:
        HarnessError: no such suite (with a suggestion), or a mistake in it (with its line).
    """
    path = _find(path_or_name, "suite", bundle_root() / "suites")
    return load_spec(path, Suite), path.parent


def load_profile(path_or_name: str) -> tuple[Profile, Path]:
    """The profile and the folder its relative paths start from (the `suites` folder)."""
    path = _find(path_or_name, "profile", bundle_root() / "suites" / "profiles")
    profile = load_spec(path, Profile)
    return profile, path.parent.parent if path.parent.name == "profiles" else path.parent


def known_suites() -> list[str]:
    """The names of the suites that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites").glob("*.yaml"))


def known_profiles() -> list[str]:
    """The names of the profiles that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites" / "profiles").glob("*.yaml"))


def _find(path_or_name: str, kind: str, shelf: Path) -> Path:
    for candidate in candidate_paths(path_or_name, shelf):
        if candidate.is_file():
            return candidate
    if Path(path_or_name).is_file():
        raise HarnessError(f"{path_or_name}: is no {kind}: the name of one ends in .yaml.")
    known = [path.stem for path in shelf.glob("*.yaml")]
    hint = did_you_mean(Path(path_or_name).stem, known)
    raise HarnessError(f"{path_or_name}: no such {kind}. {hint}")


def candidate_paths(path_or_name: str, shelf: Path) -> Iterator[Path]:
    """Where a file that is named on the command line may lie; `shelf` holds those of ours."""
    given = Path(path_or_name)
    if given.suffix in {".yaml", ".yml"}:
        yield given
        yield bundle_root() / given  # `suites/medical_rubric.yaml` also works outside a checkout
        yield shelf / given
    else:
        yield shelf / f"{path_or_name}.yaml"
        yield Path(f"{path_or_name}.yaml")
