"""model_outputs.json and annotations.json of AlpacaEval.

    {"instruction": "…", "output": "…", "generator": "gpt-4", "dataset": "helpful_base"}
    {"instruction": "…", "output_1": "…", "generator_1": "text_davinci_003", "output_2": "…",
     "generator_2": "gpt-4", "annotator": "alpaca_eval_gpt4", "preference": 2.0}

A preference runs from 1.0 (output_1) to 2.0 (output_2); 1.5, and 0 in older files, is a tie.
output_1 is the reference's: here the baseline. AlpacaEval shows the two outputs to the judge in
random order and does not record it.
"""

import hashlib
from collections.abc import Sequence

from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedPreference,
    Records,
    Winner,
    as_number,
    have_all,
    make_name,
)

OUTPUT_KEYS = {"instruction", "output", "generator"}

ANNOTATION_KEYS = {
    "instruction", "output_1", "generator_1", "output_2", "generator_2", "preference",
}  # fmt: skip

UNKNOWN_ORDER = (
    "AlpacaEval showed the two outputs in random order and did not record it: each pair was judged "
    "once, and the figures of the report on the order of answers mean nothing here."
)

ROUNDED = "Weighted preferences between 1 and 2 count as the win of the output they are closer to."


def is_outputs(rows: Sequence[Object]) -> bool:
    """Return whether these are a model's outputs."""
    return have_all(rows, OUTPUT_KEYS)


def is_annotations(rows: Sequence[Object]) -> bool:
    """Return whether these are annotations of pairs."""
    return have_all(rows, ANNOTATION_KEYS)


def read_outputs(rows: Sequence[Object], model: str | None, source: str) -> Records:
    """Read the outputs of models, under the name `model` if one is given."""
    records = Records(source)
    for row in rows:
        key = _add_item(row, records)
        if key is not None:
            name = model or make_name(str(row["generator"]))
            _add_answer(row["output"], name, key, records)
    return records


def read_annotations(rows: Sequence[Object], source: str) -> Records:
    """Read preferences between a reference and one or more models, and their outputs."""
    records = Records(source, notes=[UNKNOWN_ORDER])
    baseline = make_name(str(rows[0]["generator_1"]))
    weighted = False
    for row in rows:
        names = make_name(str(row["generator_1"])), make_name(str(row["generator_2"]))
        # Keep the first comparison of each pair with the baseline.
        if names[0] != baseline or names[1] == baseline:
            records.left_out[f"not a comparison with '{baseline}'"] += 1
            continue
        key = _add_item(row, records)
        if key is None:
            continue
        judged = records.preferences.setdefault(names, {})
        if key in judged:
            records.left_out["a further annotation of the same pair"] += 1
            continue
        # Add both outputs and the winner.
        for name, column in zip(names, ("output_1", "output_2"), strict=True):
            _add_answer(row[column], name, key, records)
        winner = winner_of(row["preference"])
        if winner is None:
            records.left_out["a preference that is no number from 1 to 2: unscored"] += 1
        weighted |= row["preference"] not in (0, 1, 1.5, 2, None)
        judged[key] = RecordedPreference(winner, _text_or_none(row.get("raw_completion")))
    if weighted:
        records.notes.append(ROUNDED)
    return records


def winner_of(preference: object) -> Winner | None:
    """Return the winner of a preference: generator_1 is the baseline, generator_2 the candidate."""
    number = as_number(preference)
    if number == 0 or number == 1.5:
        return "tie"
    if number is None or not 1 <= number <= 2:
        return None
    return "baseline" if number < 1.5 else "candidate"


def _add_item(row: Object, records: Records) -> str | None:
    instruction = row["instruction"]
    if not isinstance(instruction, str) or not instruction.strip():
        records.left_out["no instruction"] += 1
        return None
    key = f"alpaca-{hashlib.sha256(instruction.encode('utf-8', 'replace')).hexdigest()[:12]}"
    records.items.setdefault(key, RecordedItem(instruction, None, instruction))
    return key


def _add_answer(output: object, model: str, key: str, records: Records) -> None:
    answers = records.answers.setdefault(model, {})
    text = _text_or_none(output)
    if key in answers and answers[key] != text:
        records.left_out["a second output for the same instruction"] += 1
        return
    answers[key] = text


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
