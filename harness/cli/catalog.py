"""What comes with the harness, by the names that commands take."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from harness.config import Profile, known_profiles, known_suites, load_profile, load_suite
from harness.config.pipeline import known_loops, load_loop
from harness.types import Record
from trainers.distributed.config import known_launches
from trainers.recipe import Recipe, known_recipes, load_recipe

_HOW = {
    "suite": "harness run NAME --models a,b",
    "profile": "harness run … --profile NAME",
    "recipe": "harness train NAME, or harness pairs NAME for pairs and best_of",
    "loop": "harness loop NAME",
    "launch": "harness train … --launch NAME",
}


class CatalogEntry(Record):
    """One file that comes with the harness."""

    kind: str
    name: str
    what: str


def list_catalog() -> list[CatalogEntry]:
    """Suites, profiles, recipes, loops and launches, each kind in the order of its names."""
    suites = [("suite", name, load_suite(name)[0].title or "") for name in known_suites()]
    profiles = [("profile", name, _models(load_profile(name)[0])) for name in known_profiles()]
    recipes = [("recipe", name, _origin(load_recipe(name)[0])) for name in known_recipes()]
    loops = [("loop", name, f"promotes {load_loop(name)[0].promote}") for name in known_loops()]
    launches = [("launch", name, "") for name in known_launches()]
    offered = [*suites, *profiles, *recipes, *loops, *launches]
    return [CatalogEntry(kind=kind, name=name, what=what) for kind, name, what in offered]


def describe_offers(offers: Iterable[CatalogEntry]) -> Iterator[str]:
    """One line for each, under what to do with its kind."""
    for kind, group in groupby(offers, key=lambda offer: offer.kind):
        same = list(group)
        width = max(len(offer.name) for offer in same)
        yield f"{kind}: {_HOW[kind]}"
        yield from (f"  {offer.name:<{width}}  {offer.what}".rstrip() for offer in same)


def _models(profile: Profile) -> str:
    """The models that can be named, and the first sentence of what it says of itself."""
    said = (profile.note or "").partition(". ")[0].rstrip(".\n")
    return ", ".join(profile.models) + (f": {said}" if said else "")


def _origin(recipe: Recipe) -> str:
    parent = getattr(recipe, "parent", None)
    start = parent and (parent.recipe or parent.checkpoint)
    return f"{recipe.method} from {start}" if start else recipe.method
