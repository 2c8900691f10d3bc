"""What choices by likelihood cost: `HARNESS_LM_EVAL=… HARNESS_DATA_DIR=… python -m tests.bench_likelihood`.

The same requests to the same random Llama (9 million weights), by `harness` and by lm-eval 0.4.13 in
turns, each in a process of its own with the same batch size. Timed are tokenising, computing and, here,
storing, in seconds of CPU, as others use the machine; not imports and loading.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.builders.lm_eval import LM_EVAL, Row, items_of, made_up_rows, metric_of

N_ITEMS, ROUNDS = 52, 3
OURS = """
import json, sys, tempfile, time
from pathlib import Path
from harness.config import Generation
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.generate import generate_responses
from harness.models.model_kinds import CheckpointModel
from harness.models.model_folder import fingerprint_model
from harness.types import Task
from tests.bench_likelihood import items, metric_of
folder, task = sys.argv[1:]
model = CheckpointModel("m", folder, fingerprint_model(folder))
def ask(samples, store):
    asked = Task(name="items", source="", items_hash="", n_items=len(samples), samples=samples,
                 generation=Generation(), system=None, metrics={"likelihood": metric_of(task)})
    found = list(generate_responses(asked, model, store, QuietProgress()))
    return {response.sample_id: list(json.loads(response.text).values()) for response in found}
samples = items(task)
with tempfile.TemporaryDirectory() as work, Store(Path(work)) as store:
    ask(samples[:4], store)
    start = time.process_time()
    found = ask(samples[4:], store)
    seconds = time.process_time() - start
print(json.dumps([seconds, [found[sample.id] for sample in samples[4:]]]))
"""
THEIRS = """
import json, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
folder, requests = sys.argv[1], json.load(open(sys.argv[2]))
lm = HFLM(pretrained=folder, device="cpu", batch_size=32)
def ask(items):
    flat = [(prompt, text) for prompt, texts in items for text in texts]
    instances = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(flat)]
    found = iter(lm.loglikelihood(instances, disable_tqdm=True))
    return [[next(found)[0] for _ in texts] for _, texts in items]
ask(requests[:4])
start = time.process_time()
found = ask(requests[4:])
print(json.dumps([time.process_time() - start, found]))
"""


def rows(task: str) -> list[Row]:
    """Return PubMedQA's first questions, or as many made-up ones as an examination has."""
    if task == "pubmedqa":
        file = Path(os.environ["HARNESS_DATA_DIR"], "pubmedqa", "ori_pqal.json")
        return [{"id": key, **row} for key, row in json.loads(file.read_text()).items()][:N_ITEMS]
    made = made_up_rows(task)
    case = "A woman of 62 has had a cough for three weeks, and fever since yesterday. " * 4
    return [
        row | {"id": f"q{i}", "sent1": f"Case {i}. {case * (1 + i % 3)}{row['sent1']}"}
        for i in range(N_ITEMS)
        for row in [made[i % len(made)]]
    ]


def items(task: str) -> Any:
    """Return the items of the shipped suite."""
    return items_of(task, rows(task))


def make_model(folder: Path) -> None:
    """Write a random Llama whose tokens are those of PubMedQA's texts."""
    from harness.models.weights import quiet_torch

    quiet_torch()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainers.pretrain import train_tokenizer

    texts = [" ".join(row["CONTEXTS"]) for row in rows("pubmedqa")]
    tokenizer = train_tokenizer(texts, vocab_size=8000, context=2048)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=1024, num_hidden_layers=6,
        num_attention_heads=4, max_position_embeddings=2048, tie_word_embeddings=True,
        initializer_range=0.1, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measure(*command: str) -> tuple[float, list[list[float]]]:
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    seconds, found = json.loads(done.stdout.splitlines()[-1])
    return seconds, found


def main() -> None:
    """Print a row for each task."""
    print(
        "| task | harness CPU s | lm-eval CPU s | ratio | largest difference |\n|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as work:
        folder, requests = Path(work, "model"), Path(work, "requests.json")
        make_model(folder)
        for task in ("pubmedqa", "medqa_4options"):
            asked = [
                (item.input, [f" {text}" for text in metric_of(task).layout.continuations(item.choices).values()])
                for item in items(task)
            ]  # fmt: skip
            requests.write_text(json.dumps(asked))
            ours, theirs = list[float](), list[float]()
            for _ in range(ROUNDS):
                seconds, here = measure(sys.executable, "-c", OURS, str(folder), task)
                ours.append(seconds)
                seconds, there = measure(LM_EVAL, "-c", THEIRS, str(folder), str(requests))
                theirs.append(seconds)
            gap = max(abs(a - b) for x, y in zip(here, there, strict=True) for a, b in zip(x, y, strict=True))  # fmt: skip
            ratio = median(ours) / median(theirs)
            print(
                f"| {task} | {median(ours):.2f} | {median(theirs):.2f} | {ratio:.2f} | {gap:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
