"""results.json: the typed result of a run, from which every other report can be rendered.

    {"caveats": [{"code": "offline_judge", "text": "…"}], "comparisons": […], "decision": {…}, …}

Keys are sorted, so that equal results are equal bytes. The items themselves stay in the store;
the plan holds their hash, and `examples` the few that the report shows.
"""

import json
from pathlib import Path

from pydantic import ValidationError

from harness.artifacts.integrity import require_consistent, require_unchanged
from harness.core.errors import HarnessError, nearest_file
from harness.core.json_text import unique_keys
from harness.types import Plan, RunResult

RESULTS_FILE = "results.json"
SCHEMA_VERSION: int = RunResult.model_fields["schema_version"].default
_TASKS_WITHOUT_ITEMS = {"__all__": {"samples"}}


def dump_result(result: RunResult) -> bytes:
    """Serialise the result as the content of results.json.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return _to_bytes(
        result.model_dump(mode="json", exclude={"plan": {"tasks": _TASKS_WITHOUT_ITEMS}})
    )


def dump_plan(plan: Plan) -> bytes:
    """Serialise the plan as the content of plan.json."""
    return _to_bytes(plan.model_dump(mode="json", exclude={"tasks": _TASKS_WITHOUT_ITEMS}))


def run_folder(path: Path) -> Path:
    """Return the folder of a run; its results.json may be named instead."""
    return path.parent if path.name == RESULTS_FILE and path.is_file() else path


def load_result(folder: Path, *, hash_tables: bool = True) -> RunResult:
    """Read the result of the run in `folder`, without its items; its tables are those it was made of.

    Every command reads a run through this. Only a list of many runs does not `hash_tables`. Where `tables` of the result is empty, an earlier version
    wrote it, and its tables cannot be verified.

    Raises:
        HarnessError: there is no results.json, or it is damaged or of another version.
        InfrastructureError: a file is not the one that the run wrote, or contradicts another.
    """
    path = folder / RESULTS_FILE
    try:
        data = json.loads(
            path.read_bytes(), parse_constant=_refuse_constant, object_pairs_hook=unique_keys
        )
        _refuse_other_version(data, path)
        result = RunResult.model_validate(data, strict=False)
    except FileNotFoundError:
        runs = sorted(str(file.parent) for file in folder.glob(f"*/{RESULTS_FILE}"))
        hint = f" Did you mean {' or '.join(runs[:3])}?" if runs else ""
        if not runs:
            near = "" if folder.is_dir() else nearest_file(folder)
            hint = near or " `harness runs` lists them."
        raise HarnessError(
            f"{path}: no such file. Name a run folder that `harness run` wrote.{hint}"
        ) from None
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        # Only unknown fields: a later version wrote the file.
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        unknown = all(detail["type"] == "extra_forbidden" for detail in error.errors())
        raise HarnessError(
            f"{path}: not a result that this version can read ({where}: {first['msg']}). "
            f"{_LATER if unknown else _REMEDY}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{path}: damaged ({error}). {_REMEDY}") from None
    require_unchanged(data, folder, RESULTS_FILE, hash_tables=hash_tables)
    require_consistent(result, path)
    return result


def results_schema() -> dict[str, object]:
    """Return the JSON Schema of results.json; docs/schema/ publishes that of each version."""
    schema = RunResult.model_json_schema(mode="serialization")
    task = schema["$defs"]["Task"]
    del task["properties"]["samples"], schema["$defs"]["Sample"]
    return schema


def _refuse_other_version(data: object, path: Path) -> None:
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        remedy = _LATER if newer else _REMEDY
        raise HarnessError(
            f"{path}: has schema version {version}, and this harness reads {SCHEMA_VERSION}. {remedy}"
        )


_LATER = "A later alignment-harness wrote it: update this one."
_REMEDY = "Run `harness run` again with the same suite and models: the store keeps all answers."


def _to_bytes(data: object) -> bytes:
    text = json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # UTF-8 cannot write a lone surrogate; backslashreplace writes exactly its JSON escape.
    return f"{text}\n".encode(errors="backslashreplace")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds the number {name}")
