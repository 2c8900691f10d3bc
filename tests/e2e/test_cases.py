"""Small inputs after public reports, by folder of `HARNESS_CASES_DIR`; each README names what is right."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.artifacts.run_folder import load_run
from tests.builders.commands import Done, harness_here

CASES = os.environ.get("HARNESS_CASES_DIR")
pytestmark = pytest.mark.skipif(CASES is None, reason="HARNESS_CASES_DIR is not set")


def case(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(Path(CASES or "", "evaluation", name), folder / name))


def means(case: Path, models: str, profile: str = "profile.yaml") -> dict[str, float]:
    """The mean ROUGE-1 of each model, to three places."""
    options = ("--store", "store", "--out", "runs")
    over = harness_here(
        "run", "suite.yaml", "--profile", profile, "--models", models, *options, cwd=case
    )
    assert over.returncode == 0, over.stderr
    (folder,) = (path.parent for path in case.glob("runs/*/*/results.json"))
    (column,) = (c for c in load_run(folder).columns if c.metric == "rouge.rouge1_f1")
    return {model: round(float(scores.mean()), 3) for model, scores in column.scores.items()}


def test_words_that_differ_in_their_vowel_signs_are_other_words(tmp_path: Path) -> None:
    assert means(case("rouge-vowel-signs", tmp_path), "same,other") == {"same": 1.0, "other": 0.083}


def test_an_answer_is_compared_with_its_best_reference(tmp_path: Path) -> None:
    assert means(case("several-references", tmp_path), "old,new") == {"old": 1.0, "new": 0.802}


@pytest.mark.parametrize("profile", ["fails_first.yaml", "fails_second.yaml"])
def test_any_row_may_lack_a_column(tmp_path: Path, profile: str) -> None:
    folder = case("first-row-lacks-key", tmp_path)
    assert means(folder, "old,new", profile) == {"old": 1.0, "new": 0.667}


def test_nan_is_no_reference(tmp_path: Path) -> None:
    folder = case("json-nan-cell", tmp_path)
    over = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", "old,new", cwd=folder
    )
    assert over.returncode == 2
    assert "item 'q2'" in over.stderr


def test_loops_and_leaks_are_found_without_spaces(tmp_path: Path) -> None:
    folder = case("loops-without-spaces", tmp_path)
    means(folder, "old,new")
    report = "".join(
        path.read_text(encoding="utf-8") for path in folder.glob("runs/*/*/results.json")
    )
    assert "2 of 3 answers with eight consecutive words" in report
    assert "3 of 3 answers with a repetition loop" in report


def test_a_byte_order_mark_is_no_damage(tmp_path: Path) -> None:
    folder = case("lm-eval-byte-order-mark", tmp_path)
    over = harness_here("import", "old=old.jsonl", "new=new.jsonl", "--out", "study", cwd=folder)
    assert over.stdout.startswith("1 items")


def import_case(name: str, suffix: str, folder: Path) -> Path:
    """Import a case's two models, and return the study."""
    files = f"old=old{suffix}", f"new=new{suffix}"
    over = harness_here("import", *files, "--out", "study", cwd=case(name, folder))
    assert over.returncode == 0, over.stderr
    return folder / name / "study"


def test_a_certain_choice_is_the_answer(tmp_path: Path) -> None:
    study = import_case("lm-eval-certain-choice", ".jsonl", tmp_path)
    assert '"response": "yes"' in (study / "answers" / "new.jsonl").read_text()


def test_samples_of_a_chat_endpoint_are_imported(tmp_path: Path) -> None:
    study = import_case("lm-eval-chat-api", ".jsonl", tmp_path)
    items = (study / "items.jsonl").read_text().splitlines()
    assert len(items) == 2
    assert '"input": "How much is one and five?"' in items[1]
    assert "exact_match" in (study / "suite.yaml").read_text()


def test_json_min_of_label_studio_is_read(tmp_path: Path) -> None:
    folder = case("label-studio-json-min", tmp_path)
    options = ("--store", "store", "--out", "runs")
    over = harness_here("run", "suite.yaml", "--profile", "profile.yaml", "--models", "old,new", *options,
               cwd=folder)  # fmt: skip
    assert over.returncode == 0, over.stderr
    (result,) = folder.glob("runs/*/*/results.json")
    annotate = ("annotate", str(result.parent), "--n", "5")
    assert harness_here(*annotate, "--to-label-studio", "pairs.json", cwd=folder).returncode == 0
    subprocess.run([sys.executable, "export_min.py"], cwd=folder, check=True)
    over = harness_here(*annotate, "--from-label-studio", "export.json", cwd=folder)
    assert "10 votes added" in over.stderr


def test_an_invalidated_sample_has_no_score(tmp_path: Path) -> None:
    study = import_case("inspect-invalidated", ".json", tmp_path)
    third = (study / "scores" / "new.jsonl").read_text().splitlines()[2]
    assert '"match": null' in third
    assert "the sandbox was broken" in third


@pytest.mark.parametrize(
    ("suite", "labels", "words"),
    [
        ("suite", "one_off", "labels_one_off.csv:3: safety 99"),
        ("suite_one_off", "one_off", "labels_one_off.csv:3: safety 99"),
        ("suite_gate", "off", "labels_off.csv:3: safety 0"),
        ("suite", "half", "labels_half.csv:3: safety 7.5"),
        ("suite", "infinite", "labels_infinite.csv:3: safety 'inf'"),
    ],
)
def test_labels_off_the_scale_are_refused(
    tmp_path: Path, suite: str, labels: str, words: str
) -> None:
    folder = case("people-labels-off-scale", tmp_path)
    profile = f"profile_{labels}.yaml"
    over = harness_here(
        "run", f"{suite}.yaml", "--profile", profile, "--models", "old,new", "--store", "store",
        "--out", "runs", cwd=folder,
    )  # fmt: skip
    assert over.returncode == 2
    assert words in over.stderr


# --- cases with a server of their own --------------------------------------------------------


def run_models(folder: Path, suite: str, profile: str) -> Done:
    options = ("--models", "old,new", "--store", "store", "--out", "runs")
    return harness_here("run", suite, "--profile", profile, *options, cwd=folder)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def name_free_port(profile: Path, port_there: int) -> int:
    """Find a free port, and name it in the profile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    profile.write_text(profile.read_text().replace(f":{port_there}/", f":{port}/"))
    return port


@contextmanager
def serving(folder: Path, profile: str, port_there: int) -> Iterator[Path]:
    """Serve the case on a free port, which its profile then names; yield the server's log."""
    with serving_at(folder, name_free_port(folder / profile, port_there)) as log:
        yield log


@contextmanager
def serving_at(folder: Path, port: int) -> Iterator[Path]:
    """Serve the case at a port; yield the server's log."""
    log = folder / "server.log"
    command = [sys.executable, "server.py", str(port), "requests.jsonl"]
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=folder, stderr=out)
        try:
            while not listens(port):
                assert server.poll() is None
                time.sleep(0.05)
            yield log
        finally:
            server.kill()
            server.wait()


@pytest.mark.parametrize(
    ("kind", "n_calls", "words"),
    [
        ("filtered", 1, "(filtered"),
        ("spent", 1, "(cut off"),
        ("chunks", 12, ""),
    ],
)
def test_a_reply_without_content_is_asked_for_once(
    tmp_path: Path, kind: str, n_calls: int, words: str
) -> None:
    folder = case("reply-without-content", tmp_path)
    with serving(folder, f"profile_{kind}.yaml", 8123) as log:
        over = run_models(folder, "suite.yaml", f"profile_{kind}.yaml")
    assert over.returncode == 0, over.stderr
    assert log.read_text().count(f"of kind {kind}") == n_calls
    assert words in over.stdout
    (result,) = folder.glob("runs/*/*/results.json")
    (line,) = load_run(result.parent).result.spend
    assert (line.input_tokens, line.output_tokens) == (1200, 600)


def test_a_model_that_only_thinks_is_asked_once_an_item(tmp_path: Path) -> None:
    folder = case("reply-without-content", tmp_path)
    with serving(folder, "profile_model.yaml", 8124) as log:
        over = run_models(folder, "suite_model.yaml", "profile_model.yaml")
    assert over.returncode == 0, over.stderr
    assert len(log.read_text().splitlines()) == 20
    assert "20 of 20 answers cut off" in over.stdout


def test_another_model_behind_a_served_name_is_not_given_the_answers_of_the_first(
    tmp_path: Path,
) -> None:
    use = Path(CASES or "", "use")
    folder = Path(shutil.copytree(use / "stale", tmp_path / "stale"))
    for name in ("server.py", "judge_brain.py"):
        shutil.copy(use / name, folder)
    port = name_free_port(folder / "profile.yaml", 8811)
    command = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "terse,friendly",
               "--limit", "40")  # fmt: skip
    with serving_at(folder, port):
        first = harness_here(*command, cwd=folder)
    assert first.returncode in (0, 1, 3), first.stderr
    server = folder / "server.py"
    server.write_text(server.read_text().replace("Thanks for writing in!", "Bonjour, and hello."))
    with serving_at(folder, port):
        stale = harness_here(*command, cwd=folder)
        anew = harness_here(*command, "--ask-again", "answers", "--model", "friendly", cwd=folder)
    assert stale.returncode == 2
    assert "no longer gives the answers that are stored" in stale.stderr
    assert anew.returncode in (0, 1, 3), anew.stderr
    assert (
        len(list(folder.glob("runs/support/*/report.html"))) == 2
    )  # the old report is still there


def test_a_reason_may_quote_the_end_of_a_thought(tmp_path: Path) -> None:
    folder = case("verdict-names-think-tag", tmp_path)
    with serving(folder, "profile.yaml", 8142):
        over = run_models(folder, "suite.yaml", "profile.yaml")
    assert over.returncode == 0, over.stderr
    assert "no score" not in over.stdout


def test_a_gateway_may_know_max_completion_tokens_only(tmp_path: Path) -> None:
    folder = case("max-completion-tokens-only", tmp_path)
    with serving(folder, "profile.yaml", 8141):
        refused = run_models(folder, "suite.yaml", "profile.yaml")
        profile = folder / "profile.yaml"
        key = "temperature: null, max_tokens_key: max_completion_tokens"
        profile.write_text(profile.read_text().replace("temperature: null", key))
        over = run_models(folder, "suite.yaml", "profile.yaml")
    assert refused.returncode == 4
    assert "'max_tokens' is not supported with this model" in refused.stderr
    assert over.returncode == 0, over.stderr


def test_ties_alone_leave_an_interval_as_wide_as_the_gates(tmp_path: Path) -> None:
    folder = case("all-ties-certain", tmp_path)
    assert run_models(folder, "suite.yaml", "profile.yaml").returncode == 3
    (path,) = folder.glob("runs/*/*/results.json")
    result = load_run(path.parent).result
    assert result.decision is not None
    low = {claim.metric: claim.bound for claim in result.decision.claims}
    for comparison in result.comparisons:
        bound = low.get(comparison.metric, comparison.difference.low)
        assert bound is not None
        assert comparison.difference.low <= bound < comparison.difference.estimate


def test_thoughts_are_no_part_of_the_answer(tmp_path: Path) -> None:
    folder = case("thoughts-are-scored", tmp_path)
    assert means(folder, "old,new") == {"old": 1.0, "new": 1.0}
