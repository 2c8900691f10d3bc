"""Rows from files, pinned URLs and the hub; and the samples made of them.

{"id": "asthma-01", "topic": "asthma", "question": "...", "answer": "..."}
"""

import csv
import hashlib
import io
import json
import os
import random
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from harness.bundle import bundle_root
from harness.errors import HarnessError, InfrastructureError, did_you_mean
from harness.hub import hub_problem, hub_switched_off
from harness.suite import Source, Take
from harness.types import Sample

Row = dict[str, object]

SAMPLE_FIELDS = ("id", "input", "reference", "cluster", "context")


class Table(NamedTuple):
    """The rows of a source after `where`; `lines` are their places in the file, from 1."""

    rows: list[Row]
    lines: list[int]
    origin: str
    sha256: str

    def column(self, name: str, purpose: str) -> str:
        """`name` if the table has it.

        Raises:
            HarnessError: it has not; names the columns there are.
        """
        if self.rows and name not in self.rows[0]:
            hint = did_you_mean(name, self.rows[0])
            raise HarnessError(f"{self.origin}: no column '{name}' for the {purpose}. {hint}")
        return name


def load_rows(source: Source, root: Path) -> Table:
    """The rows that `source` names; relative paths start from `root`.

    Raises:
        HarnessError: missing, empty, unreadable or changed data.
        InfrastructureError: it could not be fetched.
    """
    content, origin, name = _read_source(source, root)
    numbered = list(_parse(content, origin, source.format or Path(name).suffix.lower()[1:]))
    if not numbered:
        raise HarnessError(f"{origin}: holds no rows.")
    kept = [(line, row) for line, row in numbered if _matches(row, source.where, origin)]
    if not kept:
        wanted = ", ".join(f"{key} = {value}" for key, value in source.where.items())
        raise HarnessError(f"{origin}: none of its {len(numbered)} rows has {wanted}.")
    digest = hashlib.sha256(content).hexdigest()
    return Table([row for _, row in kept], [line for line, _ in kept], origin, digest)


def make_samples(
    table: Table, fields: dict[str, str], take: Take | None, slices: Sequence[str] = ()
) -> tuple[Sample, ...]:
    """Samples in file order, or the seeded subset `take`, in file order too.

    `fields` maps id, input, reference, cluster and context to columns. Without `id` the row
    number is the id. A `context` (such as a PubMedQA abstract) is put before the question.
    `slices` are columns whose values are kept as they are.

    Raises:
        HarnessError: missing columns, empty inputs, duplicate ids, fewer rows than `take.n`.
    """
    _check_fields(table, fields)
    for column in slices:
        table.column(column, "slices")
    samples = [_sample(row, i, table, fields, slices) for i, row in enumerate(table.rows)]
    _refuse_duplicates(samples, table)
    if take is None:
        return tuple(samples)
    if take.n > len(samples):
        raise HarnessError(
            f"{table.origin}: has {len(samples)} items, fewer than the {take.n} to take."
        )
    chosen = set(random.Random(take.seed).sample(range(len(samples)), take.n))
    return tuple(sample for i, sample in enumerate(samples) if i in chosen)


def repeat_samples(samples: Sequence[Sample], answers: int) -> tuple[Sample, ...]:
    """Each sample `answers` times, as a cluster of its own unless samples have clusters already.

    Tests flip, and standard errors sum, whole clusters: that is to average an item's answers before
    any test. The copies are named `q1#2`, `q1#3`.

    Raises:
        HarnessError: a sample is named like another's copy.
    """
    if answers == 1:
        return tuple(samples)
    clustered = all(sample.cluster is not None for sample in samples)
    names = {sample.id for sample in samples}
    repeated = []
    for sample in samples:
        cluster = sample.cluster if clustered else sample.id
        for draw in range(answers):
            name = f"{sample.id}#{draw + 1}" if draw else sample.id
            if draw and name in names:
                raise HarnessError(
                    f"the items have ids '{sample.id}' and '{name}', and with 'answers: {answers}' "
                    "the second would be another answer to the first. Rename one."
                )
            update = {"id": name, "cluster": cluster, "draw": draw}
            repeated.append(sample.model_copy(update=update))
    return tuple(repeated)


def read_prompt(path: str | None, root: Path) -> str | None:
    """A prompt's text; its file lies below `root` or among the suites. None stays None.

    Raises:
        HarnessError: no such file.
    """
    if path is None:
        return None
    for file in (root / path, bundle_root() / "suites" / path):
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
    raise HarnessError(f"{root / path}: no such system prompt.")


def text_of(value: object) -> str:
    """A cell as text: lists (such as PubMedQA's contexts) become paragraphs."""
    if isinstance(value, list):
        return "\n".join(text_of(part) for part in value)
    return "" if value is None else str(value)


# --- where the bytes come from ---------------------------------------------------------------


def _read_source(source: Source, root: Path) -> tuple[bytes, str, str]:
    """The content, how to call it in messages, and the file name that tells its format."""
    if source.path is not None:
        path = local_file(source.path, root)
        content = _read_bytes(path)
        if source.sha256 is not None:
            content = _verified(content, source.sha256, source.path)
        return content, source.path, path.name
    if source.url is not None:
        return _pinned(source), source.url, source.url.rsplit("/", 1)[-1].replace("%20", " ")
    return _hub_rows(source), f"hub:{source.hub}@{source.revision}", "hub.jsonl"


def local_file(path: str, root: Path) -> Path:
    """The file below `root`, or among the suites.

    Raises:
        HarnessError: there is none.
    """
    for candidate in (root / path, bundle_root() / "suites" / path):
        if candidate.is_file():
            return candidate
    raise HarnessError(f"{root / path}: no such data file.")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None


def _pinned(source: Source) -> bytes:
    """The file below HARNESS_DATA_DIR, or in the cache, or fetched once into the cache."""
    assert source.url is not None
    assert source.sha256 is not None
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    local = Path(data_dir, source.local) if data_dir and source.local else None
    if local is not None and local.is_file():
        return _verified(_read_bytes(local), source.sha256, str(local))
    cached = cache_dir() / source.sha256
    if cached.is_file():
        return _verified(_read_bytes(cached), source.sha256, str(cached))
    content = _verified(_fetch(source, local), source.sha256, source.url)
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(cached)
    return content


def cache_dir() -> Path:
    """Where fetched data is kept: HARNESS_CACHE_DIR, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alignment-harness"
    return Path(os.environ.get("HARNESS_CACHE_DIR", default))


def _fetch(source: Source, local: Path | None) -> bytes:
    assert source.url is not None
    if not source.url.startswith("https://"):
        raise HarnessError(f"{source.url}: only https:// addresses are fetched.")
    try:
        with urllib.request.urlopen(source.url, timeout=60) as reply:  # noqa: S310 - https only
            content: bytes = reply.read()
            return content
    except OSError as error:
        place = f"as {local}" if local else f"as {source.local} below the folder it names"
        raise InfrastructureError(
            f"{source.url}: could not be fetched ({error}). Either connect to the internet once, "
            f"or set HARNESS_DATA_DIR to a folder that holds the file {place}."
        ) from None


def _verified(content: bytes, sha256: str, origin: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise HarnessError(
            f"{origin}: its sha256 is {found}, not the pinned {sha256}. The file has changed or is damaged."
        )
    return content


def _hub_rows(source: Source) -> bytes:
    """A hub data set as JSON Lines, so that one parser and one hash serve every origin."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    unreachable = hub_problem()  # its own client would try for half a minute
    try:
        with hub_switched_off() if unreachable else nullcontext():
            rows = load_dataset(
                source.hub, source.subset, split=source.split, revision=source.revision
            )
    except (OSError, ValueError) as error:
        why = f"is not in the hub's cache, and {unreachable}"
        if unreachable is None:
            first_line = str(error).strip().partition("\n")[0]
            why = f"could not be loaded ({type(error).__name__}: {first_line})"
        raise InfrastructureError(
            f"hub:{source.hub}@{source.revision}: {why}. Connect to the internet once, or name a "
            "local 'path' instead."
        ) from None
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode()


# --- what the bytes say ----------------------------------------------------------------------


def _parse(content: bytes, origin: str, format: str) -> Iterator[tuple[int, Row]]:
    match format:
        case "jsonl":
            yield from _parse_jsonl(_text(content, origin), origin)
        case "json":
            yield from _parse_json(_text(content, origin), origin)
        case "csv":
            yield from _parse_csv(_text(content, origin), origin)
        case "xlsx":
            yield from _parse_xlsx(content, origin)
        case _:
            raise HarnessError(
                f"{origin}: unknown format '{format}'. Known: csv, json, jsonl, xlsx."
            )


def _text(content: bytes, origin: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise HarnessError(f"{origin}:{line}: not UTF-8 text (byte {error.start}).") from None


def _parse_jsonl(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # also a number of 5,000 digits
            raise HarnessError(f"{origin}:{number}: not valid JSON: {error}.") from None
        if not isinstance(row, dict):
            raise HarnessError(f"{origin}:{number}: expected an object with named columns.")
        yield number, row


def _parse_json(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    if _is_json_lines(text):
        yield from _parse_jsonl(text, origin)
        return
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{origin}: not valid JSON: {error}.") from None
    if isinstance(data, dict) and all(isinstance(row, dict) for row in data.values()):
        data = [{"id": key, **row} for key, row in data.items()]  # PubMedQA: {"21645374": {...}}
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise HarnessError(f"{origin}: expected a list of objects, or an object of objects by id.")
    yield from enumerate(data, start=1)


def _is_json_lines(text: str) -> bool:
    """Whether the first line is an object and more follows: hub data sets name JSON Lines .json."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _parse_csv(text: str, origin: str) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise HarnessError(
                    f"{origin}:{reader.line_num}: has another number of cells than the header line."
                )
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise HarnessError(f"{origin}:{reader.line_num}: not valid CSV: {error}.") from None


def _parse_xlsx(content: bytes, origin: str) -> Iterator[tuple[int, Row]]:
    from zipfile import BadZipFile

    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as error:
        raise HarnessError(f"{origin}: not a readable xlsx workbook: {error}.") from None
    rows = book.worksheets[0].iter_rows(values_only=True)
    header = [text_of(cell) for cell in next(rows, ())]
    for number, cells in enumerate(rows, start=2):
        if any(cell is not None for cell in cells):
            yield number, dict(zip(header, cells, strict=False))


def _matches(row: Row, where: dict[str, str], origin: str) -> bool:
    for key in where:
        if key not in row:
            raise HarnessError(
                f"{origin}: no column '{key}' to filter by. {did_you_mean(key, row)}"
            )
    return all(text_of(row[key]) == value for key, value in where.items())


# --- samples ---------------------------------------------------------------------------------


def _check_fields(table: Table, fields: dict[str, str]) -> None:
    for name, column in fields.items():
        if name not in SAMPLE_FIELDS:
            raise HarnessError(
                f"{table.origin}: field '{name}' is unknown. {did_you_mean(name, SAMPLE_FIELDS)}"
            )
        table.column(column, f"field '{name}'")
    if "input" not in fields:
        raise HarnessError(f"{table.origin}: 'fields' must say which column is the 'input'.")


def _sample(
    row: Row, number: int, table: Table, fields: dict[str, str], slices: Sequence[str]
) -> Sample:
    def cell(field: str) -> str | None:
        column = fields.get(field)
        if column is None:
            return None
        if column not in row:
            raise HarnessError(f"{table.origin}:{table.lines[number]}: has no '{column}'.")
        return _printable(text_of(row[column]))

    question = cell("input")
    if not question or not question.strip():
        raise HarnessError(f"{table.origin}:{table.lines[number]}: '{fields['input']}' is empty.")
    context = cell("context")
    identity = cell("id")
    if identity is not None and not identity.strip():
        raise HarnessError(f"{table.origin}:{table.lines[number]}: '{fields['id']}' is empty.")
    return Sample(
        id=identity if identity is not None else f"row-{number + 1:05d}",
        input=f"{context}\n\n{question}" if context else question,
        reference=cell("reference"),
        cluster=cell("cluster"),
        row=number,
        slices={column: _printable(text_of(row.get(column))).strip() for column in slices},
    )


def _printable(text: str) -> str:
    """Lone surrogates cannot be stored as UTF-8; they become visible replacement marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _refuse_duplicates(samples: list[Sample], table: Table) -> None:
    first: dict[str, int] = {}
    for i, sample in enumerate(samples):
        if sample.id in first:
            raise HarnessError(
                f"{table.origin}:{table.lines[i]}: the id '{sample.id}' stands twice "
                f"(first on line {table.lines[first[sample.id]]})."
            )
        first[sample.id] = i
