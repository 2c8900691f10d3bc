"""The result of a study: places, costs and what to know before trusting them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

import harness
from harness.analysis.arms import (
    ArmScores,
    Standing,
    arm_mean,
    arm_strengths,
    final_pairs,
    place_arms,
)
from harness.artifacts.scores import read_scores
from harness.core.hashing import environment
from harness.models.model_folder import MANIFEST
from harness.runs.run import FinishedRun
from harness.study.costs import cost_of_arm, mark_fronts
from harness.study.grid import Arm, Grid, Look
from harness.study.statement import Stated
from harness.study.trainings import Trained
from harness.types import ANSWERED_BEFORE, Caveat, Interval
from harness.types.study import ArmPair, StudyArm, StudyLook, StudyResult, StudySaving
from trainers.checkpoint import load_manifest
from trainers.recipe import AdapterRecipe, parent_directory

# Caveats of single runs that a study answers itself, or that are about a comparison with the first arm.
_OF_RUNS_ALONE = {ANSWERED_BEFORE, "plan_changed", "flags_matter", "one_training_each", "limited"}


class Outcome(NamedTuple):
    """What the looks of a study showed; `scores` are each arm's at its last look."""

    standing: Standing
    scores: dict[str, ArmScores]
    looks: list[StudyLook]
    runs: list[FinishedRun]
    dropped: dict[str, int]
    trained: Trained


def conclude_study(
    grid: Grid, looks: Sequence[Look], stated: Stated, outcome: Outcome, started: str
) -> StudyResult:
    """Build the result of a study from what its looks showed."""
    study, ranked = grid.study, _without_problems(outcome)
    means = {name: arm_mean(outcome.scores[name], name) for name in ranked.names}
    estimates = {name: mean.estimate if mean else -np.inf for name, mean in means.items()}
    places = place_arms(ranked, estimates)
    any_scores = next(iter(outcome.scores.values()))
    strengths = _strengths(grid, outcome) if any_scores.preference else {}
    arms = [
        _arm(grid, outcome, name).model_copy(
            update={
                "mean": means[name],
                "strength": strengths.get(name),
                "rank_best": place.best,
                "rank_worst": place.worst,
                "letters": place.letters,
            }
        )
        for name, place in places.items()
    ]
    better = {
        name: frozenset(np.array(ranked.names)[ranked.better[:, i]].tolist())
        for i, name in enumerate(ranked.names)
    }
    arms = list(mark_fronts(arms, better))
    arms += [_arm(grid, outcome, name) for name in grid.names if name in outcome.trained.problems]
    last, shift = outcome.runs[-1].result, 0.5 if any_scores.preference else 0.0
    return StudyResult(
        study=study.study,
        title=study.title,
        suite=grid.suite.suite,
        metric=study.metric,
        low=any_scores.low + shift,
        high=any_scores.high + shift,
        preference=any_scores.preference,
        alpha=study.alpha,
        confidence=1 - study.alpha,
        sentence=_sentence(arms, better),
        arms=tuple(arms),
        pairs=tuple(_pairs(outcome)),
        looks=tuple(outcome.looks),
        saving=_saving(grid, looks, outcome) if len(looks) > 1 else None,
        spend=last.spend,
        currency=study.budget.currency,
        caveats=(*_caveats(grid, outcome, stated), *_caveats_of_run(last.caveats)),
        plan_hash=stated.statement.plan_hash,
        registered=stated.statement.registered,
        changed=stated.others,
        started=started,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        harness_version=harness.__version__,
        environment=environment(),
    )


def _strengths(grid: Grid, outcome: Outcome) -> dict[str, Interval | None]:
    """Return the strengths of the arms that were compared to the end."""
    last = outcome.looks[-1]
    columns = read_scores(outcome.runs[-1].folder)
    return arm_strengths(columns, grid.study.metric, last.arms)


def _pairs(outcome: Outcome) -> Iterator[ArmPair]:
    """Yield the compared pairs of arms with a place: who lost its place wins nothing."""
    for pair in final_pairs(outcome.standing):
        if not {pair.first, pair.second} & outcome.trained.problems.keys():
            yield pair


def _without_problems(outcome: Outcome) -> Standing:
    """Return the standing of the arms that were trained and scored to their end."""
    names = outcome.standing.names
    kept = [i for i, name in enumerate(names) if name not in outcome.trained.problems]
    return outcome.standing._replace(
        names=tuple(names[i] for i in kept), better=outcome.standing.better[np.ix_(kept, kept)]
    )


def _arm(grid: Grid, outcome: Outcome, name: str) -> StudyArm:
    arm, scores = grid.arms.get(name), outcome.scores.get(name)
    seeds = [seed for trained_arm, seed in outcome.trained.models if trained_arm == name]
    trainings = outcome.trained.of_arm(name)
    missing = 0 if scores is None else int(np.isnan(scores.observed[name]).sum())
    spec = None if arm is not None else grid.profile.models[name]
    return StudyArm(
        name=name,
        base=arm.base if arm else "",
        method=arm.method if arm else "",
        rows=arm.rows if arm else None,
        recipe=arm.source if arm else "",
        seeds=tuple(seeds) if arm else spec.seeds if spec else (),
        fingerprints=tuple(one.fingerprint for one in trainings),
        problem=outcome.trained.problems.get(name, ""),
        n_items=0 if scores is None else len(scores.observed[name]),
        n_missing=missing,
        missing_reasons=scores.reasons.get(name, {}) if scores and missing else {},
        dropped_at=outcome.dropped.get(name),
        cost=cost_of_arm(trainings, grid.study.budget.price_per_hour),
    )


def _sentence(arms: Sequence[StudyArm], better: Mapping[str, frozenset[str]]) -> str:
    """Say which arm is better than which others, and which may be the best."""
    ranked = [arm.name for arm in arms if not arm.problem]
    first = [name for name in ranked if not better[name]]
    beaten = [name for name in ranked if better[name]]
    if len(first) == 1:
        others = len(ranked) - 1
        return (
            f"'{first[0]}' is better than {'the other' if others == 1 else f'all {others} others'}."
        )
    listed = ", ".join(f"'{name}'" for name in first)
    if not beaten:
        return f"No arm is told apart from another: {listed}."
    return (
        f"{len(first)} arms may be the best and are not told apart: {listed}. Of the others each is shown to be "
        f"worse than another: {', '.join(repr(name) for name in beaten)}."
    )


def _saving(grid: Grid, looks: Sequence[Look], outcome: Outcome) -> StudySaving:
    n_seeds, n_models = len(grid.study.training_seeds), len(grid.names)
    whole = next(iter(outcome.scores.values()))
    pairs = n_models * (n_models - 1) // 2 if whole.preference else n_models
    done, judged = dict[str, int](), 0
    for look in outcome.looks:
        cells = len(look.seeds) * look.n_items
        n = len(look.arms)
        judged += _new_judgements(n, cells, done, look, preference=whole.preference)
    return StudySaving(
        trainings=len(outcome.trained.models),
        trainings_planned=n_seeds * len(grid.arms),
        judgements=judged,
        judgements_planned=pairs * n_seeds * looks[-1].n_items,
    )


def _new_judgements(
    n_arms: int, cells: int, done: dict[str, int], look: StudyLook, *, preference: bool
) -> int:
    """Return the judgements that a look adds; `done` are the cells that each arm had before."""
    before = max((done.get(name, 0) for name in look.arms), default=0)
    done.update(dict.fromkeys(look.arms, cells))
    units = n_arms * (n_arms - 1) // 2 if preference else n_arms
    return units * (cells - before)


def _caveats(grid: Grid, outcome: Outcome, stated: Stated) -> Iterator[Caveat]:
    for name, why in outcome.trained.problems.items():
        yield Caveat(code="arm_without_result", text=f"'{name}' has no place: {why}")
    if len(grid.study.training_seeds) == 1 and grid.arms:
        yield Caveat(
            code="single_checkpoints",
            text="Each recipe was trained once. Differences are about these checkpoints: how far trainings of one "
            "recipe differ is not known, and another seed may give another order.",
        )
    fixed = sorted({name for arm in grid.arms.values() for name in _trained_once(arm)})
    if fixed:
        yield Caveat(
            code="one_parent",
            text=f"Arms start from what was trained once: {', '.join(fixed)}. The ranking is of recipes on these "
            "parents; what other trainings of them would change is not in the intervals. Name a parent by its recipe, "
            "and the study's seeds reach it.",
        )
    if stated.others:
        yield Caveat(
            code="stated_before",
            text=f"Other studies were stated under this name in this workspace before: "
            f"{', '.join(stated.others)}. A study that was changed after its results were seen is an exploration.",
        )


def _trained_once(arm: Arm) -> Iterator[str]:
    """Yield the checkpoints of trainings of ours that an arm starts from, whatever its seed."""
    for stage in arm.stages(arm.recipe.seed)[-1].lineage():
        if isinstance(stage.recipe, AdapterRecipe) and stage.parent is None:
            folder = Path(parent_directory(stage.recipe.parent, stage.root))
            if (folder / MANIFEST).is_file() and load_manifest(folder).method != "pretrain":
                yield folder.name


def _caveats_of_run(caveats: Sequence[Caveat]) -> Iterator[Caveat]:
    yield from (caveat for caveat in caveats if caveat.code not in _OF_RUNS_ALONE)
