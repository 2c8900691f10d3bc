"""Converted sources: files of rows, made at first use and cached by content.

    data:
      - convert: {source: data/sources/pubmedqa.yaml, to: sft, split: 0.5, side: train}
        fields: {id: id, input: input, reference: reference}

The rows are in the cache (HARNESS_CACHE_DIR), in a folder whose name has the hash of the source, the
options and the version of the converter, with the summary that accounts for every row.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.config import Conversion, ConvertOptions, Source
from harness.core.errors import HarnessError, InfrastructureError, nearest_file
from harness.core.folder_cache import build_once, is_complete
from harness.core.hashing import content_hash, file_hash
from harness.core.paths import cache_dir, require_inside, suite_file_paths
from harness.core.text_files import read_prompt
from harness.core.yaml_loader import load_spec
from harness.data.convert import ConversionSummary, convert_file
from harness.data.tables import find_pinned, local_file

CONVERTER_VERSION = 2  # raise it when the same source and options give different rows
ROWS = "rows.jsonl"
SUMMARY = "rows.summary.json"
AnySource = TypeVar("AnySource", bound=Source)


def resolve_conversion(source: AnySource, root: Path) -> AnySource:
    """Resolve a source that names a conversion to its file of rows; return any other unchanged.

    A conversion writes `system` and `history` only where some row has them, so that fields without a
    column are left out.

    Raises:
        HarnessError: the source does not exist, or cannot be converted.
        InfrastructureError: its data could not be fetched.
    """
    if source.convert is None:
        return source
    folder = _make(source.convert, root)
    name = ROWS if source.convert.side is None else f"rows.{source.convert.side}.jsonl"
    phi = source.phi or source_of(source.convert, root).source.phi
    with (folder / name).open(encoding="utf-8") as rows:
        columns = json.loads(rows.readline())
    absent = {column for column in ("system", "history") if column not in columns}
    return source.model_copy(
        update={
            "convert": None,
            "path": str(folder / name),
            "phi": phi,
            "fields": {f: column for f, column in source.fields.items() if column not in absent},
        }
    )


def is_cached(conversion: Conversion, root: Path) -> bool:
    """Return whether the converted rows are in the cache; nothing is fetched."""
    return is_complete(_folder(conversion, root))


def read_summary(conversion: Conversion, root: Path) -> ConversionSummary:
    """Read the summary of a conversion, which is made if it is missing."""
    return ConversionSummary.model_validate_json((_make(conversion, root) / SUMMARY).read_bytes())


def conversion_facts(sources: Iterable[Source], root: Path) -> dict[str, str]:
    """Describe, for a checkpoint's card, the rows of each source that names a conversion."""
    return {
        f"rows of {Path(source.convert.source).name}": _describe_rows(source.convert, root)
        for source in sources
        if source.convert is not None
    }


class InnerSource(NamedTuple):
    """The source of a conversion: its file or folder, its description, and where paths start."""

    path: Path
    source: Source
    root: Path


def source_of(conversion: Conversion, root: Path) -> InnerSource:
    """Find the source of a conversion, below `root` or among the suites.

    Raises:
        HarnessError: there is no such file or folder, or it names a conversion itself.
    """
    for path in suite_file_paths(conversion.source, root):
        if path.suffix in {".yaml", ".yml"} and path.is_file():
            source = load_spec(path, Source)
            if source.convert is not None:
                raise HarnessError(f"{path}: is converted itself; name the source it is made of.")
            return InnerSource(path, source, path.parent)
        if path.exists():
            return InnerSource(path, Source(path=path.name), path.parent)
    wanted = root / conversion.source
    raise HarnessError(f"{wanted}: no such source to convert.{nearest_file(wanted)}")


def is_available(source: Source, root: Path) -> bool:
    """Return whether the rows are on this machine: a file, or a pinned file fetched earlier.

    A conversion is available if it is cached or its source is available. A hub data set counts as
    unavailable, because only its loader knows its cache.
    """
    if source.convert is not None:
        inner = source_of(source.convert, root)
        return is_cached(source.convert, root) or is_available(inner.source, inner.root)
    if source.path is not None:
        return any(path.exists() for path in suite_file_paths(source.path, root))
    return source.url is not None and find_pinned(source) is not None


def unavailable_reason(source: Source, root: Path) -> str | None:
    """Return why the rows cannot be read; None if they can.

    A conversion is made if possible, which fetches its source once. Nothing else is fetched.

    Raises:
        HarnessError: the source can never be read.
    """
    if source.convert is None:
        return None if is_available(source, root) else f"{source.label} is not here"
    try:
        resolve_conversion(source, root)
    except InfrastructureError as error:
        return str(error)
    return None


# --- making ----------------------------------------------------------------------------------


def _make(conversion: Conversion, root: Path) -> Path:
    """Make the folder of the converted rows and their summary, unless it is in the cache."""

    def convert(folder: Path) -> None:
        path = source_of(conversion, root).path
        convert_file(str(path), folder / ROWS, _options(conversion), root=root)

    return build_once(_folder(conversion, root), convert)


def _options(conversion: Conversion) -> ConvertOptions:
    return ConvertOptions(**conversion.model_dump(exclude={"source", "side"}))


def _folder(conversion: Conversion, root: Path) -> Path:
    options = _options(conversion).model_dump(mode="json")
    options["system"] = read_prompt(conversion.system, root)
    if conversion.without is not None:
        require_inside(root / conversion.without, root)
        options["without"] = _hash_of(root / conversion.without)
    inner = source_of(conversion, root)
    key = content_hash(_pin(inner), options, CONVERTER_VERSION)
    return cache_dir() / "converted" / f"{inner.path.stem}-{key[:16]}"


def _pin(inner: InnerSource) -> dict[str, object]:
    """Return the facts that determine the rows of a source: its pin, or the hash of its file."""
    source = inner.source
    pinned = source.model_dump(mode="json", exclude={"path", "local", "phi"})
    if source.path is not None:
        pinned["sha256"] = _hash_of(local_file(source.path, inner.root))
        pinned["format"] = source.format or Path(source.path).suffix
    return pinned


def _hash_of(path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return content_hash([[f.relative_to(path).as_posix(), file_hash(f)] for f in files])
    try:
        return file_hash(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None


def _describe_rows(conversion: Conversion, root: Path) -> str:
    summary = read_summary(conversion, root)
    name = ROWS if conversion.side is None else f"rows.{conversion.side}.jsonl"
    side = (
        f" ({conversion.side} side of {sum(summary.records.values()):,})" if conversion.side else ""
    )
    dropped = ", ".join(f"{reason} {n:,}" for reason, n in summary.dropped.items()) or "none"
    return f"{summary.rows:,} in, {summary.records[name]:,} out{side}; dropped: {dropped}"
