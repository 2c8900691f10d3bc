import time

import pytest

from harness.core.safe_regex import MAX_PATTERN, is_found, pattern_problem


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){10}b"])
def test_a_hostile_pattern_takes_no_time(pattern: str) -> None:
    start = time.perf_counter()
    is_found(pattern, "a" * 50_000 + "!")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a", "missing )"),
        ("(?=a)b", "no look-around"),
        (r"(a)\1", "no back-references"),
        ("((a{100}){100}){100}", "repetition"),
        ("", "every answer would match"),
        ("a" * (MAX_PATTERN + 1), "501 characters"),
        ("\ud800", "surrogates"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_why(pattern: str, problem: str) -> None:
    assert problem in (pattern_problem(pattern) or "")


def test_a_whole_text_is_described_whatever_the_alternatives() -> None:
    assert is_found("yes|no", "yes", whole=True)
    assert not is_found("yes|no", "yes, or no", whole=True)
    assert is_found("yes|no", "well, no")


def test_letters_of_every_script_are_found() -> None:
    assert is_found(r"^\p{Han}+$", "孩子")
    assert is_found("(?i)ÉCOLE", "école")


def test_half_a_surrogate_pair_in_a_text_is_no_crash() -> None:
    assert is_found("abc", "\ud800abc")
