"""MLflow: one run in an experiment, found again by its tag `harness.run_id`."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.publish.records import Publication
from harness.publish.tool import (
    Destination,
    Tool,
    count_files,
    require_reachable,
    shown_uri,
    still_there,
)
from reports.markdown import escape

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN_ID = "harness.run_id"
STATE = "harness.publication"
_PER_BATCH = 100  # what MLflow takes of parameters and tags in one request
_N_CHARS = 5000  # a tag's limit is 8,000, a parameter's 6,000
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would tell its makers of every run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 are two minutes at a server that is down
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def _resolve(publication: Publication, project: str | None, uri: str | None) -> Destination:
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise HarnessError(
            "--to mlflow: say which server: --uri https://… or the environment variable MLFLOW_TRACKING_URI."
        )
    name = project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or publication.suite
    return Destination(name, uri, f"{shown_uri(uri)}, experiment '{name}'")


def _send(publication: Publication, folder: Path, to: Destination) -> Iterator[str]:
    assert to.uri is not None
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    require_reachable(to.uri)
    from mlflow import MlflowClient

    # 1. Find the run of an earlier publication, or make one.
    client = MlflowClient(tracking_uri=to.uri)
    experiment = client.get_experiment_by_name(to.project)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(to.project)
    query = f"tags.`{RUN_ID}` = '{publication.run_id}'"
    found = client.search_runs([experiment_id], query, max_results=1)
    run = found[0] if found else _create_run(client, experiment_id, publication)
    run_id = run.info.run_id
    yield f"{'found' if found else 'new'} run {run_id}"
    # 2. Send what it lacks.
    yield from _log_values(client, run, publication)
    client.log_artifacts(run_id, str(folder))
    yield count_files(folder)
    there = {file.path for file in client.list_artifacts(run_id)}
    yield from still_there(there - {path.name for path in folder.iterdir()})
    # 3. Say that all is there.
    client.set_tag(run_id, STATE, "complete")
    client.set_terminated(run_id, "FINISHED", _milliseconds(publication.tags["finished"]))
    if to.uri.startswith("http"):
        yield f"{shown_uri(to.uri).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def _create_run(client: "MlflowClient", experiment_id: str, publication: Publication) -> "Run":
    return client.create_run(
        experiment_id,
        start_time=_milliseconds(publication.tags["started"]),
        run_name=publication.name,
        tags={RUN_ID: publication.run_id, STATE: "incomplete"},
    )


def _log_values(client: "MlflowClient", run: "Run", publication: Publication) -> Iterator[str]:
    """Send tags, parameters and metrics, and none a second time: each would be another point."""
    from mlflow.entities import Metric, Param, RunTag

    when = _milliseconds(publication.tags["finished"])
    tags = {f"harness.{name}": value for name, value in publication.tags.items()}
    tags |= {STATE: "incomplete", "mlflow.note.content": _note(publication)}
    lineage, metrics = _lacking(publication.lineage, run.data.params), publication.metrics
    new = [
        *(RunTag(name, value[:_N_CHARS]) for name, value in tags.items()),
        *(Param(name, value[:_N_CHARS]) for name, value in lineage.items()),
        *(
            Metric(name, value, when, 0)
            for name, value in metrics.items()
            if run.data.metrics.get(name) != value
        ),
    ]
    for start in range(0, len(new), _PER_BATCH):
        batch = new[start : start + _PER_BATCH]
        client.log_batch(
            run.info.run_id,
            metrics=[entry for entry in batch if isinstance(entry, Metric)],
            params=[entry for entry in batch if isinstance(entry, Param)],
            tags=[entry for entry in batch if isinstance(entry, RunTag)],
        )
    yield f"{len(metrics)} metrics, {len(publication.lineage)} parameters, {len(tags)} tags"


def _lacking(wanted: Mapping[str, str], there: Mapping[str, Any]) -> dict[str, str]:
    """Return what is not there yet: a parameter cannot be changed, and follows from the run's id."""
    return {name: value for name, value in wanted.items() if name not in there}


def _note(publication: Publication) -> str:
    return f"**{publication.verdict.upper()}** {escape(publication.sentence)}"


def _milliseconds(when: str) -> int:
    return int(datetime.fromisoformat(when).timestamp() * 1000)


MLFLOW = Tool("mlflow", "mlflow", _resolve, _send)
