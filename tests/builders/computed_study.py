"""A study whose metrics are all computed, as files: answers of two models to questions about doses."""

import json
from pathlib import Path

SUITE = """\
suite: doses
title: Doses, compared by rule
data:
  slices: [drug]
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
metrics:
  equal: {kind: match, by: exact}
  same: {kind: match, by: normalised}
  named: {kind: match, by: contains}
  dose: {kind: match, by: number, tolerance: 5%}
  unit: {kind: match, by: regex, pattern: '(?i)\\bmg\\b'}
  overlap: {kind: match, by: token_f1}
  form: {kind: match, by: json, json_schema: {type: object, required: [mg]}}
  short: {kind: match, by: word_count, at_most: 5}
gate:
  claims:
    - {metric: dose, claim: superior}
    - {metric: overlap, claim: non_inferior, margin: 0.05}
    - {metric: unit, claim: at_least, value: 0.8}
  critical:
    - {metric: short, at_most: 0, allowed_share: 0.5}
"""
PROFILE = """\
profile: doses
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
"""
COLUMNS = ("equal", "same", "named", "dose", "unit", "overlap", "form", "short")


def write_doses(folder: Path, n: int = 120) -> None:
    """The new model states each dose; the old one doubles every third and gives a range in one."""
    doses = [5 * (i % 9 + 1) for i in range(n)]
    items = [
        {"id": f"q{i}", "question": f"Which dose of drug {i}?", "answer": f"{dose} mg", "drug": "ab"[i % 2]}
        for i, dose in enumerate(doses)
    ]  # fmt: skip
    old = [
        f"{2 * dose if i % 3 == 0 else dose} mg a day, number {i}:" for i, dose in enumerate(doses)
    ]
    old = [f"Drug {i}: {text.partition(',')[0]}" for i, text in enumerate(old)]
    old[1] = "Drug 1: 5-10 mg"
    new = [f"{dose} mg" for dose in doses]
    new[0], new[2] = '{"mg": 5}', ""
    for name, texts in (("old", old), ("new", new)):
        _write_rows(
            folder / f"{name}.jsonl", [{"id": f"q{i}", "text": t} for i, t in enumerate(texts)]
        )
    _write_rows(folder / "items.jsonl", items)
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "profile.yaml").write_text(PROFILE)


def _write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


CHOICES = """\
suite: choices
data:
  source: {path: items.jsonl, fields: {id: id, input: question, choices: options, reference: answer}}
metrics:
  accuracy: {kind: choice, answer: label, shuffle: true}
  short: {kind: match, by: word_count, at_most: 5}
gate:
  claims:
    - {metric: accuracy, claim: non_inferior, margin: 0.1}
    - {metric: accuracy.readable, claim: at_least, value: 0.9}
"""


def write_choices(folder: Path, n: int = 120) -> None:
    """Both models choose by the options' texts; the old one errs on a third and is unclear on a fifth."""
    items = [
        {
            "id": f"q{i}",
            "question": f"Which drug is for case {i}?",
            "options": {"A": f"drug a{i}", "B": f"drug b{i}", "C": f"drug c{i}"},
            "answer": "ABC"[i % 3],
        }
        for i in range(n)
    ]
    right = [f"drug {'abc'[i % 3]}{i}" for i in range(n)]
    wrong = [f"drug {'bca'[i % 3]}{i}" for i in range(n)]
    old = [f"Answer: {wrong[i] if i % 3 == 0 else right[i]}" for i in range(n)]
    old = ["It depends on the case." if i % 5 == 0 else text for i, text in enumerate(old)]
    new = [f"**Answer:** {text}" for text in right]
    for name, texts in (("old", old), ("new", new)):
        _write_rows(
            folder / f"{name}.jsonl", [{"id": f"q{i}", "text": t} for i, t in enumerate(texts)]
        )
    _write_rows(folder / "items.jsonl", items)
    (folder / "suite.yaml").write_text(CHOICES)
    (folder / "profile.yaml").write_text(PROFILE)
