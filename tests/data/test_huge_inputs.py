"""Files that are small and unpack to much, nest without end, or loop: a message, and no full memory."""

import gzip
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.config import Criterion, RubricMetric, Source
from harness.core.deadline import run_within
from harness.core.errors import HarnessError
from harness.core.json_text import MAX_DEPTH, parse_json
from harness.data import tables
from harness.interop.importing import import_records
from harness.models import local
from harness.models.local import encode_chat, make_prompt
from tests.builders.recorded import write_study
from tests.builders.tiny import make_tiny_model


def load(path: Path) -> tables.Table:
    return tables.load_rows(Source(path=str(path)), None)


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 50_000_000)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(tables, "MAX_UNPACKED", 40_000_000)
    with pytest.raises(HarnessError, match=r"unpacks to 50 MB.*Save the sheet as CSV"):
        load(path)


def test_a_packed_file_that_unpacks_to_gigabytes_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED", 1_000_000)
    (tmp_path / "small.jsonl.gz").write_bytes(gzip.compress(b" " * 2_000_000))
    with pytest.raises(HarnessError, match=r"unpacks to more than 1 MB\. Unpack it"):
        load(tmp_path / "small.jsonl.gz")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_rows_that_are_nested_too_deep_are_refused_with_their_place(
    tmp_path: Path, name: str, depth: int
) -> None:
    row = '{"id": 1, "x": ' + "[" * depth + "]" * depth + "}"
    (tmp_path / name).write_text(row if name.endswith("l") else f"[{row}]")
    with pytest.raises(HarnessError, match=rf"{name}.*nested"):
        load(tmp_path / name)


def test_rows_that_are_nested_as_far_as_is_read_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": 1, "x": nested(MAX_DEPTH - 2)}))
    assert load(tmp_path / "rows.jsonl").rows[0]["x"] == nested(MAX_DEPTH - 2)


def test_many_shallow_rows_are_not_taken_for_deep_ones() -> None:
    text = json.dumps([[{"a": [1]}] for _ in range(5 * MAX_DEPTH)])
    assert len(parse_json(text)) == 5 * MAX_DEPTH  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [150, 900])
def test_a_deep_log_to_import_is_an_error_and_no_traceback(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"eval": {"model": "m"}, "samples": nested(depth)}))
    with pytest.raises(HarnessError):
        import_records([str(path)], tmp_path / "out")


@pytest.mark.parametrize("scale", [(1, 10**9), (0, 1001), (10**9, 10**9 + 5)])
def test_a_scale_of_a_billion_points_is_refused(scale: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="points, which no judge tells apart"):
        RubricMetric(kind="rubric", scale=scale, criteria=(Criterion(name="a", asks="?"),))


@pytest.mark.parametrize("scale", [(1, 10), (0, 1000), (-5, 5)])
def test_the_scales_that_people_use_are_allowed(scale: tuple[int, int]) -> None:
    RubricMetric(kind="rubric", scale=scale, criteria=(Criterion(name="a", asks="?"),))


def test_answers_of_megabytes_make_no_huge_result(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from harness.cli import app

    write_study(tmp_path, shifts={"sft": 0.0, "dpo": 0.6}, n=24)
    for model in ("sft", "dpo"):
        rows = [json.loads(line) for line in (tmp_path / f"{model}.jsonl").read_text().splitlines()]
        rows = [row | {"answer": row["answer"] + " word" * 100_000} for row in rows]
        (tmp_path / f"{model}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = (str(tmp_path / "suite.yaml"), "--profile", str(tmp_path / "profile.yaml"))
    where = ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs"))
    CliRunner().invoke(app, ["run", *files, "--models", "sft,dpo", *where])
    (result,) = (tmp_path / "runs").glob("*/*/results.json")
    assert result.stat().st_size < 2_000_000
    assert "characters left out" in result.read_text()


def test_a_chat_template_that_loops_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_tiny_model(tmp_path / "model"))
    loop = "{% for i in range(3000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"
    tokenizer.chat_template = loop  # a second or so; an attacker's would take for ever
    monkeypatch.setattr(local, "TEMPLATE_S", 0.05)
    with pytest.raises(HarnessError, match=r"has not written the prompt within 0\.05 s: it loops"):
        encode_chat(tokenizer, make_prompt(None, "Is it bad?"))


def test_work_within_its_time_gives_what_it_gives() -> None:
    assert run_within(5.0, lambda: 7) == 7
    with pytest.raises(KeyError):
        run_within(5.0, lambda: {}["absent"])
    with pytest.raises(TimeoutError):
        run_within(0.01, lambda: time.sleep(0.5))
