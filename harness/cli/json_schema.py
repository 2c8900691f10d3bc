"""JSON Schemas of suites, profiles, recipes, release policies, studies and results.json."""

from pydantic import BaseModel, TypeAdapter

from harness.artifacts.results_json import results_schema
from harness.config import Profile, Suite
from harness.config.release import ReleasePolicy
from harness.config.study import StudySpec
from harness.core.errors import HarnessError, did_you_mean
from trainers.recipe import Recipe

SCHEMA_NAMES = ("suite", "profile", "recipe", "release", "study", "results")


def json_schema(of: str) -> dict[str, object]:
    """Return the schema of a suite, a profile, a recipe, a release policy, a study, or results.json.

    Raises:
        HarnessError: any other name.
    """
    models: dict[str, type[BaseModel]] = {
        "suite": Suite,
        "profile": Profile,
        "release": ReleasePolicy,
        "study": StudySpec,
    }
    if of in models:
        return models[of].model_json_schema()
    if of == "recipe":
        return TypeAdapter(Recipe).json_schema()
    if of == "results":
        return results_schema()
    raise HarnessError(f"no schema is called '{of}'. {did_you_mean(of, SCHEMA_NAMES)}")
