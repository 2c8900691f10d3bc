"""A pickle's weights as safetensors: read by a reader that knows tensors only, and kept.

    parent: {checkpoint: BioMistral/BioMistral-7B, revision: 9a11e1f…, unpickle: true}

Loading a pickle may run code. `unpickle: true` reads it with torch's restricted unpickler
(https://docs.pytorch.org/docs/stable/notes/serialization.html), which refuses whatever is no tensor,
and saves what it finds in the cache (HARNESS_CACHE_DIR). Everything else loads that copy.
"""

import json
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.folder_cache import build_once
from harness.core.hashing import content_hash, file_hash
from harness.core.hub import check_model_available
from harness.data.tables import cache_dir

INDEX = "pytorch_model.bin.index.json"


BESIDE = ("*.json", "*.jinja", "*.model", "*.txt")  # config, tokenizer, chat template


def unpickle(source: str, revision: str | None) -> Path:
    """A directory with the model's weights as safetensors; made once for each content.

    `source` is a directory, or the name of a hub model with its `revision`.

    Raises:
        HarnessError: there is no such pickle, or it holds more than tensors.
        InfrastructureError: the hub cannot be had.
    """
    given = Path(source)
    if given.is_dir():
        files = sorted(path for path in given.iterdir() if path.is_file())
        key = content_hash({path.name: file_hash(path) for path in files})
    else:
        key = content_hash(source, revision)

    def convert(folder: Path) -> None:
        _convert(given if given.is_dir() else _fetch(source, revision), folder)

    return build_once(cache_dir() / "unpickled" / f"{given.name}-{key[:12]}", convert)


def _fetch(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    check_model_available(source, revision)
    try:
        wanted = [*BESIDE, "pytorch_model*.bin"]
        return Path(snapshot_download(source, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InfrastructureError(
            f"{source}: could not be fetched at revision {revision}: {first_line}"
        ) from None


def _convert(folder: Path, out: Path) -> None:
    index = folder / INDEX
    if index.is_file():
        listed = json.loads(index.read_bytes())
        shards = sorted(set(listed["weight_map"].values()))
        places = {name: _renamed(shard) for name, shard in listed["weight_map"].items()}
        named = {**listed, "weight_map": places}
        (out / _renamed(INDEX)).write_text(json.dumps(named, indent=1), encoding="utf-8")
    else:
        shards = ["pytorch_model.bin"]
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise HarnessError(f"{folder}: has no {shard}, so there is no pickle to read.")
        _save(_read_tensors(folder / shard), out / _renamed(shard))
    for pattern in BESIDE:
        for path in folder.glob(pattern):
            if path.name != INDEX:
                shutil.copyfile(path, out / path.name)


def _renamed(shard: str) -> str:
    """As transformers names the same thing in safetensors."""
    return shard.replace("pytorch_model", "model", 1).replace(".bin", ".safetensors", 1)


def _read_tensors(path: Path) -> dict[str, Any]:
    import pickle

    import torch

    refused = f"{path}: holds more than tensors, or is damaged; it is not loaded"
    try:
        found = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise HarnessError(f"{refused}: {first_line}") from None
    if not isinstance(found, dict) or not _all_tensors(found.values()):
        raise HarnessError(f"{refused}.")
    return found


def _all_tensors(values: Iterable[object]) -> bool:
    import torch

    return all(isinstance(value, torch.Tensor) for value in values)


def _save(tensors: dict[str, Any], path: Path) -> None:
    """Tied weights share memory, which safetensors refuses: the second gets a copy of its own."""
    from safetensors.torch import save_file

    seen = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in seen else tensor.contiguous()
        seen.add(place)
    save_file(tensors, path, {"format": "pt"})
