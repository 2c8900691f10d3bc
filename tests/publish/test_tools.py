"""Runs in MLflow, Weights & Biases and Trackio, read back with each one's own client (`make test-tools`)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.artifacts.run_folder import Run, load_run
from harness.publish.records import make_publication
from tests.builders.commands import Done, harness
from tests.builders.recorded import write_study
from tests.builders.tool_environments import read_offline_run, run_in, serve_mlflow, serve_trackio

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("default")]

# Everything of an experiment, by MLflow's own client; files by their content.
READ_MLFLOW = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
runs = client.search_runs([client.get_experiment_by_name(sys.argv[2]).experiment_id])
def files(run, folder=None):
    for found in client.list_artifacts(run, folder):
        yield from files(run, found.path) if found.is_dir else [found.path]
print(json.dumps([{
    "status": run.info.status, "metrics": run.data.metrics, "params": run.data.params, "tags": run.data.tags,
    "points": max(len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics),
    "files": {name: open(client.download_artifacts(run.info.run_id, name), encoding="utf-8").read()
              for name in files(run.info.run_id)},
} for run in runs]))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a finished run whose verdict is inconclusive."""
    folder = write_study(tmp_path_factory.mktemp("study"), shifts={"sft": 0.0, "dpo": 0.1})
    command = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    assert harness(*command, cwd=folder).returncode == 3
    return folder


@pytest.fixture
def run(study: Path) -> Run:
    [folder] = (study / "runs" / "small").iterdir()
    return load_run(folder)


def publish(study: Path, *options: str, **env: str) -> Done:
    return harness("publish", "latest", *options, cwd=study, env=env)


# --- MLflow ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_mlflow(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


def test_mlflow_has_the_run_once_however_often_it_is_published(
    study: Path, run: Run, mlflow: str
) -> None:
    for word in ("new run", "found run"):
        done = publish(study, "--to", "mlflow", MLFLOW_TRACKING_URI=mlflow)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
    [kept] = json.loads(run_in("mlflow", READ_MLFLOW, mlflow, "small"))
    sent = make_publication(run.result, None)
    assert (kept["metrics"], kept["params"]) == (sent.metrics, sent.lineage)
    assert kept["points"] == 1
    assert (kept["status"], kept["tags"]["harness.publication"]) == ("FINISHED", "complete")
    assert kept["tags"]["harness.verdict"] == "inconclusive"
    assert kept["tags"]["mlflow.note.content"].startswith("**INCONCLUSIVE**")
    assert json.loads(kept["files"]["results.json"])["run_id"] == run.result.run_id
    assert "tables/comparisons.csv" in kept["files"]
    assert "May I run" not in "".join(kept["files"].values())


def test_what_one_tool_refuses_another_still_gets(study: Path, mlflow: str, tmp_path: Path) -> None:
    here = {"TRACKIO_SERVER_URL": "http://127.0.0.1:1", "MLFLOW_TRACKING_URI": mlflow}
    done = publish(study, "--to", "trackio", "--to", "mlflow", "--project", "both", **here)
    assert done.returncode == 4
    assert "trackio: http://127.0.0.1:1 cannot be reached" in done.stderr
    assert "mlflow: new run" in done.stdout


def test_mlflows_refusal_is_told_in_its_own_words_with_what_had_arrived(
    study: Path, tmp_path: Path
) -> None:
    with serve_mlflow(tmp_path) as url:
        (tmp_path / "files").write_text("a file where the folder for artifacts should be")
        done = publish(study, "--to", "mlflow", "--uri", url)
        assert done.returncode == 4
        assert "MlflowException" in done.stderr or "HTTPError" in done.stderr
        assert "metrics, " in done.stderr.partition("Arrived: ")[2]
        (tmp_path / "files").unlink()
        assert publish(study, "--to", "mlflow", "--uri", url).returncode == 0
        [kept] = json.loads(run_in("mlflow", READ_MLFLOW, url, "small"))
    assert kept["tags"]["harness.publication"] == "complete"


# --- Trackio ---------------------------------------------------------------------------------


READ_TRACKIO = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage
[run] = trackio.Api().runs("small")
logs = SQLiteStorage.get_logs("small", run.name, run_id=run.id)
trackio.init(project="small", name="reader", embed=False)
folder = trackio.use_artifact("run-" + run.config["harness.run_id"] + ":latest").download(sys.argv[1])
trackio.finish()
print(json.dumps({"config": run.config, "logs": logs, "folder": folder}))
"""


def require_in_trackio(kept: str, run: Run, *, n_points: int) -> None:
    found, sent = json.loads(kept.splitlines()[-1]), make_publication(run.result, None)
    assert len(found["logs"]) == n_points
    point = found["logs"][-1]
    assert {name: point[name] for name in sent.metrics} == sent.metrics
    assert found["config"]["harness.verdict"] == "inconclusive"
    assert {name: found["config"][name] for name in sent.lineage} == sent.lineage
    assert (Path(found["folder"]) / "report.html").is_file()


def test_trackio_has_the_run_once_with_its_files(
    study: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        done = publish(study, "--to", "trackio", TRACKIO_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    kept = run_in("clients", READ_TRACKIO, str(tmp_path / "read"))
    require_in_trackio(kept, run, n_points=1)


def test_a_trackio_server_has_the_run_and_refuses_who_may_not_write(
    study: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", {"TRACKIO_DIR": str(tmp_path / "here")}
    there.mkdir()
    with serve_trackio(there) as url:
        wrong = publish(study, "--to", "trackio", "--uri", f"{url[:-4]}none", **here)
        assert (wrong.returncode, "Arrived: nothing" in wrong.stderr) == (4, True)
        done = publish(study, "--to", "trackio", "--uri", url, **here)
        assert done.returncode == 0, done.stderr
        assert "write_token" not in done.stdout + wrong.stdout + wrong.stderr
    monkeypatch.setenv("TRACKIO_DIR", str(there))
    kept = run_in("clients", READ_TRACKIO, str(tmp_path / "read"))
    require_in_trackio(kept, run, n_points=1)


# --- Weights & Biases ------------------------------------------------------------------------


def test_wandbs_offline_run_holds_numbers_lineage_and_files(
    study: Path, run: Run, tmp_path: Path
) -> None:
    here = {f"WANDB_{name}_DIR": str(tmp_path / name) for name in ("DATA", "CACHE", "CONFIG")}
    done = publish(study, "--to", "wandb", WANDB_MODE="offline", WANDB_DIR=str(tmp_path), **here)
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = {record.WhichOneof("record_type"): record for record in read_offline_run(path)}
    summaries = [r.summary for r in read_offline_run(path) if r.HasField("summary")]
    summary = {item.key: json.loads(item.value_json) for part in summaries for item in part.update}
    sent = make_publication(run.result, None)
    assert {name: summary[name] for name in sent.metrics} == sent.metrics
    assert summary["harness.verdict"] == "inconclusive"
    started = records["run"].run
    assert (started.run_id, started.project) == (f"harness-{sent.run_id}", "small")
    config = {item.key: json.loads(item.value_json) for item in started.config.update}
    assert config["lineage"] == sent.lineage
    assert (started.host, started.git.commit) == ("", "")
    files = {item.path: Path(item.local_path) for item in records["artifact"].artifact.manifest.contents}  # fmt: skip
    assert {"report.html", "tables/scores.csv", "claims.table.json"} <= set(files)
    assert b"May I run" not in b"".join(file.read_bytes() for file in files.values())


def test_wandb_without_a_key_asks_nobody(study: Path, tmp_path: Path, mlflow: str) -> None:
    here = {"WANDB_BASE_URL": mlflow, "WANDB_CONFIG_DIR": str(tmp_path), "NETRC": str(tmp_path / "n")}  # fmt: skip
    done = publish(study, "--to", "wandb", **here)
    assert (done.returncode, "WANDB_API_KEY" in done.stderr) == (2, True)
