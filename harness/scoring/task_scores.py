from typing import NamedTuple

from harness.scoring.columns import ScoreColumn
from harness.types import GateDecision, HygieneFlag, Stopping, Task
from harness.types.judgements import Ballot
from harness.types.samples import Responses

Flags = dict[str, dict[str, tuple[HygieneFlag, ...]]]  # by model, then by sample id


class Measured(NamedTuple):
    """One task's answers by model, baseline first, with their flags; what each judge said; scores."""

    task: Task
    responses: dict[str, Responses]
    flags: Flags
    ballots: dict[str, list[Ballot]]
    columns: list[ScoreColumn]


class MeasuredRun(NamedTuple):
    """Everything that a run measured, task by task.

    Where the items were judged in looks, also the verdict that these led to, and how they ended.
    """

    tasks: list[Measured]
    decision: GateDecision | None = None
    stopping: Stopping | None = None
