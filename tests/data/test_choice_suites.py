"""The multiple-choice suites that come along: rows as their data sets have them, and PubMedQA itself."""

import os
from collections import Counter
from pathlib import Path

import pytest

from harness.config import load_suite
from harness.data.choices import put_choices
from harness.data.samples import make_samples
from harness.data.tables import Table, load_rows
from harness.types import Sample

DATA = os.environ.get("HARNESS_DATA_DIR")
# A made-up question in the columns of each data set on the hub.
ROWS: dict[str, dict[str, object]] = {
    "medqa": {
        "question": "Which drug is a diuretic?", "answer": "furosemide", "answer_idx": "B",
        "options": {"A": "ibuprofen", "B": "furosemide", "C": "aspirin", "D": "codeine"},
        "meta_info": "step1",
    },
    "medmcqa": {
        "id": "e9ad", "question": "Which drug is a diuretic?", "opa": "ibuprofen", "opb": "furosemide",
        "opc": "aspirin", "opd": "codeine", "cop": 1, "subject_name": "Pharmacology",
    },
    "mmlu_medical": {
        "question": "Which drug is a diuretic?", "subject": "college_medicine", "answer": 1,
        "choices": ["ibuprofen", "furosemide", "aspirin", "codeine"],
    },
}  # fmt: skip


def items(name: str, rows: list[dict[str, object]] | None = None) -> tuple[Sample, ...]:
    suite, root = load_suite(name)
    source = suite.data.source
    layout = suite.metrics["accuracy"].layout
    assert source is not None
    assert layout is not None
    table = (
        load_rows(source, root)
        if rows is None
        else Table(origin=name, lines=[1], rows=rows, sha256="")  # type: ignore[arg-type]
    )
    samples = make_samples(table, source.fields, None, suite.data.slices)
    return put_choices(samples, layout, table, source.fields)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_hub_becomes_an_item_with_its_right_option(name: str) -> None:
    (item,) = items(name, [ROWS[name]])
    assert item.right_choice == "B"
    assert item.reference == "furosemide"
    assert "\nB) furosemide\n" in item.input


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="HARNESS_DATA_DIR is not set")
def test_pubmedqa_has_its_thousand_questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    found = items("pubmedqa")
    assert Counter(item.reference for item in found) == {"yes": 552, "no": 338, "maybe": 110}
    assert all(item.question and item.input.startswith(item.question) for item in found)
    assert found[0].input.endswith(
        '\n\n- yes\n- no\n- maybe\n\nEnd your reply with one line: "Answer:" and one of these options, word for word.'
    )
