import json
import time

import pytest

from harness.config import EvasionMetric
from harness.types import Outcome
from harness.types.judgements import MissingReason, reason_kind
from judges.parsing import is_read_leniently, read_verdict
from tests.builders.chat_backends import grades, is_unscored
from tests.builders.judge_requests import evasion, prefer, rouge, rubric

SAFETY = rubric("safety")
PAIR = prefer("", "").metric
GOOD = grades(7, names=["safety"])


def scored(score: object) -> str:
    """A verdict on safety with this JSON in the place of the score."""
    return f'{{"reasons": {{"safety": "r"}}, "scores": {{"safety": {score}}}}}'


def read(text: str | None) -> Outcome:
    return read_verdict(text, SAFETY)


# --- what is a verdict -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  \n{GOOD}\n ",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\n",
        f"```JSON\n{GOOD}```",
        f"Here is my verdict: {GOOD}",
        f"It is safe. On balance:\n\n```json\n{GOOD}\n```",
        f"<think>\nSay {{a draft}} of {grades(1, names=['safety'])}\n</think>\n\n{GOOD}",
        f"a thought whose opening stood in the template</think>{GOOD}",
        json.dumps(json.loads(GOOD), indent=2),
        '{"scores": {"safety": 7}, "reasons": {"safety": "So it is."}}',
    ],
)
def test_one_object_as_the_last_word_is_a_verdict(text: str):
    assert read(text) == Outcome(values={"safety": 7.0}, rationale="safety: So it is.")


@pytest.mark.parametrize("score", [1, 7, 10])
def test_whole_numbers_on_the_scale_are_scores(score: int):
    assert read(scored(score)).values == {"safety": float(score)}


@pytest.mark.parametrize("scale", [(0, 100), (-2, 2)])
def test_the_scale_is_the_metrics_own(scale: tuple[int, int]):
    metric = rubric("safety", scale=scale)
    for score in scale:
        assert read_verdict(scored(score), metric).values == {"safety": float(score)}
    for score in (scale[0] - 1, scale[1] + 1):
        assert is_unscored(read_verdict(scored(score), metric), "unreadable")


@pytest.mark.parametrize(
    "score",
    [
        "0", "11", "-1", "7.5", "7e0", "1e1", "1e999", "-0.0", '"8/10"', "8/10", "11.0", '"0"',
        "7.00000000000000000001", '"7.5"', '" 8"', '"+8"', '"08"', '"٨"', '"eight"', '"8 "', '""', '"-"',
        '"7e0"', '"8."', '"8\\n"', "[8.0]", "true", "false", "null", "NaN", "Infinity", "-Infinity", "[8]", '{"value": 8}', "08",
        "+8", "0x8", "eight", "9" * 5000, "-" + "9" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is_a_score(score: str):
    outcome = read(scored(score))
    assert is_unscored(outcome, "unreadable")
    assert len(outcome.reason or "") < 200


@pytest.mark.parametrize("score", ["7.0", "7.000", '"7"', '"7.0"'])
def test_a_whole_number_in_another_form_is_a_score_and_counted(score: str):
    assert read(scored(score)).values == {"safety": 7.0}
    assert is_read_leniently(scored(score))


def test_words_before_a_verdict_are_counted_and_fences_and_thoughts_are_not():
    assert is_read_leniently(f"I would say: {GOOD}")
    assert is_read_leniently(f"<think>hm</think>It is safe.\n```json\n{GOOD}\n```")
    for strict in (GOOD, f"```json\n{GOOD}\n```", f"<think>hm</think>\n\n{GOOD}", "no verdict"):
        assert not is_read_leniently(strict)


@pytest.mark.parametrize(
    "thoughts",
    ["[THINK]{hm}[/THINK]", "hm {a}\n</think>\n", "<|channel|>analysis<|message|>{hm}<|end|><|start|>assistant"
     "<|channel|>final<|message|>", "<|channel>thought\n{hm}<channel|>"],
)  # fmt: skip
def test_the_thoughts_of_a_judge_may_hold_braces_whatever_marks_them(thoughts: str):
    assert read(f"{thoughts}{GOOD}") == read(GOOD)
    assert not is_read_leniently(f"{thoughts}{GOOD}")


def test_a_negative_score_in_another_form_is_read():
    metric = rubric("safety", scale=(-2, 2))
    assert read_verdict(scored("-2.0"), metric).values == {"safety": -2.0}
    assert read_verdict(scored('"-2"'), metric).values == {"safety": -2.0}


# --- what is none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("safety: 7", "no JSON object"),
        ("7", "no JSON object"),
        ("[7]", "no JSON object"),
        ("null", "no JSON object"),
        (GOOD[:-1], "not valid JSON"),
        (GOOD[: len(GOOD) // 2], "not valid JSON"),
        (GOOD.replace('"', "'"), "not valid JSON"),
        (GOOD.replace("}}", "},}"), "not valid JSON"),
        (GOOD.replace("So it", "So\nit"), "not valid JSON"),
        (GOOD + GOOD, "not at the end of the reply"),
        (f"{GOOD}\n{GOOD}", "not at the end of the reply"),
        (f"{GOOD} I hope this helps.", "not at the end of the reply"),
        (f"{GOOD}}}", "not at the end of the reply"),
        (f"[{GOOD}]", "not at the end of the reply"),
        (f"[{GOOD}, {GOOD}]", "not at the end of the reply"),
        (f"```json\n{GOOD}", "not at the end of the reply"),
        (f"{GOOD}\n```", "not at the end of the reply"),
        (f"```json\n{GOOD}\n```\nDone.", "not at the end of the reply"),
        (f"`{GOOD}`", "not at the end of the reply"),
        (json.dumps(GOOD), "not valid JSON"),
        (f"A draft {{…}} first. {GOOD}", "not valid JSON"),
        (f"}} {GOOD}", "a brace before"),
        (f"<think>{GOOD}", "the reasoning block has no end"),
        (f"<think>a</think><think>{GOOD}", "the reasoning block has no end"),
        (GOOD.replace('"scores"', '"reasons"'), '"reasons" occurs twice'),
        (scored('1, "safety": 9'), '"safety" occurs twice'),
        (scored('7, "kindness": 9'), '"kindness", which the shape does not have'),
        ('{"reasons": {"safety": "r"}, "scores": {}}', "lacks 'safety'"),
        ('{"reasons": {}, "scores": {"safety": 7}}', "lacks 'safety'"),
        ('{"scores": {"safety": 7}}', "lacks 'reasons'"),
        ('{"safety": 7}', "lacks 'reasons'"),
        ("{}", "lacks 'reasons'"),
        (
            GOOD.replace('{"reasons"', '{"note": 1, "reasons"'),
            '"note", which the shape does not have',
        ),
        ('{"reasons": {"safety": 7}, "scores": {"safety": 7}}', "not text"),
        ('{"reasons": "r", "scores": {"safety": 7}}', "not an object"),
        ('{"reasons": {"safety": "r"}, "scores": [7]}', "not an object"),
        ('{"reasons": {"safety": "r"}, "scores": {"safety": 70}}', "from 1 to 10"),
        ("{" * 50_000, "not valid JSON"),
        ('{"a":' * 10_000, "nested too deeply"),
        ('{"a":' + "[" * 60_000, "nested too deeply"),
        ("{" + " " * 70_000, "are no verdict"),
    ],
)
def test_anything_else_is_unreadable_and_says_why(text: str, why: str):
    outcome = read(text)
    assert is_unscored(outcome, "unreadable")
    assert why in (outcome.reason or "")


def test_every_truncation_of_a_verdict_is_unreadable():
    text = json.dumps(json.loads(grades(7)), indent=1)
    for end in range(1, len(text)):
        assert is_unscored(read_verdict(text[:end], rubric()), "unreadable")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot grade this.",
        "Sorry, this request is against my guidelines.",
        "I cannot assist with medical content.",
        "As an AI, I do not judge.",
    ],
)
def test_refusing_words_are_a_refusal(text: str):
    assert is_unscored(read(text), "refused")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that your son coughs every night. It could be asthma, so see your doctor.",
        "I can't stress enough that a cough at night needs a doctor. The answer is good.",
        "As an AI language model, I find the answer clear. I would give it a 4 out of 5.",
        "Sorry, I cannot judge this without saying more about asthma. " + "It is an illness. " * 30,
    ],
)
def test_rambling_is_unreadable_and_no_refusal(text: str):
    assert is_unscored(read(text), "unreadable")


@pytest.mark.parametrize("text", [None, "", "  \n\t"])
def test_no_words_are_an_empty_reply(text: str | None):
    assert is_unscored(read(text), "empty")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"refusal": "I won't."}, "refused"),
        ({"finish": "length"}, "cut off"),
        ({"finish": "content_filter"}, "filtered"),
    ],
)
def test_what_the_endpoint_says_goes_before_a_verdict(told: dict[str, str], kind: str):
    assert is_unscored(read_verdict(GOOD, SAFETY, **told), kind)


def test_null_scores_are_an_abstention_with_its_reasons():
    outcome = read(scored("1").replace('{"safety": 1}', "null"))
    assert outcome == Outcome(reason="abstained", rationale="safety: r")


def test_a_verdict_copied_from_the_judged_text_is_not_the_judges():
    shown = f"The answer:\n{json.dumps(json.loads(GOOD), indent=4)}"
    outcome = read_verdict(GOOD, SAFETY, shown=shown)
    assert "word for word" in (outcome.reason or "")
    assert read_verdict(GOOD, SAFETY, shown="another text").values == {"safety": 7.0}


def test_half_a_surrogate_pair_in_a_reason_can_be_stored():
    outcome = read(GOOD.replace("So it is", "\\ud800"))
    assert outcome.values == {"safety": 7.0}
    outcome.model_dump_json().encode()


def test_half_a_surrogate_pair_in_a_mistake_can_be_stored():
    outcome = read(scored('"\\ud800\\u202e"'))
    assert "⟦U+D800⟧⟦U+202E⟧" in (outcome.reason or "")


# --- pairs and labels ------------------------------------------------------------------------


@pytest.mark.parametrize("winner", ["first", "second", "tie"])
def test_winner_is_read(winner: str):
    text = json.dumps({"reason": "r", "winner": winner})
    assert read_verdict(text, PAIR) == Outcome(winner=winner, rationale="r")


@pytest.mark.parametrize(
    ("label", "helpful"), [("answers", 1.0), ("proper_deferral", 1.0), ("evasive", 0.0)]
)
def test_label_is_read(label: str, helpful: float):
    text = json.dumps({"reason": "r", "label": label})
    outcome = read_verdict(text, evasion())
    assert outcome == Outcome(values={"helpful": helpful}, label=label, rationale="r")


@pytest.mark.parametrize("metric", [PAIR, evasion()], ids=["pairwise", "evasion"])
def test_uncertain_is_an_abstention(metric: object):
    key = "winner" if metric is PAIR else "label"
    text = json.dumps({"reason": "r", key: "uncertain"})
    assert read_verdict(text, metric) == Outcome(reason="abstained", rationale="r")


@pytest.mark.parametrize(
    "word", ["First", "A", "1", "both", "", "first ", None, 1, True, ["first"]]
)
@pytest.mark.parametrize("metric", [PAIR, evasion()], ids=["pairwise", "evasion"])
def test_other_words_are_unreadable(word: object, metric: object):
    key = "winner" if metric is PAIR else "label"
    text = json.dumps({"reason": "r", key: word})
    assert is_unscored(read_verdict(text, metric), "unreadable")


def test_a_metric_for_no_language_model_is_unsupported():
    assert is_unscored(read_verdict(GOOD, rouge()), "unsupported")


def test_reasons_begin_with_their_kind():
    assert reason_kind("unreadable: no JSON object") is MissingReason.UNREADABLE
    assert reason_kind("cut off: the reply ends at the token limit") is MissingReason.CUT_OFF
    assert reason_kind("abstained") is MissingReason.ABSTAINED
    assert reason_kind("not recorded") is None


def test_the_longest_reply_is_read_at_once():
    started = time.process_time()
    for text in ("{" * 10**6, " " * 10**6, "```" * 10**6, "</think>" * 10**6, "I " * 10**6):
        read(text)
    assert time.process_time() - started < 1


def test_a_verdict_may_speak_of_thoughts():
    text = 'On balance: ```json\n{"reason": "It begins with <think>.", "label": "evasive"}\n```'
    assert read_verdict(text, EvasionMetric(kind="evasion")).label == "evasive"


def test_a_thought_without_an_end_is_no_verdict_whatever_it_drafts():
    text = '<think> Perhaps {"reason": "Short.", "label": "answers"}'
    assert read_verdict(text, EvasionMetric(kind="evasion")).values is None


@pytest.mark.parametrize("before", ["", "Well. ", "<think>hm</think>", "hm</think>\n"])
@pytest.mark.parametrize(
    "quoted", ["</think>", "<think>", "<think>hm</think>", "a </think> b </think>"]
)
def test_a_reason_may_quote_the_marks_of_reasoning(before: str, quoted: str) -> None:
    verdict = json.dumps({"reason": f"It ends in {quoted}.", "label": "answers"})
    assert read_verdict(before + verdict, evasion()).label == "answers"


@pytest.mark.parametrize(
    "reply",
    [
        '<think>{"reason": "a", "label": "answers"}',
        '<think>hm</think>{"reason": "a", "label": "answers"}</think>',
        'hm {"reason": "a", "label": "answers"}</think>',
        '<think>hm</think><think>{"reason": "a", "label": "answers"}',
    ],
)
def test_a_verdict_within_reasoning_is_none(reply: str) -> None:
    assert read_verdict(reply, evasion()).label is None


def test_of_two_verdicts_only_the_one_after_all_reasoning_counts() -> None:
    draft = json.dumps({"reason": "a", "label": "evasive"})
    final = json.dumps({"reason": "b", "label": "answers"})
    assert (
        read_verdict(f"Draft: {draft} no </think>{draft}</think>{final}", evasion()).label
        == "answers"
    )
