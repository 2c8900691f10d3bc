"""Evaluation during training: scores on a few items of a suite, by judges on this machine.

Answers and verdicts go through the store as in every run, so that a resumed training run makes none
twice. The scores are shown as curves; nothing is chosen by them.
"""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import Profile, load_suite
from harness.config.request import Request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.data.tasks import plan_tasks
from harness.models.generate import generate_responses
from harness.models.local import LocalModel
from harness.models.model_kinds import CheckpointModel
from harness.scoring.columns import GradeColumn, score_judgements
from harness.scoring.reduce import reduce_judgements
from harness.types import Task
from judges.factory import ProfileJudges
from judges.judging import judge_responses
from judges.panel import Panel, make_panels
from judges.response_stream import ResponseStream
from trainers.eval_callback import TrainingEval
from trainers.recipe import AdapterRecipe

MODEL = "in training"


def make_training_eval(
    recipe: AdapterRecipe, root: Path, judges: ProfileJudges, store: Store
) -> TrainingEval | None:
    """Make the evaluation that the recipe names under `watch`; None if it names none.

    The suite is a file, below `root` or anywhere, or a bundled suite by its name. Metrics that
    compare two models are left out.

    Raises:
        HarnessError: no such suite, one that scores no answer by itself, too few items, or a judge
            on another machine.
    """
    if recipe.watch is None:
        return None
    # The metrics that score an answer by itself, and their judges.
    suite, suite_root = load_suite(recipe.watch.suite, search_dir=root)
    metrics = {name: m for name, m in suite.metrics.items() if not m.compares_pairs}
    if not metrics:
        raise HarnessError(
            f"{recipe.recipe}: watch: {recipe.watch.suite} only compares models with one another; a "
            "model in training needs a metric that scores its answers alone."
        )
    for metric in metrics.values():
        if metric.judge is not None:
            _refuse_remote_judge(recipe.recipe, metric.judge, judges.profile)
    suite = suite.model_copy(update={"metrics": metrics, "gate": None})
    request = Request(suite, suite_root, judges.profile, judges.root, models=(MODEL,))
    panels = make_panels(request, judges)
    tasks = [_sample_items(task, recipe.watch.n) for task in plan_tasks(request)]

    def score(model: Any, tokenizer: Any, fingerprint: str) -> Mapping[str, float]:
        candidate = CheckpointModel(MODEL, "", fingerprint)
        candidate.local = LocalModel(model, tokenizer, fingerprint)
        scores: dict[str, float] = {}
        for task in tasks:
            scores |= _score_task(task, candidate, panels, store)
        return scores

    return TrainingEval(recipe.watch.every, score)


def _refuse_remote_judge(recipe: str, judge: str, profile: Profile) -> None:
    """Refuse a judge that is not here: training waits for each score, and its cost is not counted."""
    members = [profile.find_judge(name) for name in profile.members_of(judge)]
    if not all(member.is_on_this_machine for member in members):
        raise HarnessError(
            f"{recipe}: watch: judge '{judge}' is on another machine, recorded or a plug-in. A model in "
            "training is scored by 'offline' and 'local' judges only; choose another profile or suite."
        )


def _sample_items(task: Task, n: int) -> Task:
    """Return the task with the same `n` items each time, a random subset in their order."""
    if len(task.samples) < n:
        raise HarnessError(f"watch: '{task.name}' has {len(task.samples)} items, fewer than {n}.")
    chosen = set(random.Random(0).sample(range(len(task.samples)), n))
    samples = tuple(sample for i, sample in enumerate(task.samples) if i in chosen)
    return task.model_copy(update={"samples": samples, "n_items": n})


def _score_task(
    task: Task, model: CheckpointModel, panels: Mapping[str, Panel], store: Store
) -> dict[str, float]:
    """Compute the mean of each column over the scored items, and the share without a score."""
    # Answer.
    progress = QuietProgress()
    stream = ResponseStream((MODEL,), len(task.samples))
    for response in generate_responses(task, model, store, progress):
        stream.put(response)
    # Judge and score each metric.
    responses, scores = stream.by_model(), {}
    for metric in task.metrics:
        panel = panels[metric]
        rounds = [
            judge_round
            for judge in panel.judges
            for judge_round in judge_responses(task, metric, stream, panel, judge, store, progress)
        ]
        shares = task.metrics[metric].score_kind == "share"
        judgements = reduce_judgements(rounds, panel.votes_needed, shares=shares)
        for column in score_judgements(task, metric, judgements, responses):
            assert isinstance(column, GradeColumn)
            values = [float(v) for v in column.scores[MODEL] if not math.isnan(v)]
            if values:
                scores[column.metric] = math.fsum(values) / len(values)
            if len(values) < len(task.samples):
                scores[f"{column.metric} unscored"] = 1 - len(values) / len(task.samples)
    return scores
