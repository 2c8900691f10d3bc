"""A checkpoint is a directory that can be trusted: everything in it is listed and hashed.

    model.safetensors  config.json  tokenizer.json ...   the merged model
    adapter/                                             the LoRA adapter it was merged from
    checkpoint.json                                      what made it, and every file's sha256
    COMPLETE                                             sha256 of checkpoint.json, written last

It is written into a temporary sibling and renamed, so that a killed run leaves nothing half done.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash, file_hash
from harness.models.weights import PICKLE_SUFFIXES, fingerprint_model
from harness.types import CheckpointCard, Curve, Record
from trainers.recipe import AdapterRecipe, PretrainRecipe
from trainers.trl_config import OF_TRACKING

MANIFEST = "checkpoint.json"


COMPLETE_MARK = "COMPLETE"


# Raise it when a change of this room gives other weights for the same recipe.
TRAINERS_VERSION = 3


PACKAGES = ("torch", "transformers", "trl", "peft", "tokenizers")


class Origin(Record):
    """The model that a checkpoint was trained from, and where it lay then."""

    source: str
    revision: str | None = None
    fingerprint: str


class Training(Record):
    """What a training run tells of itself; the files are added when the checkpoint is sealed."""

    recipe: str
    method: str
    seed: int
    key: str
    parent: Origin | None
    data_hash: str
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]
    adapter_base: Origin | None = None  # what `adapter/` lies on; not always the parent


class CheckpointManifest(Training):
    """The content of `checkpoint.json`; `fingerprint` covers the files that decide answers."""

    versions: dict[str, str]
    files: dict[str, str]
    fingerprint: str


def checkpoint_key(
    recipe: AdapterRecipe | PretrainRecipe, parent_fingerprint: str | None, data_hash: str
) -> str:
    """Equal for runs that would give the same checkpoint."""
    # Their content is in the two hashes; watching changes nothing.
    named_only = {"recipe", "parent", "pairs", "best_of", "reward", "watch"}
    if recipe.method != "pretrain":  # there the data also say how they are read
        named_only.add("data")
    options = recipe.model_dump(mode="json", exclude=named_only)
    for name in OF_TRACKING:
        options.get("trainer", {}).pop(name, None)
    return content_hash(options, parent_fingerprint, data_hash, versions(), TRAINERS_VERSION)


def versions() -> dict[str, str]:
    """The libraries that decide what a recipe gives."""
    return {package: version(package) for package in PACKAGES}


@contextmanager
def checkpoint_folder(out: Path) -> Iterator[Path]:
    """A temporary sibling of `out` to fill and seal; it takes the place of `out` at the end."""
    if out.exists() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise HarnessError(f"{out}: exists and is no checkpoint; it is not overwritten.")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def finalise(folder: Path, training: Training) -> CheckpointManifest:
    """Write the manifest over all files in the folder, and then the completion mark."""
    files = {path.relative_to(folder).as_posix(): file_hash(path) for path in _files(folder)}
    manifest = CheckpointManifest(
        **dict(training),
        versions=versions(),
        files=files,
        fingerprint=fingerprint_model(folder),
    )
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: CheckpointManifest) -> None:
    """Write the manifest, and then the completion mark."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / COMPLETE_MARK).write_text(file_hash(folder / MANIFEST) + "\n", encoding="utf-8")


def verify_checkpoint(directory: Path) -> CheckpointManifest:
    """The manifest of a checkpoint that is whole and unchanged.

    Raises:
        HarnessError: unfinished, changed, damaged, or holding files that run code when loaded.
    """
    mark = directory / COMPLETE_MARK
    if not mark.is_file():
        raise HarnessError(
            f"{directory}: has no {COMPLETE_MARK} mark, so its training did not finish. Train it again."
        )
    manifest = load_manifest(directory)
    if mark.read_text(encoding="utf-8").strip() != file_hash(directory / MANIFEST):
        raise HarnessError(f"{directory / MANIFEST}: was changed after the checkpoint was written.")
    for name, sha256 in manifest.files.items():
        _verify_file(directory / name, sha256)
    for path in _files(directory):
        if path.suffix in PICKLE_SUFFIXES:
            raise HarnessError(f"{path}: a pickle file may run code when loaded; remove it.")
    return manifest


def load_manifest(directory: Path) -> CheckpointManifest:
    """What `checkpoint.json` says, without looking at the other files."""
    path = directory / MANIFEST
    try:
        return CheckpointManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file, so {directory} is no checkpoint.") from None
    except ValidationError as error:
        raise HarnessError(
            f"{path}: is no checkpoint manifest: {error.errors()[0]['msg']}."
        ) from None


def refuse_reward_model(directory: str | Path) -> None:
    """Return if the model is to be asked; what is no checkpoint of ours passes.

    Raises:
        HarnessError: it is a reward model.
    """
    ours = (Path(directory) / MANIFEST).is_file()
    if ours and load_manifest(Path(directory)).method == "reward":
        raise HarnessError(f"{directory}: is a reward model, which answers nothing.")


def card(manifest: CheckpointManifest, model_name: str) -> CheckpointCard:
    """What a report says of the checkpoint."""
    return CheckpointCard(
        model=model_name,
        recipe=manifest.recipe,
        method=manifest.method,
        parent=manifest.parent.fingerprint if manifest.parent else None,
        fingerprint=manifest.fingerprint,
        facts=manifest.facts | _as_text(manifest.metrics),
        curves=manifest.curves,
    )


def _as_text(metrics: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.4g}" for name, value in metrics.items()}


def _verify_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise HarnessError(f"{path}: is missing from the checkpoint. Train it again.")
    if file_hash(path) != sha256:
        raise HarnessError(
            f"{path}: its sha256 is not the one in {MANIFEST}; the file is damaged or changed. "
            "Remove the checkpoint's folder and it is trained again."
        )


def _files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path.name not in {MANIFEST, COMPLETE_MARK})


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
