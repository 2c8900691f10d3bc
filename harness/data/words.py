"""What the words in a column mean, where a file states its own: `{A: baseline, B: candidate}`."""

from collections.abc import Mapping
from typing import NamedTuple

from harness.config.recorded import Meaning, Values
from harness.data.tables import is_missing, spellings, text_of

Words = Mapping[str, Mapping[str, Meaning]]  # by field and word, in lower case


class Stated(NamedTuple):
    """The stated meaning of a cell; None is no verdict and no label."""

    meaning: Meaning

    @property
    def text(self) -> str:
        """Return the meaning as a cell would hold it: `1`, `true`, `baseline`."""
        return f"{self.meaning:g}" if isinstance(self.meaning, float) else str(self.meaning)


def fold_words(values: Values) -> Words:
    """Return the stated words in lower case, as cells are compared with them."""
    return {
        field: {word.casefold().strip(): meaning for word, meaning in meanings.items()}
        for field, meanings in values.items()
    }


def find_meaning(cell: object, meanings: Mapping[str, Meaning]) -> Stated | None:
    """Return what is stated for a cell, None where nothing is; `1` is `1.0`, and null is empty."""
    if not meanings:
        return None
    written = ("null", "") if is_missing(cell) else spellings(text_of(cell).casefold().strip())
    word = next((word for word in written if word in meanings), None)
    return None if word is None else Stated(meanings[word])
