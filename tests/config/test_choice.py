"""Keys of `kind: choice`: what is wrong with one is said on its line."""

from pathlib import Path

import pytest

from harness.config import ChoiceMetric, load_suite
from harness.core.errors import HarnessError
from tests.builders.files import write

SUITE = "suite: s\ndata: {source: {path: i.jsonl, fields: {input: q}}}\nmetrics:\n  m: {kind: choice%s}\n"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (", choices: [yes]", "`yes` means different things"),
        (", choices: ['yes']", "metrics.m.choices: name two options or more"),
        (", choices: ['yes', ' ']", "metrics.m.choices: an option is empty"),
        (", choices: ['yes', 'Yes.']", "metrics.m.choices: two options are the same text"),
        (
            ", answer: letter",
            "metrics.m.answer: 'letter' is unknown. Known: index, label, number, text",
        ),
        (", scoring: likelihood", "metrics.m.scoring: 'likelihood' is unknown"),
        (", unreadable: right", "metrics.m.unreadable: 'right' is unknown"),
        (", shufle: true", "metrics.m.shufle: unknown key. Did you mean 'shuffle'?"),
        (", judge: x", "metrics.m.judge: unknown key"),
    ],
)
def test_a_wrong_key_is_named_on_its_line(tmp_path: Path, keys: str, message: str) -> None:
    path = write(tmp_path / "s.yaml", SUITE % keys)
    with pytest.raises(HarnessError) as error:
        load_suite(str(path))
    assert str(error.value).startswith(f"{path}:4: ")
    assert message in str(error.value)


def test_unreadable_answers_have_a_column_where_they_are_scored() -> None:
    assert ChoiceMetric(kind="choice").columns("m") == ("m.readable", "m")
    assert ChoiceMetric(kind="choice", unreadable="unscored").columns("m") == ("m",)
