"""Quick ways for plain texts lead to what the full way leads to, for any text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.core.json_text import parse_json
from harness.core.sanitize import escape_invisible
from harness.data.tables import join_key

# Mostly plain letters and blanks, which is what has a quick way, and anything else between them.
TEXTS = st.text(st.sampled_from("ab .,\t\n\x0b\x1c\x85\xa0é語\u200b\u2028\ud800") | st.characters())
MARK, SHOWN = "\u202e", "⟨U+202E⟩"  # a text with an invisible character goes the full way


@given(TEXTS)
def test_invisible_characters_are_written_out_in_any_text(text: str) -> None:
    assert escape_invisible(text) + SHOWN == escape_invisible(text + MARK)


@given(TEXTS)
def test_keys_that_join_rows_are_valid_utf8(text: str) -> None:
    assert join_key(text) == text.encode("utf-8", "replace").decode()


@given(st.dictionaries(TEXTS, st.none() | st.integers() | TEXTS), st.sampled_from(["", " ", "\n"]))
def test_an_object_is_read_with_and_without_white_space_around_it(
    value: dict[str, object], around: str
) -> None:
    assert parse_json(around + json.dumps(value) + around) == value
