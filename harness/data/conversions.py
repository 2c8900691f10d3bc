"""Sources that name a conversion, as plain files: made on first use, kept by content.

    data:
      - convert: {source: data/sources/pubmedqa.yaml, to: sft, split: 0.5, side: train}
        fields: {id: id, input: input, reference: reference}

The rows lie in the cache (HARNESS_CACHE_DIR), in a folder whose name holds the hash of the source,
the options and the converter, with the summary that accounts for every row.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.config import Conversion, ConvertOptions, Source
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.folder_cache import build_once, is_complete
from harness.core.hashing import content_hash, file_hash
from harness.core.paths import suite_file_paths
from harness.core.yaml_loader import load_spec
from harness.data.convert import ConversionSummary, convert_file
from harness.data.samples import read_prompt
from harness.data.tables import cache_dir, local_file

CONVERTER_VERSION = 1  # raise it when the same source and options give other rows


ROWS = "rows.jsonl"


SUMMARY = "rows.summary.json"


AnySource = TypeVar("AnySource", bound=Source)


def resolve_conversion(source: AnySource, root: Path) -> AnySource:
    """Resolve a source that names a conversion to its file of rows; return any other unchanged.

    Raises:
        HarnessError: no such source, or one that cannot be converted.
        InfrastructureError: its data could not be fetched.
    """
    if source.convert is None:
        return source
    folder = _make(source.convert, root)
    name = ROWS if source.convert.side is None else f"rows.{source.convert.side}.jsonl"
    phi = source.phi or source_of(source.convert, root).source.phi
    return source.model_copy(update={"convert": None, "path": str(folder / name), "phi": phi})


def is_cached(conversion: Conversion, root: Path) -> bool:
    """Return whether the conversion was made before; nothing is fetched."""
    return is_complete(_folder(conversion, root))


def read_summary(conversion: Conversion, root: Path) -> ConversionSummary:
    """Read the counts of every row, making the conversion if it is missing."""
    return ConversionSummary.model_validate_json((_make(conversion, root) / SUMMARY).read_bytes())


def conversion_facts(sources: Iterable[Source], root: Path) -> dict[str, str]:
    """Describe, for a checkpoint's card, the rows of each source that names a conversion."""
    return {
        f"rows of {Path(source.convert.source).name}": _in_words(source.convert, root)
        for source in sources
        if source.convert is not None
    }


class InnerSource(NamedTuple):
    """What is converted: `given` as `harness convert` takes it, and what that names."""

    given: Path
    source: Source
    root: Path


def source_of(conversion: Conversion, root: Path) -> InnerSource:
    """Return the source to convert; its path is below `root` or among the suites.

    Raises:
        HarnessError: no such file or folder, or one that does not say where its data come from.
    """
    for given in suite_file_paths(conversion.source, root):
        if given.suffix in {".yaml", ".yml"} and given.is_file():
            source = load_spec(given, Source)
            if source.convert is not None:
                raise HarnessError(f"{given}: is converted itself; name what it is made of.")
            return InnerSource(given, source, given.parent)
        if given.exists():
            return InnerSource(given, Source(path=given.name), given.parent)
    raise HarnessError(f"{root / conversion.source}: no such source to convert.")


# --- making ----------------------------------------------------------------------------------


def _make(conversion: Conversion, root: Path) -> Path:
    """Make the folder that holds the converted rows and their summary."""

    def convert(folder: Path) -> None:
        given = source_of(conversion, root).given
        convert_file(str(given), folder / ROWS, _options(conversion), root=root)

    return build_once(_folder(conversion, root), convert)


def _options(conversion: Conversion) -> ConvertOptions:
    return ConvertOptions(**conversion.model_dump(exclude={"source", "side"}))


def _folder(conversion: Conversion, root: Path) -> Path:
    options = _options(conversion).model_dump(mode="json")
    options["system"] = read_prompt(conversion.system, root)
    if conversion.without is not None:
        options["without"] = _hash_of(root / conversion.without)
    inner = source_of(conversion, root)
    key = content_hash(_pin(inner), options, CONVERTER_VERSION)
    return cache_dir() / "converted" / f"{inner.given.stem}-{key[:16]}"


def _pin(inner: InnerSource) -> dict[str, object]:
    """Return the facts that decide the source's rows, read from its pin where it has one."""
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


def _in_words(conversion: Conversion, root: Path) -> str:
    summary = read_summary(conversion, root)
    name = ROWS if conversion.side is None else f"rows.{conversion.side}.jsonl"
    side = (
        f" ({conversion.side} side of {sum(summary.records.values()):,})" if conversion.side else ""
    )
    dropped = ", ".join(f"{reason} {n:,}" for reason, n in summary.dropped.items()) or "none"
    return f"{summary.rows:,} in, {summary.records[name]:,} out{side}; dropped: {dropped}"


def is_available(source: Source, root: Path) -> bool:
    """Return whether the rows are on this machine: a file, or a pinned one fetched or given before.

    A conversion is at hand if it was made, or if what it is made of is at hand. A hub data set
    counts as absent: whether it lies in the cache only its loader can tell.
    """
    if source.convert is not None:
        inner = source_of(source.convert, root)
        return is_cached(source.convert, root) or is_available(inner.source, inner.root)
    if source.path is not None:
        return any(path.exists() for path in suite_file_paths(source.path, root))
    if source.url is None:
        return False
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    given = Path(data_dir, source.local) if data_dir and source.local else None
    assert source.sha256 is not None
    return (given is not None and given.is_file()) or (cache_dir() / source.sha256).is_file()


def unavailable_reason(source: Source, root: Path) -> str | None:
    """Explain why the source's rows cannot be read; None if they can.

    A conversion is made if it can be, which fetches what it is made of, once. Nothing else is
    fetched.

    Raises:
        HarnessError: a source that can never be read.
    """
    if source.convert is None:
        return None if is_available(source, root) else f"{source.label} is not here"
    try:
        resolve_conversion(source, root)
    except InfrastructureError as error:
        return str(error)
    return None
