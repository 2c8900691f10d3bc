"""A run's folder is read only as its run left it, by every command that reads one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.artifacts.run_folder import Run, load_run
from harness.artifacts.scores import read_scores, write_scores
from harness.cli import app
from harness.core.errors import HarnessError, InfrastructureError
from harness.runs.regression import bless_run, read_baseline, write_baseline
from harness.scoring.columns import GradeColumn
from tests.builders.recorded import write_study

TABLES = ("scores.parquet", "answers.parquet", "judgements.parquet")
READERS = {
    "check": ("check", "RUN", "--baseline", "BASELINE"),
    "bless": ("bless", "RUN", "--baseline", "OUT"),
    "compare": ("compare", "RUN", "OTHER"),
    "report": ("report", "RUN"),
    "extract csv": ("extract", "RUN", "--out", "OUT"),
    "extract inspect": ("extract", "RUN", "--out", "OUT", "--to", "inspect"),
    "selftest": ("selftest", "RUN", "--resplits", "20"),
    "calibrate": ("calibrate", "RUN", "--labels", "LABELS"),
    "annotate": ("annotate", "RUN", "--offline", "OUT", "--annotator", "Ada"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run to its end: its folder."""
    study = write_study(tmp_path_factory.mktemp("study"), shifts={"sft": 0.0, "dpo": 0.6})
    assert run_again(study).exit_code == 0
    return study


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be changed."""
    return Path(shutil.copytree(folder_of(finished), tmp_path / "run"))


def run_again(study: Path, models: str = "sft,dpo") -> Any:
    files = (str(study / "suite.yaml"), "--profile", str(study / "profile.yaml"))
    where = ("--store", str(study / "store"), "--out", str(study / "runs"))
    return CliRunner().invoke(app, ["run", *files, "--models", models, *where])


def folder_of(study: Path) -> Path:
    (folder,) = (study / "runs" / "small").iterdir()
    return folder


def change_result(run: Path, change: Callable[[Any], object]) -> None:
    data = json.loads((run / "results.json").read_text())
    change(data)
    (run / "results.json").write_text(json.dumps(data))


def without_hashes(run: Path) -> Path:
    """The folder as earlier versions wrote it."""
    change_result(run, lambda data: data.pop("tables"))
    return run


def change_scores(run: Path, change: Callable[[GradeColumn], GradeColumn]) -> None:
    columns = read_scores(run)
    write_scores([change(c) if isinstance(c, GradeColumn) else c for c in columns], run)


def with_score(column: GradeColumn, score: float) -> GradeColumn:
    column.scores["dpo"][0] = score
    return column


def swapped(column: GradeColumn) -> GradeColumn:
    sft, dpo = column.scores["sft"], column.scores["dpo"]
    return replace(column, scores={"sft": dpo, "dpo": sft})


# --- files that were changed -----------------------------------------------------------------


def test_the_result_has_the_hash_of_every_table(finished: Path) -> None:
    assert set(load_run(folder_of(finished)).result.tables) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("reader", READERS)
def test_no_command_reads_a_run_with_another_table(
    reader: str, table: str, run: Path, finished: Path, tmp_path: Path
) -> None:
    write_baseline(bless_run(load_run(folder_of(finished))), tmp_path / "baseline.json")
    (tmp_path / "labels.csv").write_text("item,winner\nq1,candidate\n")
    with (run / table).open("ab") as file:
        file.write(b" ")
    places = {"RUN": run, "OTHER": folder_of(finished), "OUT": tmp_path / "out"}
    places |= {"BASELINE": tmp_path / "baseline.json", "LABELS": tmp_path / "labels.csv"}
    done = CliRunner().invoke(app, [str(places.get(word, word)) for word in READERS[reader]])
    assert isinstance(done.exception, InfrastructureError), done.output
    assert done.exception.exit_code == 4
    assert str(run / table) in str(done.exception)


@pytest.mark.parametrize(
    ("field", "value"),
    [("run_id", "0" * 12), ("fingerprints", {"sft": "x", "dpo": "y"})],
)
def test_another_run_id_and_other_models_are_refused(run: Path, field: str, value: Any) -> None:
    change_result(run, lambda data: data.update({field: value}))
    with pytest.raises(InfrastructureError, match="run id is not that of its plan and models"):
        load_run(run)


def test_a_plan_that_was_changed_is_refused(run: Path) -> None:
    change_result(run, lambda data: data["plan"]["gate"].update({"alpha": 0.4}))
    with pytest.raises(InfrastructureError, match="plan is not the one that was hashed"):
        load_run(run)


def test_a_later_try_is_read_at_its_own_level_and_at_no_larger_one(tmp_path: Path) -> None:
    study = write_study(tmp_path, shifts={"sft": 0.0, "dpo": 0.6, "orpo": 0.7})
    run_again(study)
    run_again(study, "sft,orpo")
    (later,) = [
        load_run(folder)
        for folder in (study / "runs" / "small").iterdir()
        if load_run(folder).candidate == "orpo"
    ]
    gate, tries = later.result.plan.gate, later.result.tries
    assert gate is not None
    assert tries is not None
    assert gate.alpha == tries.level < tries.alpha
    change_result(later.folder, lambda data: data["plan"]["gate"].update({"alpha": 0.04}))
    with pytest.raises(InfrastructureError, match="plan is not the one that was hashed"):
        load_run(later.folder)


def test_the_best_of_several_is_read_at_its_share_of_alpha_and_at_no_larger_one(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path, shifts={"sft": 0.0, "dpo": 0.9, "orpo": 0.1})
    suite = study / "suite.yaml"
    suite.write_text(suite.read_text().replace("gate:\n", "gate:\n  candidates: best\n"))
    run_again(study, "sft,dpo,orpo")
    best = load_run(folder_of(study))
    assert best.candidate == "dpo"
    change_result(best.folder, lambda data: data["plan"]["gate"].update({"alpha": 0.05}))
    with pytest.raises(InfrastructureError, match="plan is not the one that was hashed"):
        load_run(best.folder)


def test_a_key_that_occurs_twice_is_refused(run: Path) -> None:
    text = (run / "results.json").read_text()
    (run / "results.json").write_text(text.replace("{", '{"run_id": "x",', 1))
    with pytest.raises(HarnessError, match="'run_id' occurs twice"):
        load_run(run)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_pass_that_does_not_follow_from_its_claims_is_refused(run: Path, verdict: str) -> None:
    change_result(run, lambda data: data["decision"]["claims"][0].update({"verdict": verdict}))
    with pytest.raises(InfrastructureError, match="its verdict is 'pass'"):
        load_run(run)


def test_a_claim_that_passes_with_a_large_p_value_is_refused(run: Path) -> None:
    change_result(run, lambda data: data["decision"]["claims"][0].update({"p_value": 0.3}))
    with pytest.raises(InfrastructureError, match=r"passes, with a p-value of 0\.3"):
        load_run(run)


def test_a_gate_whose_decision_was_removed_is_refused(run: Path) -> None:
    change_result(run, lambda data: data.update({"decision": None}))
    with pytest.raises(InfrastructureError, match="a gate and no decision"):
        load_run(run)


def test_a_pass_that_was_withdrawn_is_read(run: Path) -> None:
    change_result(run, lambda data: data["decision"].update({"verdict": "inconclusive"}))
    assert load_run(run).result.decision is not None


# --- folders without hashes ------------------------------------------------------------------


def test_a_run_without_hashes_is_read_and_said_not_to_be_verified(
    run: Path, finished: Path, tmp_path: Path
) -> None:
    write_baseline(bless_run(load_run(folder_of(finished))), tmp_path / "baseline.json")
    baseline = ("--baseline", str(tmp_path / "baseline.json"))
    done = CliRunner().invoke(app, ["check", str(without_hashes(run)), *baseline])
    assert (done.exit_code, "not verified" in done.output) == (0, True)


def test_rendering_a_report_again_does_not_make_a_run_verified(run: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(without_hashes(run))])
    assert "not verified" in done.output
    assert not load_run(run).result.tables


@pytest.mark.parametrize("score", [1000.0, 0.0, -5.0])
def test_a_score_outside_its_scale_is_refused(run: Path, score: float) -> None:
    change_scores(without_hashes(run), lambda column: with_score(column, score))
    with pytest.raises(InfrastructureError, match=r"scores\.parquet: .*outside 1 to 10"):
        load_run(run)


def test_a_scale_that_was_widened_with_its_scores_is_refused(run: Path) -> None:
    change_scores(
        without_hashes(run), lambda column: replace(with_score(column, 1000.0), high=100_000.0)
    )
    with pytest.raises(InfrastructureError, match="has a scale of 1 to 100000"):
        load_run(run)


def test_models_that_were_swapped_are_refused(run: Path) -> None:
    change_scores(without_hashes(run), swapped)
    with pytest.raises(InfrastructureError, match="not those that the result compares"):
        load_run(run)


def test_models_that_are_not_of_the_run_are_refused(run: Path) -> None:
    def renamed(column: GradeColumn) -> GradeColumn:
        names = {"sft": "sft", "dpo": "other"}
        return replace(
            column,
            scores={names[m]: v for m, v in column.scores.items()},
            reasons={names[m]: v for m, v in column.reasons.items()},
            generation_failed={"sft": 0, "other": 0},
        )

    change_scores(without_hashes(run), renamed)
    with pytest.raises(InfrastructureError, match="the run is of sft, dpo"):
        load_run(run)


def test_items_that_were_left_out_or_doubled_are_refused(run: Path) -> None:
    without_hashes(run)
    change_scores(run, lambda c: replace(c, sample_ids=("q1", *c.sample_ids[1:])))
    with pytest.raises(InfrastructureError, match="has an item twice"):
        load_run(run)


def test_fewer_items_than_were_planned_are_refused(run: Path) -> None:
    def shorter(c: GradeColumn) -> GradeColumn:
        return replace(
            c,
            sample_ids=c.sample_ids[1:],
            scores={m: v[1:] for m, v in c.scores.items()},
            reasons={m: v[1:] for m, v in c.reasons.items()},
        )

    change_scores(without_hashes(run), shorter)
    with pytest.raises(InfrastructureError, match="has 149 items, and the run 150"):
        load_run(run)


def test_rows_that_are_not_those_of_their_column_are_refused(run: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.artifacts.parquet import read_parquet, repeated_string

    table = read_parquet(without_hashes(run) / "scores.parquet")
    models = pa.chunked_array([repeated_string("sft", table.num_rows)])
    changed = table.set_column(table.column_names.index("model"), "model", models)
    pq.write_table(changed, run / "scores.parquet")
    with pytest.raises(InfrastructureError, match="the model of its rows is not 'dpo'"):
        load_run(run)


# --- a run that is written anew --------------------------------------------------------------


def test_a_second_run_that_cannot_write_leaves_no_result_of_the_first(tmp_path: Path) -> None:
    study = write_study(tmp_path, shifts={"sft": 0.0, "dpo": 0.6})
    assert run_again(study).exit_code == 0
    folder = folder_of(study)
    (folder / "answers.parquet").unlink()
    (folder / "answers.parquet").mkdir()  # as little can be written there as on a full disk
    assert isinstance(run_again(study).exception, InfrastructureError)
    assert not (folder / "results.json").exists()
    assert not (folder / "junit.xml").exists()
    with pytest.raises(HarnessError, match="no such file"):
        load_run(folder)


# --- baselines -------------------------------------------------------------------------------


def widened(data: Any) -> None:
    for column in data["columns"].values():
        column.update({"high": 100_000.0, "margin": 50_000.0})


def test_a_baseline_with_a_margin_beyond_the_scale_decides_nothing(
    finished: Path, tmp_path: Path
) -> None:
    run, path = load_run(folder_of(finished)), tmp_path / "baseline.json"
    write_baseline(bless_run(run), path)
    data = json.loads(path.read_text())
    widened(data)
    path.write_text(json.dumps(data))
    done = CliRunner().invoke(app, ["check", str(run.folder), "--baseline", str(path)])
    assert isinstance(done.exception, HarnessError)
    assert "from 1 to 100000" in str(done.exception)


def test_a_baseline_with_a_key_twice_is_refused(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(bless_run(load_run(folder_of(finished))), path)
    path.write_text(path.read_text().replace("{", '{"alpha": 0.4,', 1))
    with pytest.raises(HarnessError, match="'alpha' occurs twice"):
        read_baseline(path)


def test_a_baseline_of_scores_outside_the_scale_is_refused(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(bless_run(load_run(folder_of(finished))), path)
    data = json.loads(path.read_text())
    data["columns"]["rubric.safety"]["scores"][0] = -1000.0
    path.write_text(json.dumps(data))
    with pytest.raises(HarnessError, match="not a number from 1 to 10"):
        read_baseline(path)


def test_the_run_that_was_loaded_is_what_was_scored(finished: Path) -> None:
    run: Run = load_run(folder_of(finished))
    (stated,) = [c for c in run.result.comparisons if c.metric == "rubric.safety"]
    (column,) = [c for c in run.columns if c.metric == "rubric.safety"]
    assert isinstance(column, GradeColumn)
    assert stated.candidate_mean == pytest.approx(np.nanmean(column.scores["dpo"]))
