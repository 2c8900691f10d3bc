"""Data sources, conversions, decoding options and the filters of preference pairs."""

from typing import Literal

from pydantic import Field, model_validator

from harness.config.base import Name, Sha256, Spec
from harness.core.yaml_loader import field_error

Thoughts = Literal["drop", "keep"]  # what becomes of a model's thoughts


class Generation(Spec):
    """The system prompt and the decoding options. `temperature: 0` is greedy decoding.

    `thoughts: drop` leaves the thoughts of a reasoning model out of its answer; with `keep` they are
    scored and judged as part of it. The model is asked the same either way.

    `thinking` sets the switch that some chat templates have; without it, the template's default holds.
    Thoughts may take `max_thinking_tokens` beside the answer's `max_new_tokens`: together they limit a
    response.
    """

    system: str | None = None
    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int = 1
    thoughts: Thoughts = Field(default="drop", exclude_if=lambda rule: rule == "drop")
    thinking: bool | None = Field(default=None, exclude_if=lambda switch: switch is None)
    max_thinking_tokens: int | None = Field(
        default=None, ge=1, exclude_if=lambda limit: limit is None
    )

    @model_validator(mode="after")
    def _only_thoughts_take_tokens(self) -> "Generation":
        if self.max_thinking_tokens is not None and self.thinking is False:
            raise field_error("max_thinking_tokens", "has no use beside 'thinking: false'")
        return self

    @property
    def max_tokens(self) -> int:
        """Return the most tokens of a response, thoughts and answer together."""
        return self.max_new_tokens + (self.max_thinking_tokens or 0)

    @property
    def template_options(self) -> dict[str, bool]:
        """Return the variables of chat templates that switch thinking; none where nothing is stated.

        `enable_thinking` is the name in Qwen3, SmolLM3, GLM 4.5 and others, `thinking` in Granite 3.2
        and DeepSeek V3.1; a template reads its own and ignores the other.
        """
        switch = self.thinking
        return {} if switch is None else {"enable_thinking": switch, "thinking": switch}


Kind = Literal["sft", "preference", "labelled", "questions", "corpus"]
Dedupe = Literal["row", "question", "normalised", "none"]
Side = Literal["train", "eval"]


class ConvertOptions(Spec):
    """The options of a conversion.

    `fields` name the columns of a plain table; `min_words` and `max_words` apply to answers.
    `dedupe` keeps the first of equal rows, of rows with the same question, or of rows whose
    questions differ in case, punctuation, spacing and Unicode form only. `without` is a file of
    ids to leave out; `split` is the share of questions for evaluation.
    """

    to: Kind
    source_format: str | None = None
    fields: dict[str, str] = Field(default={})
    system: str | None = None
    without: str | None = None
    min_words: int | None = Field(default=None, ge=0)
    max_words: int | None = Field(default=None, ge=1)
    dedupe: Dedupe = "row"
    take: int | None = Field(default=None, ge=1)
    split: float | None = Field(default=None, gt=0.0, lt=1.0)
    seed: int = 1
    strict: bool = False


class Conversion(ConvertOptions):
    """The output of `harness convert` on `source`: a data file, or a YAML file that names a source.

    It is built on first use and kept. With a `split`, `side` selects one of the two parts.
    """

    source: str
    side: Side | None = None

    @model_validator(mode="after")
    def _a_split_has_sides(self) -> "Conversion":
        if (self.split is None) != (self.side is None):
            raise ValueError("'split' and 'side' (train or eval) go together")
        return self


class Source(Spec):
    """A table of rows: a path, a URL pinned by sha256, a hub data set, or a conversion's output.

    `local` is the path of a pinned source below `HARNESS_DATA_DIR`, to save the download. A hub data set
    has a `split`, and may have a `subset`. Without a `format` the file's ending decides, a `.gz` after it aside. `fields` maps each
    field to a column; `where` keeps only the rows with these values, `where_any` those with one of several.
    `phi` marks protected health information, which is sent to another machine only where that is allowed.
    """

    path: str | None = None
    url: str | None = None
    sha256: Sha256 | None = None
    hub: str | None = None
    subset: str | None = Field(default=None, exclude_if=lambda name: name is None)
    revision: str | None = None
    split: str = "train"
    convert: Conversion | None = Field(default=None, exclude_if=lambda made: made is None)
    local: str | None = None
    format: Literal["csv", "json", "jsonl", "parquet", "xlsx"] | None = None
    fields: dict[str, str] = Field(default={})
    where: dict[str, str] = Field(default={})
    where_any: dict[str, tuple[str, ...]] = Field(default={}, exclude_if=lambda values: not values)
    phi: bool = False

    @model_validator(mode="after")
    def _has_an_origin(self) -> "Source":
        self._require_origin()
        return self

    def _require_origin(self) -> None:
        """Check that the rows have exactly one origin, which cannot change unseen."""
        origins = (self.path, self.url, self.hub, self.convert)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError(
                "name exactly one of 'path', 'url' (with sha256), 'hub' (with revision) or 'convert'"
            )
        if self.url is not None and self.sha256 is None:
            raise ValueError(
                "a 'url' needs the 'sha256' of the file, so that it cannot change unseen"
            )
        if self.hub is not None and self.revision is None:
            raise ValueError("a 'hub' data set needs a 'revision', so that it cannot change unseen")

    @model_validator(mode="after")
    def _some_value_is_kept(self) -> "Source":
        for key, values in self.where_any.items():
            if not values:
                raise field_error(f"where_any.{key}", "names no value, so that no row is kept")
            if key in self.where:
                raise field_error(f"where_any.{key}", "stands under 'where' too; name it once")
        return self

    @property
    def condition(self) -> str:
        """Return which rows are kept: `split = test, subject = anatomy or virology`; empty for all."""
        several = {key: " or ".join(values) for key, values in self.where_any.items()}
        return ", ".join(f"{key} = {value}" for key, value in {**self.where, **several}.items())

    @property
    def label(self) -> str:
        """Return a short name that pins the content: a path, or a file or data set at a version."""
        if self.convert is not None:
            side = f", {self.convert.side}" if self.convert.side else ""
            return f"{self.convert.source} (converted{side})"
        if self.url is not None and self.sha256 is not None:
            return f"{self.url.rsplit('/', 1)[-1]} (sha256 {self.sha256[:12]})"
        return self.path or f"hub:{self.hub}@{self.revision}"


EqualAnswers = Literal["flagged", "expected"]


class Take(Spec):
    """A seeded random subset of `n` items."""

    n: int = Field(ge=1)
    seed: int


class DataSpec(Spec):
    """The items of a suite: a data set that the profile binds by `name`, or one `source`.

    `slices` are columns of the data; the report compares the models on the items of each value in
    them, so that a gain on the whole cannot hide a loss on a part. `keep` are columns that go along into
    the tables for analysts, and decide nothing. Each item is asked `answers`
    times; the item stays the unit of every test. Answers that also answer other questions are flagged
    and stop a pass, unless such `equal_answers` are expected, as where all requests are to be refused.
    """

    name: Name | None = None
    source: Source | None = None
    take: Take | None = None
    slices: tuple[str, ...] = Field(default=(), exclude_if=lambda columns: not columns)
    keep: tuple[str, ...] = Field(default=(), exclude_if=lambda columns: not columns)
    answers: int = Field(default=1, ge=1, le=20, exclude_if=lambda n: n == 1)
    equal_answers: EqualAnswers = Field(
        default="flagged", exclude_if=lambda equal: equal == "flagged"
    )

    @model_validator(mode="after")
    def _name_or_source(self) -> "DataSpec":
        if (self.name is None) == (self.source is None):
            raise ValueError("name exactly one of 'name' (bound by the profile) or 'source'")
        return self


class PairFilters(Spec):
    """Limits on the length of the answers of a preference pair, in words.

    `min_words` and `max_words` apply to both answers; `max_length_ratio` limits the longer answer
    to that multiple of the shorter one. A character of a script without spaces is a word.
    """

    min_words: int = Field(default=0, ge=0)
    max_words: int | None = Field(default=None, ge=1)
    max_length_ratio: float | None = Field(default=None, ge=1.0)

    @model_validator(mode="after")
    def _some_length_is_allowed(self) -> "PairFilters":
        if self.max_words is not None and self.max_words < self.min_words:
            raise field_error("max_words", f"is below min_words {self.min_words}: no pair is left")
        return self


class JudgedPairFilters(PairFilters):
    """Limits on the length of the answers and on the agreement of judges, orders and rounds.

    The margin of a pair is the share of all verdicts for the chosen answer less the share for the
    rejected one; ties are for neither. A single judge asked once has the margin 1 on every pair.
    """

    min_margin: float = Field(default=0.0, ge=0.0, le=1.0)
