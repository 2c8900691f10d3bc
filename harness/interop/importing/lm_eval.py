"""samples_*.jsonl, as lm-evaluation-harness writes them with --log_samples.

    {"doc_id": 0, "doc": {…}, "target": "4", "arguments": {"gen_args_0": {"arg_0": "2 + 2 = ?", …}},
     "resps": [["4"]], "filtered_resps": ["4"], "filter": "none", "metrics": ["exact_match"],
     "doc_hash": "…", "exact_match": 1.0}

The answer is the raw response, not what a filter took from it. Where choices were ranked by their
likelihood it is the choice that came out first. A file has a row for each item and filter.
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


_FACTS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip


def is_lm_eval(rows: Sequence[Object]) -> bool:
    """Return whether these are lm-eval's samples."""
    return have_all(rows, KEYS)


def read_lm_eval(rows: Sequence[Object], model: str, source: str) -> Records:
    """Read the samples of one model on one task."""
    records = Records(source)
    answers = records.answers.setdefault(model, {})
    filters = {str(row.get("filter", "none")) for row in rows}
    for row in rows:
        key = f"doc-{row['doc_id']}"
        asked = [_texts(each) for each in _values(row["arguments"])]
        if not asked or not asked[0] or not asked[0][0].strip():
            records.left_out["no prompt"] += 1
            continue
        answer = _answer(row["resps"], asked)
        if answer is None:
            records.left_out["no generated answer and no choices"] += 1
            continue
        records.items[key] = RecordedItem(
            asked[0][0], _reference(row.get("target"), asked), str(row.get("doc_hash", asked[0][0]))
        )
        answers.setdefault(key, answer)
        ending = f"_{row.get('filter')}" if len(filters) > 1 else ""
        _add_scores(row, key, ending, model, records)
    return records


def _add_scores(row: Object, key: str, ending: str, model: str, records: Records) -> None:
    names = row.get("metrics") or [name for name in row if name not in _FACTS]
    values = {}
    for name in names:
        number = as_number(row.get(name))
        if number is None:
            records.left_out[f"'{name}' is no number"] += 1
        else:
            values[f"{name}{ending}"] = number
    known = records.scores.setdefault(model, {}).get(key, RecordedScores({}))
    records.scores[model][key] = RecordedScores({**known.values, **values})


def _values(part: object) -> list[object]:
    """Return the values of `{"gen_args_0": {…}}` (newer files) or of a plain list (older ones)."""
    if isinstance(part, dict):
        return list(part.values())
    return part if isinstance(part, list) else []


def _texts(request: object) -> list[str]:
    return [part if isinstance(part, str) else "" for part in _values(request)]


def _answer(resps: object, asked: Sequence[Sequence[str]]) -> str | None:
    first = [group[0] for group in _values(resps) if isinstance(group, list) and group]
    if first and isinstance(first[0], str):
        return first[0]
    chances = [_likelihood(each) for each in first]
    if len(chances) < 2 or len(chances) > len(asked) or any(c is None for c in chances):
        return None
    best = max(range(len(chances)), key=lambda i: chances[i] or float("-inf"))
    return asked[best][1].strip() if len(asked[best]) > 1 else None


def _likelihood(response: object) -> float | None:
    """Return the first of `["-3.2", "False"]`, which is text in newer files and a number in older."""
    if not isinstance(response, list) or not response:
        return None
    try:
        return float(response[0])
    except (TypeError, ValueError):
        return None


def _reference(target: object, asked: Sequence[Sequence[str]]) -> str | None:
    """Return the target as text; for ranked choices the one that its number points at."""
    text = "" if target is None else str(target)
    if text.isascii() and text.isdigit() and len(asked) > 1 and int(text) < len(asked):
        choice = asked[int(text)]
        return choice[1].strip() if len(choice) > 1 else text
    return text or None
