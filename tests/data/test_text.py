import pytest

from harness.data.text import (
    WORD_RULE,
    ngrams,
    normalise_text,
    normalise_words,
    rouge_words,
    word_rule,
)


@pytest.mark.parametrize(
    "other",
    [
        "IS IT ASTHMA",
        " is\tit\n asthma?!",
        "“Is it—asthma”",
        "Ｉｓ ｉｔ ａｓｔｈｍａ？",  # noqa: RUF001 - full-width letters are the point
        "Is it asth\u200bma?",  # a zero-width space
    ],
)
def test_case_punctuation_spacing_and_unicode_form_do_not_matter(other: str) -> None:
    assert normalise_text(other) == normalise_text("Is it asthma?") == "is it asthma"


def test_other_words_do_matter() -> None:
    assert normalise_text("Is it asthma?") != normalise_text("Is it an asthma?")
    assert normalise_text("0.5 mg") != normalise_text("05 mg")


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert normalise_text("fi\u00e8vre") == normalise_text("fie\u0300vre")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("किताब कैसे", ["किताब", "कैसे"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("བོད་སྐད", ["བོད", "སྐད"]),
        ("كِتَابٌ كتـاب", ["كتاب", "كتاب"]),
        ("שָׁלוֹם", ["שלום"]),
        ("กินยา", ["กิ", "น", "ย", "า"]),
        ("ភាសា", ["ភា", "សា"]),
        ("がく", ["が", "く"]),
        ("й й", ["й", "й"]),
        ("❤️ ́", []),
    ],
)
def test_marks_belong_to_their_letter(text: str, words: list[str]) -> None:
    assert normalise_words(text) == rouge_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ﬁne", ["fine"]),
        ("cafés", ["caf", "s"]),
        ("cafés", ["caf", "s"]),
        ("5mg药 ж", ["5mg", "药", "ж"]),
    ],
)
def test_rouge_reads_latin_letters_as_rouge_score_does(text: str, words: list[str]) -> None:
    assert rouge_words(text) == words


def test_the_word_rule_is_versioned_only_beyond_latin_script() -> None:
    assert word_rule("Sjögren's “café” — 3 µg…", "café") == ()
    assert word_rule("plain", "किताब") == word_rule("ﬁne") == (WORD_RULE,)


def test_an_apostrophe_splits_no_word() -> None:
    assert normalise_words("Don't, don\u2019t") == ["dont", "dont"]


def test_a_script_without_spaces_has_a_word_for_each_character() -> None:
    assert normalise_words("阳痿吃什么药 500mg？") == [*"阳痿吃什么药", "500mg"]  # noqa: RUF001


def test_a_text_without_words_stays_itself() -> None:
    assert normalise_text(" ?! ") == "?!"
    assert normalise_words("?!") == []


def test_ngrams_are_all_consecutive_words() -> None:
    assert list(ngrams(["a", "b", "c"], 2)) == [("a", "b"), ("b", "c")]
    assert list(ngrams(["a"], 2)) == []
