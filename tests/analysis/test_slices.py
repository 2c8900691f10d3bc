"""The same comparison on parts of the items."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.slices import FEWEST, compare_slices
from harness.config import Claim, Gate
from harness.core.errors import HarnessError
from harness.data.samples import make_samples
from harness.data.tables import Table
from harness.scoring.paired import PairedScores
from harness.stats.multiplicity import benjamini_hochberg
from harness.types import Sample, SliceComparison
from tests.builders.pairs import NAN, grades

GATE = Gate(claims=(Claim(metric="m", claim="superior"),))
FIELDS = ["heart", "skin", "child"]


def samples(pair: PairedScores, fields: Sequence[str]) -> list[Sample]:
    return [
        Sample(id=item, input="?", row=i, slices={"field": fields[i % len(fields)]})
        for i, item in enumerate(pair.sample_ids)
    ]


def compare(pair: PairedScores, fields: Sequence[str]) -> dict[str, SliceComparison]:
    found = compare_slices([(samples(pair, fields), [pair])], GATE)
    return {line.value: line for line in found}


def mixed(n: int = 150) -> PairedScores:
    """Better by one on the whole, worse by two on each third item."""
    rng = np.random.default_rng(1)
    gains = np.where(np.arange(n) % 3 == 2, -2, 2) + rng.integers(-1, 2, n)
    return grades([5.0] * n, (5.0 + gains).tolist())


def test_a_loss_on_a_part_is_seen_behind_a_gain_on_the_whole() -> None:
    found = compare(mixed(), FIELDS)
    assert [value for value, line in found.items() if line.worst] == ["child"]
    worst = found["child"]
    assert worst.difference is not None
    assert worst.difference.high < 0
    assert worst.p_adjusted is not None
    assert worst.p_adjusted < 0.001


def test_p_values_are_adjusted_over_every_slice_test_of_the_run() -> None:
    first, second = mixed(), grades(*[[5.0] * 150] * 2, metric="other")
    gate = Gate(claims=(*GATE.claims, Claim(metric="other", claim="superior")))
    found = compare_slices([(samples(first, FIELDS), [first, second])], gate)
    assert {line.n_tests for line in found} == {6}
    raw = np.array([line.p_value for line in found], dtype=float)
    adjusted = [line.p_adjusted for line in found]
    assert adjusted == pytest.approx(benjamini_hochberg(raw).tolist())


def test_a_slice_of_few_items_is_shown_without_a_test_and_is_never_the_worst() -> None:
    new = [6.0 + i % 2 for i in range(100)] + [1.0] * (FEWEST - 1)
    pair = grades([5.0] * len(new), new)
    items = [
        Sample(id=item, input="?", row=i, slices={"field": "large" if i < 100 else "small"})
        for i, item in enumerate(pair.sample_ids)
    ]
    large, small = compare_slices([(items, [pair])], GATE)
    assert (small.n, small.p_value, small.worst) == (FEWEST - 1, None, False)
    assert large.worst
    assert large.n_tests == 1


def test_few_clusters_are_few_units_however_many_items() -> None:
    names = [f"c{i % (FEWEST - 1)}" for i in range(120)]
    pair = grades([5.0] * 120, [6.0] * 120, clusters=names)
    assert compare(pair, ["one"])["one"].p_value is None


def test_missing_scores_are_counted_in_their_slice() -> None:
    pair = grades([5.0] * 90, [NAN] * 3 + [6.0 + i % 2 for i in range(87)])
    found = compare(pair, FIELDS)
    assert [line.n_missing for line in found.values()] == [1, 1, 1]
    assert sum(line.n for line in found.values()) == 87


def test_only_gated_columns_are_sliced() -> None:
    pair, other = mixed(), grades(*[[5.0] * 150] * 2, metric="other")
    found = compare_slices([(samples(pair, FIELDS), [pair, other])], GATE)
    assert {line.metric for line in found} == {"m"}
    everything = compare_slices([(samples(pair, FIELDS), [pair, other])], None)
    assert {line.metric for line in everything} == {"m", "other"}


def test_without_slices_there_is_nothing() -> None:
    pair = mixed()
    plain = [Sample(id=item, input="?", row=i) for i, item in enumerate(pair.sample_ids)]
    assert compare_slices([(plain, [pair])], GATE) == ()


@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(random: Random) -> None:
    pair, order = mixed(), random.sample(range(150), 150)
    items = samples(pair, FIELDS)
    shuffled = grades([5.0] * 150, pair.candidate_scores[order].tolist())
    moved = [
        Sample(id=item, input="?", row=0, slices=items[order[i]].slices)
        for i, item in enumerate(shuffled.sample_ids)
    ]
    (here, there) = (
        compare_slices([(its, [scores])], GATE)
        for its, scores in ((items, pair), (moved, shuffled))
    )
    for one, other in zip(here, there, strict=True):
        assert one.difference is not None
        assert other.difference is not None
        assert other.difference.model_dump() == pytest.approx(one.difference.model_dump())
        assert (other.value, other.p_adjusted, other.worst) == (
            one.value,
            one.p_adjusted,
            one.worst,
        )


def test_swapping_the_models_flips_the_sign() -> None:
    pair = mixed()
    back = grades(pair.candidate_scores.tolist(), pair.baseline_scores.tolist())
    here, there = compare(pair, FIELDS), compare(back, FIELDS)
    for value, line in here.items():
        assert line.difference is not None
        other = there[value].difference
        assert other is not None
        assert other.low == pytest.approx(-line.difference.high)
        assert there[value].p_adjusted == pytest.approx(line.p_adjusted)
    assert [value for value, line in there.items() if line.worst] != ["child"]


def test_null_slices_are_seldom_found_whatever_their_number() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        pair = grades([5.0] * 300, (5.0 + rng.integers(-2, 3, 300)).tolist())
        found = compare(pair, [f"s{i}" for i in range(10)])
        hits += any(
            line.p_adjusted is not None and line.p_adjusted <= 0.05 for line in found.values()
        )
    assert hits / 200 <= 0.05 + 2.6 * 0.0154


# --- reading ---------------------------------------------------------------------------------


def table(*rows: dict[str, object]) -> Table:
    return Table([*rows], list(range(1, len(rows) + 1)), "items.jsonl", "")


def test_slices_are_columns_of_the_data() -> None:
    rows = table(
        {"q": "one", "field": "heart", "year": 2020}, {"q": "two", "field": None, "year": 21}
    )
    found = make_samples(rows, {"input": "q"}, None, ["field", "year"])
    assert [sample.slices for sample in found] == [
        {"field": "heart", "year": "2020"},
        {"field": "", "year": "21"},
    ]


def test_a_slice_that_is_no_column_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        HarnessError, match=r"no column 'feild' for the slices. Did you mean 'field'"
    ):
        make_samples(table({"q": "one", "field": "heart"}), {"input": "q"}, None, ["feild"])
