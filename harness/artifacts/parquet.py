"""Tables for analysts: Arrow columns made of Python values, and Parquet files, whole or not at all.

`pa.array` would bring pandas in, which takes longer than everything else here; so columns are made
of their buffers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.errors import HarnessError
from harness.core.files import write_private

if TYPE_CHECKING:
    import pyarrow as pa


def string_array(values: Sequence[str | None]) -> "pa.Array":
    """A column of texts; None is a gap. Lone surrogates, which have no UTF-8 form, become `?`."""
    import pyarrow as pa

    data = [(value or "").encode("utf-8", "replace") for value in values]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64)
    there = np.array([value is not None for value in values], dtype=np.bool)
    return _array(pa.large_string(), there, ends, b"".join(data))


def repeated_string(word: str | None, n: int) -> "pa.Array":
    """A column with the same text in every row."""
    import pyarrow as pa

    data = (word or "").encode("utf-8", "replace")
    ends = np.arange(n + 1, dtype=np.int64) * len(data)
    return _array(pa.large_string(), np.full(n, word is not None), ends, data * n)


def float_array(values: "np.ndarray") -> "pa.Array":
    """A column of numbers; NaN is a gap."""
    import pyarrow as pa

    return _array(pa.float64(), ~np.isnan(values), values.astype(np.float64))


def int_array(values: Sequence[int | None]) -> "pa.Array":
    """A column of whole numbers; None is a gap."""
    import pyarrow as pa

    there = np.array([value is not None for value in values], dtype=np.bool)
    return _array(pa.int64(), there, np.array([value or 0 for value in values], dtype=np.int64))


def write_parquet(table: "pa.Table", path: Path) -> Path:
    """Write the table to a file that only its owner may read, and return its path.

    Raises:
        InfrastructureError: It could not be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    write_private(path, content.getvalue().to_pybytes())
    return path


def read_parquet(path: Path) -> "pa.Table":
    """The file as a table.

    Raises:
        HarnessError: there is no such file, or it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `pq.read_table` would bring pandas in
            return file.read()
    except FileNotFoundError:
        raise HarnessError(
            f"{path}: no such file. Run `harness run` again with the same suite and models: the "
            "store keeps all answers and verdicts."
        ) from None
    except PermissionError:
        raise HarnessError(f"{path}: cannot be read: you are not allowed to.") from None
    except (OSError, pa.ArrowException) as error:
        raise HarnessError(f"{path}: damaged ({str(error).splitlines()[0]}).") from None


def read_floats(column: "pa.ChunkedArray") -> "np.ndarray":
    """A column of numbers; gaps are NaN. `to_numpy` would bring pandas in too."""
    return np.concatenate([np.empty(0), *map(_floats_of_chunk, column.chunks)])


def _floats_of_chunk(chunk: "pa.Array") -> "np.ndarray":
    marks, data = chunk.buffers()
    part = slice(chunk.offset, chunk.offset + len(chunk))
    values = np.frombuffer(data, dtype=np.float64)[part].copy()
    if marks is not None:
        there = np.unpackbits(np.frombuffer(marks, dtype=np.uint8), bitorder="little")
        values[there[part] == 0] = np.nan
    return values


def _array(kind: Any, there: "np.ndarray", *parts: Any) -> "pa.Array":
    """An Arrow array of its buffers, the first of which says what is there."""
    import pyarrow as pa

    marks = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(part) for part in (marks, *parts)]
    return pa.Array.from_buffers(kind, there.size, buffers)
