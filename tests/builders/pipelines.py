"""A pipeline of tiny models, as files."""

from pathlib import Path

from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model

PASSES = "{metric: rouge.rouge1_f1, claim: non_inferior, margin: 0.99}"

PROFILE = """\
profile: world
models:
  base: {checkpoint: base}
"""

LOOP = """\
loop: world
profile: world.yaml
start: base
stages:
  - {name: sft, recipes: [RECIPES], gate: develop.yaml, select: rouge.rouge1_f1}
certify: certify.yaml
promote: assistant
losers: LOSERS
"""

SUITE = """\
suite: NAME
data: {source: {path: items.jsonl, where: {part: PART}, fields: {id: id, input: question, reference: answer}}}
generation: {max_new_tokens: 4}
metrics: {rouge: {kind: rouge, variants: [rouge1]}}
gate: {claims: [CLAIM]}
"""

RECIPE = """\
recipe: NAME
method: sft
parent: {checkpoint: base}
data: [{path: items.jsonl, where: {part: train}, fields: {id: id, input: question, reference: answer}}]
lora: {r: 4, alpha: 8}
trainer: {max_steps: STEPS, per_device_train_batch_size: 4, learning_rate: 0.01}
"""


def make_world(folder: Path, *, develop: str = PASSES, certify: str = PASSES) -> Path:
    make_tiny_model(folder / "base")
    write_rows(
        folder / "items.jsonl",
        [
            {"id": f"{part}-{i}", "part": part, "question": f"Why a {part} cough {i}?",
             "answer": "See your doctor soon."}
            for part in ("train", "develop", "certify")
            for i in range(16)
        ],
    )  # fmt: skip
    write(folder / "world.yaml", PROFILE)
    for name, claim in (("develop", develop), ("certify", certify)):
        text = SUITE.replace("NAME", name).replace("PART", name).replace("CLAIM", claim)
        write(folder / f"{name}.yaml", text)
    for name, steps in (("short", "2"), ("long", "6")):
        write(folder / f"{name}.yaml", RECIPE.replace("NAME", name).replace("STEPS", steps))
    return folder
