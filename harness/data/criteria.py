"""Criteria of checklists, read from the items' own column.

    "rubrics": [{"criterion": "Advises to call an ambulance", "points": 7, "tags": ["axis:accuracy"]},
                {"criterion": "Recommends aspirin to a child", "points": -8, "tags": ["axis:accuracy"]}]
    "Must_have": ["Aspirin is not for children"], "Nice_to_have": []            texts of one point each

A cell of text, as in a CSV, is read as JSON.
"""

from collections.abc import Iterable, Iterator, Sequence

from harness.config import ChecklistMetric, Metric
from harness.config.checklist import WORST
from harness.core.errors import HarnessError, did_you_mean
from harness.core.json_text import parse_json
from harness.core.sanitize import short_line, to_valid_utf8
from harness.data.tables import Table
from harness.stats.checklist import score_checklist, worst_met
from harness.types import ItemCriterion, Sample

MAX_CRITERIA = 1_000  # of an item: each is a question to a judge
MAX_POINTS = 1_000_000  # and one part in so many at least, so that scores can be told apart


class _CriterionError(Exception):
    """Why an item's criteria cannot be used, as the end of a sentence."""


def put_criteria(
    samples: Sequence[Sample], metrics: Iterable[Metric], table: Table
) -> tuple[Sample, ...]:
    """Return the items with the criteria of every checklist among the metrics.

    Raises:
        HarnessError: there is no such column, or an item's criteria cannot be used; names its line.
    """
    lists = {m.list_name: m.sources for m in metrics if isinstance(m, ChecklistMetric)}
    for column in (column for columns in lists.values() for column in columns):
        table.column(column, "criteria of a checklist")
    if not lists:
        return tuple(samples)
    read = ({name: _read(s, columns, table) for name, columns in lists.items()} for s in samples)
    return tuple(
        s.model_copy(update={"criteria": found}) for s, found in zip(samples, read, strict=True)
    )


def find_ranges(name: str, metric: Metric, samples: Sequence[Sample]) -> Metric:
    """Return a checklist with the least score that the items' criteria allow in each of its columns.

    Raises:
        HarnessError: no item has positive points, or none has such for one of the tags.
    """
    if not isinstance(metric, ChecklistMetric):
        return metric
    lowest: dict[str, float] = {}
    for part, tag in metric.parts.items():
        lists = [limit_to_tag(s.criteria[metric.list_name], tag) for s in samples]
        points = [[c.points for c in own] for own in lists]
        score = worst_met if part == WORST else score_checklist
        ranges = [score(own, [None] * len(own)) for own in points]
        least = min((found.least for found in ranges if found is not None), default=None)
        if least is None:
            known = dict.fromkeys(
                t for s in samples for c in s.criteria[metric.list_name] for t in c.tags
            )
            of_tag = "" if tag is None else f" for the tag '{tag}'"
            others = "" if tag is None or tag in known else f" {did_you_mean(tag, known)}"
            raise HarnessError(
                f"metric '{name}': no item has a criterion with positive points{of_tag}.{others}"
            )
        if part != WORST or least < 0:
            lowest[part] = least
    return metric.model_copy(update={"lowest": lowest})


def limit_to_tag(criteria: Iterable[ItemCriterion], tag: str | None) -> tuple[ItemCriterion, ...]:
    """Return the criteria with a tag; all of them for None."""
    return tuple(c for c in criteria if tag is None or tag in c.tags)


# --- cells -----------------------------------------------------------------------------------


def _read(sample: Sample, columns: Sequence[str], table: Table) -> tuple[ItemCriterion, ...]:
    where, found = f"{table.origin}:{table.lines[sample.row]}", list[ItemCriterion]()
    for column in columns:
        try:
            own = list(_read_list(table.rows[sample.row].get(column)))
        except _CriterionError as error:
            raise HarnessError(f"{where}: '{column}' of item '{sample.id}' {error}.") from None
        tag = (column,) if len(columns) > 1 else ()
        found += [c.model_copy(update={"tags": (*c.tags, *tag)}) for c in own]
    if not found:
        raise HarnessError(
            f"{where}: '{' and '.join(columns)}' of item '{sample.id}' is an empty list; leave the item "
            "out, or give it one."
        )
    return tuple(found)


def _read_list(cell: object) -> Iterator[ItemCriterion]:
    if isinstance(cell, str):
        cell = _parsed(cell)
    if not isinstance(cell, list):
        raise _CriterionError("is no list of criteria")
    if len(cell) > MAX_CRITERIA:
        raise _CriterionError(f"has {len(cell):,} criteria, and {MAX_CRITERIA:,} are the most")
    for number, row in enumerate(cell, start=1):
        yield _read_criterion(row, f"criterion {number}")


def _parsed(cell: str) -> object:
    try:
        return parse_json(cell)
    except ValueError:
        raise _CriterionError(f"is no JSON list: '{short_line(cell)}'") from None


def _read_criterion(row: object, which: str) -> ItemCriterion:
    if isinstance(row, str):
        row = {"criterion": row, "points": 1}
    if not isinstance(row, dict):
        raise _CriterionError(f"has a {which} that is no text and no {{criterion, points, tags}}")
    text, points, tags = row.get("criterion"), row.get("points"), row.get("tags")
    if not isinstance(text, str) or not text.strip():
        raise _CriterionError(f"has a {which} without words")
    if isinstance(points, bool) or not isinstance(points, int | float):
        raise _CriterionError(
            f"has a {which} whose points are no number: {short_line(str(points))}"
        )
    if points == 0:
        raise _CriterionError(f"has a {which} with 0 points, which counts for nothing")
    if not 1 / MAX_POINTS <= abs(points) <= MAX_POINTS:
        raise _CriterionError(
            f"has a {which} with {short_line(str(points))} points, and above or below 0 they are "
            f"from {1 / MAX_POINTS:f} to {MAX_POINTS:,}"
        )
    tags = [] if tags is None else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _CriterionError(
            f"has a {which} whose tags are no list of texts: {short_line(str(tags))}"
        )
    return ItemCriterion(
        criterion=to_valid_utf8(text).strip(),
        points=float(points),
        tags=tuple(map(to_valid_utf8, tags)),
    )
