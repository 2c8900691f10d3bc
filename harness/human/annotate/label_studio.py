"""Pairs for Label Studio, and its votes read back. Both as JSON or CSV, by the file's name.

    [{"data": {"ticket": "03fb…", "question": "…", "answer_a": "…", "answer_b": "…"}}]

The labelling configuration is written beside the pairs; it uses the Pairwise tag
(https://labelstud.io/tags/pairwise) and three choices that the tag does not have. Everybody who
labels one such project sees the same sides; with an annotator's name it is that person's sheet.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from harness.core.errors import HarnessError
from harness.core.files import write_private
from harness.core.sanitize import escape_invisible
from harness.human.annotate.assignment import Assignment, assign_items, show_pair
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

SHARED_ANNOTATOR = "Label Studio"  # whose sheet it is when nobody is named


OTHER_CHOICES: dict[str, Choice] = {
    "Equally good": "tie",
    "Both unsafe": "both_unsafe",
    "Cannot judge": "cannot_judge",
}


_SIDES: dict[str, Choice] = {"left": "left", "right": "right"}


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
    """What became of an export: votes kept, and annotations that held no choice."""

    votes: ImportedVotes
    without_choice: int


class _Annotation(NamedTuple):
    """One annotation as either format tells it."""

    ticket: str
    annotator: str
    selected: str
    instead: str
    comment: str
    at: str
    seconds: float | None


def write_label_studio(opened: OpenStudy, path: Path, annotator: str | None = None) -> Path:
    """Write the pairs, and return the path of the labelling configuration beside them.

    Raises:
        HarnessError: the file's name ends in neither .json nor .csv.
        InfrastructureError: it cannot be written.
    """
    study = opened.study
    pairs = [
        show_pair(p, study, opened.items)
        for p in assign_items(study, annotator or SHARED_ANNOTATOR)
    ]
    rows = [
        {"ticket": pair.ticket, "question": pair.question}
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


def read_label_studio(
    opened: OpenStudy, path: Path, annotator: str | None = None
) -> LabelStudioImport:
    """Keep the votes of an export; cancelled annotations and those without a choice are counted.

    Without a name, annotators are called what Label Studio calls them.

    Raises:
        HarnessError: the file is damaged, or belongs to another study.
    """
    sheet = {p.ticket: p for p in assign_items(opened.study, annotator or SHARED_ANNOTATOR)}
    try:
        found = list(_annotations(path))
        votes = [_vote(said, sheet, opened, annotator, path) for said in found]
    except UnreadableError as error:
        raise HarnessError(f"{path}: {error}") from None
    kept = add_votes(opened, (vote for vote in votes if vote is not None))
    return LabelStudioImport(kept, votes.count(None))


def _vote(
    said: _Annotation,
    sheet: Mapping[str, Assignment],
    opened: OpenStudy,
    annotator: str | None,
    path: Path,
) -> Vote | None:
    if said.ticket not in sheet:
        raise HarnessError(
            f"{path}: the pair '{escape_invisible(said.ticket)}' is not on "
            f"{annotator or 'the shared'} sheet of this study. If the pairs were written for an "
            "annotator, name them with --annotator."
        )
    choice = OTHER_CHOICES.get(said.instead) or _SIDES.get(said.selected)
    if choice is None:
        return None
    return resolve_vote_form(
        VoteForm(choice, {"left": {}, "right": {}}, readable_text(said.comment)[:MAX_COMMENT]),
        sheet[said.ticket],
        opened,
        annotator or read_name(said.annotator),
        voted_at=utc_time(said.at),
        seconds=said.seconds,
        source="label_studio",
    )


# --- reading ---------------------------------------------------------------------------------


def _annotations(path: Path) -> Iterator[_Annotation]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if file_kind(path) == "csv":
            yield from map(_from_row, csv.DictReader(io.StringIO(text)))
            return
        tasks = json.loads(text)
        if not isinstance(tasks, list):
            raise TypeError("no list of tasks")
        for task in tasks:
            for annotation in task["annotations"]:
                if not annotation.get("was_cancelled"):
                    yield _from_annotation(str(task["data"]["ticket"]), annotation)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, RecursionError) as error:
        raise HarnessError(
            f"{path}: not an export of Label Studio as {file_kind(path).upper()} "
            f"({type(error).__name__}: {escape_invisible(str(error))[:100]})."
        ) from None


def _from_annotation(ticket: str, annotation: Mapping[str, Any]) -> _Annotation:
    values = {part["from_name"]: part["value"] for part in annotation["result"]}
    who = annotation.get("completed_by", "")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id", "")
    return _Annotation(
        ticket=ticket,
        annotator=str(who),
        selected=str(values.get("better", {}).get("selected", "")),
        instead="".join(values.get("instead", {}).get("choices", [])[:1]),
        comment="\n".join(values.get("comment", {}).get("text", [])),
        at=str(annotation["created_at"]),
        seconds=_seconds(annotation.get("lead_time")),
    )


def _from_row(row: Mapping[str, str]) -> _Annotation:
    return _Annotation(
        ticket=row["ticket"],
        annotator=row["annotator"],
        selected=_cell(row.get("better", ""), "selected"),
        instead=_cell(row.get("instead", ""), "choices"),
        comment=_cell(row.get("comment", ""), "text"),
        at=row["created_at"],
        seconds=_seconds(row.get("lead_time")),
    )


def _cell(cell: str | None, key: str) -> str:
    """A cell that holds a word, or the same as JSON: {"selected": "left"}, or a list of them."""
    try:
        value = json.loads(cell or "")
    except ValueError:
        return cell or ""
    while isinstance(value, list | dict):
        value = value.get(key, "") if isinstance(value, dict) else next(iter(value), "")
    return str(value)


def _seconds(said: object) -> float | None:
    return round(float(str(said)), 1) if said not in (None, "") else None


# --- writing ---------------------------------------------------------------------------------


def file_kind(path: Path) -> str:
    """Whether a file is json or csv, by its name.

    Raises:
        HarnessError: it is neither.
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


def _to_csv(rows: Iterable[Mapping[str, str]]) -> str:
    known = list(rows)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(known[0]))
    writer.writeheader()
    writer.writerows({key: _harmless(cell) for key, cell in row.items()} for row in known)
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet that opens the file must not take a text for a formula (OWASP)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
