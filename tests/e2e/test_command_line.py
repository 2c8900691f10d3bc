"""Runs over recorded answers and the offline judge: every ending and its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.store import Store
from tests.builders.commands import Done, environment, harness, harness_here
from tests.builders.files import write, write_rows, write_world


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path, n=120)
    return tmp_path


def run(world: Path, *args: str, models: str = "sft,dpo") -> Done:
    return harness(
        "run", "small.yaml", "--models", models, "--profile", "recorded.yaml", *args, cwd=world
    )


def report_folder(world: Path) -> Path:
    (folder,) = (world / "runs" / "small").iterdir()
    return folder


def without_times(path: Path) -> str:
    return re.sub(r'"(registered|started|finished|seconds)": [^\n]*', "", path.read_text())


def test_a_run_ends_in_a_verdict_and_all_reports(world: Path) -> None:
    done = run(world)
    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stdout
    assert {path.name for path in report_folder(world).iterdir()} == {
        "report.html", "report.md", "results.json", "junit.xml", "plan.json", "scores.parquet",
        "answers.parquet", "judgements.parquet", "items", "explorer.html", "badge.svg",
    }  # fmt: skip


def test_a_second_run_gives_the_same_results_byte_for_byte(world: Path) -> None:
    run(world)
    first = without_times(report_folder(world) / "results.json")
    run(world)
    assert without_times(report_folder(world) / "results.json") == first


def test_a_failed_gate_exits_1(world: Path) -> None:
    assert run(world, models="dpo,sft").returncode == 1


def test_an_undecided_gate_exits_3(world: Path) -> None:
    done = run(world, "--limit", "3")
    assert done.returncode == 3
    assert "INCONCLUSIVE" in done.stdout


def test_too_much_unscored_exits_4(world: Path) -> None:
    rows = [{"id": f"q{i}", "question": "为什么膝盖疼" if i < 40 else f"Why does knee {i} hurt?",
             "answer": "x"} for i in range(120)]  # fmt: skip
    write_rows(world / "items.jsonl", rows)
    done = run(world)
    assert done.returncode == 4
    assert "33% of the items are unscored" in done.stdout


def test_json_output_is_json_and_names_the_folder(world: Path) -> None:
    done = run(world, "--format", "json")
    told = json.loads(done.stdout)
    assert told["verdict"] == "pass"
    assert (world / told["folder"] / "report.html").is_file()


def test_options_can_come_from_the_environment(world: Path) -> None:
    settings = {
        "HARNESS_PROFILE": "recorded.yaml",
        "HARNESS_MODELS": "sft,dpo",
        "HARNESS_LIMIT": "3",
    }
    done = harness("run", "small.yaml", cwd=world, env=settings)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "small.yaml", "--models", "sft,dpoo"], "Did you mean 'dpo'?"),
        (["run", "smal", "--models", "sft,dpo"], "no such suite"),
        (["run", "small.yaml", "--models", "sft,dpo", "--judge", "x"], "has no judge 'x'"),
        (["run", "small.yaml", "--models", "sft,dpo", "--limt", "3"], "No such option"),
        (["run", "small.yaml"], "Missing option '--models'"),
        (["report", "nowhere"], "no such file"),
        (["report", "small.yaml"], "Not a directory"),
        (["train", "."], "no such recipe"),
        (["schema", "suit"], "Did you mean 'suite'?"),
        (["train", "tiny/sftt.yaml"], "Did you mean 'tiny/sft.yaml'?"),
        (["train", "tiny/pairs_gold.yaml"], "use `harness pairs"),
        (["pairs", "tiny/sft.yaml"], "makes a model, not preference pairs"),
    ],
)
def test_wrong_usage_exits_2_with_a_remedy(world: Path, args: list[str], message: str) -> None:
    done = harness_here(
        *args, cwd=world, env={"HARNESS_PROFILE": "recorded.yaml"} if args[0] == "run" else None
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (world / "runs").exists()


def test_an_unwritable_output_folder_is_refused_before_any_work(world: Path) -> None:
    write(world / "taken", "")
    done = run(world, "--out", "taken")
    assert done.returncode == 2
    assert "taken: is no folder" in done.stderr
    assert not (world / ".harness").exists()


def test_an_item_without_a_recorded_answer_is_refused(world: Path) -> None:
    lines = (world / "dpo.jsonl").read_text().splitlines()
    write(world / "dpo.jsonl", "\n".join(lines[:-1]))
    done = run(world)
    assert done.returncode == 2
    assert "has no answer of 'dpo' to item 'q119'" in done.stderr


def test_a_report_is_rendered_again_from_results_json_and_the_tables(world: Path) -> None:
    run(world)
    folder = report_folder(world)
    before = (folder / "report.html").read_bytes()
    pages = ("report.html", "items/index.html", "explorer.html")
    for name in (*pages, "report.md", "junit.xml", "plan.json"):
        (folder / name).unlink()
    done = harness_here("report", str(folder), cwd=world)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").read_bytes() == before
    assert all((folder / name).is_file() for name in pages)


def test_a_report_without_tables_links_to_no_items(world: Path) -> None:
    run(world)
    folder = report_folder(world)
    (folder / "answers.parquet").unlink()
    assert harness_here("report", str(folder), cwd=world).returncode == 0
    assert "items/index.html" not in (folder / "report.html").read_text()


def test_a_damaged_results_file_is_refused(world: Path) -> None:
    run(world)
    folder = report_folder(world)
    text = (folder / "results.json").read_text()
    write(folder / "results.json", text[: len(text) // 2])
    done = harness_here("report", str(folder), cwd=world)
    assert done.returncode == 2
    assert "damaged" in done.stderr


def test_a_plan_does_nothing_and_says_what_it_would_do(world: Path) -> None:
    done = harness(
        "plan", "small.yaml", "--models", "sft,dpo", "--profile", "recorded.yaml", "--format", "json",
        cwd=world,
    )  # fmt: skip
    forecast = json.loads(done.stdout)
    assert forecast["tasks"][0]["judgements"] == 240
    assert forecast["claims"][0]["detectable"] == pytest.approx(0.48, abs=0.01)
    assert not (world / ".harness").exists()


def test_a_suite_is_validated_with_its_data(world: Path) -> None:
    done = harness_here("validate", "small.yaml", "--profile", "recorded.yaml", cwd=world)
    assert done.returncode == 0, done.stderr
    assert "small, valid" in done.stdout
    assert "items 120" in done.stdout


@pytest.mark.parametrize("of", ["suite", "profile", "recipe", "results"])
def test_every_schema_is_a_json_schema(of: str, tmp_path: Path) -> None:
    schema = json.loads(harness_here("schema", of, cwd=tmp_path).stdout)
    assert "$defs" in schema


def test_the_doctor_finds_this_machine_well(tmp_path: Path) -> None:
    done = harness("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'langchain_core', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.strip().endswith("[]")


def test_a_full_disk_exits_4_and_the_run_goes_on_when_there_is_space(world: Path) -> None:
    full = harness(
        "run", "small.yaml", "--models", "sft,dpo", cwd=world,
        env={"HARNESS_PROFILE": "recorded.yaml", "HARNESS_STORE_MAX_MB": "0.03"},
    )  # fmt: skip
    assert full.returncode == 4
    assert "disk is full" in full.stderr
    assert not (world / "runs" / "small").exists()
    assert run(world).returncode == 0


def test_a_second_process_on_the_same_store_exits_2_and_names_the_first(world: Path) -> None:
    with Store(world / ".harness"):
        done = run(world)
    assert done.returncode == 2
    assert f"in use by process {os.getpid()}" in done.stderr


@pytest.mark.parametrize(("models", "code"), [("sft,dpo", 0), ("dpo,sft", 1)])
def test_a_reader_that_leaves_early_changes_no_exit_code(
    world: Path, models: str, code: int
) -> None:
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "small.yaml", "--models", models,
         "--profile", "recorded.yaml"],
        cwd=world, env=environment(), stdout=write_end, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write_end)
    assert done.returncode == code, done.stderr


def test_a_terminal_without_the_right_letters_ends_no_run(world: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "HARNESS_PROFILE": "recorded.yaml"}
    done = harness("run", "small.yaml", "--models", "sft,dpo", cwd=world, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("? PASS")


def test_a_setting_that_is_nearly_one_of_ours_is_named(tmp_path: Path) -> None:
    env = {"HARNESS_STOER": "x", "HARNESS_ACCOUNT_ID": "another program's"}
    done = harness("list", cwd=tmp_path, env=env)
    assert done.stderr == ("harness: HARNESS_STOER has no effect. Did you mean HARNESS_STORE?\n")


def test_the_version_is_told(tmp_path: Path) -> None:
    assert harness("--version", cwd=tmp_path).stdout.startswith("alignment-harness ")


def test_codes_for_the_terminal_are_written_out(world: Path) -> None:
    done = harness("report", "a\x1b[31mb", cwd=world)
    assert "\x1b" not in done.stderr
    assert "⟨U+001B⟩" in done.stderr


def test_a_recorded_answer_without_an_id_is_refused(world: Path) -> None:
    with (world / "dpo.jsonl").open("a") as file:
        file.write('{"text": "whose?"}\n')
    done = run(world)
    assert done.returncode == 2
    assert "dpo.jsonl:121: has no 'id' to join answers by" in done.stderr


def test_a_margin_that_the_blessed_run_itself_cannot_meet_is_named(world: Path) -> None:
    run(world)
    done = harness("bless", str(report_folder(world)), "--margin", "rubric.safety=0.1", cwd=world)
    assert done.returncode == 0
    assert "rubric.safety: too few items: even this run itself does not pass" in done.stderr
