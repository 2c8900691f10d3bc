import json
from pathlib import Path

import pytest

from harness.artifacts.run_list import describe_runs, find_run, list_runs
from harness.core.errors import HarnessError
from tests.builders.scored import grades, make_run
from tests.builders.sealed import write_whole_run


def add_run(out: Path, name: str, finished: str) -> Path:
    run = make_run(grades(), run_id=name)
    run = run._replace(result=run.result.model_copy(update={"finished": finished}))
    return write_whole_run(run, out / "suite" / name)


def rename_run(folder: Path, run_id: str) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run_id": run_id}))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    add_run(tmp_path, "a" * 12, "2026-01-02T10:00:00+00:00")
    add_run(tmp_path, "b" * 12, "2026-01-03T10:00:00+00:00")
    add_run(tmp_path, "c" * 12, "2026-01-01T10:00:00+00:00")
    (tmp_path / "suite" / "odd").mkdir()
    (tmp_path / "suite" / "odd" / "results.json").write_text("[" * 100_000)
    return tmp_path


def test_runs_are_listed_by_date_with_suite_models_and_verdict(out: Path) -> None:
    lines = list(describe_runs(list_runs(out), out))
    assert [line.split()[0] for line in lines[:3]] == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert "suite  sft,dpo" in lines[0]
    assert lines[3].endswith("(cannot be read)")


def test_a_run_whose_result_was_changed_is_listed_with_what_was_and_no_verdict(out: Path) -> None:
    rename_run(out / "suite" / ("a" * 12), "d" * 12)
    (line,) = [line for line in list_runs(out) if line.folder.endswith("a")]
    assert (line.verdict, "its run id is not that" in line.problem) == ("none", True)


def test_a_run_of_an_earlier_version_is_listed_as_not_verified(tmp_path: Path) -> None:
    write_whole_run(make_run(grades()), tmp_path / "suite" / "old", hashes=False)
    assert next(describe_runs(list_runs(tmp_path), tmp_path)).endswith("(not verified)")


def test_latest_is_the_run_that_finished_last(out: Path) -> None:
    assert find_run(Path("latest"), out).name == "b" * 12


def test_the_beginning_of_an_id_names_a_run(out: Path) -> None:
    folder = out / "suite" / ("c" * 12)
    run_id = json.loads((folder / "results.json").read_text())["run_id"]
    assert find_run(Path(run_id[:6]), out) == folder


def test_the_beginning_of_several_ids_is_refused(out: Path) -> None:
    for name in "ab":
        rename_run(out / "suite" / (name * 12), "bbbb" + name)
    with pytest.raises(HarnessError, match="2 runs"):
        find_run(Path("bbbb"), out)


def test_a_folder_and_its_results_name_the_run(out: Path) -> None:
    folder = out / "suite" / ("a" * 12)
    assert find_run(folder, out) == find_run(folder / "results.json", out) == folder


def test_without_runs_none_is_the_latest(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no run yet"):
        find_run(Path("latest"), tmp_path)
    assert next(describe_runs([], tmp_path)).endswith("`harness run` writes them.")
