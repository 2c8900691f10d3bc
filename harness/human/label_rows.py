"""Labels in the rows of tables, as one annotator's judgement of an item each.

    long   item, annotator, winner, model and scores, one row for each label
    wide   one row for each item, with columns of each annotator

What a file calls its columns and words is stated in its spec (`LabelsFile`). A word that is not
stated, and is none of ours, is refused with its line: what it means is never guessed.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from statistics import fmean
from typing import NamedTuple

from harness.config import LabelsFile
from harness.core.errors import HarnessError, did_you_mean
from harness.data.tables import Row, Table, find_joined, join_key, require_row_number, text_of
from harness.data.words import Stated, Words, find_meaning, fold_words
from harness.types import Order, Winner
from harness.types.samples import seed_suffix

UNNAMED_ANNOTATOR = "people"  # the annotator of a table without a column of that name
RowIds = Callable[[], Mapping[str, str]]  # an item's id by the number of its row

_WINNERS: dict[str, Winner | None] = {
    "baseline": "baseline",
    "candidate": "candidate",
    "tie": "tie",
    "both_unsafe": "tie",
    "cannot_judge": None,
}
_PLACES: dict[str, Winner] = {"first": "baseline", "second": "candidate"}  # of the named models
_BOOLEANS = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
_NO_SCORES = {"item", "annotator", "winner", "model", "comment"}
_OTHER_FIELDS = {"row", "seed", "first", "second"}  # only of a spec that names its fields
STATEMENT = "statement"  # the field of a statement's number or words


class Label(NamedTuple):
    """One annotator's judgement of one item: the winner, or scores by model and criterion.

    `asked_winner` distinguishes "cannot judge" (a winner of None) from labels with scores only.
    `order` is the order in which the answers were shown, None where it is unknown. `unsafe` marks
    a tie between two unsafe answers. `lines` are file and line of the scores of each model, of labels
    from a file. `statements` are the scores of each statement of a model's answer, where rows are on
    them: their mean is the answer's score. `compared` are the models of the winner, as baseline and candidate, where the file
    names them; otherwise they are the run's.
    """

    sample_id: str
    annotator: str
    winner: Winner | None = None
    asked_winner: bool = False
    scores: Mapping[str, Mapping[str, float]] = {}
    order: Order | None = None
    unsafe: bool = False
    lines: Mapping[str, str] = {}
    statements: Mapping[str, Mapping[str, Mapping[str, float]]] = {}
    compared: tuple[str, str] | None = None


def read_labels(
    tables: Iterable[tuple[LabelsFile, Table]], row_ids: RowIds | None
) -> tuple[Label, ...]:
    """Read the labels of files; an annotator judges a pair, and scores a model, once in all of them.

    Raises:
        HarnessError: a column is missing, or a row is no label.
    """
    labels: dict[tuple[str, str, frozenset[str]], Label] = {}
    for spec, table in tables:
        _Rows(spec, table, row_ids).add_to(labels)
    return tuple(labels.values())


class _Rows:
    """The rows of one file, and how its spec reads them."""

    def __init__(self, spec: LabelsFile, table: Table, row_ids: RowIds | None) -> None:
        self._spec, self._table = spec, table
        self._words: Words = fold_words(spec.values)
        self._annotators = _fields_by_annotator(spec, table)
        for fields in self._annotators.values():
            _require_fields(spec, table, fields)
        self._ids = _require_ids(table, row_ids)() if spec.join == "row" else {}

    def add_to(self, labels: dict[tuple[str, str, frozenset[str]], Label]) -> None:
        """Add the labels of every row, and of every annotator in it."""
        for number, (line, row) in enumerate(zip(self._table.lines, self._table.rows, strict=True)):
            for name, fields in self._annotators.items():
                cells = _Cells(row, fields, self._words, f"{self._table.origin}:{line}")
                item = self._item(cells, number) + _seed_suffix(cells)
                annotator = name or cells.name("annotator") or UNNAMED_ANNOTATOR
                _add_winner(labels, cells, item, annotator)
                model = self._spec.model or cells.name("model")
                # An empty cell of a row of one label is an answer; one of several in a row is none.
                if model and (not name or any(cells.word(f) for f in cells.score_fields)):
                    _add_scores(labels, cells, item, annotator, model)

    def _item(self, cells: "_Cells", number: int) -> str:
        if self._spec.join == "item":
            item = join_key(cells.get("item"))
            if not item.strip():
                raise HarnessError(
                    f"{cells.where}: has no '{cells.fields['item']}' to join labels by."
                )
            return item
        key = join_key(cells.get("row")) if "row" in cells.fields else str(number)
        require_row_number(key, cells.where)
        return find_joined(self._ids, key) or f"row {key}"


def _seed_suffix(cells: "_Cells") -> str:
    """Return how the copy of an item that one training seed's model answered is named; empty without a seed."""
    if "seed" not in cells.fields:
        return ""
    seed = text_of(cells.get("seed"))
    if not seed.isdecimal():
        raise HarnessError(f"{cells.where}: seed '{seed}' is no whole number.")
    return seed_suffix(int(seed))


class _Cells(NamedTuple):
    """What one row says for one annotator, by field."""

    row: Row
    fields: Mapping[str, str]
    words: Words
    where: str

    def get(self, field: str) -> object:
        return self.row.get(self.fields[field]) if field in self.fields else None

    def stated(self, field: str) -> Stated | None:
        if field not in self.fields:
            return None
        return find_meaning(self.get(field), self.words.get(field, {}))

    def name(self, field: str) -> str:
        stated = self.stated(field)
        return text_of(self.get(field)) if stated is None else stated.text

    def word(self, field: str) -> str:
        """Return a cell in lower case; empty where the spec states that it is no label."""
        stated = self.stated(field)
        if stated is not None and stated.meaning is None:
            return ""
        return (text_of(self.get(field)) if stated is None else stated.text).casefold()

    @property
    def score_fields(self) -> Iterator[str]:
        named = _NO_SCORES | _OTHER_FIELDS | {STATEMENT}
        return (field for field in self.fields if field not in named)


def _fields_by_annotator(spec: LabelsFile, table: Table) -> dict[str, Mapping[str, str]]:
    """Return the columns of each field by annotator; the empty name where a column may name them."""
    if not spec.named_fields:
        columns = [c for c in table.columns if c not in _OTHER_FIELDS or spec.join == "row"]
        return {"": {column: column for column in columns}}
    if not spec.annotators:
        return {"": spec.fields}
    return {name: {**spec.fields, **own} for name, own in spec.annotators.items()}


def _require_fields(spec: LabelsFile, table: Table, fields: Mapping[str, str]) -> None:
    for field, column in fields.items():
        table.column(column, f"field '{field}'")
    if spec.join == "item" and "item" not in fields:
        raise HarnessError(
            f"{table.origin}: has no column 'item'. {did_you_mean('item', table.columns)} The columns of a "
            "label file are item, annotator (where there are several), and winner, or model with "
            "scores; 'fields' may give them other names."
        )
    has_scores = any(True for _ in _Cells({}, fields, {}, "").score_fields)
    scored = ("model" in fields or spec.model is not None) and has_scores
    if "winner" not in fields and not scored:
        raise HarnessError(
            f"{table.origin}: has neither a column 'winner' nor a column 'model' with scores."
        )


def _require_ids(table: Table, row_ids: RowIds | None) -> RowIds:
    if row_ids is None:
        raise HarnessError(f"{table.origin}: labels joined by row need the items of a run.")
    return row_ids


def _add_winner(
    labels: dict[tuple[str, str, frozenset[str]], Label], cells: _Cells, item: str, annotator: str
) -> None:
    """Add the winner of a row, if it has one."""
    word = cells.word("winner")
    if not word:
        return
    compared = (cells.name("first"), cells.name("second")) if "first" in cells.fields else None
    winners = _WINNERS if compared is None else _winners_by_place(compared)
    if word not in winners:
        raise HarnessError(
            f"{cells.where}: '{text_of(cells.get('winner'))}' is no winner. Known: "
            f"{', '.join(winners)}. 'values' states what other words mean, null for no label."
        )
    key = item, annotator, frozenset(compared or ())
    label = labels.get(key, Label(item, annotator, compared=compared))
    if label.asked_winner:
        raise HarnessError(f"{cells.where}: {annotator} has judged item '{item}' before.")
    labels[key] = label._replace(
        winner=winners[word], asked_winner=True, unsafe=word == "both_unsafe"
    )


def _winners_by_place(compared: tuple[str, str]) -> dict[str, Winner | None]:
    """Return what wins where a row names its models: a place, or a model's own name."""
    names = dict(zip((name.casefold() for name in compared), _PLACES.values(), strict=True))
    neither = {word: w for word, w in _WINNERS.items() if w not in ("baseline", "candidate")}
    return {**names, **_PLACES, **neither}


def _add_scores(
    labels: dict[tuple[str, str, frozenset[str]], Label],
    cells: _Cells,
    item: str,
    annotator: str,
    model: str,
) -> None:
    """Add the scores of a row, which are of one model."""
    key = item, annotator, frozenset[str]()
    label = labels.get(key, Label(item, annotator))
    statements = dict(label.statements.get(model, {}))
    if STATEMENT in cells.fields:
        statements = _add_statement(statements, cells, f"{annotator} on {model} and item '{item}'")
    elif model in label.scores:
        raise HarnessError(
            f"{cells.where}: {annotator} has scored {model} on item '{item}' before."
        )
    scores = _mean_scores(statements.values()) if statements else dict(_read_scores(cells))
    labels[key] = label._replace(
        scores={**label.scores, model: scores},
        lines={**label.lines, model: cells.where},
        statements={**label.statements, model: statements},
    )


def _add_statement(
    statements: Mapping[str, Mapping[str, float]], cells: _Cells, whose: str
) -> dict[str, Mapping[str, float]]:
    """Return the scores by statement with those of a row, which are yes or no."""
    name = " ".join(cells.name(STATEMENT).casefold().split()).removesuffix(".0")
    if not name:
        raise HarnessError(f"{cells.where}: has no '{cells.fields[STATEMENT]}' that it is about.")
    if name in statements:
        raise HarnessError(f"{cells.where}: statement '{name}' has a score before, of {whose}.")
    scores = dict(_read_scores(cells))
    for field, score in scores.items():
        if score not in (0.0, 1.0):
            raise HarnessError(
                f"{cells.where}: {field} {score:g} of a statement is neither yes nor no."
            )
    return {**statements, name: scores}


def _mean_scores(statements: Collection[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over statements of each field, of those in which all of them have a score."""
    first, *others = statements
    shared = [field for field in first if all(field in other for other in others)]
    return {field: fmean(scores[field] for scores in statements) for field in shared}


def _read_scores(cells: _Cells) -> Iterator[tuple[str, float]]:
    for field in cells.score_fields:
        word = cells.word(field)
        if not word:
            continue
        try:
            number = _BOOLEANS[word] if word in _BOOLEANS else float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            cell = text_of(cells.get(field))
            raise HarnessError(
                f"{cells.where}: {field} '{cell}' is no number. 'values' states what words mean."
            )
        yield field, number
