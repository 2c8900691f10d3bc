"""From suite to verdict: the whole way of a sample.

suite → plan → responses → judgements → scores → comparisons → gate decision → report
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.board import Board, BoardThread
from harness.endpoint import Budget
from harness.generate import generate_responses
from harness.judging import judge_metrics, judge_responses, judges_of
from harness.plan import Request, make_plan
from harness.prepare import Prepared, Workshop, prepare_models
from harness.progress import Progress
from harness.results import Measured, Stopwatch, conclude
from harness.score import score_judgements
from harness.store import Store, make_writable
from harness.types import Judgement, RunResult, Task
from judges.protocol import Judge
from reports.write import write_reports


class FinishedRun(NamedTuple):
    """What came out, and the folder that holds its reports."""

    result: RunResult
    folder: Path


def run_suite(
    request: Request,
    *,
    workspace: Path,
    out: Path,
    progress: Progress,
    budget: Budget | None = None,
) -> FinishedRun:
    """Train what is missing, answer, judge, score, compare, decide and report.

    Whatever was done before, by this or by a killed run, is taken from the workspace; `budget`
    bounds what endpoints may cost.

    Raises:
        HarnessError: the input is wrong, found before any work where that is possible.
        InfrastructureError: the world failed; what was committed is kept.
    """
    watch = Stopwatch()
    find_judge = judges_of(request.profile, request.profile_root, budget=budget)
    judges = judge_metrics(request, find_judge)
    plan = make_plan(request, {metric: judge.card for metric, judge in judges.items()})
    make_writable(out)
    with Store(workspace) as store:
        models = prepare_models(request, Workshop(store, find_judge, progress, budget))
        measured = [measure_task(task, models, judges, store, progress) for task in plan.tasks]
    result = conclude(plan, models, measured, watch)
    folder = out / plan.suite / result.run_id
    write_reports(result, folder)
    return FinishedRun(result, folder)


def measure_task(
    task: Task,
    models: Mapping[str, Prepared],
    judges: Mapping[str, Judge],
    store: Store,
    progress: Progress,
) -> Measured:
    """All answers and scores on one set of items.

    Remote judges work while the models answer; the others would only take turns with them.
    """
    board = Board(tuple(models), len(task.samples))

    def judge(metric: str) -> list[Judgement]:
        return judge_responses(task, metric, board, judges[metric], store, progress)

    early = {
        m: BoardThread(board, partial(judge, m)) for m in task.metrics if judges[m].card.remote
    }
    with board.closed_on_error(early.values()):
        for prepared in models.values():
            for response in generate_responses(task, prepared.model, store, progress, board):
                board.post(response)
            board.check()
        judgements = {m: early[m].result() if m in early else judge(m) for m in task.metrics}
    responses = board.all_responses()
    columns = [
        column
        for metric, judged in judgements.items()
        for column in score_judgements(task, metric, judged, responses)
    ]
    return Measured(task, responses, judgements, columns)
