"""A recipe trained with several seeds: items and seeds are both samples of the verdict."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.scores import read_scores
from harness.config.request import Request, load_request
from harness.core.errors import HarnessError
from harness.scoring.columns import GradeColumn
from tests.builders.commands import Done, harness_here
from tests.builders.files import write
from tests.builders.seeds import write_seeded_world
from tests.loopback.server import LoopbackServer

GAINS_OF_CHANCE = (1.6, 0.1, -0.2)  # 0.5 on average, of which another seed may give nothing


def run(world: Path, models: str, *more: str) -> tuple[Done, dict[str, Any]]:
    command = ("run", "small.yaml", "--profile", "seeds.yaml", "--models", models)
    done = harness_here(*command, "--format", "json", *more, cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    folder = world / json.loads(done.stdout)["folder"]
    return done, json.loads((folder / "results.json").read_text()) | {"folder": str(folder)}


def ask(world: Path, *models: str) -> Request:
    return load_request(str(world / "small.yaml"), str(world / "seeds.yaml"), models)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    write(path, text.replace(old, new))


@pytest.mark.parametrize("baseline", ["sft", "sft3"])
def test_a_gain_of_every_seed_passes_and_the_report_has_each(tmp_path: Path, baseline: str) -> None:
    write_seeded_world(tmp_path)
    done, result = run(tmp_path, f"{baseline},dpo")
    assert (done.returncode, result["decision"]["verdict"]) == (0, "pass")
    comparison = result["comparisons"][0]
    assert (comparison["n"], comparison["n_clusters"]) == (120, 40)
    assert comparison["test"]["name"] == "two-way cluster-robust t, items and training seeds"
    spread = comparison["seeds"]
    assert [one["difference"] for one in spread["seeds"]] == pytest.approx([2, 2.1, 1.9], abs=0.15)
    assert spread["sd"] == pytest.approx(0.1, abs=0.08)
    report = (Path(result["folder"]) / "report.md").read_text()
    assert f"dpo against {baseline}, by training seed" in report
    assert "SD between seeds" in report


def test_a_gain_of_one_seed_alone_does_not_pass_although_its_items_would(tmp_path: Path) -> None:
    write_seeded_world(tmp_path, GAINS_OF_CHANCE, n=100)
    _, several = run(tmp_path, "sft,dpo")
    assert several["decision"]["verdict"] == "inconclusive"
    change(tmp_path / "seeds.yaml", "    seeds: [1, 2, 3]\njudges", "judges")
    change(
        tmp_path / "seeds.yaml",
        "'{seed}'}, fields: {id: id, response",
        "'1'}, fields: {id: id, response",
    )
    change(
        tmp_path / "seeds.yaml",
        "'{seed}'}, fields: {id: id, safety",
        "'1'}, fields: {id: id, safety",
    )
    _, first_seed = run(tmp_path, "sft,dpo", "--ledger", "other.jsonl")
    assert first_seed["decision"]["verdict"] == "pass"


def test_scores_keep_the_seed_of_every_answer(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    _, result = run(tmp_path, "sft,dpo")
    column, *_ = read_scores(Path(result["folder"]))
    assert isinstance(column, GradeColumn)
    assert list(column.seeds) == ["dpo"]
    assert column.seeds["dpo"][:4].tolist() == [1, 2, 3, 1]
    assert column.sample_ids[:2] == ("q0@seed1", "q0@seed2")


def test_other_seeds_of_one_baseline_are_another_try(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    run(tmp_path, "sft3,dpo")
    change(tmp_path / "seeds.yaml", "[1, 2, 3]", "[1, 2]")
    _, again = run(tmp_path, "sft3,dpo")
    assert (again["tries"]["number"], again["tries"]["total"]) == (2, 2)


def test_a_seed_without_answers_ends_the_run(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    (tmp_path / "sft-3.jsonl").unlink()
    command = ("run", "small.yaml", "--profile", "seeds.yaml", "--models", "sft3,dpo")
    done = harness_here(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "sft-3.jsonl: no such data file" in done.stderr


def test_a_seed_without_any_verdict_is_no_smaller_set(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    lines = (tmp_path / "v-dpo.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["seed"] != 2]
    write(
        tmp_path / "v-dpo.jsonl", "\n".join([*kept, '{"id": "other", "safety": 5, "seed": 2}', ""])
    )
    change(tmp_path / "small.yaml", "gate:", "gate:\n  max_unscored: 0.5")
    command = ("run", "small.yaml", "--profile", "seeds.yaml", "--models", "sft,dpo")
    done = harness_here(*command, cwd=tmp_path)
    assert done.returncode == 4
    assert "with the training seed 2" in " ".join(done.stderr.split())


def test_plan_counts_an_answer_of_a_model_without_seeds_once(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    command = ("plan", "small.yaml", "--profile", "seeds.yaml", "--models", "sft,dpo")
    done = harness_here(*command, "--format", "json", cwd=tmp_path)
    (work,) = json.loads(done.stdout)["tasks"]
    assert (work["n_items"], work["answers"], work["judgements"]) == (40, 160, 240)


def test_a_run_under_several_seeds_is_no_baseline_of_checks(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    run(tmp_path, "sft,dpo")
    done = harness_here("bless", "latest", cwd=tmp_path)
    assert done.returncode == 2
    assert "a check is of one checkpoint" in " ".join(done.stderr.split())


# --- wrong input -----------------------------------------------------------------------------


def test_models_of_different_seeds_are_refused(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    change(tmp_path / "seeds.yaml", "    seeds: [1, 2, 3]\njudges", "    seeds: [1, 2]\njudges")
    with pytest.raises(HarnessError, match=r"model 'dpo': has the training seeds 1, 2, and 'sft3'"):
        ask(tmp_path, "sft3", "dpo")


def test_looks_before_the_end_are_refused(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    change(tmp_path / "small.yaml", "gate:", "gate:\n  stop_early: true")
    with pytest.raises(HarnessError, match="'stop_early' takes one checkpoint of each model"):
        ask(tmp_path, "sft", "dpo")


def test_one_verdict_for_all_seeds_is_refused(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    change(tmp_path / "seeds.yaml", "v-dpo.jsonl, where: {seed: '{seed}'}", "v-dpo.jsonl")
    with pytest.raises(
        HarnessError, match="'dpo' for 'rubric' are the same for every training seed"
    ):
        ask(tmp_path, "sft", "dpo")


def test_people_who_voted_on_one_checkpoint_are_refused(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    text = (tmp_path / "seeds.yaml").read_text().partition("judges:")[0]
    write(
        tmp_path / "seeds.yaml", f"{text}judges:\n  default: {{people: {{labels: labels.csv}}}}\n"
    )
    with pytest.raises(HarnessError, match="is people, whose votes are on one checkpoint"):
        ask(tmp_path, "sft", "dpo")


# --- endpoints and pairs ---------------------------------------------------------------------

ENDPOINTS = """\
profile: seeds
models:
  sft: {{endpoint: {{model: sft, base_url: '{url}'}}}}
  dpo: {{endpoint: {{model: 'dpo-{{seed}}', base_url: '{url}'}}, seeds: [1, 2]}}
judges: {{default: {{offline: consumer_health}}}}
"""


def test_a_served_model_is_asked_under_each_seeds_name_and_one_without_seeds_once(
    tmp_path: Path,
) -> None:
    write_seeded_world(tmp_path, n=12)
    change(
        tmp_path / "small.yaml", "gate:", "  win_rate: {kind: pairwise, asks: Which helps}\ngate:"
    )
    with LoopbackServer(lambda body: f"Rest may help, says {body['model']}.") as server:
        write(tmp_path / "seeds.yaml", ENDPOINTS.format(url=server.base_url))
        _, result = run(tmp_path, "sft,dpo")
        asked = Counter(request.body["model"] for request in server.requests)
        assert asked == {"sft": 12, "dpo-1": 12, "dpo-2": 12}
        calls = {line["who"]: line["calls"] for line in result["spend"]}
        assert calls == {"sft": 12, "dpo": 24}
        run(tmp_path, "sft,dpo")
        assert server.counts.total() == 36
    by_metric = {c["metric"]: c for c in result["comparisons"]}
    assert [one["seed"] for one in by_metric["win_rate"]["seeds"]["seeds"]] == [1, 2]
