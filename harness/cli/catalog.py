"""The catalog of bundled suites, profiles, recipes, loops, studies and launch configurations, and of plug-ins."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from harness.config import Profile, known_profiles, known_suites, load_profile, load_suite
from harness.config.pipeline import known_loops, load_loop
from harness.config.study import known_studies, load_study
from harness.core.plugins import JUDGES, METRICS, list_plugins
from harness.types import Record
from trainers.distributed.config import known_launches
from trainers.recipe import Recipe, known_recipes, load_recipe

_USAGE = {
    "suite": "harness run NAME --models a,b",
    "profile": "harness run … --profile NAME",
    "recipe": "harness train NAME (harness pairs NAME for pairs and best_of)",
    "loop": "harness loop NAME",
    "study": "harness study NAME (harness study plan NAME first)",
    "launch": "harness train … --launch NAME",
    "metric": "{kind: plugin, scorer: NAME} in a suite",
    "judge": "{plugin: NAME} in a profile",
}


class CatalogEntry(Record):
    """One bundled file, or a name that an installed package registers."""

    kind: str
    name: str
    what: str


def list_catalog() -> list[CatalogEntry]:
    """List what comes along and the plug-ins that are installed, each kind by name."""
    suites = [("suite", name, load_suite(name)[0].title or "") for name in known_suites()]
    profiles = [("profile", name, _models(load_profile(name)[0])) for name in known_profiles()]
    recipes = [("recipe", name, _origin(load_recipe(name)[0])) for name in known_recipes()]
    loops = [("loop", name, f"promotes {load_loop(name)[0].promote}") for name in known_loops()]
    studies = [("study", name, load_study(name)[0].title) for name in known_studies()]
    launches = [("launch", name, "") for name in known_launches()]
    plugins = [
        (kind, plugin.name, f"{plugin.package} {plugin.version}")
        for kind, group in (("metric", METRICS), ("judge", JUDGES))
        for plugin in list_plugins(group)
    ]
    entries = [*suites, *profiles, *recipes, *loops, *studies, *launches, *plugins]
    return [CatalogEntry(kind=kind, name=name, what=what) for kind, name, what in entries]


def describe_catalog(entries: Iterable[CatalogEntry]) -> Iterator[str]:
    """Describe the entries, one line each, under the usage of their kind."""
    for kind, group in groupby(entries, key=lambda entry: entry.kind):
        same_kind = list(group)
        width = max(len(entry.name) for entry in same_kind)
        yield f"{kind}: {_USAGE[kind]}"
        yield from (f"  {entry.name:<{width}}  {entry.what}".rstrip() for entry in same_kind)


def _models(profile: Profile) -> str:
    """Return the names of the profile's models, and the first sentence of its note."""
    first_sentence = (profile.note or "").partition(". ")[0].rstrip(".\n")
    return ", ".join(profile.models) + (f": {first_sentence}" if first_sentence else "")


def _origin(recipe: Recipe) -> str:
    parent = getattr(recipe, "parent", None)
    start = parent and (parent.recipe or parent.checkpoint)
    return f"{recipe.method} from {start}" if start else recipe.method
