"""Converted files in a training run: a dialogue for SFT, then given pairs for DPO."""

from pathlib import Path

import pytest

from harness.core.progress import QuietProgress
from harness.data.convert import convert_file, make_options
from harness.training.commands import train_recipe
from harness.training.context import make_context
from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

OPTIONS = "{max_steps: 2, per_device_train_batch_size: 2, learning_rate: 0.01, max_length: 128}"
SFT = f"""\
recipe: s
method: sft
parent: {{checkpoint: base}}
data: [{{path: sft.jsonl, fields: {{id: id, input: input, reference: reference, history: history}}}}]
lora: {{r: 4, alpha: 8}}
trainer: {OPTIONS}
"""
DPO = f"""\
recipe: d
method: dpo
parent: {{recipe: sft.yaml}}
pairs: given.yaml
holdout: 0.25
trainer: {OPTIONS}
"""


def test_dpo_learns_from_given_pairs_after_sft_on_a_dialogue(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "base")
    turns = ["My son coughs.", "Every night?", "Yes.", "See your doctor soon."]
    roles = ("user", "assistant") * 2
    messages = [{"role": r, "content": c} for r, c in zip(roles, turns, strict=True)]
    chats = write_rows(tmp_path / "chats.jsonl", [{"messages": messages}] * 2)
    convert_file(
        str(chats), tmp_path / "sft.jsonl", make_options(to="sft", fields="", dedupe="none")
    )
    pairs = [{"question": f"{'cough ' * n}?", "response_chosen": "See your doctor.",
              "response_rejected": "asthma"} for n in range(1, 5)]  # fmt: skip
    reward = write_rows(tmp_path / "reward.jsonl", pairs)
    convert_file(str(reward), tmp_path / "p.jsonl", make_options(to="preference", fields=""))
    write(tmp_path / "sft.yaml", SFT)
    write(tmp_path / "given.yaml", "recipe: g\nmethod: given_pairs\ndata: {path: p.jsonl}\n")
    dpo = write(tmp_path / "dpo.yaml", DPO)

    made = train_recipe(str(dpo), "tiny", make_context(tmp_path / "store", QuietProgress()))

    assert made.summary["pairs"] == "3"
    assert made.summary["held-out pairs"] == "1"
