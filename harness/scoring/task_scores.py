"""The scores of a run, task by task, with the responses and judgements behind them."""

from typing import NamedTuple

from harness.scoring.columns import ScoreColumn
from harness.types import GateDecision, HygieneFlag, Stopping, Task
from harness.types.judgements import JudgeRound
from harness.types.samples import Responses

Flags = dict[str, dict[str, tuple[HygieneFlag, ...]]]  # by model, then by sample id


class TaskScores(NamedTuple):
    """One task with its responses by model (baseline first), flags, judge rounds and columns."""

    task: Task
    responses: dict[str, Responses]
    flags: Flags
    judge_rounds: dict[str, list[JudgeRound]]
    columns: list[ScoreColumn]


class RunScores(NamedTuple):
    """The scores of a run, task by task.

    Where the items were judged in looks, also the decision and the reason for stopping.
    """

    tasks: list[TaskScores]
    decision: GateDecision | None = None
    stopping: Stopping | None = None
