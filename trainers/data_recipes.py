"""Recipes that make data to learn from: preference pairs, and the best of several answers."""

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from harness.config import (
    ChecklistMetric,
    Generation,
    Name,
    PairwiseMetric,
    RubricMetric,
    ServeSpec,
    Source,
)
from harness.config.data import JudgedPairFilters, PairFilters
from harness.core.yaml_loader import field_error
from trainers.recipe_parts import Parent, Product, RecipeSpec


class PerPrompt(NamedTuple):
    """Sampling for one prompt: answers, one judge's verdicts, that judge, and the rows it gives."""

    answers: int
    verdicts: int
    judge: str | None
    rows: int


class PairsRecipeSpec(RecipeSpec):
    """The base of recipes that make preference pairs.

    Attributes:
        unjudged: Who chose the better answer of each pair, where no judge did.
    """

    makes: ClassVar[Product] = "preference pairs"
    unjudged: ClassVar[str] = ""


class JudgedPairsRecipe(PairsRecipeSpec):
    """Pairs of two sampled answers of the parent: the one that a judge prefers in both orders is chosen.

    `draws` pairs of answers are sampled for each prompt. The judge may be a jury.
    """

    recipe: Name
    method: Literal["judged_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    draws: int = Field(default=1, ge=1)
    prefer: PairwiseMetric
    filters: JudgedPairFilters = JudgedPairFilters()
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; a judge sees every pair in both orders."""
        verdicts = 2 * self.draws * self.prefer.repeats
        return PerPrompt(2 * self.draws, verdicts, self.prefer.judge, rows=self.draws)


class GoldPairsRecipe(PairsRecipeSpec):
    """Pairs of the reference answer (chosen) and the parent's own answer (rejected)."""

    unjudged: ClassVar = "gold answers"

    recipe: Name
    method: Literal["gold_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    filters: PairFilters = PairFilters()
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; nothing is judged."""
        return PerPrompt(answers=1, verdicts=0, judge=None, rows=1)


class GivenPairsRecipe(PairsRecipeSpec):
    """Existing pairs, from a file that `harness convert --to preference` wrote."""

    unjudged: ClassVar = "whoever made the file"

    recipe: Name
    method: Literal["given_pairs"]
    data: Source
    filters: PairFilters = PairFilters()

    @model_validator(mode="after")
    def _refuse_fields(self) -> "GivenPairsRecipe":
        if self.data.fields:
            raise field_error(
                "data.fields",
                "pairs have fixed columns; `harness convert --to preference` makes them of others",
            )
        return self


class BestOfRecipe(RecipeSpec):
    """Rows of a prompt and the best of the parent's own `n` answers (rejection sampling).

    A judge grades each answer on a rubric, or on a checklist of the row's own criteria. An answer with a
    hygiene flag or without a grade is never the best; the first draw wins a tie.
    """

    makes: ClassVar[Product] = "rows to learn from"

    recipe: Name
    method: Literal["best_of"]
    parent: Parent
    data: Source
    generation: Generation
    n: int = Field(default=4, ge=2)
    grade: RubricMetric | ChecklistMetric = Field(discriminator="kind")
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives: every answer is graded, the best is kept.

        A verdict on a checklist is one on all of a row's criteria.
        """
        return PerPrompt(self.n, self.n * self.grade.repeats, self.grade.judge, rows=1)
