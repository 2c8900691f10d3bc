"""From suite to verdict: the whole way of a sample.

suite → plan → responses → judgements → scores → comparisons → gate decision → report
"""

from collections.abc import Collection, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from harness.answers_file import write_answers
from harness.asking import Asking
from harness.board import Board, BoardThread
from harness.contamination import find_exposures, refuse_contamination
from harness.endpoint import Budget
from harness.generate import check_recorded_answers, generate_responses
from harness.items import write_run_reports
from harness.judgements_file import write_judgements
from harness.judging import judge_responses, judges_of, require_judges, seat_panels
from harness.jury import Ballot, Panel
from harness.licence import apply_licence
from harness.measured import Measured, score_task
from harness.plan import Request, make_plan
from harness.prepare import Prepared, prepare_models
from harness.preregistration import preregister_plan
from harness.progress import Progress
from harness.results import Stopwatch, conclude, flag_answers
from harness.scores_file import load_arrow, write_scores
from harness.stopping import Stopped, measure_in_looks
from harness.store import Store, make_writable
from harness.types import Plan, RunResult, Task
from harness.workshop import Workshop
from judges.protocol import Judge
from trainers.processes import Launch

UNDER_WAY_S = 3.0  # after which judges have imported what they need themselves


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
    launch: Launch | None = None,
    budget: Budget | None = None,
    batch: Path | None = None,
) -> FinishedRun:
    """Train what is missing, answer, judge, score, compare, decide and report.

    Whatever was done before, by this or by a killed run, is taken from the workspace. With `launch`
    adapters are trained in several processes; `budget` bounds what endpoints may cost. With a folder
    as `batch` endpoints are not asked: the questions are written there.

    Raises:
        HarnessError: the input is wrong, found before any work where that is possible.
        InfrastructureError: the world failed; what was committed is kept.
        RepliesAwaitedError: there is no result before replies have come by batch.
    """
    watch = Stopwatch()
    store = Store(workspace)
    asking = Asking(store, budget=budget, folder=batch)
    find_judge = judges_of(request.profile, request.profile_root, terms=asking)
    panels = seat_panels(request, find_judge)
    require_judges(request)
    plan = make_plan(
        request,
        {metric: panel.card for metric, panel in panels.items()},
        {metric: panel.covers for metric, panel in panels.items()},
    )
    make_writable(out)
    with store, asking.settled():
        stated = preregister_plan(plan, workspace)
        workshop = Workshop(
            store, find_judge, progress, asking, request.profile, launch, request.profile_root
        )
        models = prepare_models(request, workshop)
        exposures = find_exposures(plan.tasks, models)
        if not request.allow_contamination:
            refuse_contamination(exposures)
        found = measure_tasks(plan, models, panels, asking, progress)
    measured = found.measured
    result = conclude(
        plan, stated, models, measured, exposures, watch,
        decision=found.decision, stopping=found.stopping,
    )  # fmt: skip
    result = apply_licence(result, request, measured)
    folder = out / plan.suite / result.run_id
    write_scores((column for part in measured for column in part.columns), folder)
    write_answers(((part.task, part.responses) for part in measured), folder)
    cast = (ballot for part in measured for ballots in part.ballots.values() for ballot in ballots)
    write_judgements(cast, folder)
    write_run_reports(result, folder)
    return FinishedRun(result, folder)


def measure_tasks(
    plan: Plan,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    asking: Asking,
    progress: Progress,
) -> Stopped:
    """Every task to its end; or, where the plan has looks, no further than the verdict needs."""

    def measure(task: Task, shown: Progress) -> Measured:
        return measure_task(task, models, panels, asking.store, shown)

    if not plan.looks:
        return Stopped([measure(task, progress) for task in plan.tasks])
    # The last look may be far, and the first ones cost money.
    check_recorded_answers(plan.tasks, [prepared.model for prepared in models.values()])
    return measure_in_looks(plan, panels, measure, progress, asking.check_complete)


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


def import_the_rest(judges: Collection[BoardThread[list[Ballot]]]) -> None:
    """Import what follows judging, once judges are under way: a second of the run."""
    if judges:
        next(iter(judges)).join(UNDER_WAY_S)
        import_module("scipy.special")
        load_arrow()


def is_remote(seat: tuple[str, Judge]) -> bool:
    """Whether the judge of a metric works elsewhere."""
    return seat[1].card.remote
