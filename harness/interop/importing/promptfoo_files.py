r"""promptfoo's results as CSV and YAML, read into the rows that its JSON has.

    promptfoo eval --output results.csv
        question,[openai:gpt-4o] Answer: {{question}},Status,Score,Named Scores,Grader Reason,Comment
        How?,So.,PASS,1.00,"{""tone"":0.5}",No assertions,
    and of older versions, a cell for each provider
        question,[openai:gpt-4o] Answer: {{question}}
        How?,"[PASS] (1.00, tone: 0.50)\n\nSo.\n\nPass Reason: All assertions passed"

A CSV file has no prompts as they were sent and no references, and its scores have two digits: an item
is a test's variables. YAML has all that JSON has.
https://www.promptfoo.dev/docs/configuration/outputs/
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.core.errors import HarnessError
from harness.interop.importing.records import Object, as_object

YAML_ENDINGS = (".yaml", ".yml")
CSV_NOTE = "promptfoo's CSV has no prompts: the items are the tests' variables, and scores have two digits."
MOST_VALUES = 50_000_000  # of a YAML file whose aliases are written out

_DETAILS = ("Status", "Score", "Named Scores", "Grader Reason", "Comment")
_HEAD = re.compile(r"\[(?P<provider>[^\]]+)\] (?P<label>.*)", re.DOTALL)
_CELL = re.compile(
    r"\[(?P<status>PASS|FAIL|ERROR)\] \((?P<score>-?[\d.]+|undefined)(?:, (?P<named>[^\n]*))?\)"
    r"(?:\n\n(?P<text>.*?))?(?:\n\n(?:Pass|Fail) Reason: (?P<reason>.*))?",
    re.DOTALL,
)
_FAILURE = {"PASS": 0, "FAIL": 1, "ERROR": 2}  # promptfoo's failureReason


def read_promptfoo_csv(text: str) -> list[Object]:
    """Return the results of a CSV file; none if it is no file of promptfoo's."""
    csv.field_size_limit(max(len(text), csv.field_size_limit()))  # a cell may hold a document
    try:
        head, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (csv.Error, ValueError):
        return []
    detailed = [
        i for i in range(len(head)) if tuple(head[i + 1 : i + 1 + len(_DETAILS)]) == _DETAILS
    ]
    prompts = detailed or [i for i, name in enumerate(head) if _HEAD.fullmatch(name)]
    if not prompts or (not detailed and not any(_is_cell(row, prompts) for row in rows)):
        return []
    first = prompts[0]
    names = list(enumerate(head[:first]))
    if len(names) > 1 and names[0][1] == "Description":  # of the test, and no variable
        names = names[1:]
    return [
        result
        for number, row in enumerate(rows)
        for column in prompts
        if len(row) == len(head)
        and (result := _result(row, head[column], column, detailed=bool(detailed))) is not None
        and not result.update(testIdx=number, vars={name: row[i] for i, name in names})
    ]


def _is_cell(row: Sequence[str], prompts: Sequence[int]) -> bool:
    return any(i < len(row) and _CELL.fullmatch(row[i]) for i in prompts)


def _result(row: Sequence[str], head: str, column: int, *, detailed: bool) -> Object | None:
    """Return one result; None where the test was not run with this prompt."""
    if detailed:
        text, status, score, named, reason = row[column : column + len(_DETAILS)]
        names = _named_object(named)
    else:
        found = _CELL.fullmatch(row[column])
        if found is None:
            return None
        status, score = found["status"], found["score"]
        text, reason = found["text"] or "", found["reason"] or ""
        names = dict(_named_pairs(found["named"] or ""))
    if status not in _FAILURE:
        return None
    named_head = _HEAD.fullmatch(head)
    provider, label = (named_head["provider"], named_head["label"]) if named_head else (head, head)
    return {
        "provider": {"id": provider},
        "prompt": {"raw": "", "label": label},
        "response": {"output": text},
        "success": status == "PASS",
        "failureReason": _FAILURE[status],
        "error": text if status == "ERROR" else None,
        "score": _number(score),
        "namedScores": names,
        "gradingResult": {"reason": reason},
    }


def _named_object(text: str) -> Object:
    try:
        return as_object(json.loads(text or "{}"))
    except ValueError:
        return {}


def _named_pairs(text: str) -> Iterator[tuple[str, float | None]]:
    for part in text.split(", "):
        name, colon, value = part.rpartition(": ")
        if colon:
            yield name, _number(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- YAML ------------------------------------------------------------------------------------


def read_yaml(text: str, path: Path) -> object:
    """Read a YAML file as JSON would be read: `12:30`, dates and `yes` are texts.

    Raises:
        HarnessError: it is no YAML, or its aliases would fill the memory.
    """
    import yaml

    class PlainLoader(yaml.SafeLoader):
        """Numbers, true, false and null, and all else as text."""

        yaml_implicit_resolvers = {}  # noqa: RUF012 - yaml's own name

    core = "tag:yaml.org,2002:"
    for tag, pattern in (
        ("null", r"~|null|"),
        ("bool", "true|false"),
        ("int", r"[-+]?(?:0|[1-9][0-9]*)"),
        ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?"),
    ):
        PlainLoader.add_implicit_resolver(f"{core}{tag}", re.compile(f"^(?:{pattern})$"), None)
    try:
        data = yaml.load(text, Loader=PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise HarnessError(f"{path}: is no YAML that can be read: {first}.") from None
    if _written_out(data, {}) > MOST_VALUES:
        raise HarnessError(f"{path}: its aliases stand for more than {MOST_VALUES:,} values.")
    return data


def _written_out(value: object, known: dict[int, int]) -> int:
    """Count the values behind a value, each alias as if it were written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # of a value within itself
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(value)]
