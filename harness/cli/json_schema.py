"""JSON Schemas of what people write and what runs produce."""

from pydantic import BaseModel, TypeAdapter

from harness.artifacts.results_json import results_schema
from harness.config import Profile, Suite
from harness.core.errors import HarnessError, did_you_mean
from trainers.recipe import Recipe

KNOWN = ("suite", "profile", "recipe", "results")


def json_schema(of: str) -> dict[str, object]:
    """The schema of a suite, a profile, a recipe, or results.json.

    Raises:
        HarnessError: any other name.
    """
    written: dict[str, type[BaseModel]] = {"suite": Suite, "profile": Profile}
    if of in written:
        return written[of].model_json_schema()
    if of == "recipe":
        return TypeAdapter(Recipe).json_schema()
    if of == "results":
        return results_schema()
    raise HarnessError(f"there is no schema of '{of}'. {did_you_mean(of, KNOWN)}")
