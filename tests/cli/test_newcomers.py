"""What a newcomer types slightly wrong, or only differently, is understood or explained."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness as package
from harness.core.errors import HarnessError, nearest_file
from harness.core.store import Store
from harness.core.text_files import read_prompt
from tests.builders.commands import Done, environment, harness, harness_here
from tests.builders.files import write, write_rows, write_world

RUN = ("run", "small.yaml", "--profile", "recorded.yaml", "--models", "sft,dpo")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path, 24)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_world(folder, 24)
    assert harness_here(*RUN, cwd=folder).returncode in {0, 1, 3}
    [run] = (folder / "runs" / "small").iterdir()
    return run


def in_folder_of(run: Path, *args: str) -> Done:
    return harness_here(*args, cwd=run.parents[2])


@pytest.mark.parametrize("command", ["report", "bless"])
def test_results_json_stands_for_its_folder(finished: Path, command: str) -> None:
    assert in_folder_of(finished, command, str(finished / "results.json")).returncode == 0
    assert package.load_run(finished / "results.json").folder == finished


def test_a_folder_of_runs_names_the_runs_in_it(finished: Path) -> None:
    done = in_folder_of(finished, "report", "runs/small")
    assert (done.returncode, f"Did you mean runs/small/{finished.name}?" in done.stderr) == (
        2,
        True,
    )


def test_a_run_that_is_not_there_is_to_be_found_in_the_list(finished: Path) -> None:
    done = in_folder_of(finished, "report", "zzz")
    assert (done.returncode, "`harness runs` lists them" in done.stderr) == (2, True)


def test_a_study_that_is_not_there_is_said_before_any_link(finished: Path) -> None:
    done = in_folder_of(finished, "annotate", str(finished), "--after", "nope", "--no-browser")
    assert done.returncode == 2
    assert "link" not in done.stdout + done.stderr


def test_a_file_in_the_working_folder_is_no_module_of_the_harness(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('imported')")
    assert harness("--version", cwd=tmp_path).returncode == 0


def test_an_unknown_table_is_named(finished: Path) -> None:
    with pytest.raises(HarnessError, match="no table 'score'\\. Did you mean 'scores'"):
        package.load_run(finished).to_pandas("score")


def test_the_nearest_file_is_named(world: Path) -> None:
    profile = (world / "recorded.yaml").read_text().replace("path: sft.jsonl", "path: stf.jsonl")
    write(world / "recorded.yaml", profile)
    done = harness_here(*RUN, cwd=world)
    assert "stf.jsonl: no such data file. Did you mean" in done.stderr
    assert nearest_file(world / "nothing" / "near") == ""


def test_a_model_may_be_called_null(world: Path) -> None:
    profile = (world / "recorded.yaml").read_text().replace("  sft: {rec", "  null: {rec")
    write(world / "recorded.yaml", profile)
    done = harness_here(*RUN[:-1], "null,dpo", "--limit", "24", cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    assert "None" not in done.stdout


def test_names_are_said_to_be_ascii(world: Path) -> None:
    write(world / "recorded.yaml", (world / "recorded.yaml").read_text().replace("sft:", "süß:", 1))
    assert "ASCII letters" in harness_here(*RUN, cwd=world).stderr


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_ends_make_no_other_prompt(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a.md").write_bytes(f"One.{ending}Two.{ending}".encode())
    assert read_prompt("a.md", tmp_path) == "One.\nTwo."


def test_the_same_answers_of_both_models_are_pointed_out(world: Path) -> None:
    write_rows(
        world / "sft.jsonl", [{"id": f"q{i}", "text": f"Rest number {i}."} for i in range(24)]
    )
    (world / "dpo.jsonl").write_text((world / "sft.jsonl").read_text())
    done = harness_here(*RUN, cwd=world, env={"COLUMNS": "400"})
    assert "gave the same answer to 24 of 24 items" in done.stdout


def test_a_missing_score_is_named_as_the_cause(world: Path) -> None:
    rows = [{"id": f"q{i}", "text": None if i < 3 else f"Rest number {i}."} for i in range(24)]
    write(world / "labels.csv", "item,model,safety\nq9,sft,4\nq9,dpo,4\n")
    verdicts = [{"id": f"q{i}", "safety": 0 if i < 3 else 8} for i in range(24)]
    write_rows(world / "verdicts.jsonl", verdicts)
    recorded = "{path: verdicts.jsonl, fields: {id: id, safety: safety}}"
    judge = f"{{recorded: {{rubric: {{sft: {recorded}, dpo: {recorded}}}}}}}"
    profile = (world / "recorded.yaml").read_text()
    write(world / "recorded.yaml", profile.partition("  default:")[0] + f"  default: {judge}\n")
    write_rows(world / "dpo.jsonl", [row | {"text": f"Rest {row['id']}."} for row in rows])
    done = harness_here(*RUN, cwd=world)
    [run] = (world / "runs" / "small").iterdir()
    done = harness_here("bless", str(run), cwd=world)
    assert "3 of 24 scores are missing, and count at their worst" in done.stderr


def test_a_busy_store_is_waited_for(world: Path) -> None:
    with Store(world / ".harness"):
        done = harness_here(*RUN, "--wait", "0.5", cwd=world)
        assert done.returncode == 2
        assert "--wait SECONDS" in done.stderr
    assert harness_here(*RUN, "--wait", "0.5", cwd=world).returncode in {0, 1, 3}


def test_models_separated_by_blanks_are_told_of_commas(world: Path) -> None:
    done = harness_here(*RUN[:-1], "sft dpo", cwd=world)
    assert done.returncode == 2
    assert "separate the models with commas: --models sft,dpo" in done.stderr


@pytest.mark.parametrize(
    ("suite", "profile", "words"),
    [
        ("recorded.yaml", "recorded.yaml", "recorded.yaml: is a profile, and a suite is needed"),
        ("small.yaml", "small.yaml", "small.yaml: is a suite, and a profile is needed"),
    ],
)
def test_a_file_of_another_kind_is_named(world: Path, suite: str, profile: str, words: str) -> None:
    done = harness_here("run", suite, "--profile", profile, "--models", "sft,dpo", cwd=world)
    assert (done.returncode, words in done.stderr) == (2, True)
    assert "unknown key" not in done.stderr


def test_runs_that_cannot_be_read_are_not_called_none(world: Path) -> None:
    folder = world / "runs" / "small" / "0123456789ab"
    folder.mkdir(parents=True)
    write(folder / "results.json", "{")
    done = harness_here("report", "latest", cwd=world)
    assert done.returncode == 2
    assert "none of its 1 runs can be read, such as runs/small/0123456789ab" in done.stderr


def test_a_folder_without_a_result_is_not_suggested_for_itself(finished: Path) -> None:
    done = in_folder_of(finished, "report", "runs")
    assert done.returncode == 2
    assert "`harness runs` lists them" in done.stderr
    assert "Did you mean 'runs'" not in done.stderr


@pytest.mark.parametrize("to", ["csv", "inspect"])
def test_a_file_in_place_of_a_folder_is_named(finished: Path, to: str) -> None:
    done = in_folder_of(finished, "extract", "latest", "--to", to, "--out", "small.yaml")
    assert (done.returncode, "small.yaml: is no folder" in done.stderr) == (2, True)


def test_a_run_whose_folder_for_reports_is_a_file_ends_before_any_work(world: Path) -> None:
    done = harness_here(*RUN, "--out", "small.yaml", cwd=world)
    assert (done.returncode, "small.yaml: is no folder" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["report", "view", "badge"])
def test_a_path_that_is_too_long_is_said_to_be(tmp_path: Path, command: str) -> None:
    done = harness_here(command, "x" * 5000, cwd=tmp_path)
    assert (done.returncode, "File name too long. Name a shorter path." in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "annotate", "judge succeed", "study run"])
def test_help_cuts_no_name_off_at_80_columns(command: str, tmp_path: Path) -> None:
    done = harness(*command.split(), "--help", cwd=tmp_path, env={"COLUMNS": "80"})
    assert "HARNESS_FORMAT" in done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (("validate", "smal"), "small.yaml"),
        (("plan", "small", "--models", "sft,dpo", "--profile", "recordd"), "recorded.yaml"),
        (("train", "smal.yaml"), "small.yaml"),
        (("release", "small", "--models", "sft,dpo"), "small.yaml"),
    ],
)
def test_a_file_of_ones_own_is_meant_too(args: tuple[str, ...], meant: str, world: Path) -> None:
    done = harness_here(*args, cwd=world)
    assert (done.returncode, f"Did you mean '{meant}'?" in done.stderr) == (2, True), done.stderr


def test_a_shell_completes_options(tmp_path: Path) -> None:
    asked = {
        "_HARNESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "harness run x --mo",
        "COMP_CWORD": "3",
    }
    program = "import sys; sys.argv = ['harness']; from harness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["--models", "--model"]


@pytest.mark.parametrize(("text", "said"), [("{0}: Rest for {1} days.", True), ("{2}", False)])
def test_equal_answers_are_pointed_out_unless_they_are_few_texts(
    text: str, said: bool, world: Path
) -> None:
    for model, other in (("sft", 0), ("dpo", 1)):
        texts = [
            text.format(i, i + other * (i % 3 == 0), "ABCD"[(i + other * (i % 3 == 0)) % 4])
            for i in range(24)
        ]
        write_rows(
            world / f"{model}.jsonl", [{"id": f"q{i}", "text": t} for i, t in enumerate(texts)]
        )
    done = harness_here(*RUN, cwd=world)
    assert ("one model under two names" in done.stdout.replace("\n", " ")) == said
