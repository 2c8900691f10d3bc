"""Everything that is tried on the same items is counted, and verdict and exit code follow."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.recorded import write_study

# One-sided p-values .048, .032 and .0005: at alpha .05 each of them passes alone.
SHIFTS = {"base": 0.0, "one": 0.292, "two": 0.3, "three": 0.7}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), shifts=SHIFTS, n=120)


def run(study: Path, store: Path, models: str, *more: str) -> tuple[int, dict[str, Any]]:
    done = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", models, "--store", str(store),
        "--out", str(store / "runs"), "--format", "json", *more, cwd=study,
    )  # fmt: skip
    assert done.stdout, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, printed


def ledger(store: Path, *more: str) -> Done:
    return harness_here("ledger", "--store", str(store), *more, cwd=store)


def caveats(printed: dict[str, Any]) -> dict[str, str]:
    result = json.loads(Path(printed["folder"], "results.json").read_text())
    return {caveat["code"]: caveat["text"] for caveat in result["caveats"]}


def test_candidates_one_after_another_have_less_and_less_alpha(study: Path, tmp_path: Path) -> None:
    # The first passes, and is told what that rests on.
    code, first = run(study, tmp_path, "base,one")
    assert code == 0
    assert "only try" in caveats(first)["only_try"]
    # The second has too little left, though alone it would pass.
    code, second = run(study, tmp_path, "base,two")
    assert code == 3
    assert "try 2 of 2" in second["sentence"]
    assert "one against base" in caveats(second)["tried_before"]
    assert run(study, tmp_path / "alone", "base,two")[0] == 0
    # A clear gain passes also as the third.
    code, third = run(study, tmp_path, "base,three")
    assert code == 0
    assert third["tries"]["level"] == pytest.approx(0.05 * 0.1 * 6 / (3.14159265 * 2) ** 2)
    # The first pass is told to stand no longer, and again when its run is repeated.
    assert "pass at 0.05, which no longer stands: it now has 0.045" in ledger(tmp_path).stdout
    code, again = run(study, tmp_path, "base,one")
    assert code == 3
    assert "no longer the only one" in again["sentence"]
    assert ledger(tmp_path).stdout.count("of 3") == 3


def test_the_same_run_again_is_the_same_try(study: Path, tmp_path: Path) -> None:
    (_, first), (_, again) = (run(study, tmp_path, "base,two") for _ in range(2))
    assert first == again
    assert first["tries"]["total"] == 1
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 3  # items, try, verdict


def test_items_added_after_a_look_are_a_second_try(study: Path, tmp_path: Path) -> None:
    run(study, tmp_path, "base,two", "--limit", "100")
    code, printed = run(study, tmp_path, "base,two")
    assert code == 3
    assert printed["tries"]["number"] == 2
    assert "fewer of the items" in caveats(printed)["tried_before"]


def test_a_plan_tells_which_try_it_is_and_what_is_left(study: Path, tmp_path: Path) -> None:
    def plan(models: str) -> str:
        options = ("--profile", "profile.yaml", "--models", models, "--store", str(tmp_path))
        done = harness_here("plan", "suite.yaml", *options, cwd=study)
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    first = plan("base,one")
    assert "Try " not in first
    run(study, tmp_path, "base,one")
    assert plan("base,one") == first
    second = plan("base,two")
    assert "Try 2 of 2 on these items" in second
    assert "it has 0.003 of alpha 0.05, and a next one 0.00076" in second
    shown = [re.search(r"120 items show ([\d.]+)", text) for text in (first, second)]
    assert float(shown[0][1]) < float(shown[1][1])  # type: ignore[index]


def test_the_first_seed_decides(study: Path, tmp_path: Path) -> None:
    run(study, tmp_path / "passed", "base,two", "--seed", "7")
    code, printed = run(study, tmp_path / "passed", "base,two", "--seed", "8")
    assert (code, printed["tries"]["number"]) == (0, 1)
    # Where the first seed did not pass, no other does.
    for name, seed in (("one", "7"), ("two", "7")):
        run(study, tmp_path, f"base,{name}", "--seed", seed)
    code, printed = run(study, tmp_path, "base,two", "--seed", "8")
    assert (code, printed["tries"]["total"]) == (3, 2)
    assert "another seed came first and decides: inconclusive" in caveats(printed)["other_seed"]


def test_a_trial_too_small_to_pass_is_no_try(study: Path, tmp_path: Path) -> None:
    assert run(study, tmp_path, "base,two", "--limit", "3")[1]["tries"] is None
    assert run(study, tmp_path, "base,two")[0] == 0


def test_the_candidates_shown_beside_the_decided_one_have_the_next_numbers(
    study: Path, tmp_path: Path
) -> None:
    code, printed = run(study, tmp_path, "base,one,two")
    assert (code, printed["tries"]["level"]) == (0, 0.05)
    code, printed = run(study, tmp_path, "base,one")
    assert (code, printed["tries"]["number"]) == (3, 2)


def test_ledgers_of_two_machines_merge_and_count_nothing_twice(study: Path, tmp_path: Path) -> None:
    here, there, committed = tmp_path / "here", tmp_path / "there", tmp_path / "tries.jsonl"
    for store, models in ((here, "base,one"), (there, "base,two"), (there, "base,one")):
        run(study, store, models)
    ledger(there, "--export", str(committed))
    merged = ledger(here, "--merge", str(committed))
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout.count("; try ") == 2
    assert "The pass of one against base" in merged.stdout
    again = ledger(here, "--merge", str(committed)).stdout
    assert again.splitlines() == merged.stdout.splitlines()[:4]
    # The run here was the first of both, and its pass needs the whole alpha.
    assert run(study, here, "base,one")[0] == 3


def test_a_committed_ledger_counts_for_a_store_that_is_new(study: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "tries.jsonl")
    run(study, tmp_path / "a", "base,one", "--ledger", file)
    code, printed = run(study, tmp_path / "b", "base,two", "--ledger", file)
    assert (code, printed["tries"]["number"]) == (3, 2)
    assert not (tmp_path / "a" / "ledger.jsonl").exists()


def test_a_damaged_ledger_is_no_empty_one(study: Path, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text('{"record": "try", "key": 7}\n')
    done = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", "base,one", "--store", str(tmp_path),
        "--out", str(tmp_path / "runs"), cwd=study,
    )  # fmt: skip
    assert done.returncode == 2
    assert "ledger.jsonl:1: not a line of a ledger" in done.stderr
