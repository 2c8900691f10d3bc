"""What a model's folder consists of: the files that are loaded, their fingerprint, and the seal over them.

    model.safetensors  config.json  tokenizer.json ...   loaded from the folder itself
    additional_chat_templates/*.jinja                    loaded too
    adapter_config.json                                  an adapter: its base is loaded as well
    checkpoint.json  COMPLETE                            the seal: every file's sha256, and that of the list

A sealed folder answers only while it holds what its seal lists, and nothing else that could be loaded.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash, file_hash
from harness.models.adapter_types import adapter_type

MANIFEST = "checkpoint.json"
COMPLETE_MARK = "COMPLETE"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

# Weight files that can run code when they are loaded.
PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})

# Weights, configuration and tokenizers: what transformers reads in a folder.
LOADED_SUFFIXES = frozenset(
    {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken", ".spm", ".vocab", ".bpe"}
)
_TEMPLATES = "additional_chat_templates"

# Files that may join a sealed folder, because nothing loads them.
_DESCRIBING_SUFFIXES = frozenset({".md", ".rst", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".gif"})
_DESCRIBING_NAMES = frozenset({"license", "licence", "notice", "copying", "authors"})


class AdapterBase(NamedTuple):
    """The model under an adapter: a folder, or a hub model at a revision."""

    source: str
    revision: str | None


def model_files(directory: Path) -> list[Path]:
    """Return the files that are loaded, without the manifest and those that only describe."""
    files = (path for path in directory.iterdir() if path.suffix in LOADED_SUFFIXES)
    templates = directory.glob(f"{_TEMPLATES}/*.jinja")
    return sorted(path for path in (*files, *templates) if path.is_file() and path.name != MANIFEST)


def fingerprint_model(source: str | Path, *, revision: str | None = None) -> str:
    """Return a hash of all that decides a model's answers; for the hub, of name and revision.

    An adapter's answers are also its base's, so its hash covers both. `revision` is then the base's,
    where the adapter's own configuration has none.

    Raises:
        HarnessError: the folder's files name others outside it, or the base of an adapter is not here.
    """
    directory = Path(source)
    if not directory.is_dir():
        return content_hash(str(source), revision)
    refuse_paths(directory)
    files = {_name(path, directory): file_hash(path) for path in model_files(directory)}
    if not is_adapter(directory):
        return content_hash(files)
    base = adapter_base(directory, revision)
    return content_hash(files, verified_fingerprint(base.source, revision=base.revision))


def verified_fingerprint(source: str | Path, *, revision: str | None = None) -> str:
    """Return the model's fingerprint, after a check of its seal if it has one.

    Raises:
        HarnessError: as `verify_sealed` and `fingerprint_model`.
    """
    directory = Path(source)
    if is_sealed(directory):
        return verify_sealed(directory)
    return fingerprint_model(source, revision=revision)


# --- the seal --------------------------------------------------------------------------------


def is_sealed(directory: Path) -> bool:
    """Return whether the folder is a checkpoint of the harness, finished or not."""
    return (directory / MANIFEST).is_file() or (directory / COMPLETE_MARK).is_file()


def verify_sealed(directory: Path) -> str:
    """Verify that a checkpoint is complete and unchanged, and return its fingerprint.

    Raises:
        HarnessError: unfinished, changed, damaged, or holding files that its manifest does not list
            and that could be loaded.
    """
    mark, path = directory / COMPLETE_MARK, directory / MANIFEST
    if not mark.is_file():
        raise HarnessError(
            f"{directory}: has no {COMPLETE_MARK} mark, so its training did not finish. Train it again."
        )
    files, fingerprint = _read_seal(path)
    if mark.read_text(encoding="utf-8").strip() != file_hash(path):
        raise HarnessError(f"{path}: was changed after the checkpoint was written.")
    for name, sha256 in files.items():
        _verify_file(directory, name, sha256)
    _refuse_unlisted(directory, files)
    refuse_paths(directory)
    # The fingerprint is that of the listed files; that of versions before left templates out.
    loaded = {_name(path, directory) for path in model_files(directory)}
    hashes = {name: sha256 for name, sha256 in files.items() if name in loaded}
    top = {name: sha256 for name, sha256 in hashes.items() if "/" not in name}
    if is_adapter(directory):
        _verify_adapter(directory, fingerprint, hashes)
    elif fingerprint not in (content_hash(hashes), content_hash(top)):
        raise HarnessError(f"{path}: its fingerprint is not that of the files that it lists.")
    return fingerprint


def _verify_adapter(directory: Path, fingerprint: str, hashes: dict[str, str]) -> None:
    """Verify that a sealed adapter lies on the base that it was trained on, whose answers are its own too."""
    base = adapter_base(directory)
    found = content_hash(hashes, verified_fingerprint(base.source, revision=base.revision))
    if fingerprint != found:
        raise HarnessError(
            f"{directory}: its base {base.source} has changed since it was trained. Restore it, or train again."
        )


def _read_seal(path: Path) -> tuple[dict[str, str], str]:
    """Return the manifest's files with their hashes, and its fingerprint."""
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file, so {path.parent} is no checkpoint.") from None
    except ValueError as error:
        raise HarnessError(f"{path}: is no checkpoint manifest: {error}.") from None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not isinstance(manifest.get("fingerprint"), str):
        raise HarnessError(f"{path}: is no checkpoint manifest: it lists no files.")
    return files, manifest["fingerprint"]


def _verify_file(directory: Path, name: str, sha256: str) -> None:
    path = directory / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise HarnessError(f"{directory / MANIFEST}: lists {name}, which is outside the folder.")
    if not path.is_file():
        raise HarnessError(f"{path}: is missing from the checkpoint. Train it again.")
    if file_hash(path) != sha256:
        raise HarnessError(
            f"{path}: its sha256 is not the one in {MANIFEST}; the file is damaged or changed. "
            "Remove the checkpoint's folder and it is trained again."
        )


def _refuse_unlisted(directory: Path, listed: dict[str, str]) -> None:
    """Refuse files that joined the folder after it was sealed, but for those that only describe it."""
    present = {path for path in directory.rglob("*") if path.is_file()}
    for path in sorted(present | set(model_files(directory))):
        name = _name(path, directory)
        if name in listed or name in (MANIFEST, COMPLETE_MARK):
            continue
        if path.suffix in PICKLE_SUFFIXES:
            raise HarnessError(f"{path}: a pickle file may run code when loaded; remove it.")
        if not _only_describes(name):
            raise HarnessError(
                f"{path}: is not in {MANIFEST}, so the checkpoint may answer as another model than the "
                "one that was sealed. Remove the file."
            )


def _only_describes(name: str) -> bool:
    """Return whether nothing loads a file of that name: a text, a picture, or a hidden file."""
    path = Path(name)
    if any(part.startswith(".") for part in path.parts):  # .gitattributes, the hub's .cache/
        return path.parts[0] != _TEMPLATES
    if path.suffix in LOADED_SUFFIXES:
        return False
    return path.suffix.lower() in _DESCRIBING_SUFFIXES or path.stem.lower() in _DESCRIBING_NAMES


# --- names of other files --------------------------------------------------------------------


def refuse_paths(directory: Path) -> None:
    """Refuse a folder whose configuration has other files loaded than the folder's own.

    transformers takes the weights that the index lists, and the tokenizer that its configuration
    names, from wherever those names lead.

    Raises:
        HarnessError: a name is a path; or the folder holds a whole model and an adapter, of which
            transformers would load the adapter on a third model.
    """
    for index in directory.glob("*.index.json"):
        weight_map = _read_json(index).get("weight_map")
        names = weight_map.values() if isinstance(weight_map, dict) else ()
        _refuse_path_names(index, names)
    tokenizer = directory / "tokenizer_config.json"
    if tokenizer.is_file():
        listed = _read_json(tokenizer).get("fast_tokenizer_files")
        _refuse_path_names(tokenizer, listed if isinstance(listed, list) else ())
    weights = {path.name for path in directory.glob("*.safetensors")} - {ADAPTER_WEIGHTS}
    if weights and is_adapter(directory):
        raise HarnessError(
            f"{directory}: holds a model and also {ADAPTER_CONFIG}, which would be loaded in its place, "
            "on the base that it names. Remove the one that does not belong there."
        )


def _refuse_path_names(file: Path, names: Any) -> None:
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\"):
            raise HarnessError(
                f"{file}: names {name!r}; only files of the folder itself are loaded, by their plain names."
            )


# --- adapters --------------------------------------------------------------------------------


def is_adapter(directory: Path) -> bool:
    """Return whether transformers would load the folder as an adapter."""
    return (directory / ADAPTER_CONFIG).is_file()


def adapter_base(adapter: Path, revision: str | None = None) -> AdapterBase:
    """Return the model that an adapter is laid on: the folder or hub model that it names.

    Raises:
        HarnessError: no adapter of a known type in safetensors, no base here, one that is an adapter itself, or a
            hub model without a revision.
    """
    config = read_adapter_config(adapter)
    if (adapter.parent / MANIFEST).is_file():
        raise HarnessError(
            f"{adapter}: is a part of the checkpoint {adapter.parent}, which holds the merged model. "
            "Name that."
        )
    named = config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise HarnessError(f"{adapter / ADAPTER_CONFIG}: names no base (base_model_name_or_path).")
    for folder in (adapter / named, Path(named)):
        if folder.is_dir():
            if is_adapter(folder):
                raise HarnessError(f"{adapter}: its base {folder} is an adapter itself.")
            return AdapterBase(str(folder.resolve()), None)
    own = config.get("revision")
    revision = own if isinstance(own, str) and own else revision
    if revision is None:
        raise HarnessError(
            f"{adapter}: its base {named} is no folder here. If it is a hub model, give its 'revision', "
            f"so that it cannot change unseen. For a base elsewhere: `harness merge {adapter} --into "
            "BASE --out FOLDER`."
        )
    return AdapterBase(named, revision)


def read_adapter_config(adapter: Path) -> dict[str, Any]:
    """Read an adapter's configuration.

    Raises:
        HarnessError: it is missing or no object, or the adapter is of no known type or not in safetensors.
    """
    path = adapter / ADAPTER_CONFIG
    if not path.is_file():
        raise HarnessError(f"{adapter}: is no adapter ({ADAPTER_CONFIG} is missing).")
    config = _read_json(path)
    adapter_type(config, adapter)
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        raise HarnessError(
            f"{adapter}: has no {ADAPTER_WEIGHTS}. Weights in pickle files may run code and are not "
            "loaded."
        )
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise HarnessError(f"{path}: is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise HarnessError(f"{path}: is no object of options.")
    return content


def _name(path: Path, directory: Path) -> str:
    """Return a file's name in its folder, with the names of folders in between."""
    return path.relative_to(directory).as_posix()
