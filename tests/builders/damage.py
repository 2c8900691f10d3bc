"""Systematic damage to JSON: every place of a value replaced or removed, one at a time."""

import copy
from collections.abc import Iterator
from typing import Any

DEEP: Any = "deep"
for _ in range(400):
    DEEP = [DEEP]

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**400, float("inf"), float("nan"), "", " ", "text", "\ud800", "a/b\x1b[31m",
    "x" * 5000, [], [None], [[1]], [{}], {}, {"a": {"b": [None]}}, [{"role": "user", "content": None}],
    DEEP,
)  # fmt: skip

Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside of a value."""
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def damaged(value: Any, *, every: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield a description and a copy for every place and kind of damage, or each `every`th of them."""
    kinds = [(path, i) for path in places(value) for i in range(len(ODD_VALUES) + 1)]
    for path, i in kinds[::every]:
        remove = i == len(ODD_VALUES)
        odd = None if remove else ODD_VALUES[i]
        yield f"{path}: {'missing' if remove else i}", _changed(value, path, odd, remove=remove)


def _changed(value: Any, path: Path, odd: Any, *, remove: bool = False) -> Any:
    changed = copy.deepcopy(value)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = odd
    return changed
