"""The files of a study, made of records of other tools.

    study/items.jsonl            {"id": "doc-0", "input": "…", "reference": "…", "cluster": "doc-0",
                                  "history": [{"role": "user", "content": "…"}, …], "rubrics": […]}
    study/answers/gpt-4.jsonl    {"id": "doc-0", "response": "…"}
                                 {"id": "doc-1", "response": null, "failure": "invalidated: …"}
    study/scores/gpt-4.jsonl     {"id": "doc-0", "exact_match": 1.0, "words": "…", "reason": null}
    study/criteria/gpt-4.jsonl   {"id": "doc-0", "met": [true, false, null], "reason": null}
    study/preferences/gpt-4.jsonl  {"id": "doc-0", "order": "baseline_first", "winner": "candidate", …}
    study/suite.yaml, study/profile.yaml

Columns that no row needs (reference, cluster, history, rubrics, failure, reason) are left out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.core.files import replace_file, write_atomically
from harness.core.sanitize import printable_line
from harness.interop.importing.records import RecordedItem, RecordedScores, Records, make_name
from harness.types import Order

PREFERENCE, CHECKLIST = "win_rate", "checklist"
RUBRICS = "rubrics"  # the column of the items' criteria
RESERVED = (PREFERENCE, CHECKLIST, "id", "words", "reason")  # columns that no score may take
NO_SCORE = "the file holds no such score"

Row = dict[str, object]


class Study(NamedTuple):
    """What is written: records, and the names of models and scores in the files.

    `names` are of models, the baseline first; `metrics` are the names of scores, and `scales` the
    ends of their scales. With a `checklist` every item has criteria.
    """

    records: Records
    names: dict[str, str]
    items: dict[str, RecordedItem]
    metrics: dict[str, str]
    scales: dict[str, tuple[int, int]]
    checklist: bool = False

    @property
    def is_pairwise(self) -> bool:
        """Return whether the suite compares pairs: by recorded preferences, or for want of scores."""
        return bool(self.records.preferences) or not (self.metrics or self.checklist)


def write_study(out: Path, study: Study) -> None:
    """Write all files.

    Raises:
        OSError: one cannot be written.
    """
    item_rows = _drop_empty(list(_item_rows(study)), "reference", "cluster", "history", RUBRICS)
    _write_rows(out / "items.jsonl", item_rows)
    models: dict[str, Any] = {}
    verdicts: dict[str, dict[str, Any]] = {}
    for model, name in study.names.items():
        answered = _drop_empty(list(_answer_rows(study, model)), "failure")
        _write_rows(out / "answers" / f"{name}.jsonl", answered)
        path = f"answers/{name}.jsonl"
        models[name] = {"recorded": {"path": path, "fields": _fields(answered)}}
        if study.metrics:
            scored = _drop_empty(list(_score_rows(study, model)), "reason")
            _write_rows(out / "scores" / f"{name}.jsonl", scored)
            for metric in study.metrics.values():
                fields = {"id": "id", "score": metric, "rationale": "words"}
                fields |= {"reason": "reason"} if "reason" in scored[0] else {}
                spec = {"path": f"scores/{name}.jsonl", "fields": fields}
                verdicts.setdefault(metric, {})[name] = spec
        if study.checklist:
            path = f"criteria/{name}.jsonl"
            _write_rows(out / path, _criteria_rows(study, model))
            fields = {"id": "id", "met": "met", "reason": "reason"}
            verdicts.setdefault(CHECKLIST, {})[name] = {"path": path, "fields": fields}
    for (_, candidate), judged in study.records.preferences.items():
        name = study.names[candidate]
        compared = _drop_empty(list(_preference_rows(study, judged)), "reason")
        _write_rows(out / "preferences" / f"{name}.jsonl", compared)
        if compared:
            spec = {"path": f"preferences/{name}.jsonl", "fields": _fields(compared)}
            verdicts.setdefault(PREFERENCE, {})[name] = spec
    suite = _suite(out, study, item_rows)
    _write_yaml(out / "suite.yaml", suite, after=_claim_to_add(suite["metrics"]))
    _write_yaml(out / "profile.yaml", _profile(out, study, models, verdicts))


# --- rows ------------------------------------------------------------------------------------


def _item_rows(study: Study) -> Iterator[Row]:
    clustered = any(item.cluster is not None for item in study.items.values())
    for key, item in study.items.items():
        yield {
            "id": key,
            "input": item.input,
            "reference": item.reference,
            "cluster": (item.cluster or key) if clustered else None,
            "history": [turn.model_dump() for turn in item.history] or None,
            RUBRICS: item.criteria or None,
        }


def _answer_rows(study: Study, model: str) -> Iterator[Row]:
    answers = study.records.answers.get(model, {})
    failures = study.records.failures.get(model, {})
    for key in study.items:
        yield {"id": key, "response": answers[key], "failure": failures.get(key)}


def _score_rows(study: Study, model: str) -> Iterator[Row]:
    scores = study.records.scores.get(model, {})
    failures = study.records.failures.get(model, {})
    for key in study.items:
        # A verdict on an answer that does not count does not count either.
        score = RecordedScores({}) if key in failures else scores.get(key, RecordedScores({}))
        values = {column: score.values.get(name) for name, column in study.metrics.items()}
        reason = failures.get(key) or score.reason or NO_SCORE if None in values.values() else None
        yield {"id": key, **values, "words": score.rationale, "reason": reason}


def _criteria_rows(study: Study, model: str) -> Iterator[Row]:
    scores, failures = study.records.scores.get(model, {}), study.records.failures.get(model, {})
    for key in study.items:
        score = scores.get(key, RecordedScores({}))
        met = None if key in failures else score.met
        yield {"id": key, "met": met, "reason": failures.get(key) or (None if met else NO_SCORE)}


def _preference_rows(study: Study, judged: Mapping[str, Mapping[Order, Any]]) -> Iterator[Row]:
    for key in study.items:
        for order, preference in judged.get(key, {}).items():
            yield {
                "id": key,
                "order": order,
                "winner": preference.winner,
                "words": preference.rationale,
                "reason": preference.reason,
            }


def _drop_empty(rows: list[Row], *columns: str) -> list[Row]:
    """Leave out the columns that no row fills."""
    empty = {column for column in columns if all(row[column] is None for row in rows)}
    return [{name: cell for name, cell in row.items() if name not in empty} for row in rows]


def _fields(rows: Iterable[Row]) -> dict[str, str]:
    """Return the columns of rows by the field that each is; only `words` has another name."""
    first = next(iter(rows), {})
    return {("rationale" if column == "words" else column): column for column in first}


# --- suite and profile -----------------------------------------------------------------------


def _suite(out: Path, study: Study, item_rows: Iterable[Row]) -> dict[str, Any]:
    specs: dict[str, Any] = {
        column: {
            "kind": "rubric",
            "scale": list(study.scales[name]),
            "criteria": [{"name": "score", "asks": f"{printable_line(name)}, as it was recorded"}],
        }
        for name, column in study.metrics.items()
    }
    if study.checklist:
        specs[CHECKLIST] = {"kind": "checklist", "criteria": RUBRICS}
    if study.is_pairwise:
        specs[PREFERENCE] = {"kind": "pairwise", "asks": "Which answer is better?"}
    fields = _fields(item_rows)
    fields.pop(RUBRICS, None)
    if any(item.reference is None for item in study.items.values()):
        fields.pop("reference", None)
    return {
        "suite": make_name(out.name),
        "title": "Imported records",
        "data": {"source": {"path": "items.jsonl", "fields": fields}},
        "metrics": specs,
    }


def _claim_to_add(metrics: Mapping[str, Any]) -> str:
    """Return a gate as a comment, which whoever knows what is to be shown completes."""
    name, spec = next(iter(metrics.items()))
    column = f"{name}.score" if spec["kind"] == "rubric" else name
    return (
        "# State here what is to be shown (`harness plan` says what so many items can show):\n"
        f"# gate:\n#   claims:\n#   - {{metric: {column}, claim: superior}}   # or non_inferior with a margin\n"
    )


def _profile(
    out: Path, study: Study, models: Mapping[str, Any], verdicts: Mapping[str, Any]
) -> dict[str, Any]:
    note = " ".join(["Imported; nothing is generated or judged anew.", *study.records.notes])
    profile: dict[str, Any] = {"profile": make_name(out.name), "note": note, "models": models}
    if verdicts:
        judge = {"title": "as recorded", "recorded": dict(verdicts)}
        names = ", ".join(printable_line(name) for name in study.records.judges)
        profile["judges"] = {"default": judge | ({"note": names} if names else {})}
    return profile


def _write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    with replace_file(path) as file:
        for row in rows:
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode("utf-8", "replace"))


def _write_yaml(path: Path, data: Mapping[str, Any], *, after: str = "") -> None:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    write_atomically(path, f"{text}{after}".encode("utf-8", "replace"))
