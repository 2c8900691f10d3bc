"""Conversion of pickled weights to safetensors, with a reader that accepts tensors only.

    parent: {checkpoint: BioMistral/BioMistral-7B, revision: 9a11e1f…, unpickle: true}

Loading a pickle may run code. `unpickle: true` reads it with torch's restricted unpickler
(https://docs.pytorch.org/docs/stable/notes/serialization.html), which accepts tensors only, and saves
the tensors as safetensors in the cache (HARNESS_CACHE_DIR). Everything else loads that copy.
"""

import json
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, InfrastructureError, first_line
from harness.core.folder_cache import build_once
from harness.core.hashing import content_hash, file_hash
from harness.core.hub import check_model_available
from harness.core.paths import cache_dir

INDEX = "pytorch_model.bin.index.json"
COMPANION_FILES = ("*.json", "*.jinja", "*.model", "*.txt")  # config, tokenizer, chat template


def unpickle(source: str, revision: str | None) -> Path:
    """Return a directory with the model's weights as safetensors, converted once for each content.

    `source` is a directory, or the name of a hub model with its `revision`.

    Raises:
        HarnessError: there is no such pickle, or it holds more than tensors.
        InfrastructureError: the hub cannot be reached.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        key = content_hash({file.name: file_hash(file) for file in files})
    else:
        key = content_hash(source, revision)

    def convert(folder: Path) -> None:
        _convert(path if path.is_dir() else _fetch(source, revision), folder)

    return build_once(cache_dir() / "unpickled" / f"{path.name}-{key[:12]}", convert)


def _fetch(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    check_model_available(source, revision)
    try:
        patterns = [*COMPANION_FILES, "pytorch_model*.bin"]
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, OSError) as error:
        raise InfrastructureError(
            f"{source}: could not be fetched at revision {revision}: {first_line(error)}"
        ) from None


def _convert(folder: Path, out: Path) -> None:
    # Rewrite the index of a model in several shards.
    index_file = folder / INDEX
    if index_file.is_file():
        index = json.loads(index_file.read_bytes())
        shards = sorted(set(index["weight_map"].values()))
        weight_map = {name: _safetensors_name(shard) for name, shard in index["weight_map"].items()}
        text = json.dumps({**index, "weight_map": weight_map}, indent=1)
        (out / _safetensors_name(INDEX)).write_text(text, encoding="utf-8")
    else:
        shards = ["pytorch_model.bin"]
    # Convert the shards, and copy the files that belong to the model.
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise HarnessError(f"{folder}: has no {shard}, so there is no pickle to read.")
        _save(_read_tensors(folder / shard), out / _safetensors_name(shard))
    for pattern in COMPANION_FILES:
        for path in folder.glob(pattern):
            if path.name != INDEX:
                shutil.copyfile(path, out / path.name)


def _safetensors_name(shard: str) -> str:
    """Return the name that transformers gives the same file in safetensors."""
    return shard.replace("pytorch_model", "model", 1).replace(".bin", ".safetensors", 1)


def _read_tensors(path: Path) -> dict[str, Any]:
    import pickle

    import torch

    refused = f"{path}: holds more than tensors, or is damaged; it is not loaded"
    try:
        tensors = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise HarnessError(f"{refused}: {first_line(error)}") from None
    if not isinstance(tensors, dict) or not _all_tensors(tensors.values()):
        raise HarnessError(f"{refused}.")
    return tensors


def _all_tensors(values: Iterable[object]) -> bool:
    import torch

    return all(isinstance(value, torch.Tensor) for value in values)


def _save(tensors: dict[str, Any], path: Path) -> None:
    """Save the tensors; tied weights, which share memory, are copied, as safetensors requires."""
    from safetensors.torch import save_file

    addresses = set()
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if address in addresses else tensor.contiguous()
        addresses.add(address)
    save_file(tensors, path, {"format": "pt"})
