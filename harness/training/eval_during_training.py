"""A model in training, scored on a few items of a suite by judges on this machine.

The answers and verdicts go the way of every run, through the store, so that a resumed training run
answers nothing twice. The scores are for people to look at: nothing is chosen by them.
"""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import Suite, load_suite
from harness.config.request import Request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.data.tasks import plan_tasks
from harness.models.generate import CheckpointModel, generate_responses
from harness.models.local import LocalModel
from harness.scoring.columns import GradeColumn, score_judgements
from harness.scoring.reduce import reduce_judgements
from harness.training.context import TrainingContext
from harness.types import Task
from judges.judging import judge_responses
from judges.panel import Panel, make_panels
from judges.response_stream import ResponseStream
from trainers.eval_callback import TrainingEval
from trainers.recipe import AdapterRecipe

MODEL = "in training"


def make_training_eval(
    recipe: AdapterRecipe, root: Path, workshop: TrainingContext
) -> TrainingEval | None:
    """What scores the recipe's model while it trains; None if the recipe names no suite.

    The suite is a file, below `root` or anywhere, or one of ours by its name. Metrics that compare
    two models are left out.

    Raises:
        HarnessError: no such suite, one that scores no answer by itself, too few items, or a judge
            on another machine.
    """
    if recipe.watch is None:
        return None
    beside = root / recipe.watch.suite
    suite, suite_root = load_suite(str(beside) if beside.is_file() else recipe.watch.suite)
    alone = {name: m for name, m in suite.metrics.items() if not m.compares_pairs}
    if not alone:
        raise HarnessError(
            f"{recipe.recipe}: watch: {recipe.watch.suite} only compares models with one another; a "
            "model in training needs a metric that scores its answers alone."
        )
    for metric in alone.values():
        if metric.judge is not None:
            _refuse_elsewhere(recipe.recipe, metric.judge, workshop)
    request = _request(
        suite.model_copy(update={"metrics": alone, "gate": None}), suite_root, workshop
    )
    panels = make_panels(request, workshop.judge)
    tasks = [_few(task, recipe.watch.n) for task in plan_tasks(request)]

    def score(model: Any, tokenizer: Any, fingerprint: str) -> Mapping[str, float]:
        asked = CheckpointModel(MODEL, "", fingerprint)
        asked.local = LocalModel(model, tokenizer, fingerprint)
        scores: dict[str, float] = {}
        for task in tasks:
            scores |= _score(task, asked, panels, workshop.store)
        return scores

    return TrainingEval(recipe.watch.every, score)


def _request(suite: Suite, root: Path, workshop: TrainingContext) -> Request:
    return Request(suite, root, workshop.profile, workshop.profile_root, models=(MODEL,))


def _refuse_elsewhere(recipe: str, judge: str, workshop: TrainingContext) -> None:
    """Training waits for each score, and nobody counts what it would cost."""
    members = [workshop.profile.find_judge(name) for name in workshop.profile.members_of(judge)]
    if not all(member.is_on_this_machine for member in members):
        raise HarnessError(
            f"{recipe}: watch: judge '{judge}' is on another machine, or recorded. A model in "
            "training is scored by 'offline' and 'local' judges only; choose another profile or suite."
        )


def _few(task: Task, n: int) -> Task:
    """The same `n` items each time, drawn without regard to their order."""
    if len(task.samples) < n:
        raise HarnessError(f"watch: '{task.name}' has {len(task.samples)} items, fewer than {n}.")
    chosen = set(random.Random(0).sample(range(len(task.samples)), n))
    samples = tuple(sample for i, sample in enumerate(task.samples) if i in chosen)
    return task.model_copy(update={"samples": samples, "n_items": n})


def _score(
    task: Task, model: CheckpointModel, panels: Mapping[str, Panel], store: Store
) -> dict[str, float]:
    """The mean of each column over what could be scored, and the share that could not."""
    quiet = QuietProgress()
    board = ResponseStream((MODEL,), len(task.samples))
    for response in generate_responses(task, model, store, quiet):
        board.post(response)
    responses, scores = board.all_responses(), {}
    for metric in task.metrics:
        panel = panels[metric]
        ballots = [
            ballot
            for judge in panel.judges
            for ballot in judge_responses(task, metric, board, panel, judge, store, quiet)
        ]
        judgements = reduce_judgements(ballots, panel.votes_needed)
        for column in score_judgements(task, metric, judgements, responses):
            assert isinstance(column, GradeColumn)
            values = [float(v) for v in column.scores[MODEL] if not math.isnan(v)]
            if values:
                scores[column.metric] = math.fsum(values) / len(values)
            if len(values) < len(task.samples):
                scores[f"{column.metric} unscored"] = 1 - len(values) / len(task.samples)
    return scores
