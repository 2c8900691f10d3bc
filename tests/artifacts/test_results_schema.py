"""The published schema of results.json: what readers may rely on."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.results_json import SCHEMA_VERSION, dump_result, load_result, results_schema
from harness.core.errors import HarnessError
from harness.types import RunResult
from tests.builders.results import passing_run
from tests.builders.sealed import sealed
from tests.results_schema import PUBLISHED, breaking_changes


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(results_schema()))
    return found


def test_the_published_schema_is_that_of_what_is_written() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema(), (
        "RunResult has changed. Run `make schema`: it publishes what was only added, and says what "
        "needs a new schema_version."
    )


def test_a_new_field_breaks_no_reader() -> None:
    new = schema()
    new["properties"]["mood"] = {"type": "string"}
    new["required"].append("mood")
    assert breaking_changes(schema(), new) == []


@pytest.mark.parametrize("change", ["field", "type", "word", "optional"])
def test_what_would_break_a_reader_needs_a_new_version(change: str) -> None:
    new = deepcopy(schema())
    match change:
        case "field":
            del new["properties"]["run_id"]
        case "type":
            new["properties"]["seconds"]["type"] = "string"
        case "word":
            new["$defs"]["GateDecision"]["properties"]["verdict"]["enum"].remove("fail")
        case "optional":
            new["required"].remove("plan")
    assert len(breaking_changes(schema(), new)) == 1


def test_a_renamed_definition_breaks_no_reader() -> None:
    new = json.loads(json.dumps(schema()).replace('$defs/Comparison"', '$defs/Difference"'))
    new["$defs"]["Difference"] = new["$defs"].pop("Comparison")
    assert breaking_changes(schema(), new) == []
    del new["$defs"]["Difference"]["properties"]["metric"]
    assert breaking_changes(schema(), new) != []


def test_a_kind_may_get_a_second_form_and_keeps_its_first() -> None:
    new = schema()
    metrics = new["$defs"]["Task"]["properties"]["metrics"]["additionalProperties"]
    other = {"$ref": "#/$defs/Comparison"}
    kept = {"oneOf": [other, {"$ref": "#/$defs/RougeMetric"}]}
    metrics["discriminator"]["mapping"]["rouge"] = kept
    assert breaking_changes(schema(), new) == []
    metrics["discriminator"]["mapping"]["rouge"] = {"oneOf": [other, other]}
    assert breaking_changes(schema(), new) != []


def written(folder: Path, **changes: object) -> Path:
    data = json.loads(dump_result(sealed(passing_run()))) | changes
    (folder / "results.json").write_text(json.dumps(data))
    return folder


def test_a_result_of_a_later_version_asks_for_a_later_harness(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"schema version 2, .* reads 1\. A later"):
        load_result(written(tmp_path, schema_version=SCHEMA_VERSION + 1))


def test_a_field_that_a_later_harness_added_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"mood: .*A later alignment-harness wrote it"):
        load_result(written(tmp_path, mood="good"))


def test_a_result_of_an_earlier_version_says_what_makes_a_new_one(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="Run `harness run` again"):
        load_result(written(tmp_path, schema_version=SCHEMA_VERSION - 1))


def test_a_result_from_before_the_optional_fields_is_read(tmp_path: Path) -> None:
    data = json.loads(written(tmp_path).joinpath("results.json").read_text())
    for name, field in RunResult.model_fields.items():
        if not field.is_required() and name != "schema_version":
            del data[name]
    (tmp_path / "results.json").write_text(json.dumps(data))
    assert load_result(tmp_path).run_id == sealed(passing_run()).run_id
