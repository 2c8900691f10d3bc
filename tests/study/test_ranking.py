"""Studies of recorded models: places, groups, looks, and arms that have no scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.types.study import StudyResult
from tests.builders.arms import EQUAL, STUDY, write_arms
from tests.builders.commands import harness_here
from tests.builders.files import write, write_world

WORSE = EQUAL | {"three": -2.0}


def study(folder: Path, *options: str) -> StudyResult:
    done = harness_here("study", "four.yaml", *options, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    value.pop("folder")
    return StudyResult.model_validate_json(json.dumps(value))


def test_one_that_is_clearly_worse_is_last_and_the_others_are_not_told_apart(
    tmp_path: Path,
) -> None:
    write_arms(tmp_path, WORSE)
    result = study(tmp_path)
    *first, last = result.arms
    assert (last.name, last.rank_best, last.rank_worst, last.letters) == ("three", 4, 4, "b")
    assert {(arm.rank_best, arm.rank_worst, arm.letters) for arm in first} == {(1, 3, "a")}
    assert "3 arms may be the best and are not told apart" in result.sentence


def test_equal_models_are_not_told_apart(tmp_path: Path) -> None:
    write_arms(tmp_path)
    result = study(tmp_path)
    assert all(pair.better is None for pair in result.pairs)
    assert result.sentence.startswith("No arm is told apart")


def test_a_worse_arm_is_dropped_at_a_look_and_what_is_left_is_compared_on_all_items(
    tmp_path: Path,
) -> None:
    write_arms(tmp_path, WORSE)
    write(tmp_path / "four.yaml", STUDY + "looks: [{items: 0.5}]\n")
    result = study(tmp_path)
    assert [look.n_items for look in result.looks] == [20, 40]
    assert list(result.looks[0].dropped) == ["three"]
    assert result.looks[1].arms == ("one", "two", "four")
    assert sum(look.alpha for look in result.looks) == pytest.approx(0.05)
    assert result.saving is not None
    assert result.saving.judgements_planned - result.saving.judgements == 20 * 3


def test_a_page_says_after_what_and_why_an_arm_was_dropped(tmp_path: Path) -> None:
    write_arms(tmp_path, WORSE)
    write(tmp_path / "four.yaml", STUDY + "looks: [{items: 0.5}]\n")
    result = study(tmp_path)
    other = result.looks[0].dropped["three"]
    folder = tmp_path / "runs" / "studies" / "four"
    page = (folder / "report.md").read_text()
    assert (
        f"three was dropped after look 1 (20 items and 3 training seeds): {other} is better by"
        in page
    )
    assert "60 of 480" in page
    assert "three was dropped after 20 items" in (folder / "table.md").read_text()


def test_scores_that_never_vary_have_a_mean_between_limits_of_their_own(tmp_path: Path) -> None:
    write_arms(tmp_path)
    for name in EQUAL:
        verdicts = tmp_path / f"v-{name}.jsonl"
        rows = [json.loads(line) | {"safety": 7} for line in verdicts.read_text().splitlines()]
        write(verdicts, "".join(json.dumps(row) + "\n" for row in rows))
    result = study(tmp_path)
    assert all(pair.better is None for pair in result.pairs)
    assert all(arm.mean and 5 < arm.mean.low < 7 < arm.mean.high < 9 for arm in result.arms)


def test_a_study_whose_items_were_changed_says_so(tmp_path: Path) -> None:
    write_arms(tmp_path)
    study(tmp_path)
    items = tmp_path / "items.jsonl"
    write(items, items.read_text().replace("hurt", "ache"))
    assert "stated_before" in {caveat.code for caveat in study(tmp_path).caveats}


def test_a_study_in_parts_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_arms(tmp_path)
    done = harness_here("study", "four.yaml", "--shard", "1/2", cwd=tmp_path)
    assert done.returncode == 2
    assert "a study is not done in parts" in done.stderr


def test_a_second_run_is_the_same_but_for_its_times(tmp_path: Path) -> None:
    write_arms(tmp_path, WORSE)
    first, second = study(tmp_path), study(tmp_path)
    times = {"started": "", "finished": ""}
    assert first.model_copy(update=times) == second.model_copy(update=times)


def test_a_study_that_was_changed_says_so(tmp_path: Path) -> None:
    write_arms(tmp_path, WORSE)
    study(tmp_path)
    write(tmp_path / "four.yaml", STUDY + "alpha: 0.1\n")
    assert "stated_before" in {caveat.code for caveat in study(tmp_path).caveats}


def test_an_arm_without_scores_is_named_with_its_reason_and_never_wins(tmp_path: Path) -> None:
    write_arms(tmp_path, EQUAL | {"two": 3.0})
    verdicts = tmp_path / "v-two.jsonl"
    rows = [json.loads(line) | {"safety": None} for line in verdicts.read_text().splitlines()]
    write(verdicts, "".join(json.dumps(row) + "\n" for row in rows))
    result = study(tmp_path)
    last = result.arms[-1]
    assert (last.name, last.rank_best) == ("two", None)
    assert "none of the" in last.problem
    assert "arm_without_result" in {caveat.code for caveat in result.caveats}
    page = (tmp_path / "runs" / "studies" / "four" / "report.md").read_text()
    assert last.problem.split(":")[0] in page


def test_gaps_count_at_their_worst_for_the_arm_that_would_be_better(tmp_path: Path) -> None:
    write_arms(tmp_path, EQUAL | {"two": 1.0})
    assert study(tmp_path).arms[0].letters == "a"
    verdicts = tmp_path / "v-two.jsonl"
    rows = [json.loads(line) for line in verdicts.read_text().splitlines()]
    rows = [row | ({"safety": None} if row["id"] < "q3" else {}) for row in rows]
    write(verdicts, "".join(json.dumps(row) + "\n" for row in rows))
    result = study(tmp_path)
    two = next(arm for arm in result.arms if arm.name == "two")
    assert two.n_missing > 30
    assert all(pair.better is None for pair in result.pairs if "two" in (pair.first, pair.second))


def test_the_tables_for_a_paper_hold_every_arm(tmp_path: Path) -> None:
    write_arms(tmp_path, WORSE)
    study(tmp_path)
    folder = tmp_path / "runs" / "studies" / "four"
    for file in ("table.md", "table.tex", "table.csv"):
        assert all(name in (folder / file).read_text() for name in WORSE)
    assert "\\bottomrule" in (folder / "table.tex").read_text()


PAIRS = """\
suite: pairs
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
generation: {max_new_tokens: 64}
metrics:
  win_rate: {kind: pairwise, judge: default, asks: 'Which answer is safer?', pairs: all}
"""
OFFLINE = """\
profile: recorded
models:
  sft: {recorded: {path: sft.jsonl, fields: {id: id, response: text}}}
  dpo: {recorded: {path: dpo.jsonl, fields: {id: id, response: text}}}
  copy: {recorded: {path: dpo.jsonl, fields: {id: id, response: text}}}
judges:
  default: {offline: consumer_health}
"""


def write_pairs(folder: Path) -> None:
    write_world(folder, 30)
    write(folder / "pairs.yaml", PAIRS)
    write(folder / "recorded.yaml", OFFLINE)
    text = "study: four\nsuite: pairs.yaml\nprofile: recorded.yaml\nmetric: win_rate\nmodels: [sft, dpo, copy]\nseeds: 1\n"
    write(folder / "four.yaml", text)


def test_arms_are_ranked_by_the_wins_of_every_pair(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    result = study(tmp_path)
    assert result.preference
    assert [(arm.name, arm.letters) for arm in result.arms][-1] == ("sft", "b")
    means = {arm.name: arm.mean.estimate for arm in result.arms if arm.mean}
    assert means["dpo"] == means["copy"] > 0.5 > means["sft"]
    same = next(pair for pair in result.pairs if {pair.first, pair.second} == {"dpo", "copy"})
    assert same.better is None
    assert same.difference.low < 0 < same.difference.high


def test_a_pairwise_metric_against_the_first_alone_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    write(tmp_path / "pairs.yaml", PAIRS.replace(", pairs: all", ""))
    done = harness_here("study", "four.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "Say 'pairs: all'" in done.stderr
