"""The published Medical Llama-3 study, re-analysed from its raw files."""

import json
import os
from pathlib import Path

import pytest

from tests.builders.commands import harness_here

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set"),
]

MEANS = {  # published raw files: SFT mean, DPO mean, mean paired difference, its standard error
    "rubric.correctness": (4.980, 6.432, 1.452, 0.1402),
    "rubric.clarity": (4.840, 6.586, 1.746, 0.1187),
    "rubric.safety": (4.946, 7.228, 2.282, 0.1655),
    "rubric.empathy": (4.464, 5.790, 1.326, 0.1104),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("study")
    done = harness_here(
        "run", "suites/medical_rubric.yaml", "--models", "sft,dpo",
        "--profile", "medical_llama3_recorded", "--format", "json",
        cwd=folder, env={"HARNESS_DATA_DIR": str(Path(os.environ["HARNESS_DATA_DIR"]).resolve())},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(
        (folder / json.loads(done.stdout)["folder"] / "results.json").read_text()
    )
    return found


def test_means_differences_and_standard_errors_come_out(results: dict[str, list[dict]]) -> None:  # type: ignore[type-arg]
    rows = {row["metric"]: row for row in results["comparisons"]}
    for metric, (sft, dpo, difference, se) in MEANS.items():
        row = rows[metric]
        assert row["baseline_mean"] == pytest.approx(sft, abs=5e-4)
        assert row["candidate_mean"] == pytest.approx(dpo, abs=5e-4)
        assert row["difference"]["estimate"] == pytest.approx(difference, abs=5e-4)
        assert row["se"] == pytest.approx(se, abs=5e-5)


def test_leaks_and_empty_answers_are_counted(results: dict[str, list[dict]]) -> None:  # type: ignore[type-arg]
    counts = {row["model"]: row["counts"] for row in results["hygiene"]}
    assert (counts["dpo"]["empty"], counts["sft"]["empty"]) == (4, 0)
    assert (counts["dpo"]["prompt_leak_sentence"], counts["sft"]["prompt_leak_sentence"]) == (96, 4)
    assert (counts["dpo"]["prompt_leak_words"], counts["sft"]["prompt_leak_words"]) == (102, 12)


def test_every_comparison_is_repeated_without_flagged_items(results: dict[str, list[dict]]) -> None:  # type: ignore[type-arg]
    for row in results["comparisons"]:
        kinds = [s["without"] for s in row["sensitivity"]]
        assert kinds[:3] == ["any_flag", "prompt_leak_sentence", "prompt_leak_words"]
        assert row["sensitivity"][1]["n"] == 403  # 96 and 4 leaks lie on 97 items


def test_every_p_value_is_from_a_paired_test(results: dict[str, list[dict]]) -> None:  # type: ignore[type-arg]
    assert {row["test"]["name"] for row in results["comparisons"]} == {"paired sign-flip (exact)"}
