"""A shard of a run: its items are answered and judged into the store, and nothing is decided.

Every machine states the whole plan and takes its part of the items. `harness store merge` makes one
store of theirs, in which a run without a shard finds everything.
"""

from typing import NamedTuple

from harness.config.request import Request
from harness.config.shard import Shard
from harness.core.errors import HarnessError
from harness.data.contamination import find_contaminated_items, require_no_contamination
from harness.models.sharding import take_shard
from harness.planning.plan import make_plan
from harness.planning.preregistration import preregister_plan
from harness.runs.prepare import prepare_models
from harness.runs.run import measure_tasks
from harness.scoring.task_scores import TaskScores
from harness.training.context import RunContext
from harness.types import Plan
from harness.types.judgements import TRANSIENT, reason_kind
from judges.factory import load_judges
from judges.panel import Panel, check_judges_available, make_panels


class FinishedShard(NamedTuple):
    """A shard whose items are in the store.

    Of its `n_items` (of `n_all` in the plan, each counted once) some answers and verdicts may have
    failed on their way; the next run asks for them again.
    """

    plan_hash: str
    n_items: int
    n_all: int
    failed_answers: int
    failed_verdicts: int


def run_shard(request: Request, shard: Shard, context: RunContext) -> FinishedShard:
    """State the whole plan, then answer and judge the shard's items into the store.

    Raises:
        HarnessError: as `run_suite`; or judging may stop early, or a checkpoint is still to be trained.
        InfrastructureError: as `run_suite`.
    """
    judges = load_judges(request.profile, request.profile_root, context.session)
    panels = make_panels(request, judges)
    check_judges_available(request)
    plan = make_plan(request, panels)
    if plan.looks:
        raise HarnessError(
            "--shard: the suite's gate has 'stop_early', which decides after each part of the items whether "
            "to go on. Leave one of them out."
        )
    context = context._replace(made_before=True)
    with context.open():
        preregister_plan(plan, context.store)
        models = prepare_models(request, context, judges)
        if not request.allow_contamination:
            require_no_contamination(find_contaminated_items(plan.tasks, models))
        part = _cut_plan(plan, shard, panels)
        measured = measure_tasks(part, models, panels, context, register=lambda _: part)
    return FinishedShard(
        plan.hash,
        n_items=sum(task.n_distinct for task in part.tasks),
        n_all=sum(task.n_distinct for task in plan.tasks),
        failed_answers=sum(_count_failed_answers(scores) for scores in measured.tasks),
        failed_verdicts=sum(_count_failed_verdicts(scores) for scores in measured.tasks),
    )


def describe_shard(done: FinishedShard, shard: Shard, store: str) -> list[str]:
    """Describe in lines what a shard has put into the store, and what failed on its way."""
    lines = [
        f"shard {shard.number} of {shard.total}: {done.n_items:,} of {done.n_all:,} items answered and "
        f"judged into {store}; no verdict"
    ]
    if done.failed_answers or done.failed_verdicts:
        lines.append(
            f"{done.failed_answers:,} answers and {done.failed_verdicts:,} verdicts failed on their way; "
            "the next run asks for them again"
        )
    return lines


def _cut_plan(plan: Plan, shard: Shard, panels: dict[str, Panel]) -> Plan:
    """Return the plan with the shard's items, without metrics that people judge: their votes are read."""
    here = [model for model in plan.models if model.kind in ("recipe", "checkpoint")]
    tasks = []
    for task in plan.tasks:
        # A server takes its prompts as they come, but gives no log-probabilities of stated options.
        in_batches = any(model.served_by is None or task.scored_options for model in here)
        part = take_shard(task, shard, whole_batches=in_batches)
        asked = {name: m for name, m in task.metrics.items() if not panels[name].card.people}
        if part.samples:
            tasks.append(part.model_copy(update={"metrics": asked}))
    return plan.model_copy(update={"tasks": tuple(tasks)})


def _count_failed_answers(scores: TaskScores) -> int:
    return sum(
        response.request_failed
        for responses in scores.responses.values()
        for response in responses.values()
    )


def _count_failed_verdicts(scores: TaskScores) -> int:
    return sum(
        judgement.reason is not None and reason_kind(judgement.reason) in TRANSIENT
        for rounds in scores.judge_rounds.values()
        for judge_round in rounds
        for judgement in judge_round.judgements
    )
