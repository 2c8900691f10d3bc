"""The Hugging Face hub: a run's reports in its candidate's repository, and its scores on the model's page.

    evaluations/5f0c1a2b3c4d/report.md    the reports, a folder for each run
    README.md                             model-index: the scores, with the verdict and the report as their source

All of it is one commit. A second publication replaces the scores that have this run as their source.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.artifacts.results_json import load_result
from harness.core.errors import HarnessError
from harness.core.hub import hub_token
from harness.publish.records import Publication
from harness.publish.tool import Destination, Tool, require_reachable, shown_uri, still_there
from reports.markdown import escape
from reports.model_card import TAG, eval_results

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelCard

README = "README.md"
FOLDER = "evaluations"


def _resolve(publication: Publication, project: str | None, uri: str | None) -> Destination:
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    if not project or "/" not in project:
        raise HarnessError("--to hub: name the model's repository: --project OWNER/NAME.")
    try:
        validate_repo_id(project)
    except HFValidationError as error:
        raise HarnessError(f"--to hub: --project {project}: {error}") from None
    uri = uri or constants.ENDPOINT
    place = f"{FOLDER}/{publication.run_id}"
    return Destination(
        project, uri, f"{shown_uri(uri)}/{project}, {place} and the scores in {README}"
    )


def _send(publication: Publication, folder: Path, to: Destination) -> Iterator[str]:
    assert to.uri is not None
    token = hub_token("--to hub")
    if to.uri.startswith("http://") and not _is_here(to.uri):
        raise HarnessError(f"--to hub: {shown_uri(to.uri)}: plain http would show the token.")
    require_reachable(to.uri)
    from huggingface_hub import CommitOperationAdd, HfApi

    # 1. The repository, and its card with this run's scores.
    api = HfApi(endpoint=to.uri, token=token)
    url = str(api.create_repo(to.project, private=True, exist_ok=True))
    info = api.model_info(to.project)
    yield f"{'private' if info.private else 'public'} repository {to.project}"
    place = f"{FOLDER}/{publication.run_id}"
    card = _find_card(api, to.project) or _new_card(publication, to.project, place)
    _replace_results(card, publication, folder, f"{url}/blob/main/{place}/report.md")
    # 2. One commit of all.
    files: Mapping[str, bytes | Path] = {
        README: f"{card}\n".encode(),
        **{f"{place}/{path.relative_to(folder).as_posix()}": path
           for path in sorted(folder.rglob("*")) if path.is_file()},
    }  # fmt: skip
    with warnings.catch_warnings():  # of tables in a model's repository, which were asked for
        warnings.simplefilter("ignore", UserWarning)
        api.create_commit(
            to.project,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=f"{publication.verdict}: run {publication.run_id} of {publication.suite}",
        )
    yield f"{len(files)} files in one commit"
    siblings = [file.rfilename for file in info.siblings or ()]
    yield from still_there({name for name in siblings if name.startswith(place)} - set(files))
    yield f"{url}/tree/main/{place}"


def _find_card(api: "HfApi", repo: str) -> "ModelCard | None":
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import EntryNotFoundError

    with TemporaryDirectory() as folder:
        try:
            path = api.hf_hub_download(repo, README, cache_dir=folder)
        except EntryNotFoundError:
            return None
        return ModelCard(Path(path).read_text(encoding="utf-8"))


def _new_card(publication: Publication, repo: str, place: str) -> "ModelCard":
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(model_name=repo.rpartition("/")[2], tags=[TAG])
    text = (
        f"**{publication.verdict.upper()}.** {escape(publication.sentence)}\n\n"
        f"Measured with {TAG}: [report]({place}/report.md)."
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n# {escape(repo)}\n\n{text}")


def _replace_results(
    card: "ModelCard", publication: Publication, folder: Path, source: str
) -> None:
    """Put the candidate's scores into the card's metadata, in place of those of the same run."""
    from huggingface_hub import ModelCardData

    result = load_result(folder)
    assert isinstance(card.data, ModelCardData)
    kept = [entry for entry in card.data.eval_results or () if entry.source_url != source]
    for entry in eval_results(result.plan.candidate, result):
        entry.source_url = source
        entry.source_name = f"{TAG} run {publication.run_id}: {publication.verdict}"
        kept.append(entry)
    card.data.eval_results = kept
    card.data.model_name = card.data.model_name or publication.suite


def _is_here(uri: str) -> bool:
    return shown_uri(uri).startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))


HUB = Tool("hub", "huggingface_hub", _resolve, _send)
