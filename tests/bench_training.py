"""What the harness adds to TRL's own trainer: the same model, rows and steps, in fresh processes.

    python -m tests.bench_training [ROUNDS] [--llamafactory PYTHON]

Ours also fingerprints the parent, checks rows and gradients, merges, and proves the merged model
equal to its adapter; the bare script trains and saves its adapter. Rounds take turns.

LLaMA-Factory pins other releases of the same libraries, so it takes an environment of its own, whose
interpreter is named here. Without torchvision and torchaudio, which it brings for GPUs only:

    python -m venv LF && LF/bin/pip install llamafactory==0.9.5 torch==2.13.0
    LF/bin/pip uninstall -y torchvision torchaudio
    python -m tests.bench_training 3 --llamafactory LF/bin/python
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from harness.core.paths import bundle_root
from trainers.examples import load_examples
from trainers.recipe import SftRecipe, load_recipe

ROUNDS = 3

OURS = """
from pathlib import Path
from harness.core.paths import bundle_root
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
from harness.core.paths import bundle_root
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

# It imports torchaudio for chats with sound, and that does not load beside a torch without CUDA.
LLAMAFACTORY = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)
from llamafactory.cli import main
main()
"""


def main() -> None:
    """Print the median wall time of each way, and its ratio to the bare trainer's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    parser.add_argument("--llamafactory", metavar="PYTHON", help="its interpreter")
    asked = parser.parse_args()
    ways: dict[str, Callable[[Path], None]] = {
        "bare TRL": partial(_run_script, BARE),
        "harness": partial(_run_script, OURS),
    }
    if asked.llamafactory:
        ways["LLaMA-Factory"] = partial(_run_llamafactory, asked.llamafactory)
    walls: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.rounds):
        for name, way in ways.items():
            walls[name].append(_seconds(way))
    bare = statistics.median(walls["bare TRL"])
    for name, found in walls.items():
        median = statistics.median(found)
        each = ", ".join(f"{seconds:.1f}" for seconds in found)
        print(f"{name}: median {median:.1f} s ({each}), {median / bare:.3f} of bare TRL")


def _seconds(way: Callable[[Path], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        way(Path(folder))
        return time.monotonic() - started


def _run_script(script: str, folder: Path) -> None:
    _run([sys.executable, "-c", f"OUT = {str(folder / 'out')!r}\n{script}"], folder)


def _run_llamafactory(python: str, folder: Path) -> None:
    """The same rows, adapter, options and steps; it saves its adapter and merges nothing."""
    recipe, root = load_recipe("tiny/sft.yaml")
    assert isinstance(recipe, SftRecipe)
    rows = load_examples(recipe.data, root)
    _write_rows(folder, [[m.model_dump() for m in row.prompt] for row in rows],
                [row.completion for row in rows])  # fmt: skip
    options = dict(recipe.trainer)
    cutoff = options.pop("max_length")
    steps = len(rows) // options["per_device_train_batch_size"] * options["num_train_epochs"]
    settings = options | {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": str(bundle_root() / "trainers/tiny_base"),
        "dataset_dir": str(folder),
        "dataset": "rows",
        "template": "chatml",
        "cutoff_len": cutoff,
        "finetuning_type": "lora",
        "lora_rank": recipe.lora.r,
        "lora_alpha": recipe.lora.alpha,
        "lora_target": "all",
        "disable_gradient_checkpointing": True,
        "use_cpu": True,
        "bf16": False,
        "seed": recipe.seed,
        "output_dir": str(folder / "out"),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    (folder / "sft.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    _run([python, "-c", LLAMAFACTORY, "train", str(folder / "sft.yaml")], folder)
    done = json.loads((folder / "out" / "trainer_state.json").read_bytes())["global_step"]
    assert done == steps, f"LLaMA-Factory made {done} steps, not {steps}"


def _write_rows(folder: Path, prompts: list[list[dict[str, str]]], answers: list[str]) -> None:
    rows = [
        {"messages": [*prompt, {"role": "assistant", "content": answer}]}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user",
            "assistant_tag": "assistant", "system_tag": "system"}  # fmt: skip
    table = {"file_name": "rows.json", "formatting": "sharegpt", "tags": tags}
    info = {"rows": table | {"columns": {"messages": "messages"}}}
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    log = folder / "log"
    with log.open("wb") as said:
        done = subprocess.run(
            command, check=False, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
    if done.returncode:
        sys.exit(log.read_text(encoding="utf-8", errors="replace")[-4000:])


if __name__ == "__main__":
    main()
