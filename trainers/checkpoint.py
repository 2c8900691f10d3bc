"""Checkpoints: directories whose every file is listed and hashed.

    model.safetensors  config.json  tokenizer.json ...   the merged model
    adapter/                                             the LoRA adapter it was merged from
    checkpoint.json                                      what made it, and every file's sha256
    COMPLETE                                             sha256 of checkpoint.json, written last

A checkpoint is written into a temporary sibling and renamed, so that a killed run leaves no partial
one.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.files import is_full_disk, make_folder
from harness.core.hashing import content_hash, file_hash
from harness.models.model_folder import (
    COMPLETE_MARK,
    MANIFEST,
    fingerprint_model,
    verify_sealed,
)
from harness.types import CheckpointCard, Curve, Record
from trainers.recipe import AdapterRecipe, PretrainRecipe
from trainers.trl_config import TRACKING_OPTIONS

# Raise it when a change of this package gives other weights for the same recipe.
TRAINERS_VERSION = 3
PACKAGES = ("torch", "transformers", "trl", "peft", "tokenizers")


class Origin(Record):
    """A model that a checkpoint was made from, and its location at that time."""

    source: str
    revision: str | None = None
    fingerprint: str


class Training(Record):
    """The record of a training run; `CheckpointManifest` adds the files."""

    recipe: str
    method: str
    seed: int
    key: str
    parent: Origin | None
    data_hash: str
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]
    adapter_base: Origin | None = None  # the model under `adapter/`; not always the parent


class CheckpointManifest(Training):
    """The content of `checkpoint.json`; `fingerprint` covers the files that decide answers."""

    versions: dict[str, str]
    files: dict[str, str]
    fingerprint: str


def checkpoint_key(
    recipe: AdapterRecipe | PretrainRecipe, parent_fingerprint: str | None, data_hash: str
) -> str:
    """Return a key that is equal for runs that would give the same checkpoint."""
    # The two hashes cover what these fields refer to; evaluation during training changes no weight.
    excluded = {"recipe", "parent", "pairs", "labelled", "best_of", "reward", "watch", "rows"}
    if recipe.method != "pretrain":  # its `data` also decide how the text is read
        excluded.add("data")
    options = recipe.model_dump(mode="json", exclude=excluded)
    for name in TRACKING_OPTIONS:
        options.get("trainer", {}).pop(name, None)
    return content_hash(options, parent_fingerprint, data_hash, versions(), TRAINERS_VERSION)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that a trained model depends on."""
    return {package: version(package) for package in PACKAGES}


@contextmanager
def checkpoint_folder(out: Path) -> Iterator[Path]:
    """Make a temporary sibling of `out` to write a checkpoint in; on success it replaces `out`.

    Raises:
        HarnessError: `out` holds something other than a checkpoint.
        InfrastructureError: the disk became full.
    """
    if out.exists() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise HarnessError(f"{out}: exists and is no checkpoint; it is not overwritten.")
    _remove_abandoned(out)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial.parent)
    partial.mkdir(mode=0o700)
    try:
        yield partial
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except Exception as error:
        if not is_full_disk(error):
            raise
        raise InfrastructureError(
            f"{out.parent}: the disk is full. Free some space, then run the same command again; it goes on "
            "from the last whole step that was kept."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_abandoned(out: Path) -> None:
    """Remove the temporary siblings of runs that were killed; their names end in their process."""
    for folder in out.parent.glob(f".{out.name}.*"):
        process = folder.name.rpartition(".")[2]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


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
    """Verify that a checkpoint is complete and unchanged, and return its manifest.

    Raises:
        HarnessError: unfinished, changed, damaged, or holding files that joined it since.
    """
    verify_sealed(directory)
    return load_manifest(directory)


def load_manifest(directory: Path) -> CheckpointManifest:
    """Load `checkpoint.json`, without checking the other files.

    Raises:
        HarnessError: it is missing, or is no manifest.
    """
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
    """Refuse a reward model where a language model is needed; accept a model without a manifest.

    Raises:
        HarnessError: it is a reward model.
    """
    has_manifest = (Path(directory) / MANIFEST).is_file()
    if has_manifest and load_manifest(Path(directory)).method == "reward":
        raise HarnessError(f"{directory}: is a reward model, which generates no text.")


def make_card(manifest: CheckpointManifest, model_name: str) -> CheckpointCard:
    """Make the report's summary of a checkpoint."""
    return CheckpointCard(
        model=model_name,
        recipe=manifest.recipe,
        method=manifest.method,
        parent=manifest.parent.fingerprint if manifest.parent else None,
        fingerprint=manifest.fingerprint,
        facts=manifest.facts | _as_text(manifest.metrics),
        curves=manifest.curves,
        data_hash=manifest.data_hash,
    )


def _as_text(metrics: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.4g}" for name, value in metrics.items()}


def _files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path.name not in {MANIFEST, COMPLETE_MARK})


def trace_manifests(checkpoint: Path) -> Iterator[CheckpointManifest]:
    """Yield the manifests of the checkpoint and its ancestors, up to the first missing or changed one.

    Raises:
        HarnessError: the folder is no checkpoint, or a manifest is damaged.
    """
    manifest = load_manifest(checkpoint)
    yield manifest
    while manifest.parent is not None:
        folder = Path(manifest.parent.source)
        if not (folder / MANIFEST).is_file():
            return
        fingerprint, manifest = manifest.parent.fingerprint, load_manifest(folder)
        if manifest.fingerprint != fingerprint:  # replaced by another checkpoint
            return
        yield manifest
