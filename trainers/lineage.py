"""Where a checkpoint came from: its own manifest, its parent's, and so on."""

from collections.abc import Iterator
from pathlib import Path

from trainers.checkpoint import MANIFEST, CheckpointManifest, load_manifest


def trace_manifests(checkpoint: Path) -> Iterator[CheckpointManifest]:
    """The checkpoint's manifest and those of its ancestors, as far as they still lie here unchanged.

    Raises:
        HarnessError: the folder is no checkpoint, or a manifest is damaged.
    """
    manifest = load_manifest(checkpoint)
    yield manifest
    while manifest.parent is not None:
        place = Path(manifest.parent.source)
        if not (place / MANIFEST).is_file():
            return
        fingerprint, manifest = manifest.parent.fingerprint, load_manifest(place)
        if manifest.fingerprint != fingerprint:  # another checkpoint has taken its place
            return
        yield manifest
