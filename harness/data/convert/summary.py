"""What a conversion was asked for, and what became of every row."""

from pydantic import ValidationError

from harness.config import ConvertOptions as Options
from harness.config.data import Dedupe, Kind
from harness.core.errors import HarnessError
from harness.data.convert.drafts import Dropped, Reason
from harness.types import Record

__all__ = ["Dedupe", "Kind", "Options", "SplitFacts", "Summary", "make_options"]


def make_options(*, fields: str, **given: object) -> Options:
    """Make options from the command line's values; `fields` is `input=Q,reference=A`.

    Raises:
        HarnessError: a field without a column, or a share that is none.
    """
    columns = {}
    for part in filter(None, (part.strip() for part in fields.split(","))):
        name, equals, column = part.partition("=")
        if not equals or not name or not column:
            raise HarnessError(f"--fields: '{part}' is not NAME=COLUMN, such as input=question.")
        columns[name.strip()] = column.strip()
    try:
        return Options.model_validate({"fields": columns} | given)
    except ValidationError as error:
        problem = error.errors()[0]
        raise HarnessError(f"--{problem['loc'][0]}: {problem['msg']}.") from None


class SplitFacts(Record):
    """Groups of questions that stayed together, and the rows of the largest."""

    n_groups: int
    largest_group: int


class Summary(Record):
    """What a conversion made of its source; `rows` is `kept` plus all that were `dropped`.

    `records` counts what was written, by file: of answers with labels, two rows make a pair.
    `recipe` is the line of a recipe that reads it. `own_system` counts records whose row brought
    its own system prompt; the others have `system_prompt`, if one was given. Words are means.
    """

    source: str
    sha256: str
    format: str
    options: Options
    rows: int
    kept: int
    dropped: dict[Reason, int]
    records: dict[str, int]
    recipe: str
    system_prompt: str | None
    own_system: int
    multi_turn: int
    words_answer: float
    words_rejected: float | None
    split: SplitFacts | None
    dropped_rows: tuple[Dropped, ...]
