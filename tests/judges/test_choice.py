from harness.config import ChoiceMetric
from harness.types import Outcome, Sample
from judges.choice import ChoiceJudge
from tests.builders.judge_requests import evasion, grade, outcome

ITEM = Sample(id="q1", input="Which?\n\nA) rest\nB) ice", reference="ice", row=0, question="Which?",
              choices={"A": "rest", "B": "ice"}, right_choice="B")  # fmt: skip


def score(answer: str, of: Sample = ITEM, **options: object) -> Outcome:
    metric = ChoiceMetric.model_validate({"kind": "choice", **options})
    return outcome(ChoiceJudge(), grade(answer, metric, of=of))


def test_the_right_option_scores_one_and_another_none() -> None:
    assert score("Answer: B").values == {"readable": 1.0, "right": 1.0}
    assert score("Answer: A").values == {"readable": 1.0, "right": 0.0}


def test_an_answer_without_an_option_is_wrong_and_counted_apart() -> None:
    found = score("It depends.")
    assert found.values == {"readable": 0.0, "right": 0.0}
    assert (found.label, found.rationale) == ("unreadable", "it states no option")


def test_it_is_unscored_where_the_suite_says_so() -> None:
    found = score("It depends.", unreadable="unscored")
    assert (found.values, found.reason) == (None, "unreadable: it states no option")
    assert score("Answer: B", unreadable="unscored").values == {"right": 1.0}


def test_what_was_read_is_told() -> None:
    assert score("I say:\nAnswer: ice").rationale == "chooses B) ice, read from 'Answer: ice'"


def test_letters_that_are_not_shown_are_not_read() -> None:
    assert score("B", labels="none").values == {"readable": 0.0, "right": 0.0}
    assert score("Ice.", labels="none").values == {"readable": 1.0, "right": 1.0}


def test_an_item_without_options_is_unscored() -> None:
    assert score("B", Sample(id="q1", input="Which?", row=0)).reason == "the item has no options"


def test_other_metrics_are_not_judged() -> None:
    assert outcome(ChoiceJudge(), grade("yes", evasion())).reason is not None
