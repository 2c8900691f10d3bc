"""Keys of `kind: choice`: what is wrong with one is said on its line."""

from pathlib import Path

import pytest

from harness.config import ChoiceMetric, LikelihoodMetric, load_suite
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
        (
            ", scoring: guessed",
            "metrics.m.scoring: 'guessed' is unknown. Known: likelihood, spoken",
        ),
        (", scoring: likelihood, unreadable: wrong", "metrics.m.unreadable: unknown key"),
        (", scoring: likelihood, choices: ['yes']", "metrics.m.choices: name two options or more"),
        (", scoring: likelihood, prompt: 'Well?'", "metrics.m: the prompt must hold {question}"),
        (
            ", scoring: likelihood, prompt: '{question}'",
            "metrics.m: the prompt must hold {options}",
        ),
        (
            ", scoring: likelihood, generation: {max_new_tokens: 9}",
            "metrics.m: no answer is generated: leave 'generation' out",
        ),
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


def test_what_is_said_and_what_is_likeliest_have_no_column_in_common() -> None:
    likeliest = LikelihoodMetric(kind="choice", scoring="likelihood").columns("m")
    assert likeliest == ("m.acc", "m.acc_norm")
    assert not set(likeliest) & set(ChoiceMetric(kind="choice").columns("m"))


def test_the_usual_prompt_shows_letters_with_their_options() -> None:
    metric = LikelihoodMetric(kind="choice", scoring="likelihood")
    assert metric.template == "Question: {question}\n{options}\nAnswer:"
    bare = metric.model_copy(update={"labels": "none"})
    assert bare.template == "Question: {question}\nAnswer:"
