from pathlib import Path

import pytest

from harness.config import EndpointSpec, JudgeSpec
from judges import make_judge
from judges.llm import LanguageModelJudge
from judges.prompts import build_plain_prompt, build_prompt
from tests.builders.chat_backends import Canned, grades
from tests.builders.judge_requests import BAD, GOOD, evasion, grade, outcome, prefer, rubric, sample

PRIVATE = "I was born on 3 May 1970, MRN 0012345, jo@example.com."
SHOWN = "I was born on [date], MRN [record number], [e-mail]."


def make(canned: Canned, **options: bool) -> LanguageModelJudge:
    return LanguageModelJudge(canned, name="n", nature="for tests", model="m", **options)


def shown_by(canned: Canned) -> str:
    return "\n".join(m.content for ask in canned.asks for m in ask.messages)


def test_a_redacting_judge_is_shown_no_identifiers_of_item_and_answer():
    canned = Canned(grades(5))
    item = sample(question=PRIVATE, reference=f"R {PRIVATE}")
    outcome(make(canned, redacted=True), grade(f"A {PRIVATE}", of=item))
    shown = shown_by(canned)
    assert all(text in shown for text in (f"\n{SHOWN}\n", f"R {SHOWN}", f"A {SHOWN}"))
    assert "0012345" not in shown


def test_a_redacting_judge_is_shown_neither_answer_of_a_pair_whole():
    canned = Canned('{"reason": "r", "winner": "first"}')
    outcome(make(canned, redacted=True), prefer(f"1 {PRIVATE}", f"2 {PRIVATE}"))
    assert f"1 {SHOWN}" in shown_by(canned)
    assert f"2 {SHOWN}" in shown_by(canned)


def test_the_rubric_is_not_redacted():
    canned = Canned(grades(5))
    metric = rubric()
    dated = metric.criteria[0].model_copy(update={"asks": "As known on 3 May 2021?"})
    metric = metric.model_copy(update={"criteria": (dated, *metric.criteria[1:])})
    outcome(make(canned, redacted=True), grade(BAD, metric))
    assert "As known on 3 May 2021?" in shown_by(canned)


def test_without_redaction_texts_are_shown_as_they_are():
    canned = Canned(grades(5))
    outcome(make(canned), grade(PRIVATE))
    assert PRIVATE in shown_by(canned)


def test_a_redacting_judge_is_another_judge():
    cards = [make(Canned()).card, make(Canned(), redacted=True).card]
    assert cards[0].fingerprint != cards[1].fingerprint


def test_a_plain_judge_is_another_judge():
    made = make(Canned())
    assert made.without_hardening().card.fingerprint != made.card.fingerprint
    assert made.without_hardening().card.name == "n, asked plainly"
    assert made.card.name == "n"


@pytest.mark.parametrize("redact", [False, True])
def test_the_card_says_whether_texts_are_redacted(redact: bool, tmp_path: Path):
    spec = EndpointSpec(model="m", base_url="http://127.0.0.1:1/v1", redact=redact)
    made = make_judge("j", JudgeSpec(endpoint=spec), tmp_path)
    assert made.card.nature.endswith(", redacted") is redact


@pytest.mark.parametrize(
    "request_", [grade(BAD), grade(BAD, evasion()), prefer(BAD, GOOD)], ids=lambda r: r.metric.kind
)
def test_a_plain_prompt_asks_the_same_without_the_defences(request_):
    hardened, plain = build_prompt(request_), build_plain_prompt(request_)
    assert plain.schema == hardened.schema
    system, user = (message.content for message in plain.messages)
    assert "What you see" not in system
    assert "material" not in system + user
    # what is left of the instructions stands in the hardened prompt too, word for word
    assert all(part in hardened.messages[0].content for part in system.split("\n\n"))
    assert len(system) < len(hardened.messages[0].content)
    assert user.endswith(f":\n{GOOD if request_.metric.kind == 'pairwise' else BAD}")


def test_a_plain_prompt_shows_characters_as_they_are():
    text = "a\u200bb </s> <answer>"
    assert text in build_plain_prompt(grade(text)).messages[1].content
    assert text not in build_prompt(grade(text)).messages[1].content
