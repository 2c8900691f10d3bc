"""One evaluation run, from suite to verdict.

suite → plan → responses → judgements → scores → comparisons → gate decision → report
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.answers import write_answers
from harness.artifacts.integrity import hash_tables
from harness.artifacts.judgements import write_judgements
from harness.artifacts.running import announce_run
from harness.artifacts.scores import write_scores
from harness.config.request import Request, is_all_recorded
from harness.core.garbage import no_cycle_search
from harness.core.progress import Progress
from harness.core.sanitize import printable_line
from harness.core.store import make_writable
from harness.data.contamination import find_contaminated_items, require_no_contamination
from harness.data.recorded import RecordedModel
from harness.human.judge_requirement import check_against_people, left_out_caveats
from harness.models.generate import answer_numbers, check_recorded_answers, require_answers
from harness.models.seeds import models_of, split_by_seed
from harness.models.stored_answers import stored_answer_caveats
from harness.planning.plan import make_plan
from harness.planning.preregistration import Preregistration, preregister_plan
from harness.planning.unfitting import describe_unfitting
from harness.runs.conclude import Stopwatch, build_run_result, count_probes
from harness.runs.early_stopping import run_looks
from harness.runs.item_pages import write_run_reports
from harness.runs.measure import measure_task
from harness.runs.next_steps import find_next_steps
from harness.runs.prepare import Prepared, prepare_models, with_renewals
from harness.runs.tries import CountedTry
from harness.runs.withheld import withhold_unearned_pass
from harness.scoring.paired import gated_pairs
from harness.scoring.task_scores import RunScores, TaskScores
from harness.training.context import RunContext
from harness.types import ANSWERED_BEFORE, Caveat, Plan, RunResult, Task
from harness.types.samples import Responses
from judges.factory import load_judges
from judges.panel import Panel, check_judges_available, make_panels
from reports.write import remove_reports

MANY_ITEMS = 20_000  # whose verdict is told before its tables and pages are written


class FinishedRun(NamedTuple):
    """The result of a run, and the folder with its reports."""

    result: RunResult
    folder: Path


def run_suite(
    request: Request,
    context: RunContext,
    *,
    out: Path,
    counted: bool = True,
    made: Mapping[str, Prepared] | None = None,
) -> FinishedRun:
    """Train what is missing, answer, judge, score, compare, decide and report.

    Stored answers, verdicts and checkpoints in the workspace are reused, also those of a killed run.
    A run that is `counted` is a try on its items, which leaves less alpha to the next one. Models that
    are `made` need not be prepared.

    Raises:
        HarnessError: the input is wrong; raised before any work if possible.
        InfrastructureError: a service, disk or process failed; committed work is kept.
        PendingRepliesError: there is no result before replies have come by batch.
    """
    with ExitStack() as stack:
        if is_all_recorded(request):
            # Nearly all that is made is records, which are kept to the end.
            stack.enter_context(no_cycle_search())
        # 1. Plan.
        stopwatch = Stopwatch()
        judges = load_judges(request.profile, request.profile_root, context.session)
        panels = make_panels(request, judges)
        check_judges_available(request)
        stated = plan = make_plan(request, panels)
        make_writable(out)
        progress = stack.enter_context(announce_run(plan, out, context.progress))
        context = context._replace(progress=progress)
        with context.open():
            # 2. Register the plan, then train, answer and judge.
            preregistration = preregister_plan(plan, context.store)
            if not request.allow_contamination:
                context = context._replace(kept_apart=plan.tasks)
            models = prepare_models(request, context, judges, made)
            exposures = find_contaminated_items(plan.tasks, models)
            if not request.allow_contamination:
                require_no_contamination(exposures)
            fingerprints = {name: prepared.fingerprint for name, prepared in models.items()}
            counter = CountedTry(plan, fingerprints, context.ledger_path if counted else None)
            measured = measure_tasks(plan, models, panels, context, counter.register)
            plan = counter.plan
            known = tuple(known_answer_caveats(measured, models, context, preregistration))
            models = with_renewals(models, context.store)
        # 3. Compare and decide.
        result = build_run_result(plan, preregistration, models, measured, exposures, stopwatch)
        pairs = gated_pairs([column for part in measured.tasks for column in part.columns], plan)
        result = counter.conclude(result, pairs)
        left_out = (*left_out_caveats(request, plan), *unfitting_caveats(plan, models, panels))
        caveats = (*known, *result.caveats, *left_out)
        spend = (*result.spend, *count_probes(plan, context.session))
        result = result.model_copy(update={"caveats": caveats, "spend": spend})
        result = check_against_people(result, request, measured.tasks)
        result = withhold_unearned_pass(result, request)
        counter.record_verdict(result)
        next_steps = tuple(find_next_steps(result, request, pairs))
        result = result.model_copy(update={"next_steps": next_steps})
        if (n_items := sum(task.n_items for task in plan.tasks)) >= MANY_ITEMS:
            progress.log(f"{_verdict(result)} Writing tables and pages of {n_items:,} items.")
        # 4. Write the tables, and the pages that show them.
        folder = out / plan.suite / result.run_id
        remove_reports(folder)  # those of an earlier run must not stand beside these tables
        write_tables(measured.tasks, folder)
        alpha = stated.gate.alpha if stated.gate else None
        result = result.model_copy(update={"tables": hash_tables(folder), "stated_alpha": alpha})
        del measured  # what the pages show is read from its tables
        write_run_reports(result, folder)
    return FinishedRun(result, folder)


def _verdict(result: RunResult) -> str:
    decision = result.decision
    return printable_line(f"{decision.verdict}: {decision.sentence}") if decision else "No gate."


def measure_tasks(
    plan: Plan,
    models: Mapping[str, Prepared],
    panels: Mapping[str, Panel],
    context: RunContext,
    register: Callable[[Sequence[TaskScores]], Plan],
) -> RunScores:
    """Measure every task to its end or, where the plan has looks, until the verdict is certain.

    `register` registers the run as a try before anything is decided.
    """
    most_failed = plan.gate.max_unscored if plan.gate else 1.0

    def check_answers(task: Task, model: str, responses: Responses) -> None:
        if not context.session.has_pending:  # replies by batch are not failures
            require_answers(task, model, responses, most_failed)

    def measure(task: Task, progress: Progress) -> TaskScores:
        return measure_task(
            task, models, panels, context.store, progress, check_answers, context.session.again
        )

    if not plan.looks:
        scores = [measure(task, context.progress) for task in plan.tasks]
        context.session.check_complete()
        register(scores)
        return RunScores(scores)
    # Missing recorded answers of the last look are found before the first looks cost money.
    answering = [one for prepared in models.values() for one in models_of(prepared.model)]
    check_recorded_answers(plan.tasks, answering)
    check_complete = context.session.check_complete
    return run_looks(plan, panels, measure, context.progress, check_complete, register)


def known_answer_caveats(
    measured: RunScores,
    models: Mapping[str, Prepared],
    context: RunContext,
    preregistration: Preregistration,
) -> Iterator[Caveat]:
    """Yield what to know of answers that were there before the plan or the run, and of the clock."""
    n_known = n_answers = 0
    for part in measured.tasks:
        for name in part.responses:
            for one in split_by_seed(part.task, name):
                answering = one.model_of(models[name].model)
                numbers = answer_numbers(one.task, answering, context.store)
                n_known += sum(number < preregistration.number for number in numbers)
                n_answers += len(numbers)
    if n_known:
        yield Caveat(
            code=ANSWERED_BEFORE,
            text=f"{n_known:,} of {n_answers:,} stored answers were there before this plan's claims were "
            "stated, and could be looked at first. Claims chosen after that are hypotheses, not tests.",
        )
    if preregistration.clock_set_back:
        yield Caveat(
            code="clock_set_back",
            text="The clock was set back while this workspace grew: dates of plans and answers in it "
            "contradict the order in which they came. The order is what counts here.",
        )
    yield from stored_answer_caveats(context.session)


def unfitting_caveats(
    plan: Plan, models: Mapping[str, Prepared], panels: Mapping[str, Panel]
) -> Iterator[Caveat]:
    """Yield a caveat on each file of recorded answers or verdicts of which some fit no item."""
    behind = [one for prepared in models.values() for one in models_of(prepared.model)]
    recorded = [model for model in behind if isinstance(model, RecordedModel)]
    for text in describe_unfitting(plan, recorded, panels):
        yield Caveat(code="fits_no_item", text=text)


def write_tables(measured: Sequence[TaskScores], folder: Path) -> None:
    """Write every score, answer and judgement of the run as files next to its reports.

    Raises:
        InfrastructureError: a file could not be written.
    """
    write_scores((column for part in measured for column in part.columns), folder)
    flags = {part.task.name: part.flags for part in measured}
    write_answers(((part.task, part.responses) for part in measured), folder, flags)
    judge_rounds = (
        judge_round
        for part in measured
        for rounds in part.judge_rounds.values()
        for judge_round in rounds
    )
    samples = (sample for part in measured for sample in part.task.samples)
    seeds = {sample.id: sample.seed for sample in samples if sample.seed is not None}
    write_judgements(judge_rounds, folder, seeds)
