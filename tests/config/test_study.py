"""Study files: names of arms, and mistakes with their lines."""

from pathlib import Path

import pytest

from harness.config.study import StudySpec, load_study
from harness.core.errors import HarnessError
from tests.builders.files import write

STUDY = """\
study: s
suite: small.yaml
metric: rubric.safety
recipe: sft.yaml
methods:
  lora: {}
  full: {adapter: {kind: full}}
"""


def load(folder: Path, text: str) -> StudySpec:
    return load_study(str(write(folder / "s.yaml", text)))[0]


def test_an_arm_is_named_by_what_varies(tmp_path: Path) -> None:
    more = "bases: {small: {checkpoint: a}, large: {checkpoint: b}}\nrows: [100, 1000]\nmodels: [base]\n"
    names = load(tmp_path, STUDY + more).arm_names
    assert names[:2] == ("small-lora-100rows", "small-lora-1000rows")
    assert (len(names), names[-1]) == (9, "base")
    assert load(tmp_path, STUDY).arm_names == ("lora", "full")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("seeds: 2\n", "s.yaml:8: seeds: needs 3 at least"),
        ("seeds: [1, 1, 2]\n", "s.yaml:8: seeds: names a seed twice"),
        ("looks: [{items: 0.5}, {items: 0.4}]\n", "must have more items or seeds"),
        ("looks: [{items: 0.5, seeds: 4}]\n", "are more than the study's"),
        ("looks: [{items: 1.0}]\n", "s.yaml:8"),
        ("rows: [10, 10]\n", "different numbers of rows"),
        ("models: [lora]\n", "two arms would be called 'lora'"),
        ("method: {}\n", "Did you mean 'methods'?"),
        ("alpha: 0.6\n", "s.yaml:8: alpha"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(HarnessError, match=r"s\.yaml:") as found:
        load(tmp_path, STUDY + more)
    assert message in str(found.value)


def test_what_the_study_varies_is_no_change_of_a_method(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"s.yaml:7: methods.full.seed: is varied by the study"):
        load(tmp_path, STUDY.replace("{kind: full}}", "{kind: full}, seed: 3}"))


def test_a_recipe_of_a_method_is_a_name(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"s.yaml:6: methods.lora.recipe: names a recipe's file"):
        load(tmp_path, STUDY.replace("lora: {}", "lora: {recipe: 3}"))


def test_one_arm_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="two arms at least"):
        load(tmp_path, STUDY.replace("  full: {adapter: {kind: full}}\n", ""))


def test_a_loop_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="is a loop, and a study is needed"):
        load(tmp_path, "loop: s\nstages: []\n")
