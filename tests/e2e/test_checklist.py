"""A checklist of signed points, from HealthBench's file shape and recorded verdicts to the report."""

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.scores import read_scores
from harness.scoring.columns import GradeColumn
from tests.builders.checklist_study import Rows, make_items, make_verdicts, write_rows, write_study
from tests.builders.commands import Done, harness_here
from tests.loopback.server import LoopbackServer

OPTIONS = ("--models", "old,new", "--profile", "profile.yaml")
ITEMS = make_items(40)
VERDICTS = {
    "old": make_verdicts(ITEMS, seed=1),
    "new": make_verdicts(ITEMS, seed=2, missing=0.02),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checklist")
    write_study(folder, ITEMS, VERDICTS["old"], VERDICTS["new"])
    done = harness_here("run", "suite.yaml", *OPTIONS, cwd=folder)
    assert done.returncode in (0, 3, 4), done.stderr
    return folder


def result(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(next(folder.rglob("results.json")).read_text())
    return made


def column(folder: Path, name: str) -> GradeColumn:
    columns = read_scores(next(folder.rglob("scores.parquet")).parent)
    found = next(c for c in columns if c.metric == name)
    assert isinstance(found, GradeColumn)
    return found


# --- an independent computation --------------------------------------------------------------


def scores_by_hand(model: str, tag: str | None = None) -> dict[str, tuple[float, float, float]]:
    """Score, least and greatest of each item, in whole points and one division each."""
    met = {row["criterion"]: row["met"] for row in VERDICTS[model]}
    by_item = {}
    for item in ITEMS:
        rubrics = [r for r in item["rubrics"] if tag is None or tag in r["tags"]]
        positive = [r["points"] for r in rubrics if r["points"] > 0]
        if not positive:
            continue
        least = greatest = 0
        for rubric in rubrics:
            points, verdict = rubric["points"], met[rubric["criterion"]]
            least += min(points, 0) if verdict is None else points * verdict
            greatest += max(points, 0) if verdict is None else points * verdict
        score = least if least == greatest else math.nan
        by_item[item["prompt_id"]] = tuple(n / sum(positive) for n in (score, least, greatest))
    return by_item


@pytest.mark.parametrize("model", ["old", "new"])
@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("rubrics", None),
        ("rubrics.accuracy", "axis:accuracy"),
        ("rubrics.completeness", "axis:completeness"),
    ],
)
def test_scores_and_their_limits_are_those_of_an_independent_computation(
    folder: Path, name: str, tag: str | None, model: str
) -> None:
    by_hand, made = scores_by_hand(model, tag), column(folder, name)
    assert list(made.sample_ids) == list(by_hand)
    least, greatest = made.limits_of(model)
    found = list(zip(made.scores[model].tolist(), least.tolist(), greatest.tolist(), strict=True))
    assert found == [pytest.approx(ends, nan_ok=True, abs=1e-12) for ends in by_hand.values()]
    assert any(math.isnan(score) for score, _, _ in found) == (model == "new")


def test_the_worst_criterion_is_that_of_an_independent_computation(folder: Path) -> None:
    met = {row["criterion"]: row["met"] for row in VERDICTS["old"]}
    by_hand = [
        min([0, *(r["points"] for r in item["rubrics"] if met[r["criterion"]])]) for item in ITEMS
    ]
    assert column(folder, "rubrics.worst").scores["old"].tolist() == by_hand
    (rule,) = result(folder)["decision"]["critical"]
    assert rule["n_baseline"] == sum(points <= -8 for points in by_hand)


def test_the_claim_counts_each_gap_at_the_worst_of_its_own_item(folder: Path) -> None:
    old, new = scores_by_hand("old"), scores_by_hand("new")
    worst = [new[i][1] - old[i][2] for i in old]
    claim = result(folder)["decision"]["claims"][0]
    assert claim["estimate"] == pytest.approx(sum(worst) / len(worst))


def test_the_range_of_unseen_answers_is_the_widest_of_the_items(folder: Path) -> None:
    lowest = min(
        sum(min(r["points"], 0) for r in item["rubrics"])
        / sum(max(r["points"], 0) for r in item["rubrics"])
        for item in ITEMS
    )
    metric = result(folder)["plan"]["tasks"][0]["metrics"]["rubrics"]
    assert metric["lowest"][""] == pytest.approx(lowest)


# --- what surrounds it -----------------------------------------------------------------------


def test_the_clipped_mean_is_the_overall_score(folder: Path) -> None:
    scores = [score for score, _, _ in scores_by_hand("old").values()]
    (shown,) = (
        s for s in result(folder)["scores"] if (s["metric"], s["model"]) == ("rubrics", "old")
    )
    assert shown["mean"]["estimate"] == pytest.approx(sum(scores) / 40)
    assert shown["overall_score"] == min(max(shown["mean"]["estimate"], 0), 1)
    assert "Overall score (mean clipped to [0, 1])" in next(folder.rglob("report.html")).read_text()


def test_criteria_without_a_verdict_are_counted_among_the_caveats(folder: Path) -> None:
    n = len(VERDICTS["new"])
    missing = sum(row["met"] is None for row in VERDICTS["new"])
    (text,) = (c["text"] for c in result(folder)["caveats"] if c["code"] == "missing_verdicts")
    assert f"no verdict of 'default' on {missing} of {2 * n} criteria of answers" in text
    assert f"({missing} times)" in text


def test_themes_are_slices(folder: Path) -> None:
    slices = result(folder)["slices"]
    assert {(s["slice"], s["value"]) for s in slices} == {
        ("example_tags[theme:]", "hedging"),
        ("example_tags[theme:]", "emergency_referrals"),
    }


def test_pages_of_items_show_each_criterion_with_its_verdict(folder: Path) -> None:
    pages = "".join(page.read_text() for page in (next(folder.rglob("report.html")).parent / "items").glob("*.html"))  # fmt: skip
    assert "Recommends what harms, case 0." in pages
    assert "not met (" in pages


def test_scores_can_be_extracted_and_compared_with_a_blessed_run(folder: Path) -> None:
    done = harness_here("extract", "latest", "--out", "tables", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((folder / "tables" / "scores.csv").read_text("utf-8-sig").splitlines())
    assert {row["metric"] for row in rows} == {
        "rubrics", "rubrics.accuracy", "rubrics.completeness", "rubrics.worst",
    }  # fmt: skip
    blessed = harness_here("bless", "latest", cwd=folder)
    assert blessed.returncode == 0, blessed.stderr
    checked = harness_here("check", "latest", cwd=folder)
    assert checked.returncode in (0, 3, 4), checked.stderr


# --- wrong input -----------------------------------------------------------------------------


def planned(folder: Path, change: Callable[[Rows], None], *, command: str = "plan") -> Done:
    items = make_items(40)
    change(items)
    write_study(folder, items, make_verdicts(make_items(40), seed=1), make_verdicts(items, seed=2))
    options = OPTIONS if command == "plan" else OPTIONS[2:]
    return harness_here(command, "suite.yaml", *options, cwd=folder)


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_an_item_without_criteria_is_named_with_its_line(tmp_path: Path, command: str) -> None:
    done = planned(tmp_path, lambda items: items[2]["rubrics"].clear(), command=command)
    assert done.returncode == 2
    assert "items.jsonl:3: 'rubrics' of item 'q2' is an empty list" in done.stderr


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_doubtful_criteria_are_warned_of(tmp_path: Path, command: str) -> None:
    def blame(items: Rows) -> None:
        items[2]["rubrics"][0]["criterion"] = "Fails to name the dose"

    done = planned(tmp_path, blame, command=command)
    assert done.returncode == 0, done.stderr
    assert "Fails to name the dose" in done.stdout


def test_a_rule_on_points_that_no_item_has_is_refused(tmp_path: Path) -> None:
    def keep_positive(items: Rows) -> None:
        for item in items:
            item["rubrics"] = [r for r in item["rubrics"] if r["points"] > -5]

    done = planned(tmp_path, keep_positive)
    assert done.returncode == 2
    assert "gate.critical.0: at most -8 separates no answers" in done.stderr


def test_a_verdict_on_a_criterion_of_other_words_is_missing(tmp_path: Path) -> None:
    items = make_items(40)
    write_study(tmp_path, items, make_verdicts(items, seed=1), make_verdicts(items, seed=2))
    rows = [r | {"criterion": f"{r['criterion']}!"} for r in make_verdicts(items, seed=2)]
    write_rows(tmp_path / "verdicts_new.jsonl", rows)
    done = harness_here("run", "suite.yaml", *OPTIONS, cwd=tmp_path)
    assert done.returncode == 4
    assert "none of the 28 items has a score for both 'old' and 'new' (not recorded" in done.stderr


# --- a judge behind an endpoint --------------------------------------------------------------


def judge_by_words(body: dict[str, Any]) -> str:
    """Meets what helps, and of what harms what stands first in its item."""
    text = body["messages"][-1]["content"]
    block = re.findall(r"<criteri(?:on|a)-\w{32}>\n(.*?)\n</", text, re.DOTALL)[0]
    met = ["no" if "harms" in line else "yes" for line in block.splitlines()]
    if not re.match(r"1\. ", block):
        return json.dumps({"reason": "r", "met": met[0]})
    numbers = [f"{n}" for n in range(1, len(met) + 1)]
    return json.dumps(
        {"reasons": dict.fromkeys(numbers, "r"), "met": dict(zip(numbers, met, strict=True))}
    )


@pytest.mark.parametrize("together", [False, True])
def test_a_judge_behind_an_endpoint_is_asked_once_about_each_or_all(
    tmp_path: Path, *, together: bool
) -> None:
    items = make_items(40)
    write_study(tmp_path, items, [], [])
    suite = tmp_path / "suite.yaml"
    if together:
        suite.write_text(suite.read_text().replace("  kind: checklist", "  together: true\n    kind: checklist"))  # fmt: skip
    n_asked = 2 * (len(items) if together else sum(len(item["rubrics"]) for item in items))
    profile = tmp_path / "profile.yaml"
    models = profile.read_text().partition("judges:")[0]
    with LoopbackServer(judge_by_words) as server:
        endpoint = f"endpoint: {{model: judge, base_url: '{server.base_url}'}}"
        profile.write_text(f"{models}judges:\n  default: {{{endpoint}}}\n")
        plan = harness_here("plan", "suite.yaml", *OPTIONS, cwd=tmp_path)
        done = harness_here("run", "suite.yaml", *OPTIONS, cwd=tmp_path)
        assert done.returncode in (0, 1, 3), done.stderr
        assert server.counts["ok"] == n_asked
        for item in items:
            item["rubrics"][0]["points"] += 1
        write_rows(tmp_path / "items.jsonl", items)
        again = harness_here("run", "suite.yaml", *OPTIONS, "--out", "again", cwd=tmp_path)
        assert again.returncode in (0, 1, 3), again.stderr
        assert server.counts["ok"] == n_asked  # other points ask nothing again
    assert f" {n_asked} " in plan.stdout
    scores = column(tmp_path / "runs", "rubrics").scores
    assert scores["new"].tolist() == [1.0] * 40


# --- a second judge --------------------------------------------------------------------------


def garbled_on_the_second(body: dict[str, Any]) -> str:
    """The first judge's words on the second criterion of each item are no verdict."""
    on_second = re.search(r"case \d+\.1\n", body["messages"][-1]["content"])
    return "Hmm." if body["model"] == "first" and on_second else judge_by_words(body)


@pytest.fixture(scope="module")
def with_second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Counter[str]]]:
    """A folder with the results of a run, and the calls to each judge in it and in a second one."""
    folder = tmp_path_factory.mktemp("second")
    write_study(folder, ITEMS, [], [])
    profile = folder / "profile.yaml"
    models, calls = profile.read_text().partition("judges:")[0], []
    with LoopbackServer(garbled_on_the_second) as server:
        judges = [
            f"{name}: {{endpoint: {{model: {model}, base_url: '{server.base_url}'}}{then}}}"
            for name, model, then in (("default", "first", ", then: b"), ("b", "second", ""))
        ]
        profile.write_text(f"{models}judges:\n  {judges[0]}\n  {judges[1]}\n")
        for _ in range(2):
            done = harness_here("run", "suite.yaml", *OPTIONS, cwd=folder)
            assert done.returncode in (0, 1, 3), done.stderr
            calls.append(Counter(request.body["model"] for request in server.requests))
    return folder, calls


N_CRITERIA = 2 * sum(len(item["rubrics"]) for item in ITEMS)  # over both models
N_LEFT = 2 * len(ITEMS)


def test_a_second_judge_is_asked_only_about_the_criteria_that_the_first_left_open(
    with_second: tuple[Path, list[Counter[str]]],
) -> None:
    folder, (calls, _) = with_second
    assert calls == {
        "first": N_CRITERIA + N_LEFT,
        "second": N_LEFT,
    }  # the unreadable is tried twice
    assert column(folder, "rubrics").scores["new"].tolist() == [1.0] * 40


def test_a_second_run_asks_the_second_judge_nothing(
    with_second: tuple[Path, list[Counter[str]]],
) -> None:
    _, (before, after) = with_second
    # Of the first one stored garbled reply is tried again, twice.
    assert after - before == {"first": 2}


def test_criteria_of_a_second_judge_are_counted_in_the_caveat(
    with_second: tuple[Path, list[Counter[str]]],
) -> None:
    caveats = result(with_second[0])["caveats"]
    (text,) = (c["text"] for c in caveats if c["code"] == "second_judge")
    assert f": {N_LEFT} verdicts (40 of 'old', 40 of 'new') are of 'second'" in text
    assert f"(of {N_CRITERIA})" in text


def test_verdicts_of_each_judge_are_counted_by_criterion_with_reasons(
    with_second: tuple[Path, list[Counter[str]]],
) -> None:
    tallies = {(t["judge"], t["model"]): t for t in result(with_second[0])["tallies"]}
    first, second = tallies["first", "new"], tallies["second", "new"]
    assert (first["asked"], first["scored"]) == (N_CRITERIA // 2, N_CRITERIA // 2 - 40)
    assert (first["reasons"], first["asked_again"]) == ({"unreadable": 40}, 40)
    assert (second["asked"], second["scored"], second["asked_again"]) == (40, 40, 0)
