"""What was recorded elsewhere: answers, verdicts and people's labels, and how they are read.

    path: verdicts.jsonl
    fields: {id: question_id, winner: games[0].verdict, rationale: games[0].text}
    values: {winner: {A: baseline, B: candidate, C: tie, "N/A": null}}

`fields` name the columns, and `values` what their words mean. A word that is not stated, and is none
of ours, is no verdict.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from harness.config.base import Name, Spec
from harness.config.data import Source
from harness.config.metrics import HELPFUL_VALUES
from harness.core.errors import did_you_mean
from harness.core.yaml_loader import field_error

Meaning = str | bool | float | None
Values = dict[str, dict[str, Meaning]]
Order = Literal["baseline_first", "candidate_first"]

_WINNERS = ("baseline", "candidate", "tie", "first", "second")
_VERDICT_WORDS = {
    "winner": _WINNERS,
    "order": ("baseline_first", "candidate_first"),
    "label": tuple(HELPFUL_VALUES),
}
_LABEL_WORDS = {"winner": (*_WINNERS, "both_unsafe", "cannot_judge")}
_NAMES = {
    "item",
    "annotator",
    "model",
    "seed",
    "first",
    "second",
    "statement",
}  # fields of labels that hold names


class RecordedAnswers(Source):
    """Recorded answers, joined to the items by `id`, `input` text or `row` number.

    `fields` names the columns: `response`; `id` or `input` where they join; and, if there are
    such, `row`: the number of the item's row, counted from 0; `prompt`: the rendered ChatML prompt,
    which holds the system prompt that was used, `passages`: those that the model was given, as a list, and `failure`: why an answer does not count (the
    request failed, the sample was invalidated), which makes it a missing score and not the worst one.
    """

    join: Literal["id", "input", "row"] = "id"


class OrderPart(Spec):
    """The verdicts in one order of the answers: a file or columns of their own."""

    path: str | None = None
    fields: dict[str, str] = Field(default={})
    where: dict[str, str] = Field(default={})


class RecordedVerdicts(Source):
    """Recorded verdicts, joined to the items by `id` or by `row` number.

    `fields` maps what the metric needs (each criterion; `winner`; `label`) to columns, and `values`
    the words in a column to their meaning; null is no verdict. With `join: row` a field `row` may hold
    the number of the item's row, counted from 0. For pairwise verdicts `order` is the order in which
    the judge saw the answers, and `orders` the columns or file of each of both. `rationale` and
    `reason` are the judge's words, and why a row has no verdict.
    """

    join: Literal["id", "row"] = "id"
    order: Order | None = None
    orders: dict[Order, OrderPart] = Field(default={}, exclude_if=lambda orders: not orders)
    values: Values = Field(default={}, exclude_if=lambda values: not values)

    def _require_origin(self) -> None:
        if not (self.orders and all(part.path for part in self.orders.values())):
            super()._require_origin()
        elif any(origin is not None for origin in (self.path, self.url, self.hub, self.convert)):
            raise ValueError("each of 'orders' has a path; leave the common one out")

    @model_validator(mode="after")
    def _orders_are_stated_once(self) -> "RecordedVerdicts":
        if not self.orders:
            return self
        if len(self.orders) < len(_VERDICT_WORDS["order"]):
            raise field_error("orders", "names one order; write 'order', or name both")
        fields = [self.fields, *(part.fields for part in self.orders.values())]
        if self.order is not None or any("order" in own for own in fields):
            raise field_error("orders", "states the order, and so does 'order'; keep one of them")
        return self

    @model_validator(mode="after")
    def _values_have_a_meaning(self) -> "RecordedVerdicts":
        named = [*self.fields, *(field for part in self.orders.values() for field in part.fields)]
        _check_values(self.values, named, _VERDICT_WORDS)
        return self

    @property
    def parts(self) -> tuple["RecordedVerdicts", ...]:
        """Return the specs of the files or columns of each order, or this one alone."""
        if not self.orders:
            return (self,)
        return tuple(
            self.model_copy(
                update={
                    "orders": {},
                    "order": order,
                    "path": part.path or self.path,
                    "fields": {**self.fields, **part.fields},
                    "where": {**self.where, **part.where},
                }
            )
            for order, part in self.orders.items()
        )


class LabelsFile(Source):
    """People's labels in a file, joined to the items by `item` (their id) or by `row` number.

    `fields` maps `item` (with `join: row` the number of the item's row, counted from 0), `seed` (the training
    seed of the labelled answer, where models have several), `annotator`, `winner`, `model` and the scored criteria to columns; without it the columns have these names. The
    winner is of the run's two models, or of those that `first` and `second` name. With a field `statement` each row
    is on one statement of an answer, by its number or words. `annotators` are
    the columns of each annotator, where a row holds several, and `model` the one that was scored,
    where no column names it. `values` maps the words in a column to their meaning; null is no label.
    """

    join: Literal["item", "row"] = Field(default="item", exclude_if=lambda join: join == "item")
    annotators: dict[str, dict[str, str]] = Field(default={}, exclude_if=lambda named: not named)
    model: Name | None = Field(default=None, exclude_if=lambda model: model is None)
    values: Values = Field(default={}, exclude_if=lambda values: not values)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "LabelsFile":
        own = {field for fields in self.annotators.values() for field in fields}
        named = {*self.fields, *own}
        if self.annotators and "annotator" in named:
            raise field_error(
                "annotators", "name the annotators, and so does the field 'annotator'"
            )
        if self.model is not None and "model" in named:
            raise field_error("model", "names the model, and so does the field 'model'")
        if ("first" in named) != ("second" in named):
            raise field_error(
                "fields", "'first' and 'second' name the two compared models together"
            )
        scores = sorted(named - _NAMES - {"row", "winner", "comment"})
        if scores and self.model is None and "model" not in named:
            raise field_error(
                "fields", f"'{scores[0]}' is a score; name the model that was scored, or its column"
            )
        _check_values(self.values, named or self.values, _LABEL_WORDS)
        return self

    @property
    def named_fields(self) -> bool:
        """Return whether columns are named; without it they have the names of the fields."""
        return bool(self.fields or self.annotators)

    @property
    def meaning(self) -> dict[str, object]:
        """Return everything but the file that decides what its rows say; empty for plain tables."""
        return self.model_dump(
            include={"fields", "where", "join", "annotators", "model", "values"},
            exclude_defaults=True,
        )

    @property
    def columns(self) -> dict[str, str]:
        """Return every named column, with the field that it is for."""
        own = [pair for fields in self.annotators.values() for pair in fields.items()]
        return {column: field for field, column in (*self.fields.items(), *own)}


class PeopleSpec(Spec):
    """Human labels: a `study` of `harness annotate`, or one or several files of `labels`.

    For files, `drawn: random` states that their items were drawn at random from the suite's; without
    it the labels correct no estimate.
    """

    study: str | None = None
    labels: tuple[LabelsFile, ...] = ()
    drawn: Literal["random"] | None = None

    @field_validator(
        "labels", mode="before", json_schema_input_type=str | LabelsFile | tuple[LabelsFile, ...]
    )
    @classmethod
    def _one_or_several(cls, labels: object) -> object:
        """Read a path, or the description of one file, as one of several."""
        if isinstance(labels, str):
            return ({"path": labels},)
        if isinstance(labels, list):
            return tuple(labels)
        return (labels,) if isinstance(labels, dict | LabelsFile) else labels

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "PeopleSpec":
        if (self.study is None) == (not self.labels):
            raise ValueError("name exactly one of 'study' (a folder) or 'labels' (a file)")
        if self.study is not None and self.drawn is not None:
            raise ValueError("a 'study' records how its items were drawn; leave 'drawn' out")
        return self


def _check_values(
    values: Values, fields: Iterable[str], words: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that every word has a meaning that its field can have; any field without words is a number."""
    named = dict.fromkeys(fields)
    for field, meanings in values.items():
        at = f"values.{field}"
        if field not in named:
            raise field_error(at, f"is no field of this file. {did_you_mean(field, named)}")
        folded: dict[str, str] = {}
        for word, meaning in meanings.items():
            other = folded.setdefault(word.casefold(), word)
            if other != word:
                raise field_error(f"{at}.{word}", f"is '{other}' but for case; keep one of them")
            problem = None if field in _NAMES else _meaning_problem(meaning, words.get(field))
            if problem is not None:
                raise field_error(f"{at}.{word}", problem)


def _meaning_problem(meaning: Meaning, words: tuple[str, ...] | None) -> str | None:
    if meaning is None:
        return None
    if words is None:
        return f"'{meaning}' is no number" if isinstance(meaning, str) else None
    return (
        None if meaning in words else f"'{meaning}' is unknown. {did_you_mean(str(meaning), words)}"
    )
