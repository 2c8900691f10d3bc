"""Recorded verdicts on criteria or statements: which row, or which part of a list in a row, is about which.

fields: {id: prompt_id, criterion: text, met: criteria_met}                  a row for each criterion
fields: {id: prompt_id, place: number, met: criteria_met}                    by its place, from 0
fields: {id: prompt_id, met: "rubrics[].met", criterion: "rubrics[].text"}   a row for each item
fields: {id: id, statement: text, supported: verdict}                        a row for each statement of an answer
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from harness.config.checklist import MET
from harness.config.passages import SUPPORTED
from harness.core.errors import HarnessError
from harness.core.statements import plain_statement
from harness.data.criteria_lint import criterion_words
from harness.data.tables import Row, require_row_number, text_of

PLACE = "place"


class Parts(NamedTuple):
    """The parts of an item or answer that verdicts are on, one by one.

    Attributes:
        verdict: the field of the verdict.
        words: the field of a part's words, which is also what a part is called.
        of: what their places are counted in.
        plain: gives the words by which two texts are the same part.
    """

    verdict: str
    words: str
    of: str
    plain: Callable[[str], str]

    @property
    def no_name(self) -> str:
        """Return which fields would say what a verdict is on."""
        return (
            f"No field says which {self.words} a verdict is on: '{self.words}' is the column of its "
            f"words, 'place' that of its number in {self.of}, from 0."
        )


CRITERIA = Parts(MET, "criterion", "the item's list", criterion_words)
STATEMENTS = Parts(
    SUPPORTED, "statement", "the answer", lambda text: criterion_words(plain_statement(text))
)


def find_parts(fields: Mapping[str, str]) -> Parts | None:
    """Return the parts that a file's verdicts are on; None where they are on whole answers."""
    return next((parts for parts in (CRITERIA, STATEMENTS) if parts.verdict in fields), None)


def names_parts(fields: Mapping[str, str]) -> bool:
    """Return whether a file has verdicts on parts, each in a row of its own."""
    parts = find_parts(fields)
    return parts is not None and (parts.words in fields or PLACE in fields)


def read_part(row: Row, fields: Mapping[str, str], parts: Parts, where: str) -> str | None:
    """Return the words, or the place, by which a row names its part; None for a list of them.

    Raises:
        HarnessError: it names none.
    """
    field = parts.words if parts.words in fields else PLACE
    cell = row.get(fields[field])
    if isinstance(cell, list):
        return None
    text = text_of(cell)
    if not text.strip():
        raise HarnessError(f"{where}: has no '{fields[field]}' to find the {parts.words} by.")
    if field == PLACE:
        require_row_number(text, where)
        return text.removesuffix(".0")
    return parts.plain(text)


def part_name(text: str, place: int, fields: Mapping[str, str], parts: Parts) -> str | None:
    """Return the name by which a row would be about a part; None where no field names any."""
    if parts.words in fields:
        return parts.plain(text)
    return str(place) if PLACE in fields else None


def is_about_none(row: Row, fields: Mapping[str, str], parts: Parts, n_parts: int) -> bool:
    """Return whether a row has one verdict, and nothing says which of several parts it is on."""
    verdict = row.get(fields[parts.verdict])
    single = verdict is not None and not isinstance(verdict, list)
    return single and n_parts > 1 and not names_parts(fields)


def pick_from_list(
    row: Row, fields: Mapping[str, str], parts: Parts, texts: Sequence[str], place: int
) -> Row | None:
    """Return a row of lists as the row of one part among `texts`, by its words or else its place.

    None where no entry of the lists is about it; a row without lists stays as it is.
    """
    verdicts = row.get(fields[parts.verdict])
    if not isinstance(verdicts, list):
        return row
    recorded = row.get(fields[parts.words]) if parts.words in fields else None
    if isinstance(recorded, list):
        named = [parts.plain(text_of(text)) for text in recorded]
        words = parts.plain(texts[place])
        if words not in named:
            return None
        place = place if named[place : place + 1] == [words] else named.index(words)
    elif len(verdicts) != len(texts):
        return None
    listed = (parts.verdict, parts.words, "rationale", "reason")
    columns = [fields[field] for field in listed if field in fields]
    cells = {c: row[c][place] for c in columns if _has(row.get(c), place)}  # type: ignore[index]
    return {**row, fields[parts.verdict]: None, **cells}


def _has(cell: object, place: int) -> bool:
    return isinstance(cell, list) and place < len(cell)
