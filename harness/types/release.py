"""The verdict on a release over several suites."""

from typing import Literal

from harness.config.release import Role
from harness.types.base import Record, Verdict
from harness.types.results import ClaimResult


class ReleaseLine(Record):
    """What one suite contributes to a release.

    `verdict` is that of the run's gate, of what is watched that of the check against its baseline; None
    without a gate. `claims` are those of that verdict and `alpha` its level. `folder` is that of the
    run. A `problem` is why there is no verdict at all, and `infrastructure` whether something around
    the run failed.
    """

    name: str
    role: Role
    verdict: Verdict | None = None
    sentence: str = ""
    claims: tuple[ClaimResult, ...] = ()
    alpha: float | None = None
    run_id: str = ""
    folder: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""
    infrastructure: bool = False


class ReleaseResult(Record):
    """One verdict over several suites, of which every required one must pass; the content of release.json.

    `models` are the names of the compared models and `fingerprints` their checkpoints, the baseline's
    first; of a model alone there is one. `alpha` is the largest level of what decides.
    """

    schema_version: Literal[1] = 1
    release: str
    title: str
    decided: str
    harness_version: str
    models: tuple[str, ...]
    fingerprints: tuple[str, ...]
    verdict: Verdict
    sentence: str
    alpha: float | None
    lines: tuple[ReleaseLine, ...]
