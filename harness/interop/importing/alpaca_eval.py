"""model_outputs.json and annotations.json of AlpacaEval.

    {"instruction": "…", "output": "…", "generator": "gpt-4", "dataset": "helpful_base"}
    {"instruction": "…", "output_1": "…", "generator_1": "text_davinci_003", "output_2": "…",
     "generator_2": "gpt-4", "annotator": "alpaca_eval_gpt4", "preference": 2.0}

A preference runs from 1.0 (output_1) to 2.0 (output_2); 1.5, and 0 in older files, is a tie.
output_1 is the reference's: here the baseline. AlpacaEval shows the two outputs to the judge in
random order and does not record it. Weighted preferences (1.98) are a score too, on [1, 2] as they
are published, where the baseline has the 1.5 of a tie with itself: the mean less 1 is AlpacaEval's
win rate, and the win rate over winners its discrete one.
"""

from collections.abc import Sequence

from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedPreference,
    RecordedScores,
    Records,
    Winner,
    as_number,
    as_text,
    have_all,
    text_key,
)

SCORE = "preference"
TIE = 1.5

UNKNOWN_ORDER = (
    "AlpacaEval showed the two outputs in random order and did not record it: each pair was judged "
    "once, and the figures of the report on the order of answers mean nothing here."
)

WEIGHTED = (
    f"Weighted preferences are the score '{SCORE}' from 1 to 2, where the baseline has {TIE}. In "
    "win_rate each counts as the win of the output it is closer to (AlpacaEval's discrete win rate)."
)

NO_PREFERENCE = "a preference that is no number from 1 to 2: unscored"


def is_outputs(rows: Sequence[Object]) -> bool:
    """Return whether these are a model's outputs."""
    return have_all(rows, "instruction", "output", "generator")


def is_annotations(rows: Sequence[Object]) -> bool:
    """Return whether these are annotations of pairs."""
    return have_all(
        rows, "instruction", "output_1", "generator_1", "output_2", "generator_2", "preference"
    )


def read_outputs(rows: Sequence[Object], source: str) -> Records:
    """Read the outputs of models."""
    records = Records(source)
    for row in rows:
        name, key = as_text(row.get("generator")), _add_item(row, records)
        if key is not None and name:
            _add_answer(row.get("output"), name, key, records)
        elif key is not None:
            records.left_out["no generator"] += 1
    return records


def read_annotations(rows: Sequence[Object], source: str) -> Records:
    """Read preferences between a reference and one or more models, and their outputs."""
    records = Records(source, notes=[UNKNOWN_ORDER])
    named = [(as_text(row.get("generator_1")), as_text(row.get("generator_2"))) for row in rows]
    baseline = next((first for first, second in named if first and second), None)
    numbers: dict[tuple[str, str], float | None] = {}
    for row, (first, second) in zip(rows, named, strict=True):
        # Keep the first comparison of each pair with the baseline.
        if not first or not second or first != baseline or second == baseline:
            records.left_out[f"not a comparison with '{baseline}'"] += 1
            continue
        key = _add_item(row, records)
        if key is None:
            continue
        judged = records.preferences.setdefault((first, second), {})
        if key in judged:
            records.left_out["a further annotation of the same pair"] += 1
            continue
        # Add both outputs and the winner.
        for name, column in ((first, "output_1"), (second, "output_2")):
            _add_answer(row.get(column), name, key, records)
        records.judges.setdefault(as_text(row.get("annotator")) or "not stated")
        winner = winner_of(row.get("preference"))
        rationale = as_text(row.get("raw_completion"))
        reason = None if winner else "the preference is no number from 1 to 2"
        judged[key] = {"baseline_first": RecordedPreference(winner, rationale, reason)}
        numbers[second, key] = as_number(row.get("preference")) if winner else None
        if winner is None:
            records.left_out[NO_PREFERENCE] += 1
    if baseline and any(number not in (None, 0, 1, TIE, 2) for number in numbers.values()):
        _add_weights(numbers, baseline, records)
    return records


def winner_of(preference: object) -> Winner | None:
    """Return the winner of a preference: generator_1 is the baseline, generator_2 the candidate."""
    number = as_number(preference)
    if number == 0 or number == TIE:
        return "tie"
    if number is None or not 1 <= number <= 2:
        return None
    return "baseline" if number < TIE else "candidate"


def _add_weights(
    numbers: dict[tuple[str, str], float | None], baseline: str, records: Records
) -> None:
    """Add the preferences as a score of each candidate, and the tie with itself of the baseline."""
    records.notes.append(WEIGHTED)
    records.scales[SCORE] = (1, 2)
    for (model, key), number in numbers.items():
        value = TIE if number == 0 else number
        scores = RecordedScores({}, None, NO_PREFERENCE) if value is None else _score(value)
        records.scores.setdefault(model, {})[key] = scores
        records.scores.setdefault(baseline, {})[key] = _score(TIE)


def _score(value: float) -> RecordedScores:
    return RecordedScores({SCORE: value})


def _add_item(row: Object, records: Records) -> str | None:
    instruction = as_text(row.get("instruction"))
    if not instruction or not instruction.strip():
        records.left_out["no instruction"] += 1
        return None
    key = text_key(instruction, "alpaca")
    records.items.setdefault(key, RecordedItem(instruction, None, instruction))
    return key


def _add_answer(output: object, model: str, key: str, records: Records) -> None:
    answers = records.answers.setdefault(model, {})
    text = as_text(output)
    if key in answers and answers[key] != text:
        records.left_out["a second output for the same instruction"] += 1
        return
    answers[key] = text
