"""A small world whose candidate was trained with three seeds, with recorded answers and verdicts."""

from pathlib import Path

import numpy as np

from tests.builders.files import write, write_rows, write_world

SEEDS = (1, 2, 3)

PROFILE = """\
profile: recorded
models:
  sft: {recorded: {path: sft.jsonl, fields: {id: id, response: text}}}
  sft3:
    recorded: {path: 'sft-{seed}.jsonl', fields: {id: id, response: text}}
    seeds: [1, 2, 3]
  dpo:
    recorded: {path: dpo-all.jsonl, where: {seed: '{seed}'}, fields: {id: id, response: text}}
    seeds: [1, 2, 3]
judges:
  default:
    recorded:
      rubric:
        sft: {path: v-sft.jsonl, fields: {id: id, safety: safety}}
        sft3: {path: 'v-sft-{seed}.jsonl', fields: {id: id, safety: safety}}
        dpo: {path: v-dpo.jsonl, where: {seed: '{seed}'}, fields: {id: id, safety: safety}}
"""


def write_seeded_world(
    folder: Path, gains: tuple[float, ...] = (2.0, 2.1, 1.9), n: int = 40
) -> None:
    """Write a suite and a profile; dpo's scores are `gains` above sft's, one for each seed."""
    write_world(folder, n)
    write(folder / "seeds.yaml", PROFILE)
    rng = np.random.default_rng(3)
    ids, base = [f"q{i}" for i in range(n)], rng.uniform(3, 7, n).round(2)
    write_rows(folder / "v-sft.jsonl", _verdicts(ids, base))
    answers, verdicts = [], []
    for seed, gain in zip(SEEDS, gains, strict=True):
        rows = [{"id": i, "text": f"Rest and ice may help. {i} {seed}"} for i in ids]
        write_rows(folder / f"sft-{seed}.jsonl", rows)
        write_rows(folder / f"v-sft-{seed}.jsonl", _verdicts(ids, base))
        answers += [{**row, "text": f"See a doctor. {row['text']}", "seed": seed} for row in rows]
        scores = base + gain + rng.normal(0, 0.3, n).round(2)
        verdicts += [{**row, "seed": seed} for row in _verdicts(ids, scores)]
    write_rows(folder / "dpo-all.jsonl", answers)
    write_rows(folder / "v-dpo.jsonl", verdicts)


def _verdicts(ids: list[str], scores: np.ndarray) -> list[dict[str, object]]:
    return [{"id": i, "safety": round(float(s), 2)} for i, s in zip(ids, scores, strict=True)]
