"""A study: recipes compared with each other, as a grid of bases, methods, amounts of data and seeds.

    study: tiny_methods
    suite: tiny_develop.yaml
    metric: rubric.composite
    recipe: tiny/sft.yaml
    methods:
      rank_8: {lora: {r: 8, alpha: 16}}
      rank_32: {}
    seeds: 3
    looks: [{items: 0.5}]

An arm is one base, method and number of rows; it is trained once with each seed. A method states what of the recipe
it changes. Names of suites and recipes are files in the study's folder, or those that come with the harness.
"""

from collections import Counter
from pathlib import Path

from pydantic import Field, JsonValue, model_validator

from harness.config.base import Name, Spec
from harness.config.loading import find_config
from harness.core.paths import bundle_root
from harness.core.yaml_loader import field_error, load_spec

LEAST_SEEDS = (
    3  # of which a variance between trainings is estimated; see harness.stats.arm_differences
)


class Base(Spec):
    """A model that training starts from: a recipe, or a folder or hub name with its revision.

    A folder is relative to the study's own.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "Base":
        if (self.recipe is None) == (self.checkpoint is None):
            raise ValueError("name exactly one of 'recipe' or 'checkpoint'")
        return self


class LookSpec(Spec):
    """A look before the last: the share of the items that is judged by then, and the seeds trained."""

    items: float = Field(gt=0.0, lt=1.0)
    seeds: int | None = Field(default=None, ge=LEAST_SEEDS)


class StudyBudget(Spec):
    """The most that the study may take: money for endpoints, hours of training in all.

    `price_per_hour` is that of the machine which trains, for the cost of each arm.
    """

    max_cost: float | None = Field(default=None, ge=0.0)
    training_hours: float | None = Field(default=None, gt=0.0)
    price_per_hour: float | None = Field(default=None, ge=0.0)
    currency: str = "USD"


class StudySpec(Spec):
    """A grid of recipes under one suite, and the column by which they are ranked.

    `methods` are changes of the recipe by name: keys of `trainer` are changed one by one, any other key as
    a whole; `recipe` names another recipe to change. `models` of the profile are ranked too, as they are.
    `alpha` bounds the chance that any arm is wrongly said to be better than another.
    """

    study: Name
    title: str = ""
    suite: str
    profile: str = "tiny"
    metric: str
    recipe: str | None = None
    bases: dict[Name, Base] = Field(default={})
    methods: dict[Name, dict[str, JsonValue]] = Field(default={})
    rows: tuple[int, ...] = ()
    seeds: int | tuple[int, ...] = LEAST_SEEDS
    models: tuple[Name, ...] = ()
    looks: tuple[LookSpec, ...] = ()
    order_seed: int = 1
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    budget: StudyBudget = StudyBudget()

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """Return the training seeds: 1 to N where their number is given."""
        return tuple(range(1, self.seeds + 1)) if isinstance(self.seeds, int) else self.seeds

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Return the names of all arms: of what varies, base, method and rows, then the models."""
        grid = [
            "-".join(
                part
                for part, named in (
                    (base, len(self.bases) > 1),
                    (method, True),
                    (f"{rows}rows", bool(self.rows)),
                )
                if named
            )
            for base in self.bases or ("",)
            for method in self.methods
            for rows in self.rows or (None,)
        ]
        return (*grid, *self.models)

    @model_validator(mode="after")
    def _seeds_show_their_spread(self) -> "StudySpec":
        seeds = self.training_seeds
        if len(set(seeds)) < len(seeds):
            raise field_error("seeds", "names a seed twice")
        if len(seeds) != 1 and len(seeds) < LEAST_SEEDS:
            raise field_error(
                "seeds",
                f"needs {LEAST_SEEDS} at least, as two trainings do not show how far trainings differ; or 1, "
                "for a study of single checkpoints, which says nothing of recipes",
            )
        return self

    @model_validator(mode="after")
    def _rows_differ(self) -> "StudySpec":
        if any(n < 1 for n in self.rows) or len(set(self.rows)) < len(self.rows):
            raise field_error("rows", "are different numbers of rows, 1 at least")
        return self

    @model_validator(mode="after")
    def _every_method_has_a_recipe(self) -> "StudySpec":
        for name, changes in self.methods.items():
            if not isinstance(changes.get("recipe", self.recipe or ""), str):
                raise field_error(f"methods.{name}.recipe", "names a recipe's file")
            if self.recipe is None and "recipe" not in changes:
                raise field_error(f"methods.{name}", "needs a 'recipe', as the study names none")
            for key in ("seed", "rows", "parent"):
                if key in changes:
                    raise field_error(f"methods.{name}.{key}", _VARIED[key])
        return self

    @model_validator(mode="after")
    def _arms_have_names_of_their_own(self) -> "StudySpec":
        names = self.arm_names
        for name, n in Counter(names).items():
            if n > 1:
                raise field_error("methods", f"two arms would be called '{name}'; rename one")
            if len(name) > 64:
                raise field_error("methods", f"'{name}' is longer than 64; shorten its parts")
        if len(names) < 2:
            raise field_error("methods", "a study compares two arms at least, and this has one")
        return self

    @model_validator(mode="after")
    def _looks_go_on(self) -> "StudySpec":
        items, seeds = 0.0, 0
        for number, look in enumerate(self.looks):
            now = look.seeds or len(self.training_seeds)
            if now > len(self.training_seeds):
                raise field_error(f"looks.{number}.seeds", "are more than the study's")
            if look.items < items or now < seeds or (look.items, now) == (items, seeds):
                raise field_error(f"looks.{number}", "must have more items or seeds than before")
            items, seeds = look.items, now
        return self


_VARIED = {
    "seed": "is varied by the study: see its 'seeds'",
    "rows": "are varied by the study: see its 'rows'",
    "parent": "is varied by the study: see its 'bases'",
}


def load_study(path_or_name: str) -> tuple[StudySpec, Path]:
    """Read a study; return it with its file.

    Raises:
        HarnessError: no such study, or a mistake in it with its line.
    """
    path = find_config(path_or_name, "study", bundle_root() / "suites" / "studies", known_studies())
    return load_spec(path, StudySpec), path


def known_studies() -> list[str]:
    """Return the names of the studies that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites" / "studies").glob("*.yaml"))
