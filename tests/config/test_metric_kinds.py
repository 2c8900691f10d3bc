"""Every kind of metric states every fact that other packages ask for."""

from typing import get_args

import pytest

from harness.config import ComputedMetric, JudgedMetric, Metric, ScoreKind
from harness.config.metric_base import MetricSpec, metric_of
from harness.config.metrics import is_composite
from tests.builders.metric_kinds import EVERY_KIND, KINDS

FACTS = {
    "assumed_spread",
    "bounds",
    "computed",
    "description",
    "has_composite",
    "length_adjusted",
    "needs_reference",
    "ordinal",
    "score_kind",
    "verdict_values",
}
every_kind = pytest.mark.parametrize("metric", EVERY_KIND, ids=lambda metric: metric.kind)


@every_kind
def test_a_metric_is_either_judged_or_computed(metric: Metric) -> None:
    assert isinstance(metric, JudgedMetric) != isinstance(metric, ComputedMetric)
    assert metric.computed == isinstance(metric, ComputedMetric)
    assert (metric.judge is None) == metric.computed
    assert metric.repeats == 1


@every_kind
def test_every_fact_is_stated(metric: Metric) -> None:
    assert metric.score_kind in get_args(ScoreKind)
    assert 0 < metric.assumed_spread <= 1
    assert metric.description
    for fact in ("needs_reference", "has_composite", "ordinal", "length_adjusted"):
        assert isinstance(getattr(metric, fact), bool)


@every_kind
def test_bounds_hold_what_a_score_can_be(metric: Metric) -> None:
    low, high = metric.bounds
    assert low < high
    assert all(low <= value <= high for value in metric.verdict_values)
    assert list(metric.verdict_values) == sorted(metric.verdict_values)
    if metric.score_kind in ("share", "preference"):
        assert (low, high) == (0, 1)
    if not metric.computed:
        assert metric.verdict_values


@every_kind
def test_a_comparison_lies_around_its_null(metric: Metric) -> None:
    assert metric.compares_pairs == (metric.score_kind == "preference")
    assert metric.null == (0.5 if metric.compares_pairs else 0)
    for column in metric.columns("mine"):
        low, high = metric.bounds_of(column)
        assert metric.max_difference_of(column) == (0.5 if metric.compares_pairs else high - low)
        assert 0 < metric.assumed_sd_of(column) <= metric.assumed_spread * (high - low)


@every_kind
def test_columns_are_those_of_the_verdict_and_its_composite(metric: Metric) -> None:
    columns = metric.columns("mine")
    assert len(set(columns)) == len(columns) > 0
    assert {metric_of(column) for column in columns} == {"mine"}
    assert [c for c in columns if not is_composite(c)] == list(metric.verdict_keys("mine"))
    assert any(map(is_composite, columns)) == metric.has_composite
    assert set(metric.summary_columns("mine")) <= set(columns)
    assert metric.summary_columns("mine")


@every_kind
def test_every_column_is_the_mean_of_its_parts(metric: Metric) -> None:
    keys = metric.verdict_keys("mine")
    for column in metric.columns("mine"):
        parts = metric.parts_of(column)
        assert parts == (keys if is_composite(column) else {column: keys[column]})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_fact_is_a_field_that_a_suite_could_state(kind: type[MetricSpec]) -> None:
    assert not FACTS & set(kind.model_fields)
