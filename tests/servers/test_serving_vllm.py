"""`serve: vllm` on a real model: the answers of this process, and an adapter beside its base."""

from pathlib import Path

import pytest

from harness.config import Generation, ServeSpec
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.generate import generate_responses
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel, serve_checkpoint
from harness.models.session import EndpointSession
from harness.types import Sample, Task
from tests.builders.adapters import make_adapter
from tests.builders.inference_servers import ENVIRONMENTS, VLLM, packaged_smollm2
from tests.builders.processes import running_with

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("default"),  # PEFT asks transformers by an old name
]

SERVE = ServeSpec(
    engine="vllm",
    options={"dtype": "float32", "enforce-eager": True, "max-num-seqs": 4, "max-model-len": 1024},
)
QUESTIONS = ("Name three signs of a stroke.", "What helps with a sprained ankle?")


def test_vllm_answers_for_a_base_and_its_adapter_at_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_VLLM", str(ENVIRONMENTS / "vllm" / "bin" / "python"))
    for name, value in VLLM.env.items():
        monkeypatch.setenv(name, value)
    base = packaged_smollm2(VLLM)
    folders = {"base": base, "adapter": make_adapter(base, tmp_path / "adapter")}
    samples = tuple(Sample(id=f"q{i}", input=text, row=i) for i, text in enumerate(QUESTIONS))
    task = Task(
        name="questions", source="s", items_hash="", n_items=2, samples=samples,
        generation=Generation(max_new_tokens=16), system=None, metrics={},
    )  # fmt: skip
    seen: list[str] = []
    with Store(tmp_path / "store") as store:
        session = EndpointSession(store, log=seen.append)
        here = {n: CheckpointModel(n, f, fingerprint_model(f)) for n, f in folders.items()}
        there = {n: serve_checkpoint(model, SERVE, session) for n, model in here.items()}
        for name in folders:
            models = (here[name], there[name])
            local, by_vllm = (
                [r.text for r in generate_responses(task, model, store, QuietProgress())]
                for model in models
            )
            assert by_vllm == local
        session.servers.close()
    assert [line for line in seen if line.startswith("starting")] == seen[:1]
    assert running_with(str(base)) == []
