"""samples_*.jsonl, as lm-evaluation-harness writes them with --log_samples.

    {"doc_id": 0, "doc": {…}, "target": "4", "arguments": {"gen_args_0": {"arg_0": "2 + 2 = ?", …}},
     "resps": [["4"]], "filtered_resps": ["4"], "filter": "none", "metrics": ["exact_match"],
     "doc_hash": "…", "exact_match": 1.0}

The answer is the raw response, not the part that a filter extracted. Where choices were ranked by
their likelihood, it is the most likely choice. A file has a row for each item and filter.
"""

from collections.abc import Sequence

from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_number,
    have_all,
)

KEYS = {"doc_id", "arguments", "resps"}

_NOT_SCORES = {  # keys of a row; in older files, without `metrics`, the other keys are scores
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip


def is_lm_eval(rows: Sequence[Object]) -> bool:
    """Return whether these are samples of lm-eval."""
    return have_all(rows, KEYS)


def read_lm_eval(rows: Sequence[Object], model: str, source: str) -> Records:
    """Read the samples of one model on one task."""
    records = Records(source)
    answers = records.answers.setdefault(model, {})
    filters = {str(row.get("filter", "none")) for row in rows}
    for row in rows:
        key = f"doc-{row['doc_id']}"
        # One request for a generated answer, or one for each choice.
        requests = [_texts(request) for request in _values(row["arguments"])]
        if not requests or not requests[0] or not requests[0][0].strip():
            records.left_out["no prompt"] += 1
            continue
        answer = _answer(row["resps"], requests)
        if answer is None:
            records.left_out["no generated answer and no choices"] += 1
            continue
        prompt = requests[0][0]
        reference = _reference(row.get("target"), requests)
        records.items[key] = RecordedItem(prompt, reference, str(row.get("doc_hash", prompt)))
        answers.setdefault(key, answer)
        suffix = f"_{row.get('filter')}" if len(filters) > 1 else ""
        _add_scores(row, key, suffix, model, records)
    return records


def _add_scores(row: Object, key: str, suffix: str, model: str, records: Records) -> None:
    names = row.get("metrics") or [name for name in row if name not in _NOT_SCORES]
    values = {}
    for name in names:
        number = as_number(row.get(name))
        if number is None:
            records.left_out[f"'{name}' is no number"] += 1
        else:
            values[f"{name}{suffix}"] = number
    scores = records.scores.setdefault(model, {})
    scores[key] = RecordedScores({**scores.get(key, RecordedScores({})).values, **values})


def _values(part: object) -> list[object]:
    """Return the values of `{"gen_args_0": {…}}` (newer files) or of a plain list (older ones)."""
    if isinstance(part, dict):
        return list(part.values())
    return part if isinstance(part, list) else []


def _texts(request: object) -> list[str]:
    return [part if isinstance(part, str) else "" for part in _values(request)]


def _answer(resps: object, requests: Sequence[Sequence[str]]) -> str | None:
    """Return the generated text, or else the choice with the highest likelihood."""
    first = [group[0] for group in _values(resps) if isinstance(group, list) and group]
    if first and isinstance(first[0], str):
        return first[0]
    likelihoods = [_likelihood(response) for response in first]
    if not 2 <= len(likelihoods) <= len(requests) or None in likelihoods:
        return None
    best = max(range(len(likelihoods)), key=lambda i: likelihoods[i] or float("-inf"))
    return requests[best][1].strip() if len(requests[best]) > 1 else None


def _likelihood(response: object) -> float | None:
    """Return the number in `["-3.2", "False"]`; newer files have it as text."""
    if not isinstance(response, list) or not response:
        return None
    try:
        return float(response[0])
    except (TypeError, ValueError):
        return None


def _reference(target: object, requests: Sequence[Sequence[str]]) -> str | list[str] | None:
    """Return the target as text, a list as texts; for ranked choices the choice whose index it is."""
    if isinstance(target, list):
        return [str(text) for text in target if text is not None] or None
    text = "" if target is None else str(target)
    if text.isascii() and text.isdigit() and len(requests) > 1 and int(text) < len(requests):
        choice = requests[int(text)]
        return choice[1].strip() if len(choice) > 1 else text
    return text or None
