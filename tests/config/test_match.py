"""Keys of `kind: match`: what is wrong with one is said on its line."""

from pathlib import Path

import pytest

from harness.config import load_suite
from harness.core.errors import HarnessError
from tests.builders.files import write

SUITE = "suite: s\ndata: {source: {path: i.jsonl, fields: {input: q}}}\nmetrics:\n  m: {kind: match%s}\n"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "metrics.m: needs the key 'by'."),
        (", by: nummber", "metrics.m.by: 'nummber' is unknown. Did you mean 'number'?"),
        (", by: exact, tolerance: 1", "metrics.m.tolerance: unknown key. Known: by, data, generation"),
        (", by: number, tolerence: 1", "metrics.m.tolerence: unknown key. Did you mean 'tolerance'?"),
        (", by: number, tolerance: -1", "metrics.m: the tolerance -1 is negative."),
        (", by: number, tolerance: 5 percent", "metrics.m.tolerance: write a number"),
        (", by: number, tolerance: '%'", "metrics.m.tolerance: write a number"),
        (", by: number, tolerance: [1]", "metrics.m.tolerance: Input should be a valid number"),
        (", by: number, after: ' '", "metrics.m: 'after' holds only white space"),
        (", by: number, decimal: dot", "metrics.m.decimal: 'dot' is unknown"),
        (", by: regex, pattern: '(a'", "metrics.m.pattern: no regular expression: missing )"),
        (", by: regex, pattern: ''", "metrics.m.pattern: the regular expression is empty"),
        (", by: json, json_schema: {typ: object}", "metrics.m.json_schema: the schema has 'typ'"),
        (", by: word_count", "metrics.m: state 'at_least', 'at_most' or both"),
        (", by: word_count, at_least: 5, at_most: 3", "metrics.m: no answer has at least 5 and at most"),
        (", by: word_count, at_most: 0", "metrics.m.at_most: Input should be greater"),
        (", by: token_f1, repeats: 3", "metrics.m.repeats: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_on_its_line(tmp_path: Path, keys: str, message: str) -> None:
    path = write(tmp_path / "s.yaml", SUITE % keys)
    with pytest.raises(HarnessError) as error:
        load_suite(str(path))
    assert f"s.yaml:4: {message}" in str(error.value)


def test_a_tolerance_is_a_distance_or_a_share(tmp_path: Path) -> None:
    for tolerance in ("0", "0.5", "5%", "'2.5 %'"):
        path = write(tmp_path / "s.yaml", SUITE % f", by: number, tolerance: {tolerance}")
        assert load_suite(str(path))[0].metrics["m"].needs_reference
