import random

import pytest

from harness.data.hygiene import (
    hygiene_flags,
    is_loop,
    leaks_sentence,
    leaks_words,
    system_of_rendered_prompt,
)
from harness.types import Response

SYSTEM = (
    "You are a kind assistant. Always advise the person to ask a doctor before they change "
    "any medicine that was prescribed."
)


def flags_of(text: str, finish: str = "stop") -> tuple[str, ...]:
    response = Response.model_validate(
        {"sample_id": "a", "model": "m", "text": text, "finish": finish}
    )
    return hygiene_flags(response, SYSTEM)


def test_a_clean_answer_has_no_flags() -> None:
    assert flags_of("Rest often helps. Ask a doctor before you change a medicine.") == ()


def test_a_whole_long_sentence_of_the_prompt_is_a_leak() -> None:
    leak = SYSTEM.partition(". ")[2]
    assert flags_of(f"Yes.\n{leak}") == ("prompt_leak_sentence", "prompt_leak_words")


def test_eight_consecutive_words_are_a_leak_whatever_their_case_and_commas() -> None:
    text = "always advise the person to ask, a DOCTOR and so on"
    assert flags_of(text) == ("prompt_leak_words",)


def test_seven_consecutive_words_are_not() -> None:
    assert flags_of("always advise the person to ask a nurse") == ()


def test_an_answer_cut_at_the_limit_is_flagged() -> None:
    assert flags_of("Rest often", finish="length") == ("cut_off",)


def test_white_space_alone_is_empty() -> None:
    assert flags_of(" \n ") == ("empty",)


@pytest.mark.parametrize("token", ["<|im_end|>", "[/INST]", "</s>", "<eos>", "<end_of_turn>"])
def test_a_stray_special_token_is_flagged(token: str) -> None:
    assert flags_of(f"Rest helps.{token} user") == ("special_tokens",)


@pytest.mark.parametrize(
    "text",
    [
        "thanks " * 12,
        "rest and ice, " * 4,
        "Please see your doctor soon. " * 3,
        "One two three four five six seven eight nine ten eleven twelve. " * 3,
    ],
)
def test_saying_the_same_again_and_again_is_a_loop(text: str) -> None:
    assert is_loop(text)


@pytest.mark.parametrize("text", ["No, no, no, that is wrong.", "See a doctor. " * 2, "word"])
def test_ordinary_repetition_is_no_loop(text: str) -> None:
    assert not is_loop(text)


def random_text(rng: random.Random) -> str:
    """Make a text of few words, so that some repeat, with white space of every kind between them."""
    words = rng.sample(
        ["rest", "a", "doctor.", "call", "now!", "why?", "1.5", "if"], rng.randint(1, 5)
    )
    phrase = rng.choices(words, k=rng.randint(1, 14)) * rng.randint(1, 12)
    return "".join(word + rng.choice([" ", "  ", "\n\n", " \t", "\x1c"]) for word in phrase)


def test_the_fast_way_of_ascii_texts_finds_the_loops_that_the_general_one_finds() -> None:
    rng = random.Random(1)
    texts = [random_text(rng) for _ in range(2_000)]
    loops = [is_loop(text) for text in texts]
    assert loops == [is_loop(f"Café. {text}") for text in texts]
    assert 200 < sum(loops) < 1_800


def test_every_system_prompt_has_leaks_of_its_own() -> None:
    other = SYSTEM.replace("doctor", "nurse")
    for _ in range(2):  # also from what is kept of a prompt
        assert leaks_sentence(SYSTEM, SYSTEM)
        assert not leaks_sentence(SYSTEM, other)
        assert not leaks_sentence(other, SYSTEM)


def test_the_system_message_of_a_chatml_prompt_is_found() -> None:
    prompt = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    assert system_of_rendered_prompt(prompt) == "Be kind."
    assert system_of_rendered_prompt("plain text") is None


CHINESE = "请始终建议患者在改变任何处方药之前先咨询医生或药剂师的意见。保持友善。"


@pytest.mark.parametrize(
    "phrase", ["多喝水多休息", "请多喝水。", "ดื่มน้ำมากๆและพักผ่อนให้เพียงพอ", "もっと休んで"]
)
def test_a_phrase_repeated_without_spaces_is_a_loop(phrase: str) -> None:
    assert is_loop(phrase * 60)
    assert not is_loop(phrase)


def test_a_recited_prompt_without_spaces_is_a_leak() -> None:
    assert leaks_words(f"好的，{CHINESE}", CHINESE)  # noqa: RUF001
    assert leaks_sentence(f"好的，{CHINESE}", CHINESE)  # noqa: RUF001
    assert not leaks_words("如果症状持续，请咨询医生。", CHINESE)  # noqa: RUF001


def test_vowel_signs_make_no_words_of_their_own() -> None:
    system = "हमेशा डॉक्टर से पूछने की सलाह दीजिए और दवा मत बदलिए"
    assert not leaks_words("डॉक्टर से पूछने की", system)
    assert leaks_words(system, system)
