"""explorer.html: the items of a run in one file that filters, sorts and searches them without a network.

The file holds a table of numbers and names by item, which is read at once, and the texts in compressed parts, each
unpacked when it is looked at:

    <script type="application/json" id="data">{"ids": […], "columns": [{"differences": […], …}], …}</script>
    <script>…</script>                                         templates/explorer/*.js, one after the other
    <script type="text/plain" id="texts-0">H4sIAAAA…</script>  base64 of gzip of a JSON list, one record an item

The texts stand in it as they are, so that training pairs made of them are; the script writes out invisible characters
where it shows one, as `escape_invisible` does, and makes text nodes only. The policy allows the one script and style by
their hashes and no request, and no script may turn text into HTML.
"""

import base64
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import metric_of
from harness.core.files import write_private
from harness.core.sanitize import escape_invisible, one_line, short_line, shorten
from harness.types import Plan, RunResult
from reports.html import page_environment, read_asset, source_hash
from reports.item_pages import MAX_EXPLANATION_CHARS, MAX_QUESTION_CHARS, MAX_TEXT_CHARS
from reports.items import Item, ItemComparison

EXPLORER = "explorer.html"
MAX_TEXTS = 128 * 1024 * 1024  # bytes of JSON before compression, which a browser holds in memory
PART = 512 * 1024  # bytes of JSON in one compressed part

# In this order: each may use what those before it define.
SCRIPTS = (
    *("page", "data", "state", "filters", "diff", "list", "facets"),
    *("plot", "item", "notes", "export", "keys", "main"),
)
Json = dict[str, Any]


class Texts(NamedTuple):
    """The texts of the shown items: the compressed parts, and the place of each one's first item."""

    parts: list[str]
    starts: list[int]


def write_explorer(items: Sequence[Item], result: RunResult, folder: Path, *, n_items: int) -> Path:
    """Write the page of a run's items into its folder; `n_items` are in the run, of which some may be given.

    Raises:
        InfrastructureError: the file could not be written.
    """
    path = folder / EXPLORER
    write_private(path, render_explorer(items, result, n_items=n_items).encode())
    return path


def render_explorer(items: Sequence[Item], result: RunResult, *, n_items: int) -> str:
    """Render the page as one HTML document.

    If the texts are more than a browser can hold, those of the largest differences are shown and a note says so.
    """
    from markupsafe import Markup

    records = [encode_record(encode_texts(item)) for item in items]
    shown = _fitting(items, [len(record) for record in records])
    texts = pack_texts([records[i] for i in shown])
    data = encode_items([items[i] for i in shown], result.plan)
    data |= {"run": result.run_id, "title": _title(result), "parts": texts.starts}
    script = "\n".join(read_asset(f"explorer/{name}.js") for name in SCRIPTS)
    style = read_asset("colours.css") + read_asset("explorer.css")
    page = page_environment().get_template("explorer.html")
    return page.render(
        title=escape_invisible(one_line(_title(result))),
        note=_note(items, len(shown), n_items),
        data=Markup(_script_json(data)),  # noqa: S704 - no character of it ends a script
        script=Markup(script),  # noqa: S704 - our own files
        style=Markup(style),  # noqa: S704
        parts=[Markup(part) for part in texts.parts],  # noqa: S704 - base64
        policy=f"default-src 'none'; script-src '{source_hash(script)}'; "
        f"style-src '{source_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    )


def _title(result: RunResult) -> str:
    return f"{result.plan.title or result.plan.suite} · run {result.run_id}"


def _note(items: Sequence[Item], n_shown: int, n_items: int) -> str:
    """Return what the page lacks of the run, in words."""
    notes = []
    if n_shown < n_items:
        notes.append(
            f"Shown are the {n_shown:,} of {n_items:,} items with the largest differences; answers.parquet and "
            "judgements.parquet have all."
        )
    if any(item.flags is None for item in items):
        notes.append("The run's tables do not say which answers have a flag.")
    return " ".join(notes)


def _fitting(items: Sequence[Item], sizes: Sequence[int]) -> list[int]:
    """Return the places of the items whose texts fit, in order; those of the largest differences come first."""
    if sum(sizes) <= MAX_TEXTS:
        return list(range(len(items)))
    left, shown = MAX_TEXTS, []
    for i in sorted(range(len(items)), key=lambda i: -abs(items[i].difference or 0.0)):
        if sizes[i] > left:
            break
        left -= sizes[i]
        shown.append(i)
    return sorted(shown)


# --- numbers and names -----------------------------------------------------------------------


def encode_items(items: Sequence[Item], plan: Plan) -> Json:
    """Return the columns of numbers and names of the items, for filtering, sorting and counting."""
    tasks = [task.name for task in plan.tasks]
    columns = _encode_columns(items, plan)
    headline = next((item.metric for item in items if item.metric), None)
    return {
        "models": [model.name for model in plan.models],
        "tasks": tasks,
        "systems": [task.system for task in plan.tasks],
        "task": [tasks.index(item.task) for item in items],
        "ids": [item.sample_id for item in items],
        "anchors": [item.anchor for item in items],
        "questions": [short_line(item.input, MAX_QUESTION_CHARS) for item in items],
        "columns": columns,
        "headline": next(
            (i for i, c in enumerate(columns) if c["gated"] and c["metric"] == headline), 0
        ),
        "slices": _encode_slices(items),
        "flags": _places(
            ("flag", "model"),
            (((f.flag, f.model), i) for i, item in enumerate(items) for f in item.flags or ()),
        ),
        "critical": _places(
            ("rule", "model"),
            (((c.rule, c.model), i) for i, item in enumerate(items) for c in item.critical),
        ),
    }


def _encode_columns(items: Sequence[Item], plan: Plan) -> list[Json]:
    """Return each score column of a task, by candidate, with the scores of all items; null where it has none."""
    tasks = {task.name: i for i, task in enumerate(plan.tasks)}
    columns: dict[tuple[str, str, str], Json] = {}
    for i, item in enumerate(items):
        for compared in item.comparisons:
            key = item.task, compared.metric, compared.candidate
            if key not in columns:
                task = plan.tasks[tasks[item.task]]
                low, high = task.metrics[metric_of(compared.metric)].bounds_of(compared.metric)
                columns[key] = {
                    "task": tasks[item.task],
                    "low": _short(float(low)),
                    "high": _short(float(high)),
                }
                columns[key] |= _empty_column(compared, len(items))
            _add_scores(columns[key], i, compared)
    return list(columns.values())


def _empty_column(compared: ItemComparison, n: int) -> Json:
    return {
        "metric": compared.metric,
        "kind": compared.kind,
        "baseline": compared.baseline,
        "candidate": compared.candidate,
        "gated": compared.gated,
        **{name: [None] * n for name in ("baseline_scores", "candidate_scores", "differences")},
        # The rest holds for few items, and is by their places.
        **{name: [] for name in ("order_dependent", "judges_disagree", "against_people")},
        **{name: {} for name in ("reasons", "judge_spreads", "people")},
    }


def _add_scores(column: Json, i: int, compared: ItemComparison) -> None:
    column["baseline_scores"][i] = _short(compared.baseline_score)
    column["candidate_scores"][i] = _short(compared.candidate_score)
    column["differences"][i] = _short(compared.difference)
    if compared.difference is None:
        column["reasons"][i] = compared.reason or ""
    if compared.order_dependent:
        column["order_dependent"].append(i)
    if compared.judges_disagree:
        column["judges_disagree"].append(i)
        column["judge_spreads"][i] = _short(compared.judge_spread)
    if compared.people is not None:
        column["people"][i] = _short(compared.people)
    if compared.people_disagree:
        column["against_people"].append(i)


def _short(score: float | None) -> float | None:
    """Return a whole number without its fraction, which is shorter; None where there is no limit, which JSON lacks."""
    if score is None or not math.isfinite(score):
        return None
    return int(score) if score.is_integer() else score


def _encode_slices(items: Sequence[Item]) -> list[Json]:
    """Return for each column that the suite slices by its values, and of every item the value's place or -1."""
    slices: dict[str, tuple[dict[str, int], list[int]]] = {}
    for i, item in enumerate(items):
        for column, value in item.slices:
            values, of = slices.setdefault(column, ({}, [-1] * len(items)))
            of[i] = values.setdefault(value, len(values))
    return [{"column": name, "values": list(v), "of": of} for name, (v, of) in slices.items()]


def _places(
    names: tuple[str, str], found: Iterable[tuple[tuple[str, str], int]]
) -> list[dict[str, Any]]:
    """Return the places of the items of each kind, the most frequent kind first."""
    places: dict[tuple[str, str], list[int]] = {}
    for kind, i in found:
        places.setdefault(kind, []).append(i)
    kinds = sorted(places, key=lambda kind: -len(places[kind]))
    return [{**dict(zip(names, kind, strict=True)), "items": places[kind]} for kind in kinds]


# --- texts -----------------------------------------------------------------------------------


def encode_texts(item: Item) -> Json:
    """Return the texts of one item; `cut` says whether one is too long to be here as a whole."""
    cutter = _Cutter()
    references = item.references or (() if item.reference is None else (item.reference,))
    return {
        "input": cutter.cut(item.input),
        "history": [[_role(speaker), cutter.cut(text)] for speaker, text in item.history],
        "references": [cutter.cut(text) for text in references],
        "answers": [
            {
                "model": answer.model,
                "text": None if answer.text is None else cutter.cut(answer.text),
                "note": answer.note,
                "thoughts": shorten(answer.thoughts, MAX_TEXT_CHARS),
                "passages": None
                if answer.passages is None
                else [
                    {"id": passage.id, "text": shorten(passage.text, MAX_TEXT_CHARS)}
                    for passage in answer.passages
                ],
            }
            for answer in item.answers
        ],
        "judgements": [
            {
                "judge": judgement.judge,
                "metric": judgement.metric,
                "subject": judgement.subject,
                "verdict": judgement.verdict,
                "explanation": shorten(judgement.explanation, MAX_EXPLANATION_CHARS),
            }
            for judgement in item.judgements
        ],
        "cut": cutter.has_cut,
    }


class _Cutter:
    """Shortens the texts of one item, and knows whether one was too long."""

    def __init__(self) -> None:
        self.has_cut = False

    def cut(self, text: str) -> str:
        self.has_cut = self.has_cut or len(text) > MAX_TEXT_CHARS
        return shorten(text, MAX_TEXT_CHARS)


def _role(speaker: str) -> str:
    """Return the role of a turn, whose speaker is named for people."""
    return "system" if speaker == "System prompt" else speaker.lower()


def encode_record(texts: Mapping[str, object]) -> bytes:
    """Return the texts of one item as JSON."""
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def pack_texts(records: Sequence[bytes]) -> Texts:
    """Join the records of the items in parts of about half a megabyte, and compress each."""
    parts, starts = [], []
    for start, part in _split(records):
        content = b"[" + b",".join(part) + b"]"
        packed = gzip.compress(content, compresslevel=4, mtime=0)
        parts.append(base64.b64encode(packed).decode())
        starts.append(start)
    return Texts(parts, starts)


def _split(records: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    start, size, part = 0, 0, list[bytes]()
    for place, record in enumerate(records):
        if part and size + len(record) > PART:
            yield start, part
            start, size, part = place, 0, []
        part.append(record)
        size += len(record)
    if part:
        yield start, part


def _script_json(data: Json) -> str:
    """Return JSON in which nothing ends a script element, or begins a comment in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
