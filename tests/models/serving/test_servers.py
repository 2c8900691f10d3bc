"""Which weights share a server, by the command that an engine is started with."""

from pathlib import Path

import pytest

from harness.config import ServeSpec
from harness.core.errors import HarnessError, InfrastructureError
from harness.models.model_folder import fingerprint_model
from harness.models.serving.chat_format import Weights
from harness.models.serving.servers import Servers, describe_serving
from tests.builders.adapters import make_adapter
from tests.builders.tiny import make_tiny_model

pytestmark = pytest.mark.filterwarnings("default")  # PEFT asks transformers by an old name

VLLM = ServeSpec(engine="vllm", check="prompts")


@pytest.fixture
def started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which an engine in place of vLLM, which ends at once, leaves its arguments."""
    program, found = tmp_path / "vllm", tmp_path / "arguments"
    script = f'#!/bin/sh\n[ "$1" = --version ] && echo 9.9 && exit\necho "$@" > {found}; exit 1\n'
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    return found


def weights(folder: Path) -> Weights:
    return Weights(str(folder), None, fingerprint_model(folder))


def test_adapters_of_one_base_share_its_server(tmp_path: Path, started_with: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    held = [weights(make_adapter(base, tmp_path / f"rank{r}", r)) for r in (4, 12)]
    servers = Servers(None)
    for one in (*held, weights(base)):
        servers.announce(one, VLLM)
    with pytest.raises(InfrastructureError, match="ended before it could answer"):
        servers.open(held[0], VLLM)
    words = started_with.read_text().split()
    assert words[:2] == ["serve", str(base)]
    assert f"--served-model-name=base-{weights(base).fingerprint[:8]}" in words
    assert "--max-lora-rank=16" in words
    names = [f"{Path(one.source).name}-{one.fingerprint[:8]}={one.source}" for one in held]
    assert words[words.index("--lora-modules") + 1 :] == names


def test_weights_that_changed_since_the_run_began_are_not_served(
    tmp_path: Path, started_with: Path
) -> None:
    base = make_tiny_model(tmp_path / "base")
    before = weights(base)
    make_tiny_model(base, seed=1)
    with pytest.raises(HarnessError, match="changed since this run began"):
        Servers(None).open(before, VLLM)
    assert not started_with.exists()


def test_sglang_is_started_on_whole_models_only(tmp_path: Path) -> None:
    adapter = make_adapter(make_tiny_model(tmp_path / "base"), tmp_path / "adapter", 4)
    with pytest.raises(HarnessError, match=r"is an adapter.*`harness merge`"):
        Servers(None).announce(weights(adapter), ServeSpec(engine="sglang"))


def test_weights_that_are_not_compared_are_said_to_be_so() -> None:
    of_others = {"base_url": "http://127.0.0.1:8000/v1", "model": "dpo"}
    unchecked = ServeSpec.model_validate({**of_others, "check": "prompts"})
    assert describe_serving(unchecked) == "127.0.0.1:8000 as 'dpo', its weights not compared"
    assert describe_serving(ServeSpec.model_validate(of_others)) == "127.0.0.1:8000 as 'dpo'"
