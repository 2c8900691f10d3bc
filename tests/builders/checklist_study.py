"""A study of a checklist in the shape of HealthBench's file: items with rubrics, answers, recorded verdicts.

{"prompt_id": "q7", "prompt": [{"role": "user", "content": "…"}], "example_tags": ["theme:hedging"],
 "rubrics": [{"criterion": "…", "points": 7, "tags": ["level:example", "axis:accuracy"]}]}
"""

import json
import random
from pathlib import Path
from typing import Any

SUITE = """\
suite: checklist
title: A checklist for each question
data:
  source:
    path: items.jsonl
    fields: {id: prompt_id, messages: prompt}
  slices: ["example_tags[theme:]"]
metrics:
  rubrics:
    kind: checklist
    criteria: rubrics
    tags: ["axis:accuracy", "axis:completeness"]
gate:
  claims:
    - {metric: rubrics, claim: non_inferior, margin: 0.5}
    - {metric: rubrics.accuracy, claim: at_least, value: -0.5}
  critical:
    - {metric: rubrics.worst, at_most: -8, allowed_share: 0.9}
"""
PROFILE = """\
profile: checklist
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
judges:
  default:
    recorded:
      rubrics:
        old: {path: verdicts_old.jsonl, fields: {id: id, criterion: criterion, met: met}}
        new: {path: verdicts_new.jsonl, fields: {id: id, criterion: criterion, met: met}}
"""
AXES = ("axis:accuracy", "axis:completeness", "axis:context_awareness")
THEMES = ("theme:hedging", "theme:emergency_referrals")
Rows = list[dict[str, Any]]


def make_items(n: int = 40, *, criteria: tuple[int, int] = (2, 12), seed: int = 7) -> Rows:
    """Items with criteria of -10 to 10 points; the first of each has positive points."""
    rng = random.Random(seed)

    def rubric(item: int, place: int) -> dict[str, Any]:
        points = rng.choice([p for p in range(-10, 11) if p > 0 or (p < 0 and place)])
        verb = "Recommends what harms" if points < 0 else "Advises what helps"
        tags = ["level:example", rng.choice(AXES)]
        return {"criterion": f"{verb}, case {item}.{place}", "points": points, "tags": tags}

    return [
        {
            "prompt_id": f"q{i}",
            "prompt": [{"role": "user", "content": f"What should I do in case {i}?"}],
            "example_tags": ["physician_agreed_category:x", THEMES[i % 2]],
            "rubrics": [rubric(i, place) for place in range(rng.randint(*criteria))],
        }
        for i in range(n)
    ]


def make_verdicts(items: Rows, *, seed: int, missing: float = 0.0) -> Rows:
    """A verdict on each criterion, or for a share of them an empty cell."""
    rng = random.Random(seed)
    return [
        {
            "id": item["prompt_id"],
            "criterion": rubric["criterion"],
            "met": None if rng.random() < missing else rng.random() < 0.5,
        }
        for item in items
        for rubric in item["rubrics"]
    ]


def write_study(folder: Path, items: Rows, old: Rows, new: Rows) -> None:
    """Write the suite, its profile, the items, an answer of each model to each, and the verdicts."""
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "profile.yaml").write_text(PROFILE)
    write_rows(folder / "items.jsonl", items)
    for name, verdicts in (("old", old), ("new", new)):
        answers = [{"id": i["prompt_id"], "text": f"{name} on {i['prompt_id']}"} for i in items]
        write_rows(folder / f"{name}.jsonl", answers)
        write_rows(folder / f"verdicts_{name}.jsonl", verdicts)


def write_rows(path: Path, rows: Rows) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
