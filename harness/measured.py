"""What was measured on one task: answers, their flags, what judges said, and the scores."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.generate import Responses
from harness.hygiene import hygiene_flags
from harness.jury import Ballot, Panel, combine_ballots
from harness.people_scores import score_people
from harness.score import ScoreColumn, score_judgements
from harness.types import GateDecision, HygieneFlag, Response, Stopping, Task
from judges.injection import suspect_injection

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


def flag_answers(task: Task, responses: Mapping[str, Responses]) -> Flags:
    """The hygiene flags of every answer."""
    return {
        model: {sample_id: _flags_of(response, task) for sample_id, response in answers.items()}
        for model, answers in responses.items()
    }


def _flags_of(response: Response, task: Task) -> tuple[HygieneFlag, ...]:
    flags = hygiene_flags(response, response.system or task.system)
    suspicious = suspect_injection(response.text or "").suspected_injection
    return (*flags, "suspected_injection") if suspicious else flags


def score_task(
    task: Task,
    responses: dict[str, Responses],
    flags: Flags,
    ballots: dict[str, list[Ballot]],
    panels: Mapping[str, Panel],
) -> Measured:
    """Everything measured, with the columns that follow from it."""
    columns = [
        column
        for metric, cast in ballots.items()
        for column in _score(task, metric, cast, panels[metric], responses)
    ]
    return Measured(task, responses, flags, ballots, columns)


def _score(
    task: Task,
    metric: str,
    cast: list[Ballot],
    panel: Panel,
    responses: Mapping[str, Responses],
) -> list[ScoreColumn]:
    if panel.card.people:
        return score_people(task, metric, cast, responses)
    return score_judgements(task, metric, combine_ballots(cast, panel.votes_needed), responses)


def join_measured(task: Task, parts: Sequence[Measured], panels: Mapping[str, Panel]) -> Measured:
    """What was measured on parts of a task's items, as if it had been measured at once."""
    first = parts[0]
    responses = {
        model: {i: answer for part in parts for i, answer in part.responses[model].items()}
        for model in first.responses
    }
    flags = {
        model: {i: found for part in parts for i, found in part.flags[model].items()}
        for model in first.flags
    }
    ballots = {
        metric: [
            Ballot(same[0].judge, same[0].round, [j for each in same for j in each.judgements])
            for same in zip(*(part.ballots[metric] for part in parts), strict=True)
        ]
        for metric in first.ballots
    }
    return score_task(task, responses, flags, ballots, panels)
