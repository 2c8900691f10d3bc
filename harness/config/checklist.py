"""Checklists: each item brings its own criteria with points, as in HealthBench.

    checklist: {kind: checklist, criteria: rubrics, tags: ["axis:accuracy", "axis:completeness"]}

The column `rubrics` of the items holds `[{criterion, points, tags}]`, or texts of one point each
(`harness.data.criteria`). A judge says of each criterion whether the answer meets it, and
`harness.stats.checklist` makes a score of that.
"""

import math
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.config.judge_prompt import PromptFields
from harness.config.metric_base import JudgedMetric, ScoreKind
from harness.core.yaml_loader import NAME_PATTERN, field_error

MET = "met"  # the key of a criterion's verdict: 1 or 0
WORST = "worst"  # the column with the points of the worst criterion that an answer meets


class ChecklistMetric(JudgedMetric):
    """The points of the criteria that an answer meets, as a share of the item's positive points.

    Negative points subtract, so that each item has a range of its own, and nothing is clipped.
    `criteria` is the column of the items that holds them; of several columns the criteria also have the
    column's name as a tag. Each of the `tags` has a column with the score
    by its criteria alone, on the items in which some of them have positive points. The column `worst` has
    the points of the worst criterion that is met, or 0.

    A judge is asked about one criterion at a time, or with `together` about all of an item at once, which
    makes it another judge. `asks` is the question about each. `lowest` is found by the plan: the least
    score that the items' criteria allow in each column.
    """

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.3  # of the range without negative points
    length_adjusted: ClassVar[bool] = True
    by_criteria: ClassVar[bool] = True
    prompt_fields: ClassVar[PromptFields] = PromptFields(("what_you_see", "asks", "shape"))
    not_judged: ClassVar[frozenset[str]] = JudgedMetric.not_judged | {"criteria", "tags", "lowest"}

    kind: Literal["checklist"]
    criteria: Annotated[str, Field(min_length=1)] | Annotated[tuple[str, ...], Field(min_length=1)]
    tags: tuple[str, ...] = ()
    together: bool = Field(default=False, exclude_if=lambda at_once: not at_once)
    asks: str = Field(default="Does the answer meet this criterion?", min_length=1)
    lowest: dict[str, float] = Field(default={}, exclude_if=lambda found: not found)

    @model_validator(mode="after")
    def _tags_name_columns(self) -> "ChecklistMetric":
        names = list(self.parts)
        for number, tag in enumerate(self.tags):
            part = tag_name(tag)
            if part == WORST or not re.fullmatch(NAME_PATTERN, part):
                raise field_error(f"tags.{number}", f"'{part}' cannot be the name of a column")
            if names.index(part) != number:
                raise field_error(f"tags.{number}", f"a second column would be called '{part}'")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the columns of the items that hold criteria."""
        return (self.criteria,) if isinstance(self.criteria, str) else self.criteria

    @property
    def list_name(self) -> str:
        """Return the name under which an item holds its criteria of these columns."""
        return "+".join(self.sources)

    @property
    def parts(self) -> dict[str, str | None]:
        """Return the columns' names behind the metric's, each with the tag that limits it; all criteria last."""
        return {**{tag_name(tag): tag for tag in self.tags}, WORST: None, "": None}

    @property
    def shows_reference(self) -> bool:
        """Return that the criteria stand in place of a reference."""
        return False

    @property
    def description(self) -> str:
        """Return what is counted, and how the judge is asked."""
        asked = "all at once" if self.together else "one by one"
        return f"points of the item's criteria that are met, asked {asked}: {self.asks}"

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the columns, all of which come from the verdicts on the criteria."""
        parts = [part for part in self.parts if not self.lowest or part in self.lowest]
        return {f"{name}.{part}".removesuffix("."): MET for part in parts}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        return (0.0, 1.0)

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest score of an item: unlimited below until it is planned."""
        return self.bounds_of("")

    def bounds_of(self, column: str) -> tuple[float, float]:
        """Return the least and the greatest score of an item in a column, over the ranges of all items."""
        part = column.partition(".")[2]
        return self.lowest.get(part, -math.inf), 0.0 if part == WORST else 1.0

    def assumed_sd_of(self, column: str) -> float:
        """Return the assumed spread of a score, which rare criteria with many negative points do not widen."""
        worst = column.partition(".")[2] == WORST
        return super().assumed_sd_of(column) if worst else self.assumed_spread

    def covers_all(self, column: str) -> bool:
        """Return whether every item has a score in a column; a tag has those of the items with it."""
        return self.parts[column.partition(".")[2]] is None

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return the score by all criteria."""
        return (name,)


def tag_name(tag: str) -> str:
    """Return the name of a tag's column: `accuracy` for `axis:accuracy`."""
    return tag.rpartition(":")[2]
