"""samples_*.jsonl, as lm-evaluation-harness writes them with --log_samples.

    {"doc_id": 0, "doc": {…}, "target": "4", "arguments": {"gen_args_0": {"arg_0": "2 + 2 = ?", …}},
     "resps": [["4"]], "filtered_resps": ["4"], "filter": "none", "metrics": ["exact_match"],
     "doc_hash": "…", "exact_match": 1.0}

The answer is the raw response, not the part that a filter extracted. Where choices were ranked by
their likelihood, it is the choice that lm-eval took (lm_eval_choices.py). The prompt of a chat
endpoint is a list of messages as JSON; the question is its last user turn, behind the turns before it
(the examples of `--fewshot_as_multiturn`). A file has a row for each item and filter.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.core.json_text import parse_json
from harness.core.sanitize import printable_line
from harness.data.cells import Chat
from harness.interop.importing.lm_eval_choices import (
    RankedChoices,
    is_likelihood,
    read_choices,
)
from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_key,
    as_list,
    as_number,
    as_rows,
    content_text,
    have_all,
    read_chat,
    without_system,
)

_NOT_SCORES = {  # keys of a row; in older files, without `metrics`, the other keys are scores
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip

UNKNOWN_CHOICE = (
    "what lm-eval chose cannot be told from the log-likelihoods in agreement with its score: they "
    "are given as the answer"
)


class _Answered(NamedTuple):
    """The question, answer and reference of a row."""

    prompt: str
    answer: str
    reference: str | list[str] | None
    earlier: Chat = ()


class _UnusableError(Exception):
    """A row that cannot be used; the message is the reason."""


def is_lm_eval(rows: Sequence[Object]) -> bool:
    """Return whether these are samples of lm-eval."""
    return have_all(rows, "doc_id", "arguments", "resps")


def is_lm_eval_totals(data: object) -> bool:
    """Return whether this is lm-eval's results_*.json, which has no samples."""
    return isinstance(data, dict) and {"results", "configs", "versions"} <= data.keys()


def read_lm_eval(rows: Sequence[Object], model: str, source: str) -> Records:
    """Read the samples of one model on one task."""
    records = Records(source)
    answers = records.answers.setdefault(model, {})
    filters = {str(row.get("filter", "none")) for row in rows}
    for row in rows:
        number = as_key(row.get("doc_id"))
        try:
            if number is None:
                raise _UnusableError("no doc_id")
            answered = _read_row(row, records)
        except _UnusableError as error:
            records.left_out[str(error)] += 1
            continue
        key = f"doc-{number}"
        identity = str(row.get("doc_hash", answered.prompt))
        records.items[key] = RecordedItem(
            answered.prompt, answered.reference, identity, history=answered.earlier
        )
        answers.setdefault(key, answered.answer)
        suffix = f"_{row.get('filter')}" if len(filters) > 1 else ""
        _add_scores(row, key, suffix, model, records)
    return records


def _read_row(row: Object, records: Records) -> _Answered:
    # One request for a generated answer, or one or two for each choice.
    requests = [_values(request) for request in _values(row.get("arguments"))]
    groups = [group for group in _values(row.get("resps")) if isinstance(group, list) and group]
    # Likelihoods are one deeper than generated texts, of which a group has one for each repeat.
    flat = len(groups) > 1 and all(is_likelihood(group) for group in groups)
    first = groups if flat else [group[0] for group in groups]
    argument = requests[0][0] if requests and requests[0] else ""
    prompt, earlier = _prompt(argument, records)
    if first and isinstance(first[0], str):
        if not prompt.strip():
            raise _UnusableError("no prompt")
        return _Answered(prompt, first[0], _reference(row.get("target")), earlier)
    ranked = read_choices(requests, first, _score_names(row))
    if ranked is None or not ranked.question.strip():
        raise _UnusableError("no generated answer and no choices" if requests else "no prompt")
    return _read_choice(row, ranked, records)


def _read_choice(row: Object, ranked: RankedChoices, records: Records) -> _Answered:
    """Take the choice that agrees with the row's score; else give the log-likelihoods."""
    if len(ranked.choices) == 1:  # the likelihood of a given end (lambada): nothing was chosen
        return _Answered(ranked.question, ranked.listing, ranked.chosen or None)
    score = as_number(row.get(ranked.metric)) if ranked.metric else None
    right = ranked.agreeing_targets(row.get("target"), score)
    if right is None:
        records.left_out[UNKNOWN_CHOICE] += 1
        return _Answered(ranked.question, ranked.listing, None)
    texts = [ranked.choices[i] for i in sorted(right)]
    return _Answered(
        ranked.question, ranked.chosen, texts if len(texts) > 1 else "".join(texts) or None
    )


def _score_names(row: Object) -> list[str]:
    names = [name for name in as_list(row.get("metrics")) if isinstance(name, str)]
    return names or [name for name in row if name not in _NOT_SCORES]


def _add_scores(row: Object, key: str, suffix: str, model: str, records: Records) -> None:
    values: dict[str, float | str] = {}
    for name in _score_names(row):
        number = as_number(row.get(name))
        if number is None:
            records.left_out[f"'{printable_line(name)}' is no number"] += 1
        else:
            values[f"{name}{suffix}"] = number
    scores = records.scores.setdefault(model, {})
    scores[key] = RecordedScores({**scores.get(key, RecordedScores({})).values, **values})


def _values(part: object) -> list[object]:
    """Return the values of `{"gen_args_0": {…}}` (newer files) or of a plain list (older ones)."""
    return list(part.values()) if isinstance(part, dict) else as_list(part)


def _prompt(argument: object, records: Records) -> tuple[str, Chat]:
    """Return a prompt's text, and of a chat, which may be JSON in a list, the turns before it."""
    if isinstance(argument, list) and len(argument) == 1 and isinstance(argument[0], str):
        argument = argument[0]
    messages = _messages(argument) if isinstance(argument, str) else as_rows(argument)
    if not messages:
        return argument if isinstance(argument, str) else "", ()
    turns = [turn for turn in messages if turn.get("role") == "user"] or messages
    last = content_text(turns[-1].get("content"))
    question, earlier = read_chat(messages, records, otherwise=last)
    return question, without_system(earlier)


def _messages(text: str) -> list[Object]:
    """Read a chat that is written as JSON; empty if the text is no chat."""
    if not text.startswith("[{"):
        return []
    try:
        messages = as_rows(parse_json(text))
    except ValueError:
        return []
    return messages if all("role" in message for message in messages) else []


def _reference(target: object) -> str | list[str] | None:
    """Return the target of a generated answer as text, a list as texts."""
    if isinstance(target, list):
        return [str(text) for text in target if text is not None] or None
    return None if target is None else str(target) or None
