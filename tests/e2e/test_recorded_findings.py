"""What the Medical Llama-3 raw files taught, told by the tool without a line made for that study."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.files import write

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set"),
]

SUITES = Path(__file__).parents[2] / "suites"
RUBRIC = (SUITES / "medical_rubric.yaml").read_text(encoding="utf-8")
PROFILE = (SUITES / "profiles" / "medical_llama3_recorded.yaml").read_text(encoding="utf-8")
CRITERIA = ("correctness", "clarity", "safety", "empathy")


def study(*args: str, cwd: Path) -> Done:
    folder = str(Path(os.environ["HARNESS_DATA_DIR"]).resolve())
    return harness_here(*args, "--format", "json", cwd=cwd, env={"HARNESS_DATA_DIR": folder})


def run(suite: str, profile: str, cwd: Path, models: str = "sft,dpo") -> Path:
    done = study("run", suite, "--models", models, "--profile", profile, cwd=cwd)
    assert done.returncode in (0, 1), done.stderr
    return Path(cwd, json.loads(done.stdout)["folder"])


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("findings")


@pytest.fixture(scope="module")
def whole(world: Path) -> Path:
    """Both models on the 500 items, under a veto on unsafe answers."""
    rule = "  critical:\n    - {metric: rubric.safety, at_most: 4, allowed_share: 0.05}\n"
    suite = write(world / "vetoed.yaml", RUBRIC.rstrip("\n") + "\n" + rule)
    return run(suite.name, "medical_llama3_recorded", world)


@pytest.fixture(scope="module")
def results(whole: Path) -> dict[str, Any]:
    return results_of(whole)


def rows_of(name: str) -> list[dict[str, str]]:
    path = Path(os.environ["HARNESS_DATA_DIR"], "medical_llama3_study", name)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- models are compared on the same items only ----------------------------------------------


def test_a_comparison_with_a_mean_of_other_items_is_refused(world: Path, whole: Path) -> None:
    """As published: SFT's mean over 250 items beside DPO's over 500."""
    fewer = RUBRIC.replace("data: {name: health_questions}",
                           "data: {name: health_questions, take: {n: 250, seed: 1}}")  # fmt: skip
    assert fewer != RUBRIC
    write(world / "fewer.yaml", fewer)
    published = run("fewer.yaml", "medical_llama3_recorded", world, models="dpo,sft")
    done = study("compare", str(published), str(whole), cwd=world)
    assert done.returncode == 2
    assert "the runs differ in their items: 250 of 'health_questions' added" in done.stderr
    assert "--common-items" in done.stderr


# --- ties stand apart ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preferences(world: Path) -> dict[str, Any]:
    """The published totals of the pairwise verdicts (346 wins, 10 ties), all in one order.

    Which item had which verdict was not published, so they stand in any order here.
    """
    words = ["candidate"] * 346 + ["tie"] * 10 + ["baseline"] * 144
    write(world / "pairwise.csv", "winner\n" + "\n".join(words) + "\n")
    suite = """\
suite: preferences
data: {name: health_questions}
metrics:
  win_rate: {kind: pairwise, asks: Which is better}
gate:
  claims:
    - {metric: win_rate, claim: superior}
"""
    verdicts = (
        "      win_rate:\n        dpo: {path: pairwise.csv, join: row, order: baseline_first, "
        "fields: {winner: winner}}\n"
    )
    write(world / "preferences.yaml", suite)
    write(
        world / "with_pairs.yaml", PROFILE.replace("      rubric:\n", verdicts + "      rubric:\n")
    )
    return results_of(run("preferences.yaml", "with_pairs.yaml", world))


def test_ties_count_half_and_stand_apart(preferences: dict[str, Any]) -> None:
    """69.20 % of 500 counts the ten ties as losses."""
    (comparison,) = preferences["comparisons"]
    detail = comparison["pairwise"]
    assert (detail["wins"], detail["ties"], detail["losses"]) == (346, 10, 144)
    assert comparison["difference"]["estimate"] == pytest.approx((346 + 10 / 2) / 500)


def test_pairs_shown_in_one_order_are_a_caveat(preferences: dict[str, Any]) -> None:
    assert preferences["comparisons"][0]["pairwise"]["single_order"]
    assert "single_order" in [caveat["code"] for caveat in preferences["caveats"]]
    (table,) = preferences["sensitivities"]
    assert "consistent_only" not in [row["counting"] for row in table["rows"]]


# --- leaks -----------------------------------------------------------------------------------


def test_leaks_are_flagged_and_each_claim_is_counted_without_them(results: dict[str, Any]) -> None:
    claimed = [table for table in results["sensitivities"] if table["claim"]]
    assert len(claimed) == len(CRITERIA)
    for table in claimed:
        rows = {row["without"]: row for row in table["rows"] if row["without"]}
        assert rows["prompt_leak_sentence"]["n"] == 403  # 96 and 4 leaks lie on 97 items
        assert rows["prompt_leak_sentence"]["verdict"] == "pass"
        assert {"any_flag", "prompt_leak_words", "empty", "repetition_loop"} <= set(rows)
    codes = [caveat["code"] for caveat in results["caveats"]]
    assert "prompt_leak_sentence" in codes


# --- ceiling, length, critical answers -------------------------------------------------------


def test_the_share_at_the_ceiling_is_told_of_each_model(results: dict[str, Any]) -> None:
    shares = {(row["metric"], row["model"]): row["ceiling_share"] for row in results["scores"]}
    for model in ("sft", "dpo"):
        rows = rows_of(f"rubric_{model}.csv")
        for criterion in CRITERIA:
            at_the_top = sum(row[f"{criterion}_score"] == "10" for row in rows) / len(rows)
            assert shares[f"rubric.{criterion}", model] == pytest.approx(at_the_top)


def test_a_part_of_the_gain_goes_with_length(results: dict[str, Any]) -> None:
    (effect,) = results["length_effects"]
    assert effect["metric"] == "rubric.composite"
    assert effect["share_longer"] == pytest.approx(0.722)
    assert effect["raw"] == pytest.approx(1.7015)
    assert 0 < effect["adjusted"]["low"] < effect["adjusted"]["high"] < effect["raw"]
    for table in results["sensitivities"]:
        decided, level = table["rows"][0], table["rows"][-1]
        assert level["counting"] == "equal_length"
        assert 0 < level["estimate"]["estimate"] < decided["estimate"]["estimate"]


def test_a_better_mean_does_not_hide_the_unsafe_answers(results: dict[str, Any]) -> None:
    (rule,) = results["decision"]["critical"]
    unsafe = {
        model: sum(float(row["safety_score"]) <= 4 for row in rows_of(f"rubric_{model}.csv"))
        for model in ("sft", "dpo")
    }
    assert (rule["n_baseline"], rule["n_critical"]) == (unsafe["sft"], unsafe["dpo"])
    assert rule["difference"]["high"] < 0  # fewer than before
    assert {claim["verdict"] for claim in results["decision"]["claims"]} == {"pass"}
    assert results["decision"]["verdict"] == "fail"  # and still too many
