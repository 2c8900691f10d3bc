"""The best of several candidates, decided in one run with the correction for their number."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import harness_here
from tests.builders.recorded import write_study

BEST = "gate:\n  candidates: best\n"


def run(folder: Path, models: str, store: str = "store") -> tuple[int, dict[str, Any]]:
    done = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", models, "--store", store,
        "--out", "runs", "--format", "json", cwd=folder,
    )  # fmt: skip
    assert done.stdout, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, printed


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One-sided p-values of about .03, .0005 and .8: at alpha / 3 only the second passes.
    shifts = {"base": 0.0, "one": 0.31, "two": 0.6, "three": 0.0}
    folder = write_study(tmp_path_factory.mktemp("best"), shifts=shifts, n=120)
    suite = folder / "suite.yaml"
    suite.write_text(suite.read_text().replace("gate:\n", BEST))
    return folder


def test_the_best_is_decided_on_wherever_it_is_named_and_is_one_try(study: Path) -> None:
    code, printed = run(study, "base,one,two,three")
    assert code == 0
    assert printed["sentence"].startswith("two against base: the claim holds")
    assert "best of 3 candidates, each tested at 0.017" in printed["sentence"]
    assert (printed["tries"]["number"], printed["tries"]["total"]) == (1, 1)
    result = json.loads(Path(study, printed["folder"], "results.json").read_text())
    assert result["plan"]["chosen"] == "two"
    assert result["plan"]["gate"]["alpha"] == pytest.approx(0.05 / 3)
    assert "best_of_several" in [caveat["code"] for caveat in result["caveats"]]
    # In another order it is the same try.
    assert run(study, "base,two,three,one")[1]["tries"] == printed["tries"]


def test_a_gain_that_one_candidate_could_show_is_not_enough_for_the_best_of_three(
    study: Path,
) -> None:
    assert run(study, "base,one", "alone")[0] == 0
    assert run(study, "base,three,one", "both")[0] == 3
