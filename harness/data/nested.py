"""Paths into nested cells, such as `choices[0].turns[1]`, read as columns of their own.

A column of that very name comes first, so that a table with dots in its header reads as it is
written. An index may count from the end: `turns[-1]`. An empty one takes every part: `rubrics[].met` is a
list. One that ends in a colon takes the part that begins so, without it: `tags[theme:]`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from harness.core.errors import did_you_mean

Row = dict[str, object]
_MISSING = object()
_SELECTION = re.compile(r"\[((?:[^\[\]]+:)?)\]")
_INDEX = re.compile(r"\[(-?[0-9]{1,9})\]")
_N_ROWS_SEARCHED = 100  # for what a wrong path may have meant
_N_INDICES_SHOWN = 10


def with_nested_columns(rows: Sequence[Row], names: Iterable[str]) -> list[Row]:
    """Return the rows with a column for each name that is a path to a cell, in the rows that have it."""
    paths = [name for name in dict.fromkeys(names) if is_path(name)]
    columns = set(chain.from_iterable(rows)) if paths else set()
    paths = [path for path in paths if path not in columns]
    if not paths:
        return list(rows)
    return [{**row, **dict(_found(row, paths))} for row in rows]


def is_path(name: str) -> bool:
    """Return whether a name could be a path."""
    return "." in name or "[" in name


def suggest_path(rows: Sequence[Row], path: str, columns: Iterable[str]) -> str:
    """Say how far a path that leads nowhere leads, and what may be meant instead."""
    reached, inner = "", set[str]()
    for row in rows[:_N_ROWS_SEARCHED]:
        for part in _beginnings(path):
            value = _find(row, part)
            if value is not _MISSING and len(part) >= len(reached):
                inner = (inner if part == reached else set()) | _paths_below(part, value)
                reached = part
    if not reached:
        return did_you_mean(next(_beginnings(path), path), columns)
    kind = "" if inner else f" '{reached}' holds nothing further."
    return f"{did_you_mean(path, inner)}{kind}" if inner else kind.strip()


def _found(row: Row, paths: Iterable[str]) -> Iterator[tuple[str, object]]:
    for path in paths:
        value = _find(row, path)
        if value is not _MISSING:
            yield path, value


def _find(value: object, path: str) -> object:
    """Return what a path leads to in a cell or row, `_MISSING` where it leads nowhere."""
    if not path:
        return value
    if isinstance(value, list):
        chosen = _SELECTION.match(path)
        if chosen is not None:
            return _select(value, chosen[1], path[chosen.end() :].removeprefix("."))
        index = _INDEX.match(path)
        if index is None or not -len(value) <= int(index[1]) < len(value):
            return _MISSING
        return _find(value[int(index[1])], path[index.end() :].removeprefix("."))
    if isinstance(value, dict):
        # A key may itself hold dots: the longest that is there counts.
        for key in (path, *reversed([*_beginnings(path)])):
            if key in value:
                return _find(value[key], path[len(key) :].removeprefix("."))
    return _MISSING


def _select(parts: list[object], prefix: str, rest: str) -> object:
    """Return what the rest of a path leads to in every part, or the end of the text with a prefix."""
    if prefix:
        texts = [part for part in parts if isinstance(part, str) and part.startswith(prefix)]
        return texts[0].removeprefix(prefix) if texts and not rest else _MISSING
    found = [_find(part, rest) for part in parts]
    return [None if part is _MISSING else part for part in found]


def _beginnings(path: str) -> Iterator[str]:
    """Yield what stands before each `.` and `[` of a path, shortest first."""
    for mark in re.finditer(r"[.\[]", path):
        if mark.start():
            yield path[: mark.start()]


def _paths_below(path: str, value: object) -> set[str]:
    if isinstance(value, dict):
        return {f"{path}.{key}" for key in value}
    if isinstance(value, list):
        return {f"{path}[{i}]" for i in range(min(len(value), _N_INDICES_SHOWN))}
    return set()
