"""JSON as people save it."""

from pathlib import Path

import pytest

from harness.core.json_text import json_lines, parse_json, read_json_bytes, read_utf8
from harness.interop.importing.records import as_number, read_json


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_end_as_in_any_editor(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(f'{mark}{{"a": "x\u2028\x85y"}}{end}{end}{{"a": 2}}{end}'.encode())
    assert read_json(path) == [{"a": "x\u2028\x85y"}, {"a": 2}]
    assert [number for number, _ in json_lines(read_utf8(path))] == [1, 3]


def test_a_byte_order_mark_is_no_part_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_json_bytes(path) == b"{}"
    assert read_json(path) == {}


def test_nan_is_null() -> None:
    assert parse_json('{"a": NaN, "b": -Infinity}') == {"a": None, "b": float("-inf")}


def test_numbers_beyond_a_float_are_no_scores() -> None:
    assert as_number(parse_json("1" + "0" * 400)) is None
    assert as_number(parse_json("1e999")) is None


def test_deep_nesting_is_no_json() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json("[" * 200_000)
