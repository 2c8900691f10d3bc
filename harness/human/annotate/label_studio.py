"""Export of pairs to Label Studio, and import of its votes; JSON, JSON-MIN or CSV.

    [{"data": {"ticket": "03fb…", "question": "…", "answer_a": "…", "answer_b": "…"}}]

In JSON an annotation has a list of results, one for each control, and relations between them that
are no vote. In JSON-MIN and CSV a row is an annotation, with a column for each control.

The `ticket` is the item token. The labelling configuration is written next to the pairs; it uses
the Pairwise tag (https://labelstud.io/tags/pairwise) and three choices that the tag does not have.
All annotators of one such project see the same sides, unless the export is for a named annotator.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from harness.core.errors import HarnessError
from harness.core.files import write_private
from harness.core.sanitize import escape_invisible
from harness.human.annotate.assignment import (
    SHARED_ANNOTATOR,
    Assignment,
    Pair,
    assign_items,
    show_pair,
)
from harness.human.annotate.import_votes import ImportedVotes, add_votes, utc_time
from harness.human.annotate.study import OpenStudy
from harness.human.annotate.vote_form import (
    MAX_COMMENT,
    UnreadableError,
    VoteForm,
    read_name,
    readable_text,
    resolve_vote_form,
)
from harness.types import Choice, Study, Vote

OTHER_CHOICES: dict[str, Choice] = {
    "Equally good": "tie",
    "Both unsafe": "both_unsafe",
    "Cannot judge": "cannot_judge",
}

_TEXT_KEYS = {"text", "type"}  # of the object in which Label Studio keeps a comment

_POSITIONS: dict[str, Choice] = {"left": "left", "right": "right"}

_CONFIG = """\
<View>
  <Header value={asks}/>
  <Text name="question" value="$question"/>{reference}
  <Pairwise name="better" toName="answer_a,answer_b"/>
  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 16px">
    <Text name="answer_a" value="$answer_a"/>
    <Text name="answer_b" value="$answer_b"/>
  </View>
  <Choices name="instead" toName="question" choice="single" showInline="true">
{instead}
  </Choices>
  <TextArea name="comment" toName="question" placeholder="Note (optional)"/>
</View>
"""

_REFERENCE = '\n  <Text name="reference" value="$reference"/>'


class LabelStudioImport(NamedTuple):
    """The votes of an imported file, and the number of annotations without a choice."""

    votes: ImportedVotes
    n_without_choice: int


class _Annotation(NamedTuple):
    """One annotation of an export, in either format."""

    item_token: str
    annotator: str
    selected: str
    instead: str
    comment: str
    at: str
    seconds: float | None


def write_label_studio(opened: OpenStudy, path: Path, annotator: str | None = None) -> Path:
    """Write the pairs and the labelling configuration, and return the path of the configuration.

    Raises:
        HarnessError: the file's name ends in neither .json nor .csv.
        InfrastructureError: it cannot be written.
    """
    study = opened.study
    assignments = assign_items(study, annotator or SHARED_ANNOTATOR)
    pairs = [show_pair(assignment, study, opened.items) for assignment in assignments]
    rows = [
        {"ticket": pair.item_token, "question": _transcript(pair)}
        | ({"reference": pair.reference or ""} if study.show_reference else {})
        | {"answer_a": pair.left, "answer_b": pair.right}
        for pair in pairs
    ]
    if file_kind(path) == "json":
        text = json.dumps([{"data": row} for row in rows], ensure_ascii=False, indent=1)
    else:
        text = _to_csv(rows)
    config = path.with_suffix(".xml")
    write_private(path, text.encode())
    write_private(config, _config(study).encode())
    return config


def _transcript(pair: Pair) -> str:
    """Write the question of a pair behind the turns before it."""
    if not pair.history:
        return pair.question
    turns = (*pair.history, ("User", pair.question))
    return "\n\n".join(f"{speaker}: {text}" for speaker, text in turns)


def read_label_studio(
    opened: OpenStudy, path: Path, annotator: str | None = None
) -> LabelStudioImport:
    """Add the votes of an export; cancelled annotations are left out.

    Without a name, annotators have the names that Label Studio gives them.

    Raises:
        HarnessError: the file is damaged, or belongs to another study.
    """
    assignments = {
        a.item_token: a for a in assign_items(opened.study, annotator or SHARED_ANNOTATOR)
    }
    try:
        votes = [
            _resolve_annotation(annotation, assignments, opened, annotator, path)
            for annotation in _read_annotations(path)
        ]
    except UnreadableError as error:
        raise HarnessError(f"{path}: {error}") from None
    imported = add_votes(opened, (vote for vote in votes if vote is not None))
    return LabelStudioImport(imported, votes.count(None))


def _resolve_annotation(
    annotation: _Annotation,
    assignments: Mapping[str, Assignment],
    opened: OpenStudy,
    annotator: str | None,
    path: Path,
) -> Vote | None:
    """Make a vote of an annotation; None where it has no choice."""
    if annotation.item_token not in assignments:
        owner = f"{annotator}'s" if annotator else "the shared"
        raise HarnessError(
            f"{path}: '{escape_invisible(annotation.item_token)}' is not one of {owner} pairs of "
            "this study. If the pairs were written for an annotator, name them with --annotator."
        )
    # One of the three other choices wins over a side.
    choice = OTHER_CHOICES.get(annotation.instead) or _POSITIONS.get(annotation.selected)
    if choice is None:
        return None
    comment = readable_text(annotation.comment)[:MAX_COMMENT]
    return resolve_vote_form(
        VoteForm(choice, {"left": {}, "right": {}}, comment),
        assignments[annotation.item_token],
        opened,
        annotator or read_name(annotation.annotator),
        voted_at=utc_time(annotation.at),
        seconds=annotation.seconds,
        source="label_studio",
    )


# --- reading ---------------------------------------------------------------------------------


def _read_annotations(path: Path) -> Iterator[_Annotation]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if file_kind(path) == "csv":
            yield from map(_from_row, csv.DictReader(io.StringIO(text)))
            return
        tasks = json.loads(text)
        if not isinstance(tasks, list):
            raise TypeError("no list of tasks")
        for task in tasks:
            if "annotations" not in task and "annotator" in task:
                yield _from_row(task)
                continue
            for annotation in task["annotations"]:
                if not annotation.get("was_cancelled"):
                    yield _from_json(str(task["data"]["ticket"]), annotation)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, RecursionError) as error:
        raise HarnessError(
            f"{path}: not an export of Label Studio as {file_kind(path).upper()} "
            f"({type(error).__name__}: {escape_invisible(str(error))[:100]})."
        ) from None


def _from_json(item_token: str, annotation: Mapping[str, Any]) -> _Annotation:
    # A relation links two results, and has neither a control nor a value.
    results = [part for part in annotation["result"] if "from_name" in part]
    values = {part["from_name"]: part["value"] for part in results}
    return _Annotation(
        item_token=item_token,
        annotator=_annotator(annotation.get("completed_by", "")),
        selected=_word(values.get("better", {}), "selected"),
        instead=_word(values.get("instead", {}), "choices"),
        comment=_comment(values.get("comment", {})),
        at=str(annotation["created_at"]),
        seconds=_seconds(annotation.get("lead_time")),
    )


def _from_row(row: Mapping[str, Any]) -> _Annotation:
    """Read a row of CSV, whose cells are text, or of JSON-MIN, whose cells may be objects too."""
    return _Annotation(
        item_token=str(row["ticket"]),
        annotator=_annotator(row["annotator"]),
        selected=_cell(row.get("better"), "selected"),
        instead=_cell(row.get("instead"), "choices"),
        comment=_comment(row.get("comment")),
        at=str(row["created_at"]),
        seconds=_seconds(row.get("lead_time")),
    )


def _annotator(who: object) -> str:
    """Return the e-mail address of an annotator, or else the number."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return "" if who is None else str(who)


def _cell(cell: object, key: str) -> str:
    """Read a cell that holds a word, or the word as JSON: {"selected": "left"}, or a list of them."""
    try:
        return _word(json.loads(cell) if isinstance(cell, str) else cell, key)
    except ValueError:
        return str(cell)


def _word(value: object, key: str) -> str:
    """Return the word inside of objects and lists; of several, the first."""
    while isinstance(value, list | dict):
        value = value.get(key) if isinstance(value, dict) else next(iter(value), None)
    return "" if value is None else str(value)


def _comment(value: object) -> str:
    """Read a comment: as it was typed, or {"text": …} and lists of these, also as JSON in a cell.

    Only that shape is taken for Label Studio's own; anything else was typed by the annotator.
    """
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return value
        texts = _comment_texts(inner)
        return value if texts is None else "\n".join(texts)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return "\n".join(value)
    return "\n".join(_comment_texts(value) or ())


def _comment_texts(value: object) -> list[str] | None:
    """Return the texts of `{"text": ["…"]}` or of a list of these; None for any other value."""
    texts: list[str] = []
    for part in value if isinstance(value, list) else [value]:
        inner = part.get("text") if isinstance(part, dict) and part.keys() <= _TEXT_KEYS else None
        inner = [inner] if isinstance(inner, str) else inner
        if not isinstance(inner, list) or not all(isinstance(text, str) for text in inner):
            return None
        texts += inner
    return texts


def _seconds(value: object) -> float | None:
    seconds = float(str(value)) if value not in (None, "") else math.nan
    return round(seconds, 1) if math.isfinite(seconds) and seconds >= 0 else None


# --- writing ---------------------------------------------------------------------------------


def file_kind(path: Path) -> str:
    """Return 'json' or 'csv' by the file's name.

    Raises:
        HarnessError: the name ends in neither.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in {"json", "csv"}:
        raise HarnessError(f"{path}: name a .json or a .csv file.")
    return kind


def _config(study: Study) -> str:
    return _CONFIG.format(
        asks=quoteattr(escape_invisible(study.asks)),
        reference=_REFERENCE if study.show_reference else "",
        instead="\n".join(f"    <Choice value={quoteattr(words)}/>" for words in OTHER_CHOICES),
    )


def _to_csv(rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows({key: _escape_formula(cell) for key, cell in row.items()} for row in rows)
    return out.getvalue()


def _escape_formula(cell: str) -> str:
    """Escape a cell that a spreadsheet would take for a formula (CSV injection, OWASP)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
