"""A release policy: suites and finished runs that decide together, each with its role.

    release: assistant
    suites:
      - {suite: medical_rubric, role: required}
      - {suite: helpfulness_quotient, role: watched, baseline: baseline.json}
      - {run: runs/medqa/4be81c02d4c1, role: shown}

Paths start from the file's folder. A suite is run, a run is only read.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.config.base import Name, Spec
from harness.core.yaml_loader import field_error, load_spec

Role = Literal["required", "watched", "shown"]


class ReleasePart(Spec):
    """A suite to run, or the folder of a finished run, and what it counts for.

    A `required` one must pass its gate. The candidate's scores in a `watched` one are checked against
    the `baseline` file that `harness bless` wrote. What is `shown` decides nothing.
    """

    suite: str | None = None
    run: str | None = None
    role: Role
    baseline: str | None = None

    @property
    def named(self) -> str:
        """Return the suite or the run as the policy names it."""
        return self.suite or self.run or ""

    @model_validator(mode="after")
    def _is_one_thing(self) -> "ReleasePart":
        if bool(self.suite) == bool(self.run):
            raise ValueError("name either a 'suite' to run or a finished 'run'")
        if self.role == "watched" and not self.baseline:
            raise ValueError("what is watched needs a 'baseline', which `harness bless` writes")
        if self.role != "watched" and self.baseline is not None:
            raise ValueError("only what is watched has a 'baseline'")
        return self


class ReleasePolicy(Spec):
    """The suites that decide about a release, with their roles; one may have several."""

    release: Name
    title: str = ""
    suites: tuple[ReleasePart, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _decides(self) -> "ReleasePolicy":
        if all(part.role != "required" for part in self.suites):
            raise ValueError("no suite is 'required': name at least one that must pass")
        parts = [(part.named, part.role) for part in self.suites]
        for place, (name, role) in enumerate(parts):
            if (name, role) in parts[:place]:
                raise field_error(f"suites.{place}", f"'{name}' is named twice as {role}")
        return self


def load_release(path: Path) -> ReleasePolicy:
    """Read a release policy.

    Raises:
        HarnessError: no such file, or a mistake in it with its line.
    """
    return load_spec(path, ReleasePolicy)
