"""A corpus: documents with ids, cut into passages by a stated rule.

A passage has at most `words` words and begins with the last `overlap` words of the one before it. A word is
a run without white space; in a script without spaces, each letter (`harness.data.text`). Passages are
pieces of the text as it was written.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import Profile, Source
from harness.config.retrieval import RetrievalSpec
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.core.sanitize import to_valid_utf8
from harness.core.scripts import is_unspaced
from harness.data.conversions import resolve_conversion
from harness.data.tables import Table, join_key, load_rows, no_text_reason

FIELDS = ("id", "text")
_RUN = re.compile(r"\S+")


class Document(NamedTuple):
    """One text of a corpus under its id."""

    id: str
    text: str


class Corpus(NamedTuple):
    """The documents of a source; `label` names it, and `hash` is that of all ids and texts in order."""

    label: str
    documents: Sequence[Document]
    hash: str


class Passage(NamedTuple):
    """A piece of a document; `id` is the document's with the number of the piece, from 1."""

    id: str
    document: str
    text: str


def read_corpus(spec: RetrievalSpec, profile: Profile, root: Path) -> Corpus:
    """Read the documents that a model of the profile retrieves from.

    Raises:
        HarnessError: there is no such data set, a row has no id or no text, or an id occurs twice.
    """
    named = spec.corpus if isinstance(spec.corpus, Source) else profile.data.get(spec.corpus)
    if named is None:
        assert isinstance(spec.corpus, str)
        hint = did_you_mean(spec.corpus, profile.data)
        raise HarnessError(
            f"profile '{profile.profile}': corpus '{spec.corpus}' is none of its data sets. {hint}"
        )
    source = resolve_conversion(named, root)
    table = load_rows(source, root)
    documents = list(_documents(table, source.fields))
    if not documents:
        raise HarnessError(f"{table.origin}: holds no document to retrieve from.")
    return Corpus(named.label, documents, content_hash(documents))


def _documents(table: Table, fields: dict[str, str]) -> Iterator[Document]:
    columns = {field: fields.get(field, field) for field in FIELDS}
    for field, column in columns.items():
        table.column(column, f"field '{field}' of a corpus")
    lines: dict[str, int] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        cells = {}
        for field, column in columns.items():
            problem = no_text_reason(row.get(column))
            cells[field] = "" if problem else to_valid_utf8(join_key(row.get(column))).strip()
            if not cells[field]:
                raise HarnessError(f"{table.origin}:{line}: '{column}' {problem or 'is empty'}.")
        if cells["id"] in lines:
            raise HarnessError(
                f"{table.origin}:{line}: the id '{cells['id']}' occurs twice (first on line "
                f"{lines[cells['id']]})."
            )
        lines[cells["id"]] = line
        yield Document(cells["id"], cells["text"])


def cut_into_passages(
    documents: Sequence[Document], *, words: int, overlap: int
) -> Iterator[Passage]:
    """Yield the passages of each document, in order."""
    for document in documents:
        spans = list(_words(document.text))
        for number, start in enumerate(_starts(len(spans), words, overlap), start=1):
            first, last = spans[start], spans[min(start + words, len(spans)) - 1]
            text = document.text[first[0] : last[1]]
            yield Passage(f"{document.id}#{number}", document.id, text)


def _starts(n: int, words: int, overlap: int) -> Iterator[int]:
    """Yield the first word of each passage of a text of `n` words; the last one reaches its end."""
    start = 0
    while True:
        yield start
        if start + words >= n:
            return
        start += words - overlap


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each word."""
    for run in _RUN.finditer(text):
        begin, end = run.span()
        if run[0].isascii():
            yield begin, end
            continue
        for place in range(begin, end):
            if is_unspaced(text[place]):
                if begin < place:
                    yield begin, place
                yield place, place + 1
                begin = place + 1
        if begin < end:
            yield begin, end
