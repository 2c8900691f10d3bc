"""What the harness adds to TRL's own trainer: the same model, rows and steps, in fresh processes.

    python -m tests.bench_training [ROUNDS]

Ours also fingerprints the parent, checks rows and gradients, merges, and proves the merged model
equal to its adapter; the bare script trains and saves its adapter. Rounds take turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3

OURS = """
from pathlib import Path
from harness.bundle import bundle_root
from trainers.examples import load_examples
from trainers.recipe import load_recipe
from trainers.sft import train_sft
recipe, root = load_recipe("tiny/sft.yaml")
rows = load_examples(recipe.data, root)
train_sft(recipe, bundle_root() / "trainers/tiny_base", Path(OUT), rows=rows,
          progress=lambda *step: None)
"""
BARE = """
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from harness.bundle import bundle_root
from trainers.examples import load_examples
from trainers.recipe import load_recipe
recipe, root = load_recipe("tiny/sft.yaml")
rows = [
    {"prompt": [m.model_dump() for m in row.prompt],
     "completion": [{"role": "assistant", "content": row.completion}]}
    for row in load_examples(recipe.data, root)
]
base = str(bundle_root() / "trainers/tiny_base")
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
    args=SFTConfig(output_dir=OUT, save_strategy="no", report_to="none", use_cpu=True, bf16=False,
                   gradient_checkpointing=False, disable_tqdm=True, seed=recipe.seed,
                   **recipe.trainer),
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(base),
    peft_config=LoraConfig(r=recipe.lora.r, lora_alpha=recipe.lora.alpha,
                           target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model(OUT)
"""


def main(rounds: int) -> None:
    """Print the median wall time of each, and their ratio."""
    walls: dict[str, list[float]] = {"bare TRL": [], "harness": []}
    for _ in range(rounds):
        for name, script in (("bare TRL", BARE), ("harness", OURS)):
            walls[name].append(_seconds(script))
    medians = {name: statistics.median(found) for name, found in walls.items()}
    for name, found in walls.items():
        each = ", ".join(f"{seconds:.1f}" for seconds in found)
        print(f"{name}: median {medians[name]:.1f} s ({each})")
    print(f"ratio {medians['harness'] / medians['bare TRL']:.3f}")


def _seconds(script: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        code = f"OUT = {str(Path(folder) / 'out')!r}\n{script}"
        environment = {"OMP_WAIT_POLICY": "PASSIVE"}
        subprocess.run(
            [sys.executable, "-c", code], check=True, env=os.environ | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return time.monotonic() - started


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
