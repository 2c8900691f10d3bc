"""Recorded verdicts on criteria: which row, or which part of a list in a row, is about which criterion.

fields: {id: prompt_id, criterion: text, met: criteria_met}                  a row for each criterion
fields: {id: prompt_id, place: number, met: criteria_met}                    by its place, from 0
fields: {id: prompt_id, met: "rubrics[].met", criterion: "rubrics[].text"}   a row for each item
"""

from collections.abc import Mapping

from harness.config.checklist import MET
from harness.core.errors import HarnessError
from harness.data.criteria_lint import criterion_words
from harness.data.tables import Row, require_row_number, text_of
from harness.types import ItemCriterion

CRITERION, PLACE = "criterion", "place"
NO_CRITERION = (
    "No field says which criterion a verdict is on: 'criterion' is the column of its words, "
    "'place' that of its number in the item's list, from 0."
)
_LISTED = (MET, CRITERION, "rationale", "reason")


def names_criteria(fields: Mapping[str, str]) -> bool:
    """Return whether a file has verdicts on criteria, each in a row of its own."""
    return MET in fields and (CRITERION in fields or PLACE in fields)


def read_criterion(row: Row, fields: Mapping[str, str], where: str) -> str | None:
    """Return the words, or the place, by which a row names its criterion; None for a list of them.

    Raises:
        HarnessError: it names none.
    """
    field = CRITERION if CRITERION in fields else PLACE
    cell = row.get(fields[field])
    if isinstance(cell, list):
        return None
    text = text_of(cell)
    if not text.strip():
        raise HarnessError(f"{where}: has no '{fields[field]}' to find the criterion by.")
    if field == PLACE:
        require_row_number(text, where)
        return text.removesuffix(".0")
    return criterion_words(text)


def criterion_name(criterion: ItemCriterion, place: int, fields: Mapping[str, str]) -> str | None:
    """Return the name by which a row would be about the criterion; None where no field names any."""
    if CRITERION in fields:
        return criterion_words(criterion.criterion)
    return str(place) if PLACE in fields else None


def is_about_none(row: Row, fields: Mapping[str, str], n_criteria: int) -> bool:
    """Return whether a row has one verdict, and nothing says which of several criteria it is on."""
    single = row.get(fields[MET]) is not None and not isinstance(row[fields[MET]], list)
    return single and n_criteria > 1 and not names_criteria(fields)


def pick_from_list(
    row: Row, fields: Mapping[str, str], criterion: ItemCriterion, place: int, n_criteria: int
) -> Row | None:
    """Return a row of lists as the row of one criterion, by its words or else its place.

    None where no entry of the lists is about it; a row without lists stays as it is.
    """
    met = row.get(fields[MET])
    if not isinstance(met, list):
        return row
    texts = row.get(fields[CRITERION]) if CRITERION in fields else None
    if isinstance(texts, list):
        named = [criterion_words(text_of(text)) for text in texts]
        words = criterion_words(criterion.criterion)
        if words not in named:
            return None
        place = place if named[place : place + 1] == [words] else named.index(words)
    elif len(met) != n_criteria:
        return None
    columns = [fields[field] for field in _LISTED if field in fields]
    cells = {c: row[c][place] for c in columns if _has(row.get(c), place)}  # type: ignore[index]
    return {**row, fields[MET]: None, **cells}


def _has(cell: object, place: int) -> bool:
    return isinstance(cell, list) and place < len(cell)
