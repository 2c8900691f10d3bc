"""Weights & Biases: one run whose id is that of the harness's run, so that a second publication updates it."""

import os
from collections.abc import Iterator
from pathlib import Path

from harness.core.errors import HarnessError
from harness.publish.records import Publication
from harness.publish.tool import Destination, Tool, count_files, require_reachable, shown_uri

PUBLIC_SERVER = "https://api.wandb.ai"
_N_TAG_CHARS = 64
_LOCAL_MODES = ("offline", "dryrun", "disabled")


def _resolve(publication: Publication, project: str | None, uri: str | None) -> Destination:
    server = uri or os.environ.get("WANDB_BASE_URL") or PUBLIC_SERVER
    name = project or os.environ.get("WANDB_PROJECT") or publication.suite
    entity = os.environ.get("WANDB_ENTITY")
    if "/" not in name and entity:
        name = f"{entity}/{name}"
    if _is_local():
        folder = os.environ.get("WANDB_DIR") or "."
        return Destination(name, server, f"folder {folder}/wandb (offline), for project '{name}'")
    return Destination(name, server, f"{shown_uri(server)}, project '{name}'")


def _send(publication: Publication, folder: Path, to: Destination) -> Iterator[str]:
    assert to.uri is not None
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would tell its makers of errors
    if os.environ.get("WANDB_MODE") == "disabled":
        raise HarnessError("--to wandb: WANDB_MODE=disabled sends nothing. Use online or offline.")
    if not _is_local():
        require_reachable(to.uri)
    import wandb

    if not _is_local() and wandb.api.api_key is None:  # its client would ask at the terminal
        raise HarnessError(
            "--to wandb: no key. Set WANDB_API_KEY, run `wandb login`, or set WANDB_MODE=offline."
        )
    # What its client collects by itself is left out: code, command, console, machine and git state.
    settings = wandb.Settings(
        base_url=to.uri, silent=True, console="off", disable_git=True, disable_code=True,
        disable_job_creation=True, x_disable_meta=True, x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        host="",
        init_timeout=30,
    )  # fmt: skip
    entity, _, project = to.project.rpartition("/")
    with wandb.init(
        id=f"harness-{publication.run_id}",
        resume="allow",
        project=project,
        entity=entity or None,
        name=publication.name,
        notes=publication.sentence,
        job_type="evaluation",
        tags=[publication.verdict, publication.suite[:_N_TAG_CHARS]],
        config={"lineage": dict(publication.lineage), "publication": "incomplete"},
        settings=settings,
    ) as run:
        yield f"run {run.id}"
        run.summary.update({**publication.metrics, **_harness(publication)})
        yield f"{len(publication.metrics)} metrics, {len(publication.lineage)} facts of lineage"
        artifact = wandb.Artifact(f"run-{publication.run_id}", type="evaluation")
        artifact.add_dir(str(folder))
        for name, table in publication.tables.items():
            artifact.add(wandb.Table(list(table.columns), [list(row) for row in table.rows]), name)
        logged = run.log_artifact(artifact, aliases=["latest"])
        if not _is_local():
            logged.wait()
        yield f"{count_files(folder)}, {len(publication.tables)} tables"
        run.config.update({"publication": "complete"}, allow_val_change=True)
        page = f"{Path(run.dir).parent}, to be sent by `wandb sync`" if _is_local() else run.url
    yield str(page)


def _harness(publication: Publication) -> dict[str, str]:
    return {f"harness.{name}": value for name, value in publication.tags.items()} | {
        "harness.sentence": publication.sentence
    }


def _is_local() -> bool:
    return os.environ.get("WANDB_MODE") in _LOCAL_MODES


WANDB = Tool("wandb", "wandb", _resolve, _send)
