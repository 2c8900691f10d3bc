"""What was measured on one task: answers, their flags, what judges said, and the scores."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib import import_module

from harness.artifacts.scores import load_arrow
from harness.core.progress import Progress
from harness.core.store import Store
from harness.data.hygiene import hygiene_flags
from harness.models.generate import generate_responses
from harness.runs.prepare import Prepared
from harness.scoring.columns import ScoreColumn, score_judgements
from harness.scoring.human import score_annotators
from harness.scoring.reduce import reduce_judgements
from harness.scoring.task_scores import Flags, TaskScores
from harness.types import HygieneFlag, Response, Task
from harness.types.judgements import JudgeRound
from harness.types.samples import Responses
from judges.injection import suspect_injection
from judges.judging import judge_responses
from judges.panel import Panel
from judges.protocol import Judge
from judges.response_stream import JudgeWorker, ResponseStream


def flag_responses(task: Task, responses: Mapping[str, Responses]) -> Flags:
    """Compute the hygiene flags of every answer."""
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
    judge_rounds: dict[str, list[JudgeRound]],
    panels: Mapping[str, Panel],
) -> TaskScores:
    """Score a task's judgements and keep everything measured."""
    columns = [
        column
        for metric, cast in judge_rounds.items()
        for column in _score(task, metric, cast, panels[metric], responses)
    ]
    return TaskScores(task, responses, flags, judge_rounds, columns)


def _score(
    task: Task,
    metric: str,
    cast: list[JudgeRound],
    panel: Panel,
    responses: Mapping[str, Responses],
) -> list[ScoreColumn]:
    if panel.card.people:
        return score_annotators(task, metric, cast, responses)
    return score_judgements(task, metric, reduce_judgements(cast, panel.votes_needed), responses)


def merge_task_scores(
    task: Task, parts: Sequence[TaskScores], panels: Mapping[str, Panel]
) -> TaskScores:
    """Merge the measurements of parts of a task's items into those of the whole."""
    first = parts[0]
    responses = {
        model: {i: answer for part in parts for i, answer in part.responses[model].items()}
        for model in first.responses
    }
    flags = {
        model: {i: found for part in parts for i, found in part.flags[model].items()}
        for model in first.flags
    }
    judge_rounds = {
        metric: [
            JudgeRound(same[0].judge, same[0].round, [j for each in same for j in each.judgements])
            for same in zip(*(part.judge_rounds[metric] for part in parts), strict=True)
        ]
        for metric in first.judge_rounds
    }
    return score_task(task, responses, flags, judge_rounds, panels)


JUDGES_STARTED_S = 3.0  # after which judges have imported what they need themselves


def measure_task(
    task: Task,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    store: Store,
    progress: Progress,
) -> TaskScores:
    """Answer and score one set of items.

    Remote judges work while the models answer; the others would only take turns with them.
    """
    board = ResponseStream(tuple(models), len(task.samples))

    def ask(metric: str, judge: Judge) -> list[JudgeRound]:
        return judge_responses(task, metric, board, panels[metric], judge, store, progress)

    seats = [(metric, judge) for metric in task.metrics for judge in panels[metric].judges]
    early = {seat: JudgeWorker(board, partial(ask, *seat)) for seat in seats if is_remote(seat)}
    with board.closed_on_error(early.values()):
        for prepared in models.values():
            for response in generate_responses(task, prepared.model, store, progress, board):
                board.post(response)
            board.check()
        responses = board.all_responses()
        # Work that needs no verdict is done while judges wait for their endpoints.
        preload_imports(early.values())
        flags = flag_responses(task, responses)
        judge_rounds: dict[str, list[JudgeRound]] = {metric: [] for metric in task.metrics}
        for seat in seats:
            judge_rounds[seat[0]] += early[seat].result() if seat in early else ask(*seat)
    return score_task(task, responses, flags, judge_rounds, panels)


def preload_imports(judges: Collection[JudgeWorker[list[JudgeRound]]]) -> None:
    """Import what follows judging, once judges are under way: a second of the run."""
    if judges:
        next(iter(judges)).join(JUDGES_STARTED_S)
        import_module("scipy.special")
        load_arrow()


def is_remote(seat: tuple[str, Judge]) -> bool:
    """Return whether the judge of a metric works on another machine."""
    return seat[1].card.remote
