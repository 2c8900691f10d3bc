"""`harness publish`: what is said before, what is refused, and what arrives at a hub."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from harness.artifacts.results_json import load_result
from tests.builders.commands import Done, harness_here
from tests.builders.recorded import write_study
from tests.loopback.hub import Hub, serve_hub

TOKEN = "hf_a-token-that-may-write"
TEXTS = (b"May I run", b"says yes", b"Fine.")  # questions, answers, a judge's words


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a finished run under `runs/small/`."""
    folder = write_study(tmp_path_factory.mktemp("study"), shifts={"sft": 0.0, "dpo": 0.1})
    command = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    assert harness_here(*command, cwd=folder).returncode in {0, 1, 3}
    return folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub(TOKEN) as hub:
        yield hub


def publish(cwd: Path, *options: str, **env: str) -> Done:
    return harness_here("publish", "latest", *options, cwd=cwd, env=env)


def to_hub(cwd: Path, hub: Hub, *options: str) -> Done:
    where = ("--to", "hub", "--project", "me/tiny", "--uri", hub.url)
    return publish(cwd, *where, *options, HF_TOKEN=TOKEN)


# --- before anything is sent -----------------------------------------------------------------


def test_a_dry_run_lists_what_would_go_where_and_sends_nothing(study: Path, hub: Hub) -> None:
    done = to_hub(study, hub, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"to hub: {hub.url}/me/tiny" in done.stdout
    assert "report.html (" in done.stdout
    assert "without questions, answers" in done.stdout
    assert (hub.created, hub.files) == ({}, {})


def test_a_tool_that_is_not_known_is_named_with_those_that_are(study: Path) -> None:
    done = publish(study, "--to", "mlfow")
    assert done.returncode == 2
    assert "Did you mean 'mlflow'? Known: hub, mlflow, trackio, wandb." in done.stderr


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow's client is installed")
def test_a_client_that_is_missing_is_named_with_what_installs_it(study: Path) -> None:
    done = publish(study, "--to", "mlflow", "--uri", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "pip install 'alignment-harness[mlflow]'" in done.stderr


def test_one_address_is_not_for_two_tools(study: Path) -> None:
    done = publish(study, "--to", "mlflow", "--to", "wandb", "--uri", "http://127.0.0.1:1")
    assert (done.returncode, "MLFLOW_TRACKING_URI" in done.stderr) == (2, True)


def test_a_changed_run_is_refused(study: Path, tmp_path: Path, hub: Hub) -> None:
    [folder] = (study / "runs" / "small").iterdir()
    for name in ("results.json", "scores.parquet"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    results = json.loads((tmp_path / "results.json").read_text())
    results["decision"]["verdict"] = "pass"
    (tmp_path / "results.json").write_text(json.dumps(results))
    where = ("--to", "hub", "--project", "me/tiny", "--uri", hub.url)
    done = harness_here("publish", str(tmp_path), *where, cwd=study, env={"HF_TOKEN": TOKEN})
    assert (done.returncode, hub.files) == (4, {})
    assert "its verdict is 'pass', and that of its claims" in done.stderr


def test_a_secret_of_the_environment_never_leaves(study: Path, hub: Hub) -> None:
    where = ("--to", "hub", "--project", "me/tiny", "--uri", hub.url)
    done = publish(study, *where, HF_TOKEN=TOKEN, SOME_API_KEY="Is it safe")
    assert (done.returncode, hub.files) == (2, {})
    assert "holds the value of SOME_API_KEY" in done.stderr
    assert "Is it safe" not in done.stderr


def test_protected_items_need_a_consent_of_their_own(tmp_path: Path, hub: Hub) -> None:
    write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0}, n=20)
    suite = tmp_path / "suite.yaml"
    suite.write_text(suite.read_text().replace("{path: items", "{phi: true, path: items"))
    command = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    harness_here(*command, cwd=tmp_path)
    done = to_hub(tmp_path, hub, "--with-items")
    assert (done.returncode, hub.files) == (2, {})
    assert "--allow-remote-phi" in done.stderr
    assert to_hub(tmp_path, hub, "--with-items", "--allow-remote-phi").returncode == 0


# --- at the hub ------------------------------------------------------------------------------


def test_reports_arrive_without_texts_and_scores_stand_on_the_models_page(
    study: Path, hub: Hub
) -> None:
    done = to_hub(study, hub)
    assert done.returncode == 0, done.stderr
    assert hub.created["visibility"] == "private"
    assert "private repository me/tiny" in done.stdout
    result = load_result(next((study / "runs" / "small").iterdir()))
    place = f"evaluations/{result.run_id}"
    assert {f"{place}/report.html", f"{place}/tables/claims.csv", "README.md"} <= set(hub.files)
    assert [text for text in TEXTS if text in b"".join(hub.files.values())] == []
    assert result.next_steps
    for name in ("report.md", "results.json", "junit.xml"):
        assert re.findall(rb"\bq\d+\b", hub.files[f"{place}/{name}"]) == []
    card = ModelCard(hub.files["README.md"].decode())
    means = {(s.metric, s.mean.estimate) for s in result.scores if s.model == "dpo"}
    found = card.data.to_dict()["model-index"][0]["results"]
    assert {(m["type"], m["value"]) for r in found for m in r["metrics"]} == means
    assert {r["source"]["name"].rpartition(" ")[2] for r in found} == {result.decision.verdict}  # type: ignore[union-attr]


def test_a_second_publication_replaces_the_first(study: Path, hub: Hub) -> None:
    hub.files["README.md"] = b"---\nlicense: mit\n---\n\n# Our model\n\nOur words.\n"
    for _ in range(2):
        assert to_hub(study, hub).returncode == 0
    card = ModelCard(hub.files["README.md"].decode())
    assert "Our words." in card.text
    assert card.data.to_dict()["license"] == "mit"
    [index] = card.data.to_dict()["model-index"]
    assert len(index["results"]) == 1
    assert len({name.split("/")[1] for name in hub.files if name.startswith("evaluations/")}) == 1


def test_items_go_only_where_they_are_asked_for(study: Path, hub: Hub) -> None:
    done = to_hub(study, hub, "--with-items")
    assert done.returncode == 0, done.stderr
    names = {name.split("/", 2)[-1] for name in hub.files}
    assert {"answers.parquet", "judgements.parquet", "items/index.html"} <= names
    assert b"May I run" in b"".join(hub.files.values())
    again = to_hub(study, hub)
    assert "still there from before, to be removed by hand: evaluations/" in again.stdout


def test_a_failure_says_what_has_arrived_in_the_servers_own_words(study: Path, hub: Hub) -> None:
    hub.refuses_commits = "storage quota exceeded"
    done = to_hub(study, hub)
    assert (done.returncode, hub.files) == (4, {})
    assert "507" in done.stderr
    assert "Arrived: private repository me/tiny" in done.stderr
    hub.refuses_commits = ""
    assert to_hub(study, hub).returncode == 0


def test_a_server_that_is_down_is_named_at_once(study: Path, hub: Hub) -> None:
    where = ("--to", "hub", "--project", "me/tiny", "--uri", "http://127.0.0.1:1")
    done = publish(study, *where, "--format", "json", HF_TOKEN=TOKEN)
    assert done.returncode == 4
    [sent] = json.loads(done.stdout)["sent"]
    assert "http://127.0.0.1:1 cannot be reached" in sent["problem"]
    assert sent["arrived"] == []
