"""From suite to verdict: the whole way of a sample.

suite → plan → responses → judgements → scores → comparisons → gate decision → report
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from harness.answers_file import write_answers
from harness.board import Board, BoardThread
from harness.contamination import find_exposures, refuse_contamination
from harness.generate import check_recorded_answers, generate_responses
from harness.items import write_run_reports
from harness.judgements_file import write_judgements
from harness.judging import judge_responses
from harness.jury import Ballot, Panel
from harness.licence import apply_licence
from harness.measured import Measured, MeasuredRun, flag_answers, score_task
from harness.plan import make_plan
from harness.prepare import Prepared, prepare_models
from harness.preregistration import preregister_plan
from harness.progress import Progress
from harness.request import Request
from harness.results import Stopwatch, conclude
from harness.scores_file import load_arrow, write_scores
from harness.seating import require_judges, seat_panels
from harness.stopping import measure_in_looks
from harness.store import Store, make_writable
from harness.types import Plan, RunResult, Task
from harness.workshop import Resources, Workshop, make_workshop
from judges.protocol import Judge

UNDER_WAY_S = 3.0  # after which judges have imported what they need themselves


class FinishedRun(NamedTuple):
    """What came out, and the folder that holds its reports."""

    result: RunResult
    folder: Path


def run_suite(request: Request, resources: Resources, *, out: Path) -> FinishedRun:
    """Train what is missing, answer, judge, score, compare, decide and report.

    Whatever was done before, by this or by a killed run, is taken from the workspace.

    Raises:
        HarnessError: the input is wrong, found before any work where that is possible.
        InfrastructureError: the world failed; what was committed is kept.
        RepliesAwaitedError: there is no result before replies have come by batch.
    """
    watch = Stopwatch()
    workshop = make_workshop(request.profile, request.profile_root, resources)
    panels = seat_panels(request, workshop.judge)
    require_judges(request)
    plan = make_plan(request, panels)
    make_writable(out)
    with workshop.opened():
        stated = preregister_plan(plan, resources.workspace)
        models = prepare_models(request, workshop)
        exposures = find_exposures(plan.tasks, models)
        if not request.allow_contamination:
            refuse_contamination(exposures)
        measured = measure_tasks(plan, models, panels, workshop)
    result = conclude(plan, stated, models, measured, exposures, watch)
    result = apply_licence(result, request, measured.tasks)
    folder = out / plan.suite / result.run_id
    write_tables(measured.tasks, folder)
    write_run_reports(result, folder)
    return FinishedRun(result, folder)


def measure_tasks(
    plan: Plan,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    workshop: Workshop,
) -> MeasuredRun:
    """Every task to its end; or, where the plan has looks, no further than the verdict needs."""

    def measure(task: Task, shown: Progress) -> Measured:
        return measure_task(task, models, panels, workshop.store, shown)

    if not plan.looks:
        return MeasuredRun([measure(task, workshop.progress) for task in plan.tasks])
    # The last look may be far, and the first ones cost money.
    check_recorded_answers(plan.tasks, [prepared.model for prepared in models.values()])
    check_complete = workshop.asking.check_complete
    return measure_in_looks(plan, panels, measure, workshop.progress, check_complete)


def measure_task(
    task: Task,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    store: Store,
    progress: Progress,
) -> Measured:
    """All answers and scores on one set of items.

    Remote judges work while the models answer; the others would only take turns with them.
    """
    board = Board(tuple(models), len(task.samples))

    def ask(metric: str, judge: Judge) -> list[Ballot]:
        return judge_responses(task, metric, board, panels[metric], judge, store, progress)

    seats = [(metric, judge) for metric in task.metrics for judge in panels[metric].judges]
    early = {seat: BoardThread(board, partial(ask, *seat)) for seat in seats if is_remote(seat)}
    with board.closed_on_error(early.values()):
        for prepared in models.values():
            for response in generate_responses(task, prepared.model, store, progress, board):
                board.post(response)
            board.check()
        responses = board.all_responses()
        # Work that needs no verdict is done while judges wait for their endpoints.
        import_the_rest(early.values())
        flags = flag_answers(task, responses)
        ballots: dict[str, list[Ballot]] = {metric: [] for metric in task.metrics}
        for seat in seats:
            ballots[seat[0]] += early[seat].result() if seat in early else ask(*seat)
    return score_task(task, responses, flags, ballots, panels)


def write_tables(measured: Sequence[Measured], folder: Path) -> None:
    """Every score, answer and judgement of the run, as files beside its reports.

    Raises:
        InfrastructureError: a file could not be written.
    """
    write_scores((column for part in measured for column in part.columns), folder)
    write_answers(((part.task, part.responses) for part in measured), folder)
    cast = (ballot for part in measured for ballots in part.ballots.values() for ballot in ballots)
    write_judgements(cast, folder)


def import_the_rest(judges: Collection[BoardThread[list[Ballot]]]) -> None:
    """Import what follows judging, once judges are under way: a second of the run."""
    if judges:
        next(iter(judges)).join(UNDER_WAY_S)
        import_module("scipy.special")
        load_arrow()


def is_remote(seat: tuple[str, Judge]) -> bool:
    """Whether the judge of a metric works elsewhere."""
    return seat[1].card.remote
