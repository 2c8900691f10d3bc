"""The training loop: the stages from a model of the profile to a certified checkpoint.

    loop: tiny
    profile: tiny
    start: base
    stages:
      - {name: sft, recipes: [tiny/sft.yaml], gate: tiny_summaries.yaml}
      - {name: dpo, recipes: [tiny/dpo.yaml], gate: tiny_develop.yaml}
    certify: tiny_certify.yaml
    promote: tiny_assistant

Names of suites and recipes are files in the loop's folder, or those that come with the harness.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.config.base import Name, Spec
from harness.config.loading import find_config
from harness.core.paths import bundle_root
from harness.core.yaml_loader import load_spec


class Stage(Spec):
    """One step of training: recipes to try, and the suite whose gate the best of them must pass.

    Of several recipes the best has the highest mean on the column `select`.
    """

    name: Name
    recipes: tuple[str, ...] = Field(min_length=1)
    gate: str
    select: str | None = None

    @model_validator(mode="after")
    def _choice_is_stated(self) -> "Stage":
        if len(self.recipes) > 1 and self.select is None:
            raise ValueError("several recipes need a 'select': the column that the best is best on")
        return self


class Loop(Spec):
    """Stages from a model of the profile to a certified checkpoint.

    `certify` is a suite on items that no stage was trained, chosen or gated on. Checkpoints that
    are not promoted are kept, unless `losers` is `delete`.
    """

    loop: Name
    profile: str = "tiny"
    start: Name
    stages: tuple[Stage, ...] = Field(min_length=1)
    certify: str
    promote: Name
    losers: Literal["keep", "delete"] = "keep"


def load_loop(path_or_name: str) -> tuple[Loop, Path]:
    """Read a loop; return it with the folder that its relative paths start from.

    Raises:
        HarnessError: no such loop, or a mistake in it with its line.
    """
    path = find_config(path_or_name, "loop", bundle_root() / "suites" / "loops", known_loops())
    return load_spec(path, Loop), path.parent


def known_loops() -> list[str]:
    """Return the names of the loops that come with the harness; their suites are in the folder too."""
    files = (bundle_root() / "suites" / "loops").glob("*.yaml")
    return sorted(path.stem for path in files if "\nloop:" in path.read_text(encoding="utf-8"))
