"""What was measured on one task: answers, their flags, what judges said, and the scores."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.generate import Responses
from harness.jury import Ballot, Panel, combine_ballots
from harness.people_scores import score_people
from harness.score import ScoreColumn, score_judgements
from harness.types import HygieneFlag, Task

Flags = dict[str, dict[str, tuple[HygieneFlag, ...]]]  # by model, then by sample id


class Measured(NamedTuple):
    """One task's answers by model, baseline first, with their flags; what each judge said; scores."""

    task: Task
    responses: dict[str, Responses]
    flags: Flags
    ballots: dict[str, list[Ballot]]
    columns: list[ScoreColumn]


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
