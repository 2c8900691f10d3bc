"""The passages that recorded answers were given, in a column of their rows.

    ["Rest helps a sprain.", "Ice helps too."]
    [{"id": "leaflet-3", "text": "Rest helps a sprain."}]

The first has rank 1, by which an answer cites it. An empty list says that the model was given none.
"""

import json

from harness.core.errors import HarnessError
from harness.core.sanitize import to_valid_utf8
from harness.types import GivenPassage


def read_passages(cell: object, where: str) -> tuple[GivenPassage, ...]:
    """Return the passages of a cell: a list, or the JSON text of one.

    Raises:
        HarnessError: it is no list of passages; the message begins with `where`.
    """
    listed = cell
    if isinstance(cell, str):
        try:
            listed = json.loads(cell)
        except ValueError:
            listed = None
    if not isinstance(listed, list):
        raise HarnessError(
            f"{where}: the passages are no list in JSON; where a model was given none, write []."
        )
    return tuple(_passage(entry, rank, where) for rank, entry in enumerate(listed, start=1))


def _passage(entry: object, rank: int, where: str) -> GivenPassage:
    fields = entry if isinstance(entry, dict) else {"text": entry}
    text, name = fields.get("text"), str(fields.get("id") or f"passage {rank}")
    if not isinstance(text, str) or not text.strip():
        raise HarnessError(f"{where}: passage {rank} has no text.")
    return GivenPassage(id=name, document=name, rank=rank, score=0.0, text=to_valid_utf8(text))
