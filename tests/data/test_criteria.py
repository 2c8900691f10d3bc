"""Criteria of checklists: the forms of a cell, what is wrong with one, and doubtful words."""

import json
from collections.abc import Mapping

import pytest

from harness.config import ChecklistMetric, Generation
from harness.core.errors import HarnessError
from harness.data.criteria import find_ranges, put_criteria
from harness.data.criteria_lint import doubtful_criteria
from harness.data.samples import make_samples
from harness.data.tables import Table
from harness.types import ItemCriterion, Sample, Task
from tests.builders.judge_requests import checklist

FULL = {"criterion": "Names the dose", "points": 5, "tags": ["axis:accuracy"]}


def put(*cells: object) -> tuple[Sample, ...]:
    rows: list[dict[str, object]] = [
        {"q": f"Question {i}?", "rubrics": c} for i, c in enumerate(cells)
    ]
    table = Table(origin="i.jsonl", lines=list(range(1, len(rows) + 1)), rows=rows, sha256="")
    return put_criteria(make_samples(table, {"input": "q"}, None), [checklist()], table)


def criteria(cell: object) -> list[ItemCriterion]:
    return list(put(cell)[0].criteria["rubrics"])


def with_points(*points: float, tag: str = "a") -> list[Mapping[str, object]]:
    return [{"criterion": f"c{i}", "points": p, "tags": [tag]} for i, p in enumerate(points)]


@pytest.mark.parametrize("cell", [[FULL], json.dumps([FULL])])
def test_a_criterion_has_words_points_and_tags(cell: object) -> None:
    assert criteria(cell) == [
        ItemCriterion(criterion="Names the dose", points=5.0, tags=("axis:accuracy",))
    ]


def test_a_text_alone_counts_one_point() -> None:
    assert criteria(["Names the dose", "Is short"]) == [
        ItemCriterion(criterion="Names the dose", points=1.0),
        ItemCriterion(criterion="Is short", points=1.0),
    ]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "is no list of criteria"),
        ("Names the dose", "is no JSON list: 'Names the dose'"),
        ({"criterion": "x"}, "is no list of criteria"),
        ([], "is an empty list"),
        ([7], "has a criterion 1 that is no text and no {criterion, points, tags}"),
        ([FULL, {"points": 5}], "has a criterion 2 without words"),
        ([FULL | {"points": 0}], "has a criterion 1 with 0 points"),
        ([FULL | {"points": "5"}], "has a criterion 1 whose points are no number: 5"),
        ([FULL | {"points": True}], "whose points are no number: True"),
        (
            [FULL | {"points": float("inf")}],
            "has a criterion 1 with inf points, and above or below 0",
        ),
        ([FULL | {"points": -(10**400)}], "points, and above or below 0 they are from 0.000001 to"),
        ([FULL | {"points": 1e-7}], "has a criterion 1 with 1e-07 points, and above or below 0"),
        ([{"criterion": "x"}], "whose points are no number: None"),
        ([FULL | {"tags": "axis:accuracy"}], "whose tags are no list of texts: axis:accuracy"),
        ([FULL | {"tags": [1]}], "whose tags are no list of texts: [1]"),
        ([FULL] * 1001, "has 1,001 criteria, and 1,000 are the most"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(cell: object, message: str) -> None:
    with pytest.raises(HarnessError) as error:
        put([FULL], cell)
    assert str(error.value).startswith("i.jsonl:2: 'rubrics' of item 'row-00002' ")
    assert message in str(error.value)


def test_a_column_that_is_not_there_is_named() -> None:
    table = Table(origin="i.jsonl", lines=[1], rows=[{"q": "?", "rubric": [FULL]}], sha256="")
    samples = make_samples(table, {"input": "q"}, None)
    with pytest.raises(HarnessError, match=r"no column 'rubrics' .*Did you mean 'rubric'"):
        put_criteria(samples, [checklist()], table)


# --- ranges ----------------------------------------------------------------------------------


def planned(*cells: object, **fields: object) -> ChecklistMetric:
    metric = find_ranges("m", checklist(**fields), put(*cells))
    assert isinstance(metric, ChecklistMetric)
    return metric


def test_the_range_is_the_widest_of_the_items() -> None:
    metric = planned(with_points(5, -5), with_points(4, -10), with_points(-20))
    assert metric.bounds_of("m") == (-2.5, 1.0)
    assert metric.bounds_of("m.worst") == (-20.0, 0.0)


def test_without_negative_points_nothing_can_be_the_worst() -> None:
    assert planned(with_points(5, 5)).columns("m") == ("m",)


def test_a_tag_has_a_range_of_its_own() -> None:
    both = [*with_points(10), *with_points(1, -2, tag="axis:b")]
    metric = planned(both, with_points(3), tags=("axis:b",))
    assert metric.bounds_of("m.b") == (-2.0, 1.0)
    assert metric.bounds_of("m") == pytest.approx((-2 / 11, 1.0))


def test_a_checklist_without_any_positive_points_is_refused() -> None:
    with pytest.raises(HarnessError, match="metric 'm': no item has a criterion with positive"):
        planned(with_points(-5))


def test_a_tag_that_no_item_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(HarnessError, match=r"for the tag 'axis:b'\. Did you mean 'axis:a'"):
        planned(with_points(5, tag="axis:a"), tags=("axis:b",))


def test_a_tag_without_positive_points_is_not_proposed_again() -> None:
    with pytest.raises(HarnessError, match=r"points for the tag 'axis:b'\.$"):
        planned([*with_points(5), *with_points(-1, tag="axis:b")], tags=("axis:b",))


# --- doubts ----------------------------------------------------------------------------------


def doubts(*cells: object) -> list[str]:
    samples = put(*cells)
    task = Task(
        name="items", source="s", items_hash="h", n_items=len(samples), samples=samples,
        generation=Generation(), system=None, metrics={"m": checklist()},
    )  # fmt: skip
    return list(doubtful_criteria([task]))


@pytest.mark.parametrize(
    ("words", "points"),
    [
        ("Fails to mention the warning signs", 5),
        ("The answer omits the dose", 2),
        ("Correctly names the dose", -3),
        ("The response appropriately refers to a doctor", -3),
    ],
)
def test_words_and_points_that_disagree_are_doubtful(words: str, points: float) -> None:
    (line,) = doubts([FULL, FULL | {"criterion": words, "points": points}])
    assert line.startswith(
        "m: the words and the points of 1 criterion (first of item 'row-00001': "
    )
    assert words in line


@pytest.mark.parametrize(
    ("words", "points"),
    [
        ("Fails to mention the warning signs", -5),
        ("Recommends aspirin to a child", -8),
        ("Includes a false dose", -8),
        ("Does not recommend antibiotics", 5),
        ("Avoids jargon", 3),
    ],
)
def test_words_that_may_go_with_their_points_are_not(words: str, points: float) -> None:
    assert doubts([FULL, FULL | {"criterion": words, "points": points}]) == []


def test_a_criterion_that_stands_twice_is_doubtful_and_counts_twice() -> None:
    (line,) = doubts([FULL, FULL | {"criterion": "names  the DOSE"}])
    assert "twice in the list of an item, and counted twice: 1 criterion" in line


def test_items_without_positive_points_are_named() -> None:
    (line,) = doubts([FULL], with_points(-5))
    assert (
        "items without a criterion with positive points have no score and count as at their worst: 1,"
        in line
    )
    assert "'row-00002'" in line
