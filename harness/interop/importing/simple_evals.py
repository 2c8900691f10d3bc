"""Results of simple-evals: NAME_allresults.json, with every conversation.

    {"score": 0.6, "metrics": {…},
     "htmls": ["… <p>Correct Answer: 4</p> … <p>Score: 1.0</p>"],
     "convos": [[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]],
     "metadata": {"example_level_metadata": [{"score": 0.6, "prompt_id": "…", "rubric_items": […]}]}}

A score stands in the metadata, or else in the page of its sample. A question that was asked several
times has several answers. The file beside it, without `_allresults`, has the totals only.
"""

import html
import re
from collections import Counter
from pathlib import Path

from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_key,
    as_list,
    as_number,
    as_object,
    as_rows,
    as_text,
    content_text,
    read_chat,
    text_key,
    user_text,
    without_system,
)

SCORE = "score"
BAD_REQUEST = "No response (bad request)."  # in the place of an answer that was refused or failed

_PAGE_SCORE = re.compile(r"<p>Score: ([^<]*)</p>")
_PAGE_TARGET = re.compile(r"<p>Correct Answer: (.*?)</p>", re.DOTALL)
_STEM = re.compile(
    r"(?:healthbench_(?:hard|consensus|meta)|[^_]+)_(?P<model>.+?)(?:_DEBUG)?(?:_\d{8}_\d{4,6})?"
    r"(?:_allresults)?"
)


def is_all_results(data: object) -> bool:
    """Return whether this is a result of simple-evals with its conversations."""
    return isinstance(data, dict) and isinstance(data.get("convos"), list) and "htmls" in data


def is_totals(data: object) -> bool:
    """Return whether this is a result of simple-evals with its totals only."""
    return isinstance(data, dict) and "score" in data and any(key.endswith(":std") for key in data)


def model_in_name(path: Path) -> str:
    """Return the model that a file is named after: `mmlu_gpt-4o_20250101_120000_allresults.json`."""
    match = _STEM.fullmatch(path.stem)
    return match["model"] if match else path.stem


def read_all_results(data: Object, model: str, source: str) -> Records:
    """Read one model's answers and scores."""
    records = Records(source)
    answers, scores = records.answers.setdefault(model, {}), records.scores.setdefault(model, {})
    pages = as_list(data.get("htmls"))
    details = as_list(as_object(data.get("metadata")).get("example_level_metadata"))
    times: Counter[str] = Counter()
    for i, convo in enumerate(as_list(data.get("convos"))):
        page = (as_text(pages[i]) if i < len(pages) else None) or ""
        detail = as_object(details[i]) if i < len(details) else {}
        messages = as_rows(convo)
        answer = messages[-1] if messages and messages[-1].get("role") == "assistant" else {}
        question = user_text(messages)
        if not question.strip():
            records.left_out["no question"] += 1
            continue
        name = as_key(detail.get("prompt_id")) or text_key(question, "question")
        times[name] += 1
        key, cluster = (name, None) if times[name] == 1 else (f"{name}#{times[name]}", name)
        target = _PAGE_TARGET.search(page)
        reference = html.unescape(target[1]).strip() if target else None
        asked, earlier = read_chat(
            messages[:-1] if answer else messages, records, otherwise=question
        )
        criteria, met = _checklist(detail)
        records.items[key] = RecordedItem(
            asked, reference or None, question, cluster, without_system(earlier), criteria
        )
        answers[key] = content_text(answer["content"]) if "content" in answer else None
        if answers[key] == BAD_REQUEST:
            records.left_out["bad request: no answer and no score"] += 1
            records.fail(model, key, "bad request")
            continue
        scores[key] = _scores(page, detail)._replace(met=met)
        if not scores[key].values:
            records.left_out["no score that is a number: unscored"] += 1
    return records


def _scores(page: str, detail: Object) -> RecordedScores:
    number = as_number(detail.get("score"))
    shown = _PAGE_SCORE.findall(page)
    if number is None and shown:
        number = _page_number(html.unescape(shown[-1]).strip())
    if number is None:
        return RecordedScores({}, None, "the results hold no score that is a number")
    return RecordedScores({SCORE: number}, _rationale(detail))


def _page_number(text: str) -> float | None:
    if text in ("True", "False"):
        return float(text == "True")
    try:
        return as_number(float(text))
    except ValueError:
        return None


def _checklist(detail: Object) -> tuple[tuple[Object, ...], tuple[bool | None, ...]]:
    """Return the criteria of a HealthBench item and the verdicts on them; nothing if any is odd."""
    graded = as_rows(detail.get("rubric_items"))
    if not all(as_text(item.get("criterion")) and as_number(item.get("points")) for item in graded):
        return (), ()
    criteria = tuple(
        {key: item.get(key) for key in ("criterion", "points", "tags")} for item in graded
    )
    met = (item.get("criteria_met") for item in graded)
    return criteria, tuple(verdict if isinstance(verdict, bool) else None for verdict in met)


def _rationale(detail: Object) -> str | None:
    """Return the verdicts on the criteria of a rubric, as HealthBench has them, one a line."""
    graded = as_rows(detail.get("rubric_items"))
    lines = [
        f"[{item.get('criteria_met')}] {item.get('criterion')}: {item.get('explanation')}"
        for item in graded
    ]
    return "\n".join(lines) or None
