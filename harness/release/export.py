"""A checkpoint for others: its model, its card, and what a run found of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.results_json import load_result
from harness.core.files import write_private
from harness.core.hub import push_folder, require_repository
from harness.models.model_folder import is_adapter
from harness.types import RunResult
from harness.types.training import Ancestor
from reports.model_card import model_name_in_run, render_model_card
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    load_manifest,
    make_card,
    trace_manifests,
)
from trainers.export import copy_checkpoint, make_portable, without_paths


class Exported(NamedTuple):
    """The folder of the exported model, its fingerprint, and the hub page it was pushed to."""

    folder: Path
    fingerprint: str
    url: str | None = None


def export_checkpoint(
    checkpoint: Path, out: Path, *, run: Path | None, push: str | None, note: str = ""
) -> Exported:
    """Export the checkpoint's model with a card to `out`, and push it if a repository is named.

    `run` is the folder of a run that evaluated it, `note` a warning that the card must show.

    Raises:
        HarnessError: a damaged checkpoint, a run that did not evaluate it, or no token.
        InfrastructureError: the hub cannot be reached, or it rejected the upload.
    """
    result = load_result(run) if run is not None else None
    if result is not None:  # before gigabytes are copied
        model_name_in_run(load_manifest(checkpoint).fingerprint, result)
    if push is not None:
        require_repository(push)
    lineage = [make_portable(manifest) for manifest in trace_manifests(checkpoint)]
    manifest = copy_checkpoint(checkpoint, out)
    text = _model_card(out.resolve().name, lineage, result, note, unmerged=is_adapter(out))
    write_private(out / "README.md", text.encode())
    url = push_folder(out, push) if push is not None else None
    return Exported(out, manifest.fingerprint, url)


def _model_card(
    name: str,
    lineage: Sequence[CheckpointManifest],
    result: RunResult | None,
    note: str,
    *,
    unmerged: bool,
) -> str:
    manifest, root = lineage[0], lineage[-1].parent
    text = render_model_card(
        make_card(manifest, name),
        [_ancestor(ancestor) for ancestor in lineage],
        root=_describe_origin(root) if root else "no other model (trained from scratch on text)",
        base_model=root.source if root and root.revision else None,
        versions=manifest.versions,
        result=result,
        note=note,
        unmerged=unmerged,
    )
    return without_paths(text)


def _ancestor(manifest: CheckpointManifest) -> Ancestor:
    return Ancestor(
        recipe=manifest.recipe,
        method=manifest.method,
        fingerprint=manifest.fingerprint,
        data_hash=manifest.data_hash,
        source="",
    )


def _describe_origin(root: Origin) -> str:
    at = f" at revision {root.revision}" if root.revision else ""
    return f"{root.source}{at}, fingerprint {root.fingerprint[:12]}"
