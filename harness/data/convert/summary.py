"""Options of a conversion, and its summary, which accounts for every row."""

from pydantic import ValidationError

from harness.config import ConvertOptions
from harness.core.errors import HarnessError
from harness.data.cells import Reason
from harness.data.convert.examples import Dropped
from harness.types import Record


def make_options(*, fields: str, **values: object) -> ConvertOptions:
    """Make options from the command line's values; `fields` is `input=Q,reference=A`.

    Raises:
        HarnessError: a field has no column, or a value is out of range.
    """
    columns = {}
    for part in filter(None, (part.strip() for part in fields.split(","))):
        name, equals, column = part.partition("=")
        if not equals or not name or not column:
            raise HarnessError(f"--fields: '{part}' is not NAME=COLUMN, such as input=question.")
        columns[name.strip()] = column.strip()
    try:
        return ConvertOptions.model_validate({"fields": columns} | values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise HarnessError(f"--{problem['loc'][0]}: {problem['msg']}.") from None


class SplitFacts(Record):
    """Number of groups of questions that are not split, and rows in the largest one."""

    n_groups: int
    largest_group: int


class ConversionSummary(Record):
    """Counts of a conversion; `rows` is `kept` plus the number of `dropped` rows.

    `records` are the numbers of written records by file; two rows of labelled answers make one
    pair. `recipe` is the line of a recipe that reads the file. `own_system` counts records with a
    system prompt of their own; the others have `system_prompt`, if there is one. `words_answer` and
    `words_rejected` are means.
    """

    source: str
    sha256: str
    format: str
    options: ConvertOptions
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
