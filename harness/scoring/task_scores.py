from typing import NamedTuple

from harness.scoring.columns import ScoreColumn
from harness.types import GateDecision, HygieneFlag, Stopping, Task
from harness.types.judgements import JudgeRound
from harness.types.samples import Responses

Flags = dict[str, dict[str, tuple[HygieneFlag, ...]]]  # by model, then by sample id


class TaskScores(NamedTuple):
    """One task's answers by model, baseline first, with their flags; what each judge said; scores."""

    task: Task
    responses: dict[str, Responses]
    flags: Flags
    ballots: dict[str, list[JudgeRound]]
    columns: list[ScoreColumn]


class RunScores(NamedTuple):
    """Everything that a run measured, task by task.

    Where the items were judged in looks, also the verdict that these led to, and how they ended.
    """

    tasks: list[TaskScores]
    decision: GateDecision | None = None
    stopping: Stopping | None = None
