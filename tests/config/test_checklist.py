"""Keys of `kind: checklist`, and claims on its columns before the items are known."""

from pathlib import Path

import pytest

from harness.config import ChecklistMetric, load_suite
from harness.core.errors import HarnessError
from tests.builders.files import write

SUITE = """\
suite: s
data: {source: {path: i.jsonl, fields: {input: q}}}
metrics:
  m: {kind: checklist%s}
gate: {claims: [{metric: %s}]}
"""
CLAIM = "m, claim: superior"


def load(folder: Path, keys: str, claim: str = CLAIM) -> ChecklistMetric:
    path = write(folder / "s.yaml", SUITE % (keys, claim))
    metric = load_suite(str(path))[0].metrics["m"]
    assert isinstance(metric, ChecklistMetric)
    return metric


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "metrics.m.criteria: this key is required"),
        (", criteria: r, tags: ['a:x', 'b:x']", "a second column would be called 'x'"),
        (", criteria: r, tags: ['a:worst']", "'worst' cannot be the name of a column"),
        (", criteria: r, tags: ['a:']", "'' cannot be the name of a column"),
        (", criteria: r, tags: x", "metrics.m.tags"),
        (", criteria: r, lowest: {worst: -1.0}", "metrics.m.lowest: is found in the items"),
        (", criteria: r, asks: ''", "metrics.m.asks"),
        (", criteria: r, scale: [1, 5]", "metrics.m.scale: unknown key"),
    ],
)
def test_a_wrong_key_is_named_on_its_line(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(HarnessError) as error:
        load(tmp_path, keys)
    assert str(error.value).startswith(f"{tmp_path / 's.yaml'}:4: ")
    assert message in str(error.value)


def test_columns_are_the_tags_the_worst_and_all_criteria(tmp_path: Path) -> None:
    metric = load(tmp_path, ", criteria: r, tags: ['axis:accuracy', clear]")
    assert metric.columns("m") == ("m.accuracy", "m.clear", "m.worst", "m")
    assert metric.summary_columns("m") == ("m",)


def test_a_claim_on_a_tag_that_has_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"'m\.accurate' is not measured\. Did you mean"):
        load(tmp_path, ", criteria: r, tags: ['axis:accuracy']", "m.accurate, claim: superior")


def test_a_value_below_zero_may_be_claimed_and_one_above_one_not(tmp_path: Path) -> None:
    load(tmp_path, ", criteria: r", "m, claim: at_least, value: -2")
    with pytest.raises(HarnessError, match="at least 1 cannot be shown"):
        load(tmp_path, ", criteria: r", "m, claim: at_least, value: 1.0")
