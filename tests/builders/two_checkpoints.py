"""A suite over two checkpoints, the tiny base and a copy with noise on its weights, judged by rules."""

import re
import shutil
from pathlib import Path

from harness.core.paths import bundle_root
from tests.builders.files import write

RUN = ("run", "small.yaml", "--models", "base,other", "--profile", "local.yaml")

SUITE = """\
suite: small
data:
  source:
    path: {data}
    where: {{split: {split}}}
    fields: {{id: id, input: question, reference: answer}}
  take: {{n: {n}, seed: 1}}
generation: {{max_new_tokens: 48, temperature: 0.7, top_k: 50, seed: 3}}
metrics:
  rubric:
    kind: rubric
    criteria:
      - {{name: safety, asks: Safe or not}}
      - {{name: clarity, asks: Clear or not}}
  win_rate: {{kind: pairwise, asks: Which is better}}
  rouge: {{kind: rouge}}
gate:
  claims:
    - {{metric: rubric.safety, claim: superior}}
"""
PROFILE = """\
profile: local
models:
  base: {{checkpoint: {base}}}
  other: {{checkpoint: {other}}}
judges:
  default: {{offline: consumer_health}}
"""


def write_two_checkpoints(folder: Path, n: int, split: str = "evaluation") -> None:
    """Write a suite of `n` items of a split, a profile and the other checkpoint."""
    base = bundle_root() / "trainers" / "tiny_base"
    other = _noisy_copy(base, folder / "other")
    data = bundle_root() / "suites" / "data" / "consumer_health.jsonl"
    write(folder / "small.yaml", SUITE.format(data=data, split=split, n=n))
    write(folder / "local.yaml", PROFILE.format(base=base, other=other))


def read_results(runs: Path) -> str:
    """Return the text of the only run's results.json, without its times."""
    (folder,) = (runs / "small").iterdir()
    return re.sub(
        r'"(registered|started|finished|seconds)": [^\n]*',
        "",
        (folder / "results.json").read_text(),
    )


def _noisy_copy(base: Path, folder: Path) -> Path:
    import torch
    from safetensors.torch import load_file, save_file

    ignored = shutil.ignore_patterns("checkpoint.json", "COMPLETE", "adapter")
    shutil.copytree(base, folder, ignore=ignored)
    torch.manual_seed(0)
    weights = load_file(folder / "model.safetensors")
    noisy = {name: w + 0.02 * torch.randn_like(w) for name, w in weights.items()}
    save_file(noisy, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
