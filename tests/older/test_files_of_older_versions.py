"""What an older version wrote is still read: workspaces, runs, baselines, votes, batches, checkpoints.

The files lie in `made_by_13473e4`, and its README says how they were made. Everything goes through
the command line, `harness.load_run` and the files themselves, so that nothing here hangs on where
a module lies or on how a message is worded.
"""

import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import harness

OLD = Path(__file__).parent / "made_by_13473e4"
RUNS = [str(path.parent.relative_to(OLD)) for path in sorted(OLD.rglob("results.json"))]
RUN_OF = {Path(run).parent.name: Path(run) for run in RUNS if "/" in run}
PROFILE_OF = {"small": "recorded", "ranked": "recorded", "early": "recorded", "asked": "people"}
MODELS_OF = {"small": "sft,dpo", "ranked": "sft,orpo,dpo", "early": "sft,dpo", "asked": "sft,dpo"}
SMALL = str(RUN_OF["small"].relative_to("questions"))
CODES = {"pass": 0, "fail": 1, "inconclusive": 3}

# In these two results may differ: times and versions, and all words but names.
OF_THE_DAY = {"started", "finished", "seconds", "harness_version", "environment", "caveats"}
NAMES = {"verdict", "winner", "metric", "model", "baseline", "candidate", "name", "sample_id"}
NAMES |= {"run_id", "registered", "hash", "items_hash", "fingerprint"}
# The common verdict of annotators was the rounded mean of their votes, and is that of their majority.
BY_MAJORITY = {"n", "percent", "kappa", "ac1", "single", "categories", "confusion", "orders"}
LICENCE = {"estimate", "low", "n", "why"}
# Until then a claim on fewer than 100 items was decided by a betting bound, and on more by the scores
# seen alone; now by a test that allows for unseen answers at every number. Verdicts stay to be compared.
BY_ANOTHER_RULE = {"bound", "bound_high", "p_value", "p_adjusted", "simultaneous", "n_needed"}
AT_ANOTHER_LEVEL = {"repeated", "chance_of_pass", "chance_of_fail"}  # of the same rule, at a look
# Without flagged answers 20 items are left: an exact test shows non-inferiority, the betting bound did not.
DECIDED_SINCE = {"/sensitivities/4/rows/4/verdict"}


# --- helpers ---------------------------------------------------------------------------------


class Over(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


def command(*args: str, cwd: Path, stdin: str = "") -> Over:
    """`harness ARGS` run to its end in another process, by the code that is imported here."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HARNESS_")}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *args],
        cwd=cwd,
        env=env | {"PYTHONPATH": str(Path(harness.__file__).parents[1])},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=300,
    )
    return Over(done.returncode, done.stdout, done.stderr)


def told(*args: str, cwd: Path, code: int = 0) -> Any:
    """What a command that ends with this exit code says in JSON."""
    over = command(*args, "--format", "json", cwd=cwd)
    assert over.code == code, over.stderr
    return json.loads(over.stdout)


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(OLD / name, folder / name))


def state_limit(world: Path) -> Path:
    """Write into the suites which share may be unscored: what it was then where it was not stated."""
    for suite in PROFILE_OF:
        path = world / f"{suite}.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("gate:\n", "gate:\n  max_unscored: 0.1\n"), encoding="utf-8")
    return world


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def rows(workspace: Path) -> set[tuple[str, ...]]:
    """All that a workspace's store keeps."""
    with closing(sqlite3.connect(workspace / "store.sqlite")) as store:
        return set(store.execute("SELECT kind, key, body, sha256 FROM rows"))


def about_repeated_answers(value: Any, old: list[Any]) -> bool:
    """Whether a value of a list is there because of answers that repeat, which were not looked for."""
    if isinstance(value, dict) and value.get("without"):
        return value["without"] not in {row.get("without") for row in old}
    return value == "repeated_answer"


def correction(value: Any) -> tuple[str, str | None]:
    """The column that is corrected, and the model."""
    return value["column"], value["of"]


def same(old: Any, new: Any, at: str = "") -> None:
    """Fail unless every number and name of `old` stands in `new` at the same place."""
    name = at.rpartition("/")[2]
    match old:
        case dict() if name == "reasons":  # counts by words
            assert sorted(old.values()) == sorted(new.values()), at
        case {"estimate": estimate, "low": low, "high": high} if low == high:
            # Where nothing varied, the interval had no width.
            assert estimate == new["estimate"], at
            assert new["low"] <= low <= new["high"], at
        case dict():
            assert set(old) <= set(new), at
            for key in set(old) - OF_THE_DAY - redefined(at):
                same(old[key], new[key], f"{at}/{key}")
        case list():
            new = [value for value in new if not about_repeated_answers(value, old)]
            if at == "/corrected":  # of labels that do not vary there was none
                new = [value for value in new if correction(value) in map(correction, old)]
            assert len(old) == len(new), at
            for number, before in enumerate(old):
                same(before, new[number], f"{at}/{number}")
        case str() if at == "/decision/verdict" and old == "pass":
            assert new in {"pass", "inconclusive"}, at  # offline rules alone pass nothing
        case "inconclusive" if at in DECIDED_SINCE:
            assert new in {"inconclusive", "pass"}, at
        case str():
            assert name not in NAMES or old == new, at
        case float():
            assert math.isclose(old, new, rel_tol=1e-9, abs_tol=1e-12), at
        case _:
            assert old == new, at


def redefined(at: str) -> set[str]:
    """The fields of the record at this place whose definition has changed since."""
    if re.fullmatch(r"/judges/\d+", at):
        return BY_MAJORITY
    if re.fullmatch(r"/decision/claims/\d+", at):
        return BY_ANOTHER_RULE
    if re.fullmatch(r"/stopping/claims/\d+", at):
        return AT_ANOTHER_LEVEL
    return LICENCE if "/licences/" in at else set()


# --- a workspace of verdicts -----------------------------------------------------------------


class Again(NamedTuple):
    """An old workspace in which its suites were run again, and what its store kept before."""

    world: Path
    codes: Mapping[str, int]
    rows_before: set[tuple[str, ...]]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Again:
    world = state_limit(copied("questions", tmp_path_factory.mktemp("again")))
    before = rows(world / ".harness")
    codes = {suite: run_suite(suite, world).code for suite in PROFILE_OF}
    return Again(world, codes, before)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return state_limit(copied("questions", tmp_path))


def run_suite(suite: str, world: Path) -> Over:
    models, profile = MODELS_OF[suite], f"{PROFILE_OF[suite]}.yaml"
    # Each suite is the only try, as it was: several of them are about the same items.
    ledger = f"{suite}.jsonl"
    return command(
        "run",
        f"{suite}.yaml",
        "--models",
        models,
        "--profile",
        profile,
        "--ledger",
        ledger,
        cwd=world,
    )


@pytest.mark.parametrize("suite", PROFILE_OF)
def test_a_run_over_an_old_workspace_ends_as_the_old_one_did(suite: str, again: Again) -> None:
    decision = read(OLD / RUN_OF[suite] / "results.json")["decision"]
    by_rules = PROFILE_OF[suite] == "recorded" and decision["verdict"] == "pass"
    assert again.codes[suite] == (3 if by_rules else CODES[decision["verdict"]])


@pytest.mark.parametrize("suite", PROFILE_OF)
def test_a_run_over_an_old_workspace_finds_what_the_old_one_found(suite: str, again: Again) -> None:
    (folder,) = (again.world / "runs" / suite).iterdir()
    same(read(OLD / RUN_OF[suite] / "results.json"), read(folder / "results.json"))


def test_a_run_over_an_old_workspace_keeps_no_verdict_that_is_not_there(again: Again) -> None:
    assert rows(again.world / ".harness") == again.rows_before


def test_a_plan_that_was_stated_before_is_no_new_plan(again: Again) -> None:
    plans = Path("questions", ".harness", "plans")
    assert files(again.world / ".harness" / "plans") == files(OLD / plans)


def test_a_suite_that_states_no_limit_has_another_plan_and_the_same_claims(tmp_path: Path) -> None:
    questions = copied("questions", tmp_path)
    run_suite("small", questions)
    results = [read(path) for path in (questions / "runs" / "small").glob("*/results.json")]
    old, new = sorted(results, key=lambda result: result["registered"])
    assert [result["plan"]["gate"]["max_unscored"] for result in (old, new)] == [0.1, 0.02]
    assert old["plan"]["hash"] != new["plan"]["hash"]
    assert [change["field"] for change in new["amendments"][0]["changes"]] == ["gate's rule"]


def test_a_plan_that_has_changed_since_is_called_out(questions: Path) -> None:
    suite = questions / "small.yaml"
    suite.write_text(suite.read_text(encoding="utf-8").replace("margin: 0.2}", "margin: 0.3}"))
    run_suite("small", questions)
    results = [read(path) for path in (questions / "runs" / "small").glob("*/results.json")]
    old, new = sorted(results, key=lambda result: result["registered"])
    assert (len(old["amendments"]), len(new["amendments"])) == (0, 1)
    assert new["amendments"][0]["registered"] == old["registered"]


# --- runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
def test_the_reports_of_an_old_run_are_written_again(run: str, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    for path in [*folder.glob("report.*"), *folder.glob("junit.xml")]:
        path.unlink()
    over = command("report", str(folder), cwd=tmp_path)
    assert over.code == 0, over.stderr
    written = {name for name, content in files(folder).items() if content}
    assert {"report.html", "report.md", "junit.xml"} <= written
    assert ("items/index.html" in written) == (folder / "answers.parquet").is_file()


@pytest.mark.parametrize("suite", ["small", "ranked", "remote", "develop"])
def test_the_gate_decides_on_old_scores_as_it_did(suite: str) -> None:
    decision = harness.load_run(OLD / RUN_OF[suite]).decide()
    assert decision.verdict == read(OLD / RUN_OF[suite] / "results.json")["decision"]["verdict"]


def test_the_tables_of_an_old_run_are_written_out(questions: Path) -> None:
    tables = told("extract", SMALL, "--out", "tables", cwd=questions)
    found = {Path(table["path"]).name: table["rows"] for table in tables}
    assert found == {"scores.csv": 384, "judgements.csv": 192, "answers.csv": 48}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An old workspace, and the folder of a new run in it with another candidate."""
    world = copied("questions", tmp_path_factory.mktemp("other"))
    options = ["--models", "sft,orpo", "--profile", "recorded.yaml"]
    return world, told("run", "small.yaml", *options, cwd=world, code=3)["folder"]


def test_an_old_run_is_compared_with_a_new_one(other: tuple[Path, str]) -> None:
    world, folder = other
    found = told("compare", SMALL, folder, cwd=world)["comparisons"]
    means = {row["metric"]: (row["baseline_mean"], row["candidate_mean"]) for row in found}
    scores = [read(world / run / "results.json")["scores"] for run in (SMALL, folder)]
    old, new = ({(s["metric"], s["model"]): s["mean"]["estimate"] for s in each} for each in scores)
    assert means["rubric.safety"] == (old["rubric.safety", "dpo"], new["rubric.safety", "orpo"])
    assert {"rubric.empathy", "win_rate", "helpfulness", "rouge.rouge1_f1"} <= set(means)


# --- a baseline ------------------------------------------------------------------------------


def test_a_run_passes_the_check_against_an_old_baseline_of_itself(again: Again) -> None:
    (folder,) = (again.world / "runs" / "small").iterdir()
    assert told("check", str(folder), cwd=again.world)["decision"]["verdict"] == "pass"


def test_another_candidate_is_held_to_an_old_baseline_as_before(other: tuple[Path, str]) -> None:
    world, folder = other
    same(read(world / "told" / "check_orpo.json"), told("check", folder, cwd=world, code=3))


# --- people ----------------------------------------------------------------------------------


def test_old_votes_are_counted(questions: Path) -> None:
    same(read(questions / "told" / "so_far.json"), so_far(questions))


def test_old_votes_come_to_the_same_figures(questions: Path) -> None:
    old = read(questions / SMALL / "calibration.json")
    assert command("calibrate", SMALL, cwd=questions).code == 0
    same(old, read(questions / SMALL / "calibration.json"))


@pytest.mark.parametrize(("reader", "added"), [("reader-2", 0), ("reader-3", 20)])
def test_votes_that_an_old_page_saved_are_added_once(
    reader: str, added: int, questions: Path
) -> None:
    before = so_far(questions)["annotators"]
    assert command("annotate", SMALL, "--collect", f"votes-{reader}.json", cwd=questions).code == 0
    after = so_far(questions)["annotators"]
    assert sum(a["n_votes"] for a in after) - sum(a["n_votes"] for a in before) == added


def so_far(world: Path) -> Any:
    return told("annotate", SMALL, "--so-far", cwd=world)


# --- batches ---------------------------------------------------------------------------------

BY_BATCH = ["--models", "old,new", "--profile", "there.yaml", "--batch", "asked"]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return copied("remote", tmp_path)


def test_replies_that_came_by_batch_are_asked_for_no_more(remote: Path) -> None:
    before = rows(remote / ".harness")
    done = told("run", "remote.yaml", *BY_BATCH, "--out", "again", cwd=remote, code=3)
    assert rows(remote / ".harness") == before
    same(read(OLD / RUN_OF["remote"] / "results.json"), read(remote / done["folder"] / "results.json"))  # fmt: skip


def test_replies_to_questions_of_an_old_batch_are_taken(remote: Path) -> None:
    def collect(results: str) -> int:
        done = told("batch", "collect", results, "--store", "waiting", cwd=remote)
        return int(done["replies"])

    def run() -> Any:
        options = [*BY_BATCH, "--store", "waiting", "--out", "again"]
        return told("run", "remote.yaml", *options, cwd=remote, code=3)

    assert collect("results-2.jsonl") == 18
    assert [file["questions"] for file in run()["files"] if file["new"]] == [1]
    assert collect("results-3.jsonl") == 1
    same(read(OLD / RUN_OF["remote"] / "results.json"), read(remote / run()["folder"] / "results.json"))  # fmt: skip


# --- checkpoints -----------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return copied("trained", tmp_path)


def test_what_an_old_loop_promoted_still_stands(trained: Path) -> None:
    (promotion,) = told("models", "assistant", cwd=trained)
    same(json.loads(promotions(trained)), promotion)


def test_an_old_checkpoint_answers(trained: Path) -> None:
    checkpoint = str(old_checkpoint(trained).relative_to(trained))
    over = command("chat", checkpoint, cwd=trained, stdin="Why a cough?\n")
    assert (over.code, bool(over.stdout.strip())) == (0, True), over.stderr


def test_answers_of_an_old_checkpoint_are_not_drawn_again(trained: Path) -> None:
    before = rows(trained / ".harness")
    checkpoint = old_checkpoint(trained).relative_to(trained)
    profile = f"profile: p\nmodels:\n  base: {{checkpoint: base}}\n  short: {{checkpoint: {checkpoint}}}\n"
    (trained / "p.yaml").write_text(profile)
    told("run", "develop.yaml", "--models", "base,short", "--profile", "p.yaml", cwd=trained)
    assert rows(trained / ".harness") == before


def test_pairs_of_an_old_version_are_not_made_again(trained: Path) -> None:
    before = files(trained / ".harness" / "pairs"), rows(trained / ".harness")
    over = command("pairs", "gold.yaml", "--profile", "world.yaml", cwd=trained)
    assert over.code == 0, over.stderr
    assert (files(trained / ".harness" / "pairs"), rows(trained / ".harness")) == before


def test_a_loop_that_an_old_version_finished_has_nothing_left_to_do(trained: Path) -> None:
    made_with = json.loads(promotions(trained))["versions"]
    if made_with != {package: version(package) for package in made_with}:
        pytest.skip("other versions of the libraries train another checkpoint")
    before = files(trained / ".harness" / "checkpoints"), promotions(trained)
    assert told("loop", "loop.yaml", cwd=trained)["verdict"] == "pass"
    assert (files(trained / ".harness" / "checkpoints"), promotions(trained)) == before


def old_checkpoint(world: Path) -> Path:
    (folder,) = (world / ".harness" / "checkpoints").iterdir()
    return folder


def promotions(world: Path) -> str:
    path = world / ".harness" / "models" / "assistant" / "promotions.jsonl"
    return path.read_text(encoding="utf-8")
