"""Whatever a judge says, the reader gives a verdict on the scale or a reason, and never raises."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import Metric
from harness.core.quoting import escape_untrusted
from harness.types import Outcome
from judges.parsing import read_verdict
from tests.builders.chat_backends import CRITERIA, check_outcome, grades
from tests.builders.judge_requests import evasion, prefer, rubric

RUBRIC, SAFETY, PAIR = rubric(), rubric("safety"), prefer("", "").metric
METRICS: tuple[Metric, ...] = (RUBRIC, rubric("safety", scale=(0, 3)), PAIR, evasion())
WORDS = ["reasons", "scores", "reason", "winner", "label", *CRITERIA]

EXAMPLES = settings(max_examples=500, deadline=None, derandomize=True)
metrics = st.sampled_from(METRICS)
any_text = st.text(st.characters(), max_size=60)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.sampled_from(["first", "tie", "uncertain", "answers", "evasive", 7, 11])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | any_text, inner, max_size=5)
    ),
    max_leaves=8,
)
pieces = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        "```json\n",
        "```",
        "<think>",
        "</think>",
        "NaN",
        "9" * 5000,
    ]
)
near_json = st.lists(
    pieces | st.sampled_from(WORDS) | st.integers().map(str) | any_text, max_size=25
).map("".join)
reasons = st.text(max_size=80)


@EXAMPLES
@given(text=any_text | near_json, metric=metrics)
def test_any_text_is_a_verdict_on_the_scale_or_a_reason(text: str, metric: Metric):
    check_outcome(read_verdict(text, metric), metric)


@EXAMPLES
@given(value=values, metric=metrics)
def test_any_json_is_a_verdict_on_the_scale_or_a_reason(value: object, metric: Metric):
    check_outcome(read_verdict(json.dumps(value), metric), metric)


@EXAMPLES
@given(score=scalars, reason=reasons)
def test_any_score_is_on_the_scale_or_none(score: object, reason: str):
    verdict = {"reasons": {"safety": reason}, "scores": {"safety": score}}
    outcome = read_verdict(json.dumps(verdict), SAFETY)
    check_outcome(outcome, SAFETY)
    is_score = str(score) in {f"{n}{point}" for n in range(1, 11) for point in ("", ".0")}
    assert (outcome.values is not None) == is_score


@EXAMPLES
@given(
    scores=st.lists(st.integers(1, 10), min_size=4, max_size=4),
    reason=reasons,
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    dress=st.sampled_from(["{}", "```json\n{}\n```", "Well.\n{}\n", "<think>hm</think>\n{}"]),
)
def test_valid_grades_are_read_back(
    scores: list[int], reason: str, indent: int | None, ascii_only: bool, dress: str
):
    verdict = {
        "reasons": dict.fromkeys(CRITERIA, reason),
        "scores": dict(zip(CRITERIA, scores, strict=True)),
    }
    text = json.dumps(verdict, indent=indent, ensure_ascii=ascii_only)
    outcome = read_verdict(dress.replace("{}", text), RUBRIC)
    assert outcome.values == verdict["scores"]
    assert outcome.rationale == "\n".join(f"{name}: {reason}" for name in CRITERIA)


@EXAMPLES
@given(winner=st.sampled_from(["first", "second", "tie"]), reason=reasons)
def test_valid_preferences_are_read_back(winner: str, reason: str):
    text = json.dumps({"reason": reason, "winner": winner})
    assert read_verdict(text, PAIR) == Outcome(winner=winner, rationale=reason)


@EXAMPLES
@given(before=any_text | near_json, after=any_text | near_json)
def test_words_around_a_verdict_never_change_it(before: str, after: str):
    outcome = read_verdict(before + grades(3) + after, RUBRIC)
    assert outcome.values in (None, dict.fromkeys(CRITERIA, 3.0))


@EXAMPLES
@given(text=any_text | near_json)
def test_a_quoted_text_holds_nothing_hidden_and_no_marker(text: str):
    shown = escape_untrusted(text)
    shown.encode()
    for gone in ("\x00", "\u200b", "\u202e", "<|im_start|>", "</s>"):
        assert gone not in shown
