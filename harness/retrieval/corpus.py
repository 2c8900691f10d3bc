"""A corpus: documents with ids, cut into passages by a stated rule.

A passage has at most `words` words and begins with the last `overlap` words of the one before it. A word is
a run without white space; in a script without spaces, each letter (`harness.data.text`). Passages are
pieces of the text as it was written.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from harness.config import Profile, Source
from harness.config.retrieval import RetrievalSpec
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash, file_hash
from harness.core.paths import require_inside, suite_file_paths
from harness.core.sanitize import to_valid_utf8
from harness.core.scripts import is_unspaced
from harness.core.text_files import decode_text, read_bytes
from harness.data.conversions import resolve_conversion
from harness.data.tables import Table, join_key, load_rows, local_file, no_text_reason

FIELDS = ("id", "text")
TEXTS = (".md", ".txt")
_RUN = re.compile(r"\S+")


class Document(NamedTuple):
    """One text of a corpus under its id."""

    id: str
    text: str


@dataclass(frozen=True, eq=False)  # one that was read is told by what it is, not by its many texts
class Corpus:
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
        HarnessError: there is no such data set, a row has no id or no text, an id occurs twice, or a file in a
            folder is no text.
    """
    named = spec.corpus if isinstance(spec.corpus, Source) else profile.data.get(spec.corpus)
    if named is None:
        assert isinstance(spec.corpus, str)
        hint = did_you_mean(spec.corpus, profile.data)
        raise HarnessError(
            f"profile '{profile.profile}': corpus '{spec.corpus}' is none of its data sets. {hint}"
        )
    source = resolve_conversion(named, root)
    written = source.model_dump_json(exclude_unset=True)
    return _read(named.label, written, root, _hash_content(source, root))


def _hash_content(source: Source, root: Path) -> str | None:
    """Return a hash of a source's file or folder; None of what is pinned by its revision or hash."""
    folder = _folder_of(source, root)
    if folder is not None:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return content_hash([[str(file), file_hash(file)] for file in files])
    return None if source.path is None else file_hash(local_file(source.path, root))


@lru_cache(maxsize=4)  # each model of a plan, its run and its looks asks for it
def _read(label: str, written: str, root: Path, content: str | None) -> Corpus:
    """Read a source, as `written`, unless it was read already with this hash of its content."""
    source = Source.model_validate_json(written)
    folder = _folder_of(source, root)
    if folder is not None:
        documents = list(_texts(folder, source, root))
    else:
        documents = list(_documents(load_rows(source, root), source.fields))
    if not documents:
        raise HarnessError(f"{label}: holds no document to retrieve from.")
    return Corpus(label, documents, content_hash(documents))


def _folder_of(source: Source, root: Path) -> Path | None:
    """Return the folder that a source names, if it is one."""
    paths = () if source.path is None else suite_file_paths(source.path, root)
    return next((path for path in paths if path.is_dir()), None)


def _texts(folder: Path, source: Source, root: Path) -> Iterator[Document]:
    """Yield a document of each text file below a folder, by its path in it; hidden files are passed over."""
    stated = source.model_fields_set - {"path", "phi"}
    if stated:
        raise HarnessError(f"{folder}: is a folder of texts, which has no '{min(stated)}'.")
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        require_inside(file, root)
        if file.suffix not in TEXTS:
            raise HarnessError(
                f"{file}: is no document of a corpus, which are {' and '.join(TEXTS)} files. Convert it, "
                "or move it elsewhere."
            )
        text = to_valid_utf8(decode_text(read_bytes(file), str(file))).strip()
        if not text:
            raise HarnessError(f"{file}: is empty.")
        yield Document(name.as_posix(), text)


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


@lru_cache(maxsize=4)
def passages_of(corpus: Corpus, words: int, overlap: int) -> Sequence[Passage]:
    """Return the passages of a corpus, cut once."""
    return tuple(cut_into_passages(corpus.documents, words=words, overlap=overlap))


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
