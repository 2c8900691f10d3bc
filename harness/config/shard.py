"""One of the parts into which a run's items are cut, for as many machines."""

import re
from typing import NamedTuple

from harness.core.errors import HarnessError


class Shard(NamedTuple):
    """Part `number` of `total`, counted from 1."""

    number: int
    total: int


def read_shard(text: str) -> Shard:
    """Read `3/16`.

    Raises:
        HarnessError: it is written otherwise, or there is no such part.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    number, total = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= total:
        raise HarnessError(
            f"--shard {text}: write NUMBER/COUNT, counted from 1: the shards of four are 1/4, 2/4, 3/4 "
            "and 4/4."
        )
    return Shard(number, total)
