"""Trackio: one run of a project, on this machine, on a server of one's own, or in a Space."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.core.errors import InfrastructureError
from harness.core.hashing import content_hash
from harness.publish.records import Publication
from harness.publish.tool import Destination, Tool, count_files, require_reachable, shown_uri

_CONTENT = "harness.content"  # the hash of what a run was last sent


def _resolve(publication: Publication, project: str | None, uri: str | None) -> Destination:
    name = project or os.environ.get("TRACKIO_PROJECT") or publication.suite
    space = None if uri else os.environ.get("TRACKIO_SPACE_ID")
    uri = uri or (None if space else os.environ.get("TRACKIO_SERVER_URL"))
    local = os.environ.get("TRACKIO_DIR") or "this machine"
    where = f"Space {space}" if space else shown_uri(uri) if uri else local
    return Destination(name, uri, f"{where}, project '{name}'")


def _send(publication: Publication, folder: Path, to: Destination) -> Iterator[str]:
    if to.uri:
        require_reachable(to.uri)
    with warnings.catch_warnings(record=True) as caught, TemporaryDirectory() as buffer:
        warnings.simplefilter("always")
        if _is_remote(to):
            # What a server did not take stays here for ever, and Trackio 0.43 warns of it at every later run.
            os.environ["TRACKIO_DIR"] = buffer
        arrived = _log(publication, folder, to)
    # It sends in the background, goes on without a server, and only warns.
    failed = [str(warning.message) for warning in caught if warning.category is UserWarning]
    if failed:
        raise InfrastructureError(f"it warns: {failed[0]}")
    yield from arrived
    yield f"`trackio show --project {to.project}` shows it" if to.uri is None else to.where


def _log(publication: Publication, folder: Path, to: Destination) -> list[str]:
    """Log the run, and return what has arrived if nothing is warned of."""
    import trackio

    content = content_hash([publication.metrics, publication.tags, publication.lineage])
    config = dict(publication.lineage)
    config |= {f"harness.{name}": value for name, value in publication.tags.items()}
    config |= {"harness.sentence": publication.sentence, _CONTENT: content}
    name = f"{publication.name} {publication.run_id}"
    known = _sent_before(to, name) == content
    run = trackio.init(
        project=to.project, name=name, group=publication.suite, server_url=to.uri, config=config,
        resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False, private=True,
    )  # fmt: skip
    try:
        if not known:  # each further call would be another point
            tables = {
                name: trackio.Table(columns=list(table.columns), data=[list(r) for r in table.rows])
                for name, table in publication.tables.items()
                if table.rows
            }
            run.log({**publication.metrics, **tables})
        artifact = trackio.Artifact(f"run-{publication.run_id}", type="evaluation")
        artifact.add_dir(folder)
        run.log_artifact(artifact)
    finally:
        trackio.finish()  # which also forgets the run: at exit it would be finished again
    numbers = f"{len(publication.metrics)} metrics, {len(config)} facts of lineage"
    return [
        f"run '{name}'",
        f"{numbers} (there already)" if known else numbers,
        count_files(folder),
    ]


def _sent_before(to: Destination, name: str) -> object:
    """Return the hash of what the run of this name was sent; None if it is new, or kept elsewhere."""
    import trackio

    if _is_remote(to):
        return None
    try:
        runs = list(trackio.Api().runs(to.project))
    except ValueError:  # no such project yet
        return None
    return next(((run.config or {}).get(_CONTENT) for run in runs if run.name == name), None)


def _is_remote(to: Destination) -> bool:
    return bool(to.uri or os.environ.get("TRACKIO_SPACE_ID"))


TRACKIO = Tool("trackio", "trackio", _resolve, _send)
