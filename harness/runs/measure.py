"""The measurement of one task: answers, their flags, judgements and scores."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib import import_module

from harness.artifacts.scores import load_arrow
from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.progress import Progress
from harness.core.store import Store
from harness.models.seeds import answer_copies
from harness.runs.flags import flagging
from harness.runs.prepare import Prepared
from harness.scoring.columns import ScoreColumn, score_judgements
from harness.scoring.human import score_annotators
from harness.scoring.jury import score_jurors
from harness.scoring.reduce import reduce_judgements
from harness.scoring.task_scores import Flags, TaskScores
from harness.types import Task
from harness.types.judgements import JudgeRound
from harness.types.samples import Responses
from judges.judging import judge_responses
from judges.panel import Panel
from judges.protocol import Judge
from judges.response_stream import JudgeWorker, ResponseStream
from judges.second import judge_left_open


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
        for metric, rounds in judge_rounds.items()
        for column in _score(task, metric, rounds, panels[metric], responses)
    ]
    return TaskScores(task, responses, flags, judge_rounds, columns)


def _score(
    task: Task,
    metric: str,
    rounds: list[JudgeRound],
    panel: Panel,
    responses: Mapping[str, Responses],
) -> list[ScoreColumn]:
    if panel.card.people:
        return score_annotators(task, metric, rounds, responses)
    if panel.card.sample:
        return score_jurors(task, metric, rounds, panel.votes_needed, responses)
    shares = task.metrics[metric].score_kind == "share"
    reduced = reduce_judgements(rounds, panel.votes_needed, shares=shares)
    return score_judgements(task, metric, reduced, responses)


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
        model: {i: flags for part in parts for i, flags in part.flags[model].items()}
        for model in first.flags
    }
    judge_rounds = {
        metric: [
            same_round[0]._replace(
                judgements=[j for part_round in same_round for j in part_round.judgements]
            )
            for same_round in zip(*(part.judge_rounds[metric] for part in parts), strict=True)
        ]
        for metric in first.judge_rounds
    }
    return score_task(task, responses, flags, judge_rounds, panels)


JUDGES_STARTED_S = 3.0  # by then the judges have finished their own imports


def measure_task(
    task: Task,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    store: Store,
    progress: Progress,
    check_answers: Callable[[Task, str, Responses], None],
    again: AskAgain = NOTHING_AGAIN,
) -> TaskScores:
    """Answer and score one set of items; `check_answers` may refuse a model's answers.

    `again` is what judges are asked again although the store has it.

    Remote judges work while the models answer. Local judges wait, because they would share the
    processor with the models.
    """
    stream = ResponseStream(tuple(models), len(task.samples))

    def ask(metric: str, judge: Judge) -> list[JudgeRound]:
        return judge_responses(task, metric, stream, panels[metric], judge, store, progress, again)

    # 1. Start the remote judges.
    metric_judges = [(metric, judge) for metric in task.metrics for judge in panels[metric].judges]
    workers = {
        metric_judge: JudgeWorker(stream, partial(ask, *metric_judge))
        for metric_judge in metric_judges
        if is_remote(metric_judge)
    }
    with stream.abort_on_error(workers.values()):
        # 2. Generate the answers.
        for name, prepared in models.items():
            for response in answer_copies(task, prepared.model, store, progress, stream):
                stream.put(response)
            stream.check()
            check_answers(task, name, stream.by_model()[name])
        responses = stream.by_model()
        # 3. Do the work that needs no verdict while remote judges wait for replies.
        preload_imports(workers.values())
        judge_rounds: dict[str, list[JudgeRound]] = {metric: [] for metric in task.metrics}
        with flagging(task, responses) as find_flags:
            # 4. Collect the remote judges' verdicts, and ask the local judges.
            for metric_judge in metric_judges:
                worker = workers.get(metric_judge)
                rounds = ask(*metric_judge) if worker is None else worker.result()
                judge_rounds[metric_judge[0]] += rounds
            # 5. Ask the second judges what the first left open.
            ask_second_judges(task, stream, judge_rounds, panels, store, progress, again)
            flags = find_flags()
    return score_task(task, responses, flags, judge_rounds, panels)


def ask_second_judges(
    task: Task,
    stream: ResponseStream,
    judge_rounds: Mapping[str, list[JudgeRound]],
    panels: Mapping[str, Panel],
    store: Store,
    progress: Progress,
    again: AskAgain = NOTHING_AGAIN,
) -> None:
    """Add the rounds of the second judges, which are asked what the first left open."""
    for metric, rounds in judge_rounds.items():
        second = panels[metric].second
        if second is not None:
            rounds.append(
                judge_left_open(task, metric, stream, rounds, second, store, progress, again)
            )


def preload_imports(judges: Collection[JudgeWorker[list[JudgeRound]]]) -> None:
    """Import the modules needed after judging once the judges have started; saves about a second."""
    if judges:
        next(iter(judges)).join(JUDGES_STARTED_S)
        import_module("scipy.special")
        load_arrow()


def is_remote(metric_judge: tuple[str, Judge]) -> bool:
    """Return whether the judge of a metric works on another machine."""
    return metric_judge[1].card.remote
