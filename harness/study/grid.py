"""The arms of a study file: recipes with their changes, and the request of a run that compares them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import ModelSpec, PairwiseMetric, Profile, load_profile, load_suite, metric_of
from harness.config.request import Request, check_request
from harness.config.study import Base, StudySpec, load_study
from harness.config.suite import Suite
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.core.yaml_loader import Document, read_yaml
from harness.data.tasks import plan_tasks
from harness.types import Task
from trainers.recipe import PretrainRecipe, TrainingRecipe, change_recipe, find_recipe
from trainers.recipe_graph import (
    RecipeStage,
    TrainingSeed,
    recipe_graph,
    require_policy_recipe,
    require_servable,
)

# Keys of a recipe that stand in for each other: to change one is to leave out the other.
_SAME_PLACE = {"adapter": "lora", "lora": "adapter"}


class Arm(NamedTuple):
    """One recipe of the grid. `source` is the recipe's name with what is changed, in words."""

    name: str
    base: str
    method: str
    rows: int | None
    recipe: TrainingRecipe
    root: Path
    source: str

    def stages(self, seed: int) -> list[RecipeStage]:
        """Return what is made for one training: the parents too have its seed; the arm's own stage is last."""
        return recipe_graph(self.recipe, self.root, seed=TrainingSeed(seed))


class Look(NamedTuple):
    """What is there at a look: training seeds, and the number of items; None for all of them."""

    number: int
    seeds: tuple[int, ...]
    limit: int | None
    n_items: int


class Grid(NamedTuple):
    """A study with everything that it names, read and checked; `arms` are by name.

    What a run refuses without consent may be allowed: items that are in the training data, and protected data
    at endpoints elsewhere. `serve` and `by_batch` say how answers are got, as in a run.
    """

    study: StudySpec
    arms: Mapping[str, Arm]
    suite: Suite
    suite_root: Path
    profile: Profile
    profile_root: Path
    allow_contamination: bool = False
    allow_remote_phi: bool = False
    by_batch: bool = False
    serve: str | None = None
    serve_options: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all that is ranked: the arms, then the models of the profile."""
        return (*self.arms, *self.study.models)

    @property
    def stated(self) -> str:
        """Return a hash of everything that decides the ranking."""
        study = self.study.model_dump(mode="json", exclude={"title", "budget"})
        seed = self.study.training_seeds[0]
        recipes = [
            [arm.name, *(stage.recipe for stage in arm.stages(seed))] for arm in self.arms.values()
        ]
        models = [self.profile.models[name] for name in self.study.models]
        return content_hash(study, self.suite, recipes, models, self.ranked_task.items_hash)

    def request(self, names: Sequence[str], look: Look) -> Request:
        """Return the request of a run of some of the arms.

        Raises:
            HarnessError: the suite, the profile and the arms do not fit each other.
        """
        specs = {name: self._spec(name, look.seeds) for name in self.names}
        profile = self.profile.model_copy(update={"models": {**self.profile.models, **specs}})
        profile = profile.served_by(self.serve, self.serve_options)
        return check_request(
            Request(
                suite=self.suite.model_copy(update={"gate": None}),
                suite_root=self.suite_root,
                profile=profile,
                profile_root=self.profile_root,
                models=tuple(names),
                limit=look.limit,
                allow_contamination=self.allow_contamination,
                allow_remote_phi=self.allow_remote_phi,
                by_batch=self.by_batch,
                order_seed=self.study.order_seed if self.study.looks else None,
            )
        )

    def _spec(self, name: str, seeds: tuple[int, ...]) -> ModelSpec:
        several = seeds if len(seeds) > 1 else ()
        if name in self.arms:
            return ModelSpec(recipe=self.arms[name].source, seeds=several)
        spec = self.profile.find_model(name)
        return spec.model_copy(update={"seeds": several}) if spec.seeds else spec

    @property
    def ranked_task(self) -> Task:
        """Return the items on which the arms are ranked, each once."""
        look = Look(0, (), None, 0)
        tasks = plan_tasks(self.request(self.names, look)._replace(models=self.names))
        return next(task for task in tasks if metric_of(self.study.metric) in task.metrics)

    def looks(self, n_items: int) -> list[Look]:
        """Return the looks at so many items; the last has all of them and every seed.

        Raises:
            HarnessError: a look shows nothing more than the one before it.
        """
        seeds = self.study.training_seeds
        looks = [
            Look(number, seeds[: spec.seeds], share, share)
            for number, spec in enumerate(self.study.looks, start=1)
            for share in [math.ceil(spec.items * n_items)]
        ]
        looks.append(Look(len(looks) + 1, seeds, None, n_items))
        for one, following in pairwise(looks):
            if (one.n_items, one.seeds) == (following.n_items, following.seeds):
                raise HarnessError(
                    f"study '{self.study.study}': looks: look {one.number} and the one after it would both have "
                    f"{one.n_items:,} of {n_items:,} items and the same seeds. Leave one out."
                )
        return looks


def load_grid(
    path_or_name: str,
    *,
    allow_contamination: bool = False,
    allow_remote_phi: bool = False,
    by_batch: bool = False,
    serve: str | None = None,
    serve_options: Iterable[str] = (),
) -> Grid:
    """Read a study with its recipes, suite and profile, and check all of them; options are as those of a run.

    Raises:
        HarnessError: a mistake in one of the files, with its line.
    """
    study, file = load_study(path_or_name)
    suite, suite_root = load_suite(study.suite, search_dir=_suites_beside(file, study.suite))
    profile, profile_root = load_profile(study.profile)
    arms = {arm.name: arm for arm in _make_arms(study, file)}
    _refuse_equal_recipes(arms.values(), file)
    grid = Grid(
        study=study,
        arms=arms,
        suite=suite,
        suite_root=suite_root,
        profile=profile,
        profile_root=profile_root,
        allow_contamination=allow_contamination,
        allow_remote_phi=allow_remote_phi,
        by_batch=by_batch,
        serve=serve,
        serve_options=tuple(serve_options),
    )
    _check_metric(grid, file)
    _check_models(grid, file)
    models = grid.request(grid.names, Look(0, (), None, 0)).profile.models
    for name, arm in grid.arms.items():
        require_servable(arm.stages(arm.recipe.seed)[-1], models[name].serve, f"arm '{name}'")
    return grid


def _suites_beside(file: Path, suite: str) -> Path:
    """Return the folder in which a study's suite is looked for first: its own, or that of bundled loops."""
    loops = file.parent.parent / "loops"
    return (
        loops if not (file.parent / suite).is_file() and (loops / suite).is_file() else file.parent
    )


def _refuse_equal_recipes(arms: Iterable[Arm], file: Path) -> None:
    """Refuse one recipe under two names: of the same seeds come the same checkpoints, told apart by nothing."""
    known: dict[str, str] = {}
    for arm in arms:
        key = arm.stages(arm.recipe.seed)[-1].key
        if key in known:
            raise HarnessError(
                f"{file}: methods: '{known[key]}' and '{arm.name}' are the same recipe, and its seeds would give the same "
                "checkpoints twice. Remove one; how far trainings of one recipe differ is shown by its seeds."
            )
        known[key] = arm.name


def _check_metric(grid: Grid, file: Path) -> None:
    study, metrics = grid.study, grid.suite.metrics
    columns = [column for name, metric in metrics.items() for column in metric.columns(name)]
    if study.metric not in columns:
        hint = did_you_mean(study.metric, columns)
        raise HarnessError(f"{file}: metric: '{study.metric}' is not measured by the suite. {hint}")
    metric = metrics[metric_of(study.metric)]
    if isinstance(metric, PairwiseMetric) and metric.pairs != "all" and len(grid.names) > 2:
        raise HarnessError(
            f"{file}: metric: '{study.metric}' compares every model with the first alone. Say 'pairs: all' "
            "in its suite, so that every two arms are compared."
        )


def _check_models(grid: Grid, file: Path) -> None:
    for name in grid.arms:
        if name in grid.profile.models:
            raise HarnessError(
                f"{file}: the arm '{name}' has the name of a model of the profile. Rename the method."
            )
    for name in grid.study.models:
        seeds = grid.profile.find_model(name).seeds
        if seeds and seeds != grid.study.training_seeds:
            raise HarnessError(
                f"{file}: model '{name}' has the training seeds {', '.join(map(str, seeds))} in the profile. "
                "State the same 'seeds' in the study."
            )


# --- arms ------------------------------------------------------------------------------------


def _make_arms(study: StudySpec, file: Path) -> Iterator[Arm]:
    written = read_yaml(file)
    names = iter(study.arm_names)
    bases: dict[str, Base | None] = {**study.bases} or {"": None}
    for base, parent in bases.items():
        for method, changes in study.methods.items():
            for rows in study.rows or (None,):
                name = next(names)
                yield _make_arm(name, base, parent, method, changes, rows, study, file, written)


def _make_arm(
    name: str,
    base: str,
    parent: Base | None,
    method: str,
    changes: Mapping[str, Any],
    rows: int | None,
    study: StudySpec,
    file: Path,
    written: Document,
) -> Arm:
    source = changes.get("recipe", study.recipe)
    path = find_recipe(source, search_dir=file.parent)
    changed = {key: value for key, value in changes.items() if key != "recipe"}
    recipe_file = read_yaml(path)
    assert isinstance(recipe_file.data, dict)
    data = _change(recipe_file.data, changed)
    if parent is not None:
        data["parent"] = _as_parent(parent, file.parent)
    if rows is not None:
        data["rows"] = rows
    lines = _lines(written, ("methods", method), recipe_file)
    recipe = change_recipe(Document(data, lines), path, file)
    kind = require_policy_recipe(recipe, str(source))
    if isinstance(kind, PretrainRecipe):
        raise HarnessError(
            f"{file}: methods.{method}: '{source}' trains a base model from nothing, and an arm starts from one."
        )
    recipe_graph(kind, path.parent)  # what it needs is there
    words = f"{source} with {method}" if changed else str(source)
    return Arm(name, base, method, rows, kind, path.parent, words)


def _change(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's data with changes: of `trainer` key by key, of all else as a whole."""
    changed = dict(recipe)
    for key, value in changes.items():
        if key == "trainer" and isinstance(value, dict) and isinstance(recipe.get(key), dict):
            changed[key] = {**recipe[key], **value}
            continue
        changed.pop(_SAME_PLACE.get(key, ""), None)
        changed[key] = value
    return json.loads(json.dumps(changed))  # type: ignore[no-any-return]  # a copy, as plain data


def _as_parent(base: Base, folder: Path) -> dict[str, str]:
    """Return a base as the parent of a recipe, with a folder that is relative to the study's resolved."""
    stated = {key: value for key, value in base.model_dump().items() if value is not None}
    here = folder / (base.checkpoint or base.recipe or "")
    if here.exists():
        stated["checkpoint" if base.checkpoint else "recipe"] = str(here.resolve())
    return stated


def _lines(
    written: Document, at: tuple[str, ...], recipe: Document
) -> dict[tuple[str | int, ...], int]:
    """Return the line in the study of every value of a changed recipe; of what is unchanged, the method's."""
    line = written.lines.get(at, 1)
    own = {loc[len(at) :]: n for loc, n in written.lines.items() if loc[: len(at)] == at}
    return dict.fromkeys(recipe.lines, line) | own
