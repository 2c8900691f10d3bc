"""Results of promptfoo: `promptfoo eval --output results.json` or `.jsonl`, or an exported eval.

CSV and YAML are read in promptfoo_files.py.

    {"evalId": "…", "results": {"version": 3, "results": [
      {"testIdx": 0, "provider": {"id": "openai:gpt-4o", "label": ""}, "prompt": {"raw": "…", "label": "…"},
       "vars": {"question": "…"}, "response": {"output": "…"}, "success": true, "score": 1,
       "failureReason": 0, "namedScores": {}, "gradingResult": {"pass": true, "reason": "…"}}]}}

Each provider is a model; with several prompts, each provider with each prompt. An item is a test; the
tests of `--repeat` have the same variables and are several answers to one item. `score`, `pass` and
the named scores are taken. A test that ended in an error (failureReason 2) has no answer and no
score, and a test without assertions no score.
"""

import json
from collections import Counter
from collections.abc import Sequence

from harness.core.json_text import parse_json
from harness.data.cells import Chat
from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_key,
    as_number,
    as_object,
    as_rows,
    as_text,
    have_all,
    read_chat,
    text_key,
    user_text,
    without_system,
)
from harness.types.samples import write_transcript

_ERROR = 2  # of `failureReason`: the provider or a check failed, and no assertion was decided
_NO_ASSERTIONS = "No assertions"
_WITH_REFERENCE = {"equals", "similar", "factuality", "model-graded-factuality"}


def promptfoo_rows(data: object) -> list[Object]:
    """Return the results of a promptfoo file; none if it is another file."""
    results = as_object(data).get("results")
    if isinstance(results, dict):
        results = results.get("results")
    rows = as_rows(data if results is None else results)
    return rows if have_all(rows, "provider", "vars", "success") else []


def read_promptfoo(rows: Sequence[Object], source: str) -> Records:
    """Read the answers and scores of every provider."""
    records = Records(source)
    prompts = {_prompt_label(row) for row in rows}
    answers_to: dict[str, dict[int, int]] = {}  # by variables: each test, counted from 1
    times: Counter[tuple[str, str]] = Counter()  # of results without a testIdx
    for row in rows:
        number, model = as_number(row.get("testIdx")), _model(row, several=len(prompts) > 1)
        if model is None:
            records.left_out["no provider"] += 1
            continue
        question, earlier = _question(row, records, several=len(prompts) > 1)
        if not question.strip():
            records.left_out["no prompt"] += 1
            continue
        # The tests with the same variables are answers to one item; old files do not number them.
        if number is None:
            item = text_key(_variables(row), "test")
            times[model, item] += 1
            time = times[model, item]
        else:
            tests = answers_to.setdefault(_variables(row), {})
            time = tests.setdefault(int(number), len(tests) + 1)
            item = f"test-{next(iter(tests))}"
        key, cluster = (item, None) if time == 1 else (f"{item}#{time}", item)
        if key in records.answers.get(model, {}):
            records.left_out["a further result of the same test"] += 1
            continue
        records.items[key] = RecordedItem(
            question, _reference(row), write_transcript(earlier, question), cluster, earlier
        )
        _add_result(row, key, model, records)
    return records


def _add_result(row: Object, key: str, model: str, records: Records) -> None:
    output = as_object(row.get("response")).get("output")
    reason = row.get("failureReason")
    failed = reason == _ERROR or (reason is None and row.get("error") and output is None)
    if failed:
        words = as_text(row.get("error")) or as_text(as_object(row.get("response")).get("error"))
        records.left_out["ended in an error: no answer and no score"] += 1
        records.fail(model, key, f"ended in an error: {words or 'not recorded'}")
        return
    text = output if isinstance(output, str | None) else json.dumps(output, ensure_ascii=False)
    records.answers.setdefault(model, {})[key] = text
    if text is None:
        records.left_out["no answer: counts as a failed one"] += 1
    scores = _scores(row)
    if scores.reason:
        records.left_out[scores.reason] += 1
    records.scores.setdefault(model, {})[key] = scores


def _scores(row: Object) -> RecordedScores:
    grading = as_object(row.get("gradingResult"))
    reason = as_text(grading.get("reason"))
    if reason == _NO_ASSERTIONS:
        return RecordedScores({}, None, "the test has no assertions: unscored")
    if as_object(grading.get("metadata")).get("graderError"):
        return RecordedScores({}, reason, "the grader failed: unscored")
    named = as_object(row.get("namedScores"))
    found = {"score": row.get("score"), "pass": row.get("success")} | named
    numbers = {name: number for name, x in found.items() if (number := as_number(x)) is not None}
    return RecordedScores(dict(numbers), reason, None if numbers else "no score that is a number")


def _model(row: Object, *, several: bool) -> str | None:
    provider = row.get("provider")
    name = as_text(provider) or as_text(as_object(provider).get("label"))
    name = name or as_text(as_object(provider).get("id"))
    return f"{name} {_prompt_label(row)}" if name and several else name


def _prompt_label(row: Object) -> str:
    prompt = as_object(row.get("prompt"))
    return as_text(prompt.get("label")) or as_key(row.get("promptId")) or ""


def _variables(row: Object) -> str:
    """Return a test's variables as text; the prompt of a test without any."""
    variables = as_object(row.get("vars")) or {"": as_object(row.get("prompt")).get("raw")}
    return json.dumps(variables, sort_keys=True)


def _question(row: Object, records: Records, *, several: bool) -> tuple[str, Chat]:
    """Return the prompt as it was sent, and the turns before it where it is a chat.

    Of several prompts the question is the variables that they share.
    """
    raw = as_text(as_object(row.get("prompt")).get("raw")) or ""
    if not several and raw.strip():
        messages = _messages(raw)
        text = user_text(messages)
        if not text:
            return raw, ()
        question, earlier = read_chat(messages, records, otherwise=text)
        return question, without_system(earlier)
    variables = as_object(row.get("vars"))
    texts = [
        v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in variables.values()
    ]
    if len(texts) == 1:
        return texts[0], ()
    lines = (f"{name}: {text}" for name, text in zip(variables, texts, strict=True))
    return "\n".join(lines), ()


def _messages(raw: str) -> list[Object]:
    """Return the turns of a prompt that is a chat as JSON; none if it is no chat."""
    if not raw.lstrip().startswith("["):
        return []
    try:
        return as_rows(parse_json(raw))
    except ValueError:
        return []


def _reference(row: Object) -> str | None:
    for assertion in as_rows(as_object(row.get("testCase")).get("assert")):
        if as_text(assertion.get("type")) in _WITH_REFERENCE:
            return as_text(assertion.get("value")) or None
    return None
