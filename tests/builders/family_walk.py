"""What a person does with a base, from SFT to an export that others load; each step's outcome in a word."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.data.thoughts import drop_thoughts
from harness.models.local import LocalModel, make_prompt
from harness.types.training import Example, PreferencePair
from tests.builders.commands import environment
from tests.builders.families import FAMILIES, make_base
from tests.builders.recipes import DPO, LORA, quiet
from trainers.chat_template import read_template
from trainers.export import copy_checkpoint
from trainers.merge import merge_adapter
from trainers.preference import train_on_pairs
from trainers.recipe import Parent, SftRecipe
from trainers.sft import train_sft

QUESTION = "Is tea good?"
ANSWER = "Yes, it is."
ROWS = [
    Example(id=f"q{n}", prompt=make_prompt(None, question), completion=ANSWER)
    for n, question in enumerate(
        [QUESTION, "May I run?", "Is it late?", "Can I swim?", "Is milk fine?", "May I nap?"]
    )
]
PAIRS = [
    PreferencePair(
        sample_id=row.id, prompt=row.prompt, chosen=ANSWER, rejected="No.", source="gold"
    )
    for row in ROWS
]
# Where transformers 4 is installed, as `pip install --target FOLDER transformers==4.57.*` does.
VERSION_4 = "HARNESS_TRANSFORMERS_4"


def sft_recipe(name: str, **trainer: Any) -> SftRecipe:
    """A recipe under which a tiny base of the family learns one answer by heart."""
    plain = read_template("plain", Path()) if FAMILIES[name].template is None else None
    options = {"max_steps": 60, "learning_rate": 0.02, "per_device_train_batch_size": 6}
    return SftRecipe(
        recipe="family",
        method="sft",
        parent=Parent(checkpoint="base"),
        data=({"path": "unused.jsonl"},),
        chat_template=plain,
        lora=LORA.model_copy(update={"r": 16, "alpha": 32}),
        trainer=options | trainer,
    )


def walk_family(name: str, folder: Path) -> dict[str, str]:
    """Take the family's base through every step, and return the outcomes by the step's name."""
    base = make_base(name, folder / "base")
    done: dict[str, str] = {}
    train_sft(sft_recipe(name), base, folder / "sft", rows=ROWS, progress=quiet)
    done["train SFT"] = "yes"
    done["ask"] = _ask(folder / "sft")
    recipe = DPO.model_copy(update={"holdout": 0.0})
    train_on_pairs(recipe, folder / "sft", folder / "dpo", pairs=PAIRS, progress=quiet)
    done["DPO"] = "yes"
    done["chat"] = _chat(folder / "sft")
    merged = merge_adapter(folder / "sft" / "adapter", str(base), folder / "merged")
    done["merge"] = "yes" if merged.metrics["merge_kl"] < 1e-6 else "differs"
    copy_checkpoint(folder / "sft", folder / "given")
    done["export"] = "yes"
    five = load_elsewhere(folder / "given", None)
    done["transformers 5"] = _judge(five, five)
    if os.environ.get(VERSION_4):
        done["transformers 4"] = _judge(
            load_elsewhere(folder / "given", os.environ[VERSION_4]), five
        )
    return done


def _ask(folder: Path) -> str:
    model = LocalModel.load(folder)
    (answer,) = model.answer([ROWS[0].prompt], Generation(max_new_tokens=40), seeds=[1])
    if answer.finish != "stop":
        raise HarnessError(f"{folder}: did not stop: {answer.text!r}")
    text = drop_thoughts(answer.whole_text or "")  # Qwen3 learns empty thoughts with its answers
    return "yes" if text.strip() == ANSWER else f"stops after {answer.text!r}"


def _chat(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "chat", str(folder), "--max-new-tokens", "40"],
        env=environment({}),
        input=QUESTION + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise HarnessError(done.stderr)
    return "yes" if drop_thoughts(done.stdout).strip() == ANSWER else repr(done.stdout.strip())


# What the model card's own snippet does, and the log-probabilities of the learnt chat.
_LOAD = """\
import json, os, sys
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
folder, question, answer = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
asked = [{"role": "user", "content": question}]
chat = [*asked, {"role": "assistant", "content": answer}]
ids = tokenizer.apply_chat_template(chat, return_dict=True)["input_ids"]
prompt = tokenizer.apply_chat_template(
    asked, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
prompt.pop("token_type_ids", None)
with torch.inference_mode():
    scores = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    out = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
result = {
    "version": __version__,
    "ids": ids,
    "logprobs": [scores[i, token].item() for i, token in enumerate(ids[1:])],
    "n_generated": len(out),
    "answer": tokenizer.decode(out, skip_special_tokens=True),
}
print("RESULT" + json.dumps(result))
"""


def load_elsewhere(folder: Path, packages: str | None) -> dict[str, Any]:
    """Load an export in a process without the harness, as the model card has it, and ask it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": packages or ""}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(folder), QUESTION, ANSWER],
        env=env,
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise HarnessError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT")[2])
    return result


def _judge(loaded: dict[str, Any], expected: dict[str, Any]) -> str:
    """Return whether the loaded model has the expected tokens and log-probabilities, and stops."""
    gap = max(abs(a - b) for a, b in zip(loaded["logprobs"], expected["logprobs"], strict=True))
    if loaded["ids"] != expected["ids"] or gap > 1e-4:
        return f"differs by {gap:.2g}"
    return "yes" if loaded["n_generated"] < 40 else "never stops"
