"""Tables of rows, read from files, pinned URLs and the Hugging Face hub.

{"id": "asthma-01", "topic": "asthma", "question": "...", "answer": "..."}
"""

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.config import Source
from harness.core.errors import HarnessError, InfrastructureError, first_line, nearest_file
from harness.core.files import write_atomically
from harness.core.hub import hub_offline, hub_unreachable_reason
from harness.core.json_text import json_lines, parse_json
from harness.core.paths import cache_dir, suite_file_paths
from harness.core.sanitize import to_valid_utf8
from harness.core.text_files import decode_text, read_bytes
from harness.data.nested import suggest_path, with_nested_columns

Row = dict[str, object]
RowT = TypeVar("RowT")
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.0)?")


class Table(NamedTuple):
    """The rows of a source that match its `where`; `lines` are their places in the file, from 1."""

    rows: list[Row]
    lines: list[int]
    origin: str
    sha256: str

    def column(self, name: str, purpose: str) -> str:
        """Return `name` if the table has such a column.

        Raises:
            HarnessError: it has none; the message suggests a column.
        """
        if self.rows and name not in self.rows[0] and name not in (columns := self.columns):
            hint = suggest_path(self.rows, name, columns)
            raise HarnessError(f"{self.origin}: no column '{name}' for the {purpose}. {hint}")
        return name

    def with_columns(self, names: Iterable[str]) -> "Table":
        """Return the table with a column for each name that is the path of a nested cell."""
        return self._replace(rows=with_nested_columns(self.rows, names))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of all rows: a row of JSON may lack those in which it has no value."""
        return columns_of(self.rows)


MAX_UNPACKED = 500_000_000  # bytes; a small file may unpack to any size


def load_rows(source: Source, root: Path | None) -> Table:
    """Load the rows that `source` names; relative paths start from `root`.

    What a field or `where` names becomes a column if it is the path of a nested cell.
    Without a root the user named the file on the command line, and it may be anywhere.

    Raises:
        HarnessError: the data are missing, empty, unreadable or changed.
        InfrastructureError: the data could not be fetched.
    """
    content, origin, name = _read_source(source, root)
    ending, packed = Path(name).suffix.lower(), content
    if ending == ".gz":
        ending, packed = Path(Path(name).stem).suffix.lower(), _unpack(content, origin)
    numbered = list(_parse(packed, origin, source.format or ending[1:]))
    if not numbered:
        raise HarnessError(f"{origin}: holds no rows.")
    lines = [line for line, _ in numbered]
    names = [*source.fields.values(), *source.where, *source.where_any]
    rows = with_nested_columns([row for _, row in numbered], names)
    for key in (*source.where, *source.where_any):
        columns = columns_of(rows)
        if key not in columns:
            hint = suggest_path(rows, key, columns)
            raise HarnessError(f"{origin}: no column '{key}' to filter by. {hint}")
    digest = hashlib.sha256(content).hexdigest()
    if not (source.where or source.where_any):
        return Table(rows, lines, origin, digest)
    matching = [(n, row) for n, row in zip(lines, rows, strict=True) if _matches(row, source)]
    if not matching:
        raise HarnessError(f"{origin}: none of its {len(rows)} rows has {source.condition}.")
    return Table([row for _, row in matching], [line for line, _ in matching], origin, digest)


def source_sha256(source: Source, root: Path | None) -> str:
    """Return the sha256 of the file that `source` names, whose rows `load_rows` reads.

    Raises:
        HarnessError: the data are missing, unreadable or changed.
        InfrastructureError: the data could not be fetched.
    """
    return hashlib.sha256(_read_source(source, root)[0]).hexdigest()


def columns_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the columns of rows, in the order of their first occurrence."""
    return tuple(dict.fromkeys(chain.from_iterable(rows)))


def text_of(value: object) -> str:
    """Convert a cell to text; lists (such as PubMedQA's contexts) become paragraphs.

    A missing value, and NaN, is an empty text.
    """
    if isinstance(value, list):
        return "\n".join(text_of(part) for part in value)
    return "" if is_missing(value) else str(value)


def is_missing(value: object) -> bool:
    """Return whether a cell holds no value: null, or NaN as pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def no_text_reason(value: object) -> str | None:
    """Return why a cell cannot be read as text, None if it can: it holds an object or infinity."""
    if isinstance(value, str):
        return None
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict) for part in parts):
        return "is a JSON object, not text"
    if any(isinstance(part, float) and math.isinf(part) for part in parts):
        return "is an infinite number, not text"
    inner = (no_text_reason(part) for part in parts if isinstance(part, list))
    return next((reason for reason in inner if reason), None)


def join_key(value: object) -> str:
    """Return the text by which rows of different files are joined, from a cell or an item's id."""
    return to_valid_utf8(value if isinstance(value, str) else text_of(value))


def require_row_number(key: str, where: str) -> None:
    """Check that a key is the number of a row, counted from 0.

    Raises:
        HarnessError: it is not; names the cell.
    """
    if not _WHOLE_NUMBER.fullmatch(key) or key.startswith("-"):
        raise HarnessError(f"{where}: '{key[:40]}' is no number of a row, counted from 0.")


def find_joined(rows: Mapping[str, RowT], key: str) -> RowT | None:
    """Return the row with a key; a whole number may be written `7` in one file and `7.0` in another."""
    row = rows.get(key)
    if row is not None:
        return row
    return next((rows[spelling] for spelling in spellings(key) if spelling in rows), None)


def spellings(key: str) -> tuple[str, ...]:
    """Return how a key may be written in another file: `7`, and also `7.0`."""
    if _WHOLE_NUMBER.fullmatch(key):
        return (key, key.removesuffix(".0") if key.endswith(".0") else f"{key}.0")
    return (key,)


def local_file(path: str, root: Path | None) -> Path:
    """Find a file below `root` or among the suites; without a root, wherever the user named it.

    Raises:
        HarnessError: there is no such file.
    """
    for candidate in suite_file_paths(path, root):
        if candidate.is_file():
            return candidate
    wanted = (root or Path()) / path
    problem = "is a folder; name a file in it" if wanted.is_dir() else "no such data file"
    raise HarnessError(f"{wanted}: {problem}.{nearest_file(wanted)}")


def find_pinned(source: Source) -> Path | None:
    """Find the file of a pinned source in HARNESS_DATA_DIR or the cache; None if it is in neither."""
    assert source.sha256 is not None
    candidates = (_path_in_data_dir(source), cache_dir() / source.sha256)
    return next((path for path in candidates if path is not None and path.is_file()), None)


# --- content of a source ---------------------------------------------------------------------


def _read_source(source: Source, root: Path | None) -> tuple[bytes, str, str]:
    """Return the content, its name in messages, and the file name that gives its format."""
    if source.path is not None:
        path = local_file(source.path, root)
        content = read_bytes(path)
        if source.sha256 is not None:
            content = _verify_sha256(content, source.sha256, source.path)
        return content, source.path, path.name
    if source.url is not None:
        return _read_pinned(source), source.url, source.url.rsplit("/", 1)[-1].replace("%20", " ")
    return _load_hub_rows(source), f"hub:{source.hub}@{source.revision}", "hub.jsonl"


def _read_pinned(source: Source) -> bytes:
    """Read a pinned file from HARNESS_DATA_DIR or the cache, or fetch it once into the cache."""
    assert source.url is not None
    assert source.sha256 is not None
    local = find_pinned(source)
    if local is not None:
        return _verify_sha256(read_bytes(local), source.sha256, str(local))
    content = _verify_sha256(_fetch(source), source.sha256, source.url)
    cached = cache_dir() / source.sha256
    try:
        write_atomically(cached, content)
    except OSError as error:
        raise HarnessError(
            f"{cached}: cannot be written: {error.strerror}. HARNESS_CACHE_DIR names another folder."
        ) from None
    return content


def _path_in_data_dir(source: Source) -> Path | None:
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    return Path(data_dir, source.local) if data_dir and source.local else None


def _fetch(source: Source) -> bytes:
    assert source.url is not None
    if not source.url.startswith("https://"):
        raise HarnessError(f"{source.url}: only https:// addresses are fetched.")
    try:
        with urllib.request.urlopen(source.url, timeout=60) as reply:  # noqa: S310 - https only
            content: bytes = reply.read()
            return content
    except OSError as error:
        local = _path_in_data_dir(source)
        name = f"as {local}" if local else f"as {source.local} below the folder it names"
        raise InfrastructureError(
            f"{source.url}: could not be fetched ({error}). Either connect to the internet once, "
            f"or set HARNESS_DATA_DIR to a folder that holds the file {name}."
        ) from None


def _verify_sha256(content: bytes, sha256: str, origin: str) -> bytes:
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise HarnessError(
            f"{origin}: its sha256 is {actual}, not the pinned {sha256}. The file has changed or is damaged."
        )
    return content


def _load_hub_rows(source: Source) -> bytes:
    """Load a hub data set as JSON Lines, so that it is parsed and hashed like a file."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    unreachable = hub_unreachable_reason()  # the hub's client would try for half a minute
    try:
        with hub_offline() if unreachable else nullcontext():
            rows = load_dataset(
                source.hub, source.subset, split=source.split, revision=source.revision
            )
    except (OSError, ValueError) as error:
        problem = f"is not in the hub's cache, and {unreachable}"
        if unreachable is None:
            problem = f"could not be loaded ({type(error).__name__}: {first_line(error)})"
        raise InfrastructureError(
            f"hub:{source.hub}@{source.revision}: {problem}. Connect to the internet once, or name a "
            "local 'path' instead."
        ) from None
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode()


# --- formats ---------------------------------------------------------------------------------


def _parse(content: bytes, origin: str, format: str) -> Iterator[tuple[int, Row]]:
    match format:
        case "jsonl":
            yield from _parse_jsonl(decode_text(content, origin), origin)
        case "json":
            yield from _parse_json(decode_text(content, origin), origin)
        case "csv":
            yield from _parse_csv(decode_text(content, origin), origin)
        case "parquet":
            yield from _parse_parquet(content, origin)
        case "xlsx":
            yield from _parse_xlsx(content, origin)
        case _:
            raise HarnessError(
                f"{origin}: unknown format '{format}'. Known: csv, json, jsonl, parquet, xlsx, and each with .gz."
            )


def _unpack(content: bytes, origin: str) -> bytes:
    """Return the content of a .gz file."""
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise HarnessError(f"{origin}: not a readable .gz file: {error}.") from None
    if len(unpacked) > MAX_UNPACKED:
        raise HarnessError(
            f"{origin}: unpacks to more than {MAX_UNPACKED / 1e6:,.0f} MB. Unpack it, and name the file."
        )
    return unpacked


def _parse_parquet(content: bytes, origin: str) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a Parquet file, with cells as JSON has them: a time becomes its text."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(io.BytesIO(content))
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        if unpacked > MAX_UNPACKED:
            raise HarnessError(
                f"{origin}: unpacks to {unpacked / 1e6:,.0f} MB, more than {MAX_UNPACKED / 1e6:,.0f} MB. Save it "
                "as JSON Lines."
            )
        table = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        raise HarnessError(f"{origin}: not a readable Parquet file: {first_line(error)}") from None
    _check_header(table.column_names, origin)
    for number, row in enumerate(table.to_pylist(), start=1):
        yield number, json.loads(json.dumps(row, default=str))


def _parse_jsonl(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    for number, line in json_lines(text):
        try:
            row = parse_json(line)
        except ValueError as error:  # also a number of 5,000 digits
            raise HarnessError(
                f"{origin}:{number}: not valid JSON: {error}.{_list_hint(text)}"
            ) from None
        if not isinstance(row, dict):
            raise HarnessError(
                f"{origin}:{number}: expected an object with named columns.{_list_hint(text)}"
            )
        yield number, row


def _list_hint(text: str) -> str:
    return " If the file is one JSON list, name it .json." if text.lstrip()[:1] == "[" else ""


def _parse_json(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    if _is_json_lines(text):
        yield from _parse_jsonl(text, origin)
        return
    try:
        data = parse_json(text)
    except ValueError as error:
        raise HarnessError(f"{origin}: not valid JSON: {error}.") from None
    if isinstance(data, dict) and all(isinstance(row, dict) for row in data.values()):
        data = [{"id": key, **row} for key, row in data.items()]  # PubMedQA: {"21645374": {...}}
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise HarnessError(f"{origin}: expected a list of objects, or an object of objects by id.")
    yield from enumerate(data, start=1)


def _is_json_lines(text: str) -> bool:
    """Return whether the first line is an object and more follows: JSON Lines named .json."""
    lines = json_lines(text)
    first, more = next(lines, None), next(lines, None)
    try:
        return first is not None and more is not None and isinstance(parse_json(first[1]), dict)
    except ValueError:
        return False


def _parse_csv(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # a cell may hold a document
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((cells for cells in reader if cells), [])
        _check_header(header, origin)
        for cells in reader:
            row = cells or [""] * (len(header) == 1)  # an empty cell of the only column
            if row and len(row) != len(header):
                raise HarnessError(
                    f"{origin}:{reader.line_num}: has another number of cells than the header line."
                )
            if row:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise HarnessError(f"{origin}:{reader.line_num}: not valid CSV: {error}.") from None


def _parse_xlsx(content: bytes, origin: str) -> Iterator[tuple[int, Row]]:
    from zipfile import BadZipFile, ZipFile
    from zlib import error as ZlibError  # noqa: N812 - it is a class

    from openpyxl import load_workbook

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > MAX_UNPACKED:
            raise HarnessError(
                f"{origin}: unpacks to {unpacked / 1e6:,.0f} MB, more than the {MAX_UNPACKED / 1e6:,.0f} MB that "
                "a workbook may have. Save the sheet as CSV."
            )
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        rows = (
            [None if cell.data_type == "e" else cell.value for cell in cells]  # such as #N/A
            for cells in book.worksheets[0].iter_rows()
        )
        header = [text_of(cell) for cell in next(rows, ())]
        names = [name for name in header if name]
        _check_header(names, origin)
        gaps: list[tuple[int, Row]] = []
        for number, cells in enumerate(rows, start=2):
            row = number, dict(zip(header, cells, strict=False))
            if any(cell is not None for cell in cells):
                yield from (*gaps, row)
                gaps = []
            elif len(names) == 1:  # an empty cell of the only column, if a row follows
                gaps.append(row)
    except (BadZipFile, KeyError, ValueError, IndexError, SyntaxError, ZlibError) as error:
        raise HarnessError(f"{origin}: not a readable xlsx workbook: {error}.") from None


def _check_header(names: Sequence[str], origin: str) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise HarnessError(f"{origin}: has the column '{repeated[0]}' twice; rename one.")
    separator = next((mark for mark in ";\t" if len(names) == 1 and mark in names[0]), None)
    if separator is not None:
        raise HarnessError(
            f"{origin}: its cells are separated by {separator!r}; save it with commas."
        )


def _matches(row: Row, source: Source) -> bool:
    return all(_means(row.get(key), value) for key, value in source.where.items()) and all(
        any(_means(row.get(key), value) for value in values)
        for key, values in source.where_any.items()
    )


def _means(cell: object, value: str) -> bool:
    """Return whether a cell has the value; `true` is `True`, and `1` is `1.0`."""
    text = text_of(cell)
    if value in spellings(text):
        return True
    if text.casefold() in ("true", "false"):
        return text.casefold() == value.casefold()
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            return Decimal(text) == Decimal(value)
        except InvalidOperation:
            return False
    return False
