import json

import pytest

from harness.config import LikelihoodMetric
from harness.types import Outcome, Sample
from judges.likelihood import LikelihoodJudge
from tests.builders.judge_requests import evasion, grade, outcome

TEXTS = {"A": "yes", "B": "perhaps"}
ITEM = Sample(id="q1", input="Is it?", reference="perhaps", row=0, choices=TEXTS, right_choice="B")


def score(answer: object, *, labels: str = "none", of: Sample = ITEM) -> Outcome:
    fields = {"kind": "choice", "scoring": "likelihood", "labels": labels}
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return outcome(LikelihoodJudge(), grade(text, LikelihoodMetric.model_validate(fields), of=of))


def test_the_likeliest_option_counts_and_apart_from_it_the_likeliest_by_character() -> None:
    found = score({"A": -1.5, "B": -2.0})
    assert found.values == {"acc": 0.0, "acc_norm": 1.0}
    assert found.rationale == "A is likeliest, B by character; B is right"


def test_letters_are_one_character_each() -> None:
    found = score({"A": -1.5, "B": -2.0}, labels="letters")
    assert found.values == {"acc": 0.0, "acc_norm": 0.0}


def test_of_equally_likely_options_the_first_counts() -> None:
    assert score({"B": -2, "A": -2}, labels="letters").values == {"acc": 0.0, "acc_norm": 0.0}


def test_a_reason_is_passed_on() -> None:
    found = score('"too long: prompt and option B have 9 tokens, and the model\'s context has 8"')
    assert found.values is None
    assert (found.reason or "").startswith("too long: prompt and option B")


@pytest.mark.parametrize(
    "answer",
    [
        "Answer: B",
        '"B"',
        "[-1.5, -2.0]",
        {"A": -1.5},
        {"A": -1.5, "B": -2.0, "C": -3.0},
        {"A": -1.5, "B": None},
        {"A": -1.5, "B": True},
        {"A": -1.5, "B": "-2.0"},
        {"A": 0.3, "B": 0.7},  # probabilities
        '{"A": -1.5, "B": NaN}',
        '{"A": -1.5, "B": -Infinity}',
    ],
    ids=str,
)
def test_anything_else_is_unreadable_and_no_score(answer: object) -> None:
    found = score(answer)
    assert found.values is None
    assert found.reason == "unreadable: no log-probability of each option (A, B), as JSON"


def test_an_item_without_options_is_unscored() -> None:
    bare = Sample(id="q1", input="Is it?", row=0)
    assert score({"A": -1.5, "B": -2.0}, of=bare).reason == "the item has no options"


def test_other_metrics_are_not_judged() -> None:
    assert outcome(LikelihoodJudge(), grade("yes", evasion())).reason is not None
