from pathlib import Path

import pytest

from harness.config import Profile
from harness.core.errors import HarnessError
from harness.core.yaml_loader import load_spec
from tests.builders.files import write


def load(folder: Path, model: str) -> Profile:
    write(folder / "p.yaml", f"profile: p\nmodels:\n  m: {model}\n")
    return load_spec(folder / "p.yaml", Profile)


@pytest.mark.parametrize(
    "key",
    ["temperature: 0.5", "top_p: 0.9", "top_k: 5", "seed: 2", "max_tokens: 9", "structured: text"],
)
def test_a_key_without_effect_on_a_model_under_test_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(HarnessError, match=r"p\.yaml:3: models\.m\.endpoint\..*has no effect"):
        load(tmp_path, f"{{endpoint: {{model: x, {key}}}}}")


def test_a_model_under_test_may_send_no_temperature(tmp_path: Path) -> None:
    endpoint = load(tmp_path, "{endpoint: {model: x, temperature: null}}").models["m"].endpoint
    assert endpoint is not None
    assert endpoint.temperature is None


@pytest.mark.parametrize("kind", ["recipe: a.yaml", "recorded: {path: a.csv, fields: {id: id}}"])
def test_a_revision_of_what_has_none_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(HarnessError, match="has a revision"):
        load(tmp_path, f"{{revision: 'b', {kind}}}")


@pytest.mark.parametrize("key", ["sk-proj-abc.def", "Bearer abc", "sk-ant-api03-xyz", ""])
def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(HarnessError, match="no name of an environment variable") as caught:
        load(tmp_path, f"{{endpoint: {{model: x, api_key_env: '{key}'}}}}")
    assert not key or key not in str(caught.value)


def test_every_key_of_an_endpoint_is_described_in_the_schema() -> None:
    endpoint = Profile.model_json_schema()["$defs"]["EndpointSpec"]
    assert [name for name, key in endpoint["properties"].items() if "description" not in key] == []


def test_every_key_of_an_endpoint_is_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
    keys = Profile.model_json_schema()["$defs"]["EndpointSpec"]["properties"]
    assert [key for key in keys if f"`{key}`" not in guide] == []


# --- second judges ---------------------------------------------------------------------------

JUDGES = """\
profile: p
models:
  m: {checkpoint: m}
judges:
  rules: {offline: consumer_health}
  one: {endpoint: {model: x}, then: %s}
  two: {endpoint: {model: y}%s}
"""


def load_judges(folder: Path, then: str, more: str = "") -> Profile:
    write(folder / "p.yaml", JUDGES % (then, more))
    return load_spec(folder / "p.yaml", Profile)


def test_a_judge_may_name_a_second_one(tmp_path: Path) -> None:
    assert load_judges(tmp_path, "two").judges["one"].then == "two"


@pytest.mark.parametrize(
    ("then", "more", "problem"),
    [
        ("tow", "", r"p\.yaml:6: judges\.one\.then: 'tow' is no language model .*'two'"),
        ("rules", "", r"p\.yaml:6: judges\.one\.then: 'rules' is no language model"),
        ("one", "", r"p\.yaml:6: judges\.one\.then: 'one' is no language model without"),
        ("two", ", then: one", r"'two' is no language model without a 'then'"),
        ("two", "}\n  jury: {jury: {members: [one, rules]}", r"'one' has a 'then', and a vote"),
        (
            "two",
            "}\n  more: {offline: consumer_health, then: two",
            r"p\.yaml:8: judges\.more.*'then' goes",
        ),
    ],
)
def test_a_second_judge_that_could_not_be_asked_is_refused(
    tmp_path: Path, then: str, more: str, problem: str
) -> None:
    with pytest.raises(HarnessError, match=problem):
        load_judges(tmp_path, then, more)


# --- training seeds --------------------------------------------------------------------------

RECORDED = "recorded: {path: 'a-{seed}.csv', fields: {id: id, response: text}}"


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{recipe: a.yaml, seeds: [1]}", "two different training seeds or more"),
        ("{recipe: a.yaml, seeds: [1, 2, 2]}", "two different training seeds or more"),
        ("{checkpoint: runs/sft, seeds: [1, 2]}", "every seed would be the same model"),
    ],
)
def test_seeds_that_give_no_several_models_are_refused(
    tmp_path: Path, model: str, problem: str
) -> None:
    with pytest.raises(HarnessError, match=rf"p\.yaml:3: models\.m\.seeds.*{problem}"):
        load(tmp_path, model)


def test_the_seed_stands_in_the_texts_of_its_model(tmp_path: Path) -> None:
    several = load(tmp_path, f"{{{RECORDED}, seeds: [4, 7]}}").models["m"]
    one = several.of_seed(7)
    assert one.recorded is not None
    assert (one.recorded.path, one.seeds) == ("a-7.csv", ())
