"""The pages of a workspace, as a browser without a script asks for them."""

import json
import os
import re
import shutil
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from harness.artifacts.results_json import dump_result, load_result
from harness.artifacts.running import announce_run
from harness.config import CriticalRule
from harness.core.hashing import content_hash
from harness.core.progress import QuietProgress
from harness.types import CriticalResult
from harness.view.workspace import Workspace
from tests.builders.results import passing_run
from tests.builders.sealed import sealed
from tests.builders.view_workspaces import FIRST_DAY, add_run, run_once, viewed, write_workspace

N_RUNS = 8


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_once(tmp_path_factory.mktemp("real"), 30)


@pytest.fixture
def out(real: Path, tmp_path: Path) -> Path:
    write_workspace(tmp_path / "runs", real, N_RUNS)
    return tmp_path / "runs"


def text_of(body: str) -> str:
    return unescape(
        re.sub(r"\s+", " ", re.sub(r"<(style|svg|script).*?</\1>|<[^>]+>", " ", body, flags=re.S))
    )


def vary_plan(real: Path, **update: object):  # type: ignore[no-untyped-def]
    result = load_result(real)
    later = (FIRST_DAY + timedelta(days=99)).isoformat(timespec="seconds")
    plan = result.plan.model_copy(update=update)
    return sealed(result.model_copy(update={"plan": plan, "finished": later}))


def test_all_runs_are_listed_the_last_first(out: Path) -> None:
    page = viewed(out).viewer().get("/")
    days = re.findall(r"<td>(2026-\d\d-\d\d)", page.body)
    assert len(days) == N_RUNS
    assert days == sorted(days, reverse=True)
    assert "1 to 8 of 8 runs" in page.body


def test_the_list_is_limited_by_suite_model_and_verdict(real: Path, out: Path) -> None:
    alone = {"suite": "other", "models": load_result(real).plan.models[::-1]}
    add_run(out, real, vary_plan(real, **alone))
    viewer = viewed(out).viewer()
    assert "of 2 runs" in viewer.get("/?suite=daily").body
    assert "of 9 runs" in viewer.get("/?model=dpo&verdict=pass").body
    assert "of 1 run," in viewer.get("/?suite=other&model=sft").body
    assert "No run is like that" in viewer.get("/?verdict=fail").body


def test_fifty_runs_are_on_a_page(real: Path, tmp_path: Path) -> None:
    write_workspace(tmp_path, real, 51)
    viewer = viewed(tmp_path).viewer()
    first, second = viewer.get("/").body, viewer.get("/?page=2").body
    assert (first.count('name="run"'), second.count('name="run"')) == (50, 1)
    assert '<a href="/?page=2" aria-current="page">2</a>' in second
    for odd in ("0", "-1", "999999999", "x", "²", ""):
        assert viewer.get(f"/?page={odd}").status == 200


def test_a_run_is_shown_with_its_verdict_claims_plan_and_integrity(out: Path) -> None:
    site = viewed(out)
    entry = site.workspace.runs()[0]
    page = text_of(site.viewer().get(f"/run/{entry.suite}/{entry.name}").body)
    assert "rubric.safety superior" in page
    assert "must exceed 0.00" in page
    assert re.search(r"rubric.safety superior PASS [\d.]+ \([\d.]+ to [\d.]+, 90 %\) 30", page)
    assert "Verified: the tables are" in page
    assert "Registered" in page  # when the plan was stated
    assert entry.decided
    assert entry.decided.plan.hash in page


def test_a_table_that_was_changed_is_said_when_the_run_is_opened(out: Path) -> None:
    site = viewed(out)
    entry = site.workspace.runs()[0]
    (entry.folder / "scores.parquet").unlink()
    (entry.folder / "scores.parquet").write_bytes(b"other")
    page = site.viewer().get(f"/run/{entry.suite}/{entry.name}").body
    assert "This run cannot be read" in page
    assert "its sha256 in results.json differs" in page


def test_a_table_that_is_missing_is_said_when_the_run_is_opened(out: Path) -> None:
    site = viewed(out)
    entry = site.workspace.runs()[0]
    (entry.folder / "answers.parquet").unlink()
    page = site.viewer().get(f"/run/{entry.suite}/{entry.name}").body
    assert "Not complete: answers.parquet is missing" in page


def test_a_damaged_run_is_listed_with_its_problem_and_cannot_be_compared(out: Path) -> None:
    site = viewed(out)
    entry, other = site.workspace.runs()[:2]
    (entry.folder / "results.json").write_text('{"schema_version": 1')
    page = site.viewer().get("/?verdict=cannot+be+read").body
    assert "damaged" in page
    assert 'type="checkbox"' not in page
    runs = f"run={entry.suite}/{entry.name}&run={other.suite}/{other.name}"
    assert "One of the runs cannot be read" in site.viewer().get(f"/compare?{runs}").body


def test_a_result_that_was_tampered_with_has_no_verdict_in_the_list(out: Path) -> None:
    site = viewed(out)
    entry = site.workspace.runs()[0]
    path = entry.folder / "results.json"
    data = json.loads(path.read_text())
    data["decision"]["claims"][0]["verdict"] = "fail"
    path.write_text(json.dumps(data))
    assert "and that of its claims and rules" in site.viewer().get("/").body


def test_a_run_that_is_deleted_after_it_was_listed_is_said_to_be_gone(out: Path) -> None:
    site = viewed(out)
    viewer, entry = site.viewer(), site.workspace.runs()[0]
    shutil.rmtree(entry.folder)
    reply = viewer.get(f"/run/{entry.suite}/{entry.name}")
    assert (reply.status, "no such run" in reply.body) == (404, True)
    assert f"of {N_RUNS - 1} runs" in viewer.get("/").body


def test_a_result_is_read_once_and_again_when_it_has_changed(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def load(folder: Path, **options: bool):  # type: ignore[no-untyped-def]
        read.append(folder)
        return load_result(folder, **options)

    monkeypatch.setattr("harness.view.workspace.load_result", load)
    workspace = Workspace(out)
    first = workspace.runs()[0]
    workspace.runs()
    assert len(read) == N_RUNS
    later = load_result(first.folder).model_copy(update={"finished": "2027-01-01T00:00:00+00:00"})
    (first.folder / "results.json").write_bytes(dump_result(later))
    assert workspace.runs()[0].finished.startswith("2027")
    assert len(read) == N_RUNS + 1


# --- over time, and side by side ---------------------------------------------------------------


def test_a_claim_over_time_breaks_where_judge_or_items_change(real: Path, out: Path) -> None:
    result = load_result(real)
    judges = {
        name: card.model_copy(update={"name": "newer", "fingerprint": "9" * 64})
        for name, card in result.plan.judges.items()
    }
    add_run(out, real, vary_plan(real, suite="daily", judges=judges))
    page = viewed(out).viewer().get("/trends?suite=daily")
    assert page.body.count('class="change"') == 1
    assert "judge of rubric" in text_of(page.body)
    assert "newer (999999999999)" in text_of(page.body)
    assert page.body.count('class="curve"') == 2


def test_a_change_of_claims_alone_is_another_trend_and_no_break(real: Path, out: Path) -> None:
    gate = load_result(real).plan.gate
    assert gate
    add_run(
        out,
        real,
        vary_plan(real, suite="daily", gate=gate.model_copy(update={"max_unscored": 0.5})),
    )
    assert 'class="change"' not in viewed(out).viewer().get("/trends?suite=daily").body


def test_another_baseline_is_a_break_of_a_difference(real: Path, out: Path) -> None:
    result = vary_plan(real, suite="daily")
    other = sealed(result.model_copy(update={"fingerprints": {"sft": "f" * 64, "dpo": "1" * 64}}))
    add_run(out, real, other)
    assert "baseline: sft" in text_of(viewed(out).viewer().get("/trends?suite=daily").body)


def test_trends_are_limited_to_an_item_set(real: Path, out: Path) -> None:
    (task,) = load_result(real).plan.tasks
    changed = task.model_copy(update={"items_hash": "e" * 64})
    add_run(out, real, vary_plan(real, suite="daily", tasks=(changed,)))
    viewer = viewed(out).viewer()
    assert "items of items" in text_of(viewer.get("/trends?suite=daily").body)
    only = viewer.get("/trends?suite=daily&items=eeeeeeee").body
    assert ("1 run," in only, 'class="change"' in only) == (True, False)


def test_runs_side_by_side_show_each_claim_and_what_their_plans_differ_in(
    real: Path, out: Path
) -> None:
    (task,) = load_result(real).plan.tasks
    changed = task.model_copy(update={"system": "Be brief."})
    add_run(out, real, vary_plan(real, suite="other", tasks=(changed,)))
    site = viewed(out)
    chosen = site.workspace.runs()[:3]
    query = "&".join(f"run={entry.suite}/{entry.name}" for entry in chosen)
    page = site.viewer().get(f"/compare?{query}").body
    said = text_of(page)
    assert "3 runs side by side" in said
    assert said.count("PASS") == 6
    assert "system prompt of items 'Be brief.' None None" in said
    assert "not measured in the same way" in said


@pytest.mark.parametrize("n", [0, 1, 9])
def test_two_to_eight_runs_are_compared(real: Path, tmp_path: Path, n: int) -> None:
    write_workspace(tmp_path, real, 9)
    site = viewed(tmp_path)
    query = "&".join(f"run={e.suite}/{e.name}" for e in site.workspace.runs()[:n])
    reply = site.viewer().get(f"/compare?{query}")
    assert (reply.status, "two to eight" in reply.body) == (400, True)


def test_a_run_under_way_is_shown_and_then_no_more(out: Path) -> None:
    viewer = viewed(out).viewer()
    with announce_run(passing_run().plan, out, QuietProgress()) as progress:
        progress.advance("answers of sft", 30, 120)
        for path in ("/", "/progress"):
            assert "30 of 120" in text_of(viewer.get(path).body)
    assert "No run is under way" in viewer.get("/progress").body


def test_a_workspace_without_a_run_says_so(tmp_path: Path) -> None:
    viewer = viewed(tmp_path).viewer()
    assert "No runs yet" in viewer.get("/").body
    assert "No run here has decided" in viewer.get("/trends").body


def test_a_rule_on_critical_answers_stands_beside_the_claims(real: Path, out: Path) -> None:
    result = vary_plan(real, suite="other")
    assert result.decision
    assert result.plan.gate
    rule = CriticalRule(metric="rubric.safety", at_most=2, allowed_share=0.05)
    found = CriticalResult(
        rule=str(rule), metric="rubric.safety", verdict="fail", why="one critical answer", n=30, n_units=30,
        n_critical=4, n_missing=0, n_baseline=0, at_most=2, allowed_share=0.05, lower=0.05, upper=0.28,
        n_paired=30, difference=None, p_value=None, items=(),
    )  # fmt: skip
    gate = result.plan.gate.model_copy(update={"critical": (rule,)})
    decision = result.decision.model_copy(update={"critical": (found,), "verdict": "fail"})
    plan = result.plan.model_copy(update={"gate": gate})
    add_run(out, real, sealed(result.model_copy(update={"plan": plan, "decision": decision})))
    site = viewed(out)
    query = "&".join(f"run={entry.suite}/{entry.name}" for entry in site.workspace.runs()[:2])
    said = text_of(site.viewer().get(f"/compare?{query}").body)
    assert "FAIL 4 critical (share 5.0 % to 28.0 %) n 30 not claimed" in said
    assert "1 pass; critical answers: 1 fail" in text_of(site.viewer().get("/?suite=other").body)


def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(out: Path) -> None:
    (out / "suite" / "odd").mkdir(parents=True)
    os.mkfifo(out / "suite" / "odd" / "results.json")
    assert "is no regular file" in viewed(out).viewer().get("/").body


def test_a_text_that_utf8_cannot_hold_does_not_end_a_page(real: Path, out: Path) -> None:
    folder = add_run(out, real, vary_plan(real, suite="other"))
    data = json.loads((folder / "results.json").read_text())
    data["plan"] |= {"suite": "odd \ud800 suite", "hash": ""}
    data["run_id"] = content_hash("", data["fingerprints"])[:12]
    (folder / "results.json").write_text(json.dumps(data))
    viewer = viewed(out).viewer()
    assert "odd ⟨U+D800⟩ suite" in viewer.get("/").body
    assert viewer.get("/trends").status == 200
