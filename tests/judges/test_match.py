import pytest

from harness.config import Metric
from harness.types import Outcome, Sample
from judges.match import MatchJudge
from tests.builders.judge_requests import evasion, grade, outcome
from tests.builders.metric_kinds import KINDS


def compare(rule: str, answer: str, *references: str, **options: object) -> Outcome:
    metric: Metric = KINDS[f"match {rule}"].model_validate({"kind": "match", "by": rule, **options})  # type: ignore[assignment]
    several = references if len(references) > 1 else ()
    of = Sample(id="q1", input="?", reference=references[0] if references else None,
                references=several, row=0)  # fmt: skip
    return outcome(MatchJudge(), grade(answer, metric, of=of))


def matches(rule: str, answer: str, *references: str, **options: object) -> bool:
    values = compare(rule, answer, *references, **options).values
    assert values is not None
    return values["match"] == 1.0


@pytest.mark.parametrize(
    ("answer", "same"),
    [(" Asthma.\n", True), ("asthma.", False), ("Asthma", False), ("", False)],
)
def test_exact_knows_white_space_around_only(answer: str, same: bool) -> None:
    assert matches("exact", answer, "Asthma.") is same


def test_exact_letters_may_be_composed_or_not() -> None:
    assert matches("exact", "Sjo\u0308gren", "Sj\u00f6gren")


@pytest.mark.parametrize(
    ("answer", "same"),
    [("acute  ASTHMA!", True), ("asthma, acute", False), ("an acute asthma", False)],
)
def test_normalised_is_the_same_words_in_order(answer: str, same: bool) -> None:
    assert matches("normalised", answer, "Acute asthma.") is same


@pytest.mark.parametrize(
    ("answer", "reference", "there"),
    [
        ("I think it is acute asthma, or a cold.", "Acute asthma", True),
        ("It is asthma, acute.", "Acute asthma", False),
        ("antiasthmatic", "asthma", False),
        ("他可能有哮喘。", "哮喘", True),
    ],
)
def test_contains_finds_whole_words_in_order(answer: str, reference: str, there: bool) -> None:
    assert matches("contains", answer, reference) is there


@pytest.mark.parametrize("rule", ["exact", "normalised", "contains", "regex"])
def test_any_of_several_references_will_do(rule: str) -> None:
    assert matches(rule, "Influenza", "flu", "Influenza")
    assert not matches(rule, "A cold", "flu", "Influenza")


def test_token_f1_is_that_of_the_best_reference() -> None:
    values = compare("token_f1", "acute asthma attack", "asthma", "acute asthma").values
    assert values == {"f1": pytest.approx(2 * 2 / 5)}
    assert compare("token_f1", "", "asthma").values == {"f1": 0.0}


@pytest.mark.parametrize(
    ("answer", "reference", "options", "same"),
    [
        ("Give 250 mg, then 500 mg.", "500", {}, True),
        ("Give 250 mg, then 500 mg.", "250", {}, False),
        ("0.3", "0.1", {"tolerance": 0.2}, True),
        ("0.31", "0.1", {"tolerance": 0.2}, False),
        ("105", "100", {"tolerance": "5%"}, True),
        ("95.0", "-100", {"tolerance": "5%"}, False),
        ("105.1", "100", {"tolerance": "5%"}, False),
        ("Dose: 5 mg for 10 days. Final dose: 7 mg for 3 days", "7", {"after": "dose:"}, True),
        ("1,000", "1000", {}, True),
        ("1,5", "1.5", {"decimal": "comma"}, False),
        ("1,5", "1,5", {"decimal": "comma"}, True),
        ("25 %", "25", {}, True),
        ("25 %", "0.25", {"percent": "hundredth"}, True),
        ("\u22125", "-5", {}, True),
        ("no idea", "5", {}, False),
        ("5 mg", "5", {"after": "Dose:"}, False),
    ],
)
def test_numbers_are_compared_by_the_stated_rule(
    answer: str, reference: str, options: dict[str, object], same: bool
) -> None:
    if options == {"decimal": "comma"} and not same:
        # The point of this reference groups no digits, and is refused before the run.
        assert "not one number" in (compare("number", answer, reference, **options).reason or "")
        return
    assert matches("number", answer, reference, **options) is same


@pytest.mark.parametrize("answer", ["5\u201310 mg", "120/80", "1,5", "1 000"])
def test_a_number_that_can_be_read_in_two_ways_is_unscored(answer: str) -> None:
    made = compare("number", answer, "5")
    assert made.values is None
    assert (made.reason or "").startswith("ambiguous: '")


def test_an_ambiguous_number_elsewhere_does_not_matter() -> None:
    assert matches("number", "Of 120/80 and so on: 5", "5")


def test_a_regular_expression_is_the_suites_or_the_items() -> None:
    assert matches("regex", "It is A09.", pattern=r"\b[A-Z]\d{2}\b")
    assert matches("regex", "It is A09.", r"A\d+")
    assert not matches("regex", "It is A09.", r"A\d+", whole=True)
    assert matches("regex", " A09\n", r"A\d+", whole=True)


@pytest.mark.parametrize(
    ("answer", "options", "valid"),
    [
        ('{"mg": 5}', {}, True),
        ('Here: {"mg": 5}', {}, False),
        ('```json\n{"mg": 5}\n```', {}, False),
        ('Here:\n```json\n{"mg": 5}\n```\nGood luck.', {"fenced": True}, True),
        ('```\n{"mg": 5}\n```\n```\n{"mg": 6}\n```', {"fenced": True}, False),
        ('{"mg": 5}', {"fenced": True}, True),
        ('{"mg": "5"}', {"json_schema": {"properties": {"mg": {"type": "number"}}}}, False),
        ("", {}, False),
    ],
)
def test_json_is_strict_unless_a_fence_is_allowed(
    answer: str, options: dict[str, object], valid: bool
) -> None:
    assert matches("json", answer, **options) is valid


def test_a_wrong_shape_is_explained() -> None:
    schema = {"properties": {"mg": {"type": "number"}}}
    rationale = compare("json", '{"mg": "5"}', json_schema=schema).rationale
    assert rationale == "the answer.mg is not of type number"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("one", False),
        ("one two", True),
        ("one, two... three!", True),
        ("a b c d", False),
        ("孩子", True),
    ],
)
def test_words_are_counted_by_the_word_rule(answer: str, right: bool) -> None:
    assert matches("word_count", answer, at_least=2, at_most=3) is right


def test_an_answer_without_words_is_not_short() -> None:
    assert not matches("word_count", " … ", at_most=100)


def test_an_item_without_a_usable_reference_is_unscored() -> None:
    assert "has none" in (compare("exact", "yes").reason or "")
    assert "no regular expression" in (compare("regex", "yes", "(a").reason or "")


def test_other_metrics_are_not_judged() -> None:
    assert outcome(MatchJudge(), grade("yes", evasion())).reason is not None
