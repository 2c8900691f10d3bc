"""Export of a checkpoint to share: the merged model alone, without traces of this machine.

    model.safetensors  config.json  tokenizer.json ...   as they were evaluated, byte for byte
    checkpoint.json  COMPLETE                            what made it, with names instead of paths

Files that describe the model may be added and edited; the manifest covers those that decide its
answers.
"""

import re
import shutil
from pathlib import Path

from harness.core.errors import HarnessError
from harness.models.model_folder import (
    MANIFEST,
    adapter_base,
    fingerprint_model,
    is_adapter,
    model_files,
)
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    checkpoint_folder,
    load_manifest,
    verify_checkpoint,
    write_manifest,
)

# A path from the root on; not the end of a URL, of a fraction or of "and/or".
_PATH = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?/(?:[^\s/:'\",;()]+/)*([^\s/:'\",;()]+)/?")


def copy_checkpoint(checkpoint: Path, out: Path) -> CheckpointManifest:
    """Copy the checkpoint's model to `out`, with the fingerprint under which it was evaluated.

    Raises:
        HarnessError: a damaged checkpoint, `out` holds something else, a file of the model
            names a folder of this machine, or the base of an adapter is one.
    """
    manifest = verify_checkpoint(checkpoint)
    _require_public_base(checkpoint)
    out = out.resolve()
    if out == checkpoint.resolve():
        raise HarnessError(f"{out}: is the checkpoint itself; name another folder.")
    with checkpoint_folder(out) as folder:
        names = [path.relative_to(checkpoint).as_posix() for path in model_files(checkpoint)]
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(checkpoint / name, folder / name)
        if fingerprint_model(folder) != manifest.fingerprint:
            raise HarnessError(f"{checkpoint}: changed while it was copied.")
        portable = make_portable(manifest)
        files = {name: sha256 for name, sha256 in manifest.files.items() if name in names}
        write_manifest(folder, portable.model_copy(update={"files": files}))
    return portable


def _require_public_base(checkpoint: Path) -> None:
    """Check that others can load the base of an adapter that is not merged.

    Raises:
        HarnessError: it is a folder here, which the adapter names.
    """
    if is_adapter(checkpoint) and adapter_base(checkpoint).revision is None:
        raise HarnessError(
            f"{checkpoint}: is an adapter that is not merged, and its base is a folder of this machine, which "
            "others do not have. Train it on a model of the hub at a revision to give it away."
        )


def make_portable(manifest: CheckpointManifest) -> CheckpointManifest:
    """Return the manifest with names instead of paths, and without the adapter, which is not copied."""
    parent = manifest.parent and _portable_origin(manifest.parent)
    facts = {key: without_paths(value) for key, value in manifest.facts.items()}
    return manifest.model_copy(update={"parent": parent, "facts": facts, "adapter_base": None})


def without_paths(text: str) -> str:
    """Replace each absolute path in a text by its last part."""
    return _PATH.sub(r"\1", text)


def _portable_origin(origin: Origin) -> Origin:
    """Replace a folder by the name of its recipe, or by its own name; keep the name of a hub model."""
    if origin.revision is not None:
        return origin
    folder = Path(origin.source)
    has_manifest = (folder / MANIFEST).is_file()
    return origin.model_copy(
        update={"source": load_manifest(folder).recipe if has_manifest else folder.name}
    )
