"""Metrics that compare an answer with its reference, or with a form, by a stated rule.

    dose: {kind: match, by: number, tolerance: 5%, after: "Dose:"}

`by` names the rule, and each rule has keys of its own. The scorer is judges/match.py.
"""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from harness.config.metric_base import ComputedMetric, ScoreKind
from harness.core.json_shape import shape_problem
from harness.core.safe_regex import pattern_problem


class MatchMetric(ComputedMetric):
    """The base of all rules: the share of answers that match; of several references any one does."""

    score_kind: ClassVar[ScoreKind] = "share"
    assumed_spread: ClassVar[float] = 0.1**0.5  # one item in ten changes
    rule: ClassVar[str]

    kind: Literal["match"]

    @property
    def description(self) -> str:
        """Return which answers are counted."""
        return f"share of answers that {self.rule}"

    @property
    def needs_reference(self) -> bool:
        """Return whether the rule compares with a reference; most do."""
        return True

    def verdict_keys(self, name: str) -> dict[str, str]:
        return {name: "match"}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        return (0.0, 1.0)


class ExactMatch(MatchMetric):
    """The answer is the reference, character by character but for white space around it."""

    rule: ClassVar[str] = "are the reference, character by character"

    by: Literal["exact"]


class WordMatch(MatchMetric):
    """The answer has the words of the reference: those alone, or among others in this order."""

    reads_words: ClassVar[bool] = True

    by: Literal["normalised", "contains"]

    @property
    def description(self) -> str:
        are = "are" if self.by == "normalised" else "contain"
        return f"share of answers that {are} the reference, in its words and their order"


def _read_tolerance(tolerance: float | str) -> float | str:
    if isinstance(tolerance, str):
        number = tolerance.removesuffix("%").strip()
        digits = number.replace(".", "", 1)
        if tolerance == number or not (digits.isascii() and digits.isdigit() and len(number) < 20):
            raise ValueError("write a number, such as 0.5, or a share of the reference, such as 5%")
    return tolerance


class NumberMatch(MatchMetric):
    """A number of the answer is that of the reference, within a tolerance.

    Compared is the last number of the answer; with `after` the first one behind the last place where these
    words stand. A `tolerance` is a distance, or with a % a share of the reference. `decimal` is the
    decimal mark of references and answers. `percent: hundredth` reads 25 % as 0.25, and not as 25.
    """

    by: Literal["number"]
    tolerance: Annotated[float | str, AfterValidator(_read_tolerance)] = Field(
        default=0.0, union_mode="left_to_right"
    )
    after: str | None = Field(default=None, min_length=1)
    decimal: Literal["point", "comma"] = "point"
    percent: Literal["as_written", "hundredth"] = "as_written"

    @model_validator(mode="after")
    def _a_distance_is_not_negative(self) -> "NumberMatch":
        if isinstance(self.tolerance, float) and self.tolerance < 0:
            raise ValueError(f"the tolerance {self.tolerance:g} is negative")
        if self.after is not None and not self.after.strip():
            raise ValueError("'after' holds only white space")
        return self

    @property
    def mark(self) -> str:
        """Return the decimal mark."""
        return "." if self.decimal == "point" else ","

    @property
    def description(self) -> str:
        """Return which number is compared with what tolerance."""
        place = "last number" if self.after is None else f"number behind '{self.after}'"
        return f"share of answers whose {place} is the reference's, within {self.tolerance}"

    def allowed_distance(self, reference: Decimal) -> Decimal:
        """Return the largest distance from a reference that matches."""
        if isinstance(self.tolerance, str):
            return abs(reference) * Decimal(self.tolerance.removesuffix("%").strip()) / 100
        return Decimal(repr(self.tolerance))


def _read_pattern(pattern: str) -> str:
    problem = pattern_problem(pattern)
    if problem:
        raise ValueError(problem)
    return pattern


class RegexMatch(MatchMetric):
    """A regular expression is found in the answer: `pattern`, or else the item's reference.

    With `whole` it must describe all of the answer but white space around it.
    """

    by: Literal["regex"]
    pattern: Annotated[str, AfterValidator(_read_pattern)] | None = None
    whole: bool = False

    @property
    def description(self) -> str:
        """Return the expression and where it must stand."""
        expression = self.pattern or "the item's regular expression"
        return f"share of answers that {'are' if self.whole else 'contain'} {expression}"

    @property
    def needs_reference(self) -> bool:
        """Return whether each item has an expression of its own."""
        return self.pattern is None


class TokenF1(MatchMetric):
    """The words that answer and reference share: F1 of precision and recall, whatever their order."""

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.15
    reads_words: ClassVar[bool] = True

    by: Literal["token_f1"]

    @property
    def description(self) -> str:
        return "F1 of the words of answer and reference, whatever their order"

    def verdict_keys(self, name: str) -> dict[str, str]:
        return {name: "f1"}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return nothing: values are continuous."""
        return ()


def _read_shape(schema: JsonValue) -> JsonValue:
    problem = shape_problem(schema)
    if problem:
        raise ValueError(problem)
    return schema


class JsonMatch(MatchMetric):
    """The answer is JSON, and of the shape that `json_schema` states.

    Strictly, the whole answer is JSON. `fenced: true` also takes what stands in its only code fence.
    """

    by: Literal["json"]
    json_schema: Annotated[JsonValue, AfterValidator(_read_shape)] = True
    fenced: bool = False

    @property
    def description(self) -> str:
        """Return whether a shape is required."""
        return "share of answers that are JSON" + (
            "" if self.json_schema is True else " of the stated schema"
        )

    @property
    def needs_reference(self) -> bool:
        """Return that the form alone counts."""
        return False


class WordCount(MatchMetric):
    """The answer has as many words as asked for, and one at least.

    A letter of a script without spaces is a word.
    """

    reads_words: ClassVar[bool] = True

    by: Literal["word_count"]
    at_least: int | None = Field(default=None, ge=1)
    at_most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _some_count_is_right_and_some_wrong(self) -> "WordCount":
        if self.at_least is None and self.at_most is None:
            raise ValueError("state 'at_least', 'at_most' or both, in words")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"no answer has at least {self.at_least} and at most {self.at_most} words"
            )
        return self

    @property
    def description(self) -> str:
        limits = [
            f"at least {self.at_least}" if self.at_least is not None else "",
            f"at most {self.at_most}" if self.at_most is not None else "",
        ]
        return f"share of answers of {' and '.join(filter(None, limits))} words"

    @property
    def needs_reference(self) -> bool:
        """Return that the form alone counts."""
        return False


MatchKind = Annotated[
    ExactMatch | WordMatch | NumberMatch | RegexMatch | TokenF1 | JsonMatch | WordCount,
    Field(discriminator="by"),
]
