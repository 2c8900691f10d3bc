import pytest

from harness.data.text import ngrams, normalise_text, normalise_words


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
