"""Tables for analysts: Arrow columns from Python values, and Parquet files.

`pa.array` would import pandas, which takes longer than everything else here; so columns are built
from their buffers.
"""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.errors import HarnessError
from harness.core.files import write_private

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 1_000


def string_array(values: Sequence[str | None]) -> "pa.Array":
    """Build a column of texts; None is a gap. Lone surrogates, which UTF-8 cannot write, become `?`."""
    import pyarrow as pa

    data = [(value or "").encode("utf-8", "replace") for value in values]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64)
    present = np.array([value is not None for value in values], dtype=np.bool)
    return _array_from_buffers(pa.large_string(), present, ends, b"".join(data))


def repeated_string(text: str | None, n: int) -> "pa.Array":
    """Build a column with the same text in every row."""
    import pyarrow as pa

    data = (text or "").encode("utf-8", "replace")
    ends = np.arange(n + 1, dtype=np.int64) * len(data)
    return _array_from_buffers(pa.large_string(), np.full(n, text is not None), ends, data * n)


def float_array(values: "np.ndarray") -> "pa.Array":
    """Build a column of floats; NaN is a gap."""
    import pyarrow as pa

    return _array_from_buffers(pa.float64(), ~np.isnan(values), values.astype(np.float64))


def int_array(values: Sequence[int | None]) -> "pa.Array":
    """Build a column of integers; None is a gap."""
    import pyarrow as pa

    present = np.array([value is not None for value in values], dtype=np.bool)
    return _array_from_buffers(
        pa.int64(), present, np.array([value or 0 for value in values], dtype=np.int64)
    )


def write_parquet(table: "pa.Table", path: Path) -> Path:
    """Write the table to a file that only its owner may read, and return its path.

    Raises:
        InfrastructureError: it could not be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    write_private(path, content.getvalue().to_pybytes())
    return path


def read_parquet(path: Path) -> "pa.Table":
    """Read a file as a table.

    Raises:
        HarnessError: there is no such file, or it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `pq.read_table` would import pandas
            return file.read()
    except FileNotFoundError:
        raise HarnessError(
            f"{path}: no such file. Run `harness run` again with the same suite and models: the "
            "store keeps all answers and verdicts."
        ) from None
    except PermissionError:
        raise HarnessError(f"{path}: cannot be read: permission denied.") from None
    except (OSError, pa.ArrowException) as error:
        raise HarnessError(f"{path}: damaged ({str(error).splitlines()[0]}).") from None


def iter_rows(table: "pa.Table", samples: Container[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows one by one, with `samples` those on these.

    `to_pylist` of a large table would hold all of them at once.
    """
    if samples is not None:
        ids = table["sample_id"].to_pylist()
        rows = [row for row, name in enumerate(ids) if name in samples]
        table = table if len(rows) == len(ids) else table.take(int_array(rows))
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield from batch.to_pylist()


def read_floats(column: "pa.ChunkedArray") -> "np.ndarray":
    """Return a column of floats; gaps are NaN. `to_numpy` would import pandas too."""
    return np.concatenate([np.empty(0), *map(_floats_of_chunk, column.chunks)])


def _floats_of_chunk(chunk: "pa.Array") -> "np.ndarray":
    bitmap, data = chunk.buffers()
    part = slice(chunk.offset, chunk.offset + len(chunk))
    values = np.frombuffer(data, dtype=np.float64)[part].copy()
    if bitmap is not None:
        present = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little")
        values[present[part] == 0] = np.nan
    return values


def _array_from_buffers(kind: Any, present: "np.ndarray", *parts: Any) -> "pa.Array":
    """Build an Arrow array from its buffers; the first is the bitmap of the values that are present."""
    import pyarrow as pa

    bitmap = np.packbits(present, bitorder="little")
    buffers = [pa.py_buffer(part) for part in (bitmap, *parts)]
    return pa.Array.from_buffers(kind, present.size, buffers)
