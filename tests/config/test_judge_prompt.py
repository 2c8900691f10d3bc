"""Judge prompts of one's own, as suites name them: read, and refused with their line."""

from pathlib import Path

import pytest

from harness.config import RubricMetric, load_suite
from harness.core.errors import HarnessError
from tests.builders.files import SUITE, write

OWN = (
    "Grade as our ward does.\n\n{{what_you_see}}\n\n{{criteria}}\n\nFrom {{low}} up.\n\n{{shape}}\n"
)


def suite_with(folder: Path, path: str = "my_judge.md", more: str = "") -> Path:
    named = SUITE.replace("kind: rubric\n", f"kind: rubric\n    prompt: {path}\n{more}")
    return write(folder / "s.yaml", named)


def metric_of(suite: Path) -> RubricMetric:
    metric = load_suite(str(suite))[0].metrics["rubric"]
    assert isinstance(metric, RubricMetric)
    return metric


def refused(folder: Path, text: str) -> str:
    write(folder / "my_judge.md", text)
    with pytest.raises(HarnessError) as error:
        load_suite(str(suite_with(folder)))
    message = str(error.value)
    assert message.startswith(f"{folder}/s.yaml:8: metrics.rubric.prompt: {folder}/my_judge.md")
    return message.partition("my_judge.md")[2]


def test_a_prompt_becomes_its_text_when_the_suite_is_read(tmp_path: Path) -> None:
    write(tmp_path / "my_judge.md", OWN)
    assert metric_of(suite_with(tmp_path)).prompt == OWN.strip()


def test_line_breaks_make_no_other_prompt(tmp_path: Path) -> None:
    (tmp_path / "my_judge.md").write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert metric_of(suite_with(tmp_path)).prompt == OWN.strip()


def test_a_result_that_holds_the_text_is_read_without_the_file(tmp_path: Path) -> None:
    write(tmp_path / "my_judge.md", OWN)
    metric = metric_of(suite_with(tmp_path))
    assert RubricMetric.model_validate_json(metric.model_dump_json()) == metric


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{{shape}}", "", ":7: ends without {{shape}}, the JSON that a verdict must be."),
        ("{{what_you_see}}", "", ":9: ends without {{what_you_see}}, which tells the judge"),
        ("{{criteria}}", "", ":9: ends without {{criteria}}, the criteria"),
        ("{{criteria}}", "{{critera}}", ":5: {{critera}} is unknown. Did you mean 'criteria'?"),
        ("{{shape}}", "{{ shape }}", ":9: {{ shape }} is unknown. Did you mean 'shape'?"),
        ("ward", "ward {{answer}}", ":1: {{answer}} is no field: what is judged comes behind"),
        ("ward", "ward {{asks}}", ":1: {{asks}} is unknown. "),
    ],
)
def test_a_prompt_that_lacks_or_invents_a_field_is_refused_on_its_line(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert problem in refused(tmp_path, OWN.replace(old, new))


def test_an_empty_prompt_is_refused(tmp_path: Path) -> None:
    assert ": is empty" in refused(tmp_path, "\n \n")


def test_a_prompt_that_is_not_utf_8_is_refused_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "my_judge.md").write_bytes(b"Grade.\n\xff\n")
    with pytest.raises(HarnessError, match=r"s\.yaml:8: .*my_judge\.md:2: not UTF-8 text"):
        load_suite(str(suite_with(tmp_path)))


def test_a_missing_prompt_suggests_a_file_of_that_folder(tmp_path: Path) -> None:
    write(tmp_path / "my_judge.md", OWN)
    with pytest.raises(HarnessError, match=r"no such judge prompt\. Did you mean '.*my_judge\.md'"):
        load_suite(str(suite_with(tmp_path, "my_jugde.md")))


def test_a_link_that_leads_nowhere_is_not_suggested_itself(tmp_path: Path) -> None:
    (tmp_path / "my_judge.md").symlink_to("nowhere.md")
    with pytest.raises(HarnessError, match=r"no such judge prompt\.$"):
        load_suite(str(suite_with(tmp_path)))


def test_a_prompt_outside_of_the_suites_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "my_judge.md", OWN)
    (tmp_path / "suite").mkdir()
    with pytest.raises(HarnessError, match=r"s\.yaml:8: .*lies outside of"):
        load_suite(str(suite_with(tmp_path / "suite", "../my_judge.md")))


def test_a_computed_metric_takes_no_prompt(tmp_path: Path) -> None:
    text = SUITE.replace("kind: rubric\n", "kind: rouge\n    prompt: my_judge.md\n")
    with pytest.raises(HarnessError, match=r"metrics\.rubric\.prompt: unknown key"):
        load_suite(str(write(tmp_path / "s.yaml", text)))
