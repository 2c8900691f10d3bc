"""Weights that come as a pickle: tensors are read, and nothing else."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core.errors import HarnessError
from tests.builders.commands import harness
from tests.builders.tiny import make_tiny_model
from tests.loopback.files_hub import COMMIT, serve_files
from trainers.pickle_import import unpickle
from trainers.recipe import Parent

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def as_pickle(model: Path, *, shards: int = 1, tied: bool = False) -> dict[str, torch.Tensor]:
    """Put the weights into pickles, as the hub's older models have them, and return them."""
    from safetensors.torch import load_file

    weights = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    if tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    names = sorted(weights)
    if shards == 1:
        torch.save(weights, model / "pytorch_model.bin")
        return weights
    places = {
        n: f"pytorch_model-0000{1 + i % shards}-of-0000{shards}.bin" for i, n in enumerate(names)
    }
    for shard in set(places.values()):
        torch.save({n: weights[n] for n in names if places[n] == shard}, model / shard)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (model / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return weights


def loaded(folder: Path) -> Mapping[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    state: Mapping[str, torch.Tensor] = model.state_dict()
    return state


@pytest.mark.parametrize(("shards", "tied"), [(1, False), (1, True), (2, False)])
def test_every_weight_arrives(tmp_path: Path, shards: int, tied: bool) -> None:
    base = make_tiny_model(tmp_path / "base")
    weights = as_pickle(base, shards=shards, tied=tied)
    found = loaded(unpickle(str(base), None))
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=0)


def test_it_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_tiny_model(tmp_path / "base")
    as_pickle(base)
    first = unpickle(str(base), None)
    monkeypatch.setattr(torch, "load", None)
    assert unpickle(str(base), None) == first


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    as_pickle(base)
    copy = unpickle(str(base), None) / "model.safetensors"
    sound = copy.read_bytes()
    copy.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert unpickle(str(base), None) == copy.parent
    assert copy.read_bytes() == sound


class Hostile:
    """Makes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("torches_own", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, cache: Path, torches_own: bool
) -> None:
    base, proof = make_tiny_model(tmp_path / "base"), tmp_path / "it_ran"
    (base / "model.safetensors").unlink()
    content = {"lm_head.weight": torch.zeros(2), "more": Hostile(proof)}
    if torches_own:
        torch.save(content, base / "pytorch_model.bin")
    else:
        (base / "pytorch_model.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(HarnessError, match="holds more than tensors, or is damaged"):
        unpickle(str(base), None)
    assert not proof.exists()
    assert not list((cache / "unpickled").glob("[!.]*"))


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"a": torch.zeros(2), "step": 7}])
def test_anything_but_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    base = make_tiny_model(tmp_path / "base")
    torch.save(content, base / "pytorch_model.bin")
    with pytest.raises(HarnessError, match="holds more than tensors"):
        unpickle(str(base), None)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    as_pickle(base)
    whole = (base / "pytorch_model.bin").read_bytes()
    (base / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(HarnessError, match="damaged"):
        unpickle(str(base), None)


def test_an_index_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    torch.save({"a": torch.zeros(2)}, tmp_path / "elsewhere.bin")
    index = {"weight_map": {"a": "../elsewhere.bin"}}
    (base / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(HarnessError, match="there is no pickle to read"):
        unpickle(str(base), None)


def test_a_recipe_of_ours_has_no_pickle() -> None:
    with pytest.raises(ValueError, match="'unpickle' needs a 'checkpoint'"):
        Parent(recipe="sft.yaml", unpickle=True)


def test_a_hub_model_is_fetched_once_and_trained(tmp_path: Path, cache: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    as_pickle(base)
    rows = [{"q": f"Could {n} be asthma?", "a": "See your doctor soon."} for n in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sft.yaml").write_text(
        f"""\
recipe: mine
method: sft
parent: {{checkpoint: me/pickle, revision: '{COMMIT}', unpickle: true}}
data: [{{path: rows.jsonl, fields: {{input: q, reference: a}}}}]
lora: {{r: 4, alpha: 8}}
trainer: {{max_steps: 2, learning_rate: 0.01}}
"""
    )
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    with serve_files({"models/me/pickle": files}) as (url, asked):
        env = away | {
            "HF_ENDPOINT": url,
            "HF_HOME": str(tmp_path / "hub"),
            "HARNESS_CACHE_DIR": str(cache),
        }
        first = harness("train", "sft.yaml", cwd=tmp_path, env=env)
        assert first.returncode == 0, first.stderr
        n_asked = len(asked)
        second = harness("train", "sft.yaml", "--store", "another", cwd=tmp_path, env=env)
    assert second.returncode == 0, second.stderr
    assert len(asked) == n_asked > 0
    (copy,) = (cache / "unpickled").glob("[!.]*")
    manifest = json.loads(next((tmp_path / "another").rglob("checkpoint.json")).read_bytes())
    assert manifest["parent"]["source"] == str(copy)
