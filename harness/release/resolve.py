"""Resolution of a model name on the command line to a checkpoint or an endpoint.

    ./some/folder       the folder of a checkpoint
    ./model.gguf        a GGUF file, also in a package (`harness.models.gguf`)
    tiny_assistant      the checkpoint that `harness loop` promoted to that name
    tiny_sft-1a2b3c     a checkpoint in the store
    sft                 a model of the profile
    tiny/sft.yaml       a recipe with exactly one checkpoint in the store

The first of these that exists is used.
"""

from pathlib import Path
from typing import NamedTuple

from harness.config import EndpointSpec, ModelSpec, Profile, load_profile
from harness.core.errors import HarnessError, did_you_mean
from harness.models.gguf import find_gguf, locate_model
from harness.models.model_folder import MANIFEST
from harness.release.registry import Registry
from trainers.checkpoint import load_manifest, refuse_reward_model, trace_manifests
from trainers.recipe import load_recipe


class NamedModel(NamedTuple):
    """A model to load from a folder or the hub, or to request from an endpoint.

    `note` is the warning of its profile for all users of the model.
    """

    name: str
    source: str = ""
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    note: str = ""


def find_model(name: str, profile: str, store: Path) -> NamedModel:
    """Find the model of that name, without training it or reading weights.

    Raises:
        HarnessError: no such model, one that generates no answers, or an ambiguous name.
    """
    model = _find(name, profile, store)
    if model.endpoint is None:
        refuse_reward_model(Path(model.source))
    return model


def find_checkpoint(name: str, profile: str, store: Path) -> NamedModel:
    """Find the checkpoint of that name, a folder written by the harness.

    Raises:
        HarnessError: no such checkpoint, or an ambiguous name.
    """
    model = _find(name, profile, store)
    if model.endpoint is not None or not (Path(model.source) / MANIFEST).is_file():
        raise HarnessError(
            f"{name}: not a checkpoint of the harness, because it has no {MANIFEST} with its origin. "
            "Name one that `harness train` or `harness merge` wrote."
        )
    return model


def _find(name: str, profile: str, store: Path) -> NamedModel:
    bound, root = load_profile(profile)
    if find_gguf(name, Path()) is not None:
        return NamedModel(Path(name).stem, locate_model(name, Path()))
    folder = _find_folder(name, store)
    if folder is None and name in bound.models:
        return _of_profile(name, bound, root, store)
    folder = folder or _of_recipe(name, bound, store)
    display_name = name if name in Registry(store).names() else folder.resolve().name
    return NamedModel(display_name, str(folder), note=_profile_note(folder, bound, root))


def _find_folder(name: str, store: Path) -> Path | None:
    """Find a folder that has this path, was promoted to the name, or is in the store under it."""
    if any((Path(name) / file).is_file() for file in ("config.json", "adapter_config.json")):
        return Path(name)
    if name in Registry(store).names():
        checkpoint = Path(Registry(store).find(name).checkpoint)
        for folder in (checkpoint, store / "checkpoints" / checkpoint.name):
            if folder.is_dir():
                return folder
        raise HarnessError(
            f"'{name}' was promoted, but its checkpoint {checkpoint} no longer exists. Restore the "
            "folder, or run the loop again."
        )
    stored = store / "checkpoints" / name
    return stored if (stored / MANIFEST).is_file() else None


def _of_profile(name: str, profile: Profile, root: Path, store: Path) -> NamedModel:
    spec, note = profile.models[name], " ".join(profile.note.split())
    if spec.recorded is not None:
        raise HarnessError(
            f"'{name}' is a file of recorded answers in the profile, not a model. Name a model with a "
            "recipe, a checkpoint or an endpoint."
        )
    if spec.served is not None:
        return NamedModel(name, endpoint=spec.served, note=note)
    if spec.recipe is not None:
        return NamedModel(name, str(_of_recipe(spec.recipe, profile, store)), note=note)
    assert spec.checkpoint is not None
    return NamedModel(name, locate_model(spec.checkpoint, root), spec.revision, note=note)


def _of_recipe(name: str, profile: Profile, store: Path) -> Path:
    if Path(name).is_dir():
        raise HarnessError(f"{name}: this folder contains no model (it has no config.json).")
    checkpoints = _checkpoints(store)
    recipe = _recipe_name(name)
    if recipe is None:
        known_names = {*Registry(store).names(), *profile.models, *checkpoints.values()}
        raise HarnessError(
            f"{name}: not a folder, a promoted checkpoint, a model of profile "
            f"'{profile.profile}' or a recipe. {did_you_mean(name, known_names)}"
        )
    matching = [folder for folder, of_recipe in checkpoints.items() if of_recipe == recipe]
    if not matching:
        raise HarnessError(
            f"{name}: no checkpoint of this recipe is in {store}. Run `harness train {name}` first."
        )
    if len(matching) > 1:
        names = ", ".join(folder.name for folder in matching)
        raise HarnessError(
            f"{name}: {len(matching)} checkpoints of this recipe are in {store}. "
            f"Name one, the newest first: {names}."
        )
    return matching[0]


def _recipe_name(name: str) -> str | None:
    """Return the name that the recipe gives to its checkpoints; None without such a recipe."""
    try:
        return load_recipe(name)[0].recipe
    except HarnessError:
        if Path(name).is_file():  # the recipe exists, but has a mistake
            raise
        return None


def _checkpoints(store: Path) -> dict[Path, str]:
    """List the store's checkpoints with their recipes' names, the newest first."""
    manifests = (store / "checkpoints").glob(f"[!.]*/{MANIFEST}")
    newest = sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)
    return {path.parent: load_manifest(path.parent).recipe for path in newest}


def _profile_note(folder: Path, profile: Profile, root: Path) -> str:
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
