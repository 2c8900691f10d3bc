"""What a model's name on the command line stands for.

    ./some/folder       a checkpoint's folder
    tiny_assistant      what `harness loop` promoted to that name
    tiny_sft-1a2b3c     a checkpoint in the store
    sft                 a model of the profile
    tiny/sft.yaml       a recipe, for the one checkpoint of it that is in the store

The first of these that there is counts.
"""

from pathlib import Path
from typing import NamedTuple

from harness.config import EndpointSpec, ModelSpec, Profile, load_profile
from harness.core.errors import HarnessError, did_you_mean
from harness.release.registry import Registry
from trainers.checkpoint import MANIFEST, load_manifest, refuse_reward_model, trace_manifests
from trainers.recipe import load_recipe


class NamedModel(NamedTuple):
    """A model that can be asked: a folder or hub name to load, or else an endpoint.

    `note` is what its profile says to everybody who uses it.
    """

    name: str
    source: str = ""
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    note: str = ""


def find_model(name: str, profile: str, store: Path) -> NamedModel:
    """Find the model of that name, without training it or reading weights.

    Raises:
        HarnessError: there is none, it answers nothing, or the name stands for several.
    """
    found = _find(name, profile, store)
    if found.endpoint is None:
        _refuse_what_answers_nothing(Path(found.source))
    return found


def find_checkpoint(name: str, profile: str, store: Path) -> NamedModel:
    """Find the checkpoint of that name, a folder that the harness made.

    Raises:
        HarnessError: there is none, or the name stands for several.
    """
    found = _find(name, profile, store)
    if found.endpoint is not None or not (Path(found.source) / MANIFEST).is_file():
        raise HarnessError(
            f"{name}: is no checkpoint of the harness: there is no {MANIFEST} that says what made it."
        )
    return found


def _find(name: str, profile: str, store: Path) -> NamedModel:
    bound, root = load_profile(profile)
    folder = _find_folder(name, store)
    if folder is None and name in bound.models:
        return _of_profile(name, bound, root, store)
    folder = folder or _of_recipe(name, bound, store)
    shown = name if name in Registry(store).names() else folder.resolve().name
    return NamedModel(shown, str(folder), note=_note_on(folder, bound, root))


def _find_folder(name: str, store: Path) -> Path | None:
    """Find a folder that has this path, was promoted to the name, or is in the store under it."""
    if any((Path(name) / file).is_file() for file in ("config.json", "adapter_config.json")):
        return Path(name)
    if name in Registry(store).names():
        checkpoint = Path(Registry(store).find(name).checkpoint)
        for place in (checkpoint, store / "checkpoints" / checkpoint.name):
            if place.is_dir():
                return place
        raise HarnessError(f"'{name}' was promoted, but its checkpoint {checkpoint} is gone.")
    kept = store / "checkpoints" / name
    return kept if (kept / MANIFEST).is_file() else None


def _of_profile(name: str, profile: Profile, root: Path, store: Path) -> NamedModel:
    spec, note = profile.models[name], " ".join(profile.note.split())
    if spec.recorded is not None:
        raise HarnessError(f"'{name}' stands for recorded answers; there is no model to ask.")
    if spec.endpoint is not None:
        return NamedModel(name, endpoint=spec.endpoint, note=note)
    if spec.recipe is not None:
        return NamedModel(name, str(_of_recipe(spec.recipe, profile, store)), note=note)
    assert spec.checkpoint is not None
    directory = root / spec.checkpoint
    source = str(directory.resolve()) if directory.is_dir() else spec.checkpoint
    return NamedModel(name, source, spec.revision, note=note)


def _of_recipe(name: str, profile: Profile, store: Path) -> Path:
    if Path(name).is_dir():
        raise HarnessError(f"{name}: this folder holds no model (there is no config.json).")
    made = _checkpoints(store)
    recipe = _recipe_name(name)
    if recipe is None:
        known = {*Registry(store).names(), *profile.models, *made.values()}
        raise HarnessError(
            f"{name}: is no folder, no promoted checkpoint, no model of profile "
            f"'{profile.profile}' and no recipe. {did_you_mean(name, known)}"
        )
    found = [folder for folder, of in made.items() if of == recipe]
    if not found:
        raise HarnessError(
            f"{name}: no checkpoint of this recipe is in {store}. `harness train {name}` makes one."
        )
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise HarnessError(
            f"{name}: {len(found)} checkpoints of this recipe are in {store}. "
            f"Name one, the newest first: {names}."
        )
    return found[0]


def _recipe_name(name: str) -> str | None:
    """Return the name that the recipe gives to its checkpoints; None without such a recipe."""
    try:
        return load_recipe(name)[0].recipe
    except HarnessError:
        if Path(name).is_file():  # there is one, with a mistake in it
            raise
        return None


def _checkpoints(store: Path) -> dict[Path, str]:
    """List the store's checkpoints with their recipes' names, the newest first."""
    manifests = (store / "checkpoints").glob(f"[!.]*/{MANIFEST}")
    newest = sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)
    return {path.parent: load_manifest(path.parent).recipe for path in newest}


def _refuse_what_answers_nothing(folder: Path) -> None:
    refuse_reward_model(folder)
    if (folder / "adapter_config.json").is_file():
        raise HarnessError(
            f"{folder}: is an adapter, not a model. `harness merge {folder} --into BASE --out "
            "FOLDER` makes a model of it."
        )


def _note_on(folder: Path, profile: Profile, root: Path) -> str:
    """Return the profile's note, if the checkpoint is one of its models or was trained from one."""
    if not (folder / MANIFEST).is_file():
        return ""
    lineage = {manifest.recipe for manifest in trace_manifests(folder)}
    models = {_own_recipe(spec, root) for spec in profile.models.values()}
    return " ".join(profile.note.split()) if lineage & models else ""


def _own_recipe(spec: ModelSpec, root: Path) -> str | None:
    if spec.recipe is not None:
        return _recipe_name(spec.recipe)
    if spec.checkpoint is None or not (root / spec.checkpoint / MANIFEST).is_file():
        return None
    return load_manifest(root / spec.checkpoint).recipe
