"""explorer.html as a file: what it holds of the items, its policy, its limits, and where it is written."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.results_json import load_result
from harness.config import ChecklistMetric
from harness.runs.item_pages import write_run_reports
from reports import explorer
from reports.explorer import encode_items, encode_record, encode_texts, pack_texts, render_explorer
from reports.html import source_hash
from reports.items import Item
from tests.builders.explored import explored_items, explored_run, hostile_item
from tests.builders.hostile import PAYLOADS
from tests.builders.html_pages import read_page
from tests.builders.judged_runs import wins, write_run


def render(items: list[Item], n_items: int | None = None) -> str:
    return render_explorer(items, explored_run(), n_items=n_items or len(items))


def texts_of(html: str) -> list[dict[str, object]]:
    parts = re.findall(r'id="texts-\d+">([^<]*)<', html)
    return [text for part in parts for text in json.loads(gzip.decompress(base64.b64decode(part)))]


def test_every_column_has_the_run_s_own_scores_of_every_item():
    items = explored_items(40)
    encoded = encode_items(items, explored_run().plan)
    for column in encoded["columns"]:
        own = [next(c for c in item.comparisons if c.metric == column["metric"]) for item in items]
        assert column["differences"] == [c.difference for c in own]
        assert column["order_dependent"] == [i for i, c in enumerate(own) if c.order_dependent]
        assert column["judges_disagree"] == [i for i, c in enumerate(own) if c.judges_disagree]
        assert column["against_people"] == [i for i, c in enumerate(own) if c.people_disagree]


def test_a_scale_without_a_least_score_is_readable_json():
    run = explored_run()
    checklist = ChecklistMetric(kind="checklist", criteria="criteria", asks="Is it met?")
    task = run.plan.tasks[0].model_copy(update={"metrics": {"checks": checklist}})
    plan = run.plan.model_copy(update={"tasks": (task,)})
    compared = replace(explored_items(1)[0].comparisons[0], metric="checks")
    item = replace(explored_items(1)[0], comparisons=(compared,))
    (column,) = encode_items([item], plan)["columns"]
    assert (column["low"], column["high"]) == (None, 1)


def test_slices_and_flags_are_the_items_own():
    items = explored_items(40)
    encoded = encode_items(items, explored_run().plan)
    about = encoded["slices"][0]
    assert [about["values"][k] for k in about["of"]] == [dict(i.slices)["about"] for i in items]
    flagged = {(f["flag"], f["model"], i) for f in encoded["flags"] for i in f["items"]}
    assert flagged == {(f.flag, f.model, i) for i, item in enumerate(items) for f in item.flags}


def test_the_texts_come_back_from_their_compressed_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explorer, "PART", 5_000)
    items = explored_items(30)
    html = render(items)
    assert html.count('type="text/plain"') > 3
    assert texts_of(html) == [encode_texts(item) for item in items]


def test_each_part_says_where_its_items_begin(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explorer, "PART", 20)
    packed = pack_texts([b'"0123456789"', b'"0"', b'"0123456789"', b'"0123456789"'])
    assert packed.starts == [0, 2, 3]


def test_texts_are_kept_to_the_letter_for_training_pairs():
    answer = encode_texts(hostile_item("zero\u200dwidth\r\n"))["answers"][0]
    assert json.loads(encode_record(answer))["text"] == "zero\u200dwidth\r\n"


def test_a_text_that_is_cut_is_said_to_be():
    assert encode_texts(hostile_item("x" * 9_000))["cut"] is True
    assert encode_texts(hostile_item("x"))["cut"] is False


def test_the_policy_allows_the_script_and_the_style_by_their_hashes_and_nothing_else():
    page = read_page(render(explored_items(3)))
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv"))
    script = re.findall(r"<script>(.*?)</script>", render(explored_items(3)), re.DOTALL)
    assert len(script) == 1
    assert policy == (
        f"default-src 'none'; script-src '{source_hash(script[0])}'; "
        f"style-src '{source_hash(page.style)}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def test_hostile_texts_add_no_element():
    hostile = read_page(render([hostile_item("\n".join(PAYLOADS))]))
    clean = read_page(render([hostile_item("x")]))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in clean.tags]


def test_no_script_turns_text_into_html():
    folder = Path(explorer.__file__).parent / "templates" / "explorer"
    scripts = {path.stem: path.read_text() for path in folder.glob("*.js")}
    assert set(scripts) == set(explorer.SCRIPTS)
    for words in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
    ):
        assert not [name for name, script in scripts.items() if words in script]


def test_a_run_of_more_items_says_how_many_are_shown():
    assert "Shown are the 3 of 30,000 items" in render(explored_items(3), n_items=30_000)
    assert "Shown are" not in render(explored_items(3))


def test_where_texts_are_too_many_those_of_the_largest_differences_stay(
    monkeypatch: pytest.MonkeyPatch,
):
    items = explored_items(30)
    size = sum(len(encode_record(encode_texts(item))) for item in items)
    monkeypatch.setattr(explorer, "MAX_TEXTS", size // 3)
    html = render(items)
    n_shown = len(texts_of(html))
    assert 5 < n_shown < 15
    assert f"Shown are the {n_shown} of 30 items" in html
    sizes = sorted((abs(item.difference or 0) for item in items), reverse=True)
    kept = {json.dumps(texts) for texts in texts_of(html)}
    shown = [i for i in items if json.dumps(encode_texts(i)) in kept]
    assert min(abs(i.difference or 0) for i in shown) >= sizes[n_shown]


def test_the_same_run_gives_the_same_bytes():
    assert render(explored_items(20)) == render(explored_items(20))


def test_a_run_without_tables_gets_no_page(tmp_path: Path):
    run = write_run(tmp_path / "run", [wins(np.tile([1.0, 0.0], 10))])
    report = write_run_reports(load_result(run), run).read_text()
    assert not (run / "explorer.html").exists()
    assert "explorer.html" not in report
