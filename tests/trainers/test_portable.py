"""A saved configuration in the words of both majors of transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.families import make_base
from trainers.portable import add_version_4_words


def words(name: str, folder: Path) -> dict[str, Any]:
    add_version_4_words(make_base(name, folder))
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


@pytest.mark.parametrize(("name", "theta"), [("qwen2_base", 1e6), ("mistral", 1e6), ("olmo2", 5e5)])
def test_rope_theta_stands_beside_the_new_words(name: str, theta: float, tmp_path: Path) -> None:
    config = words(name, tmp_path / "base")
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == theta
    assert "rope_scaling" not in config


def test_scaled_positions_have_their_old_words(tmp_path: Path) -> None:
    config = words("llama3", tmp_path / "base")
    assert config["rope_theta"] == 5e5
    assert (config["rope_scaling"]["rope_type"], config["rope_scaling"]["factor"]) == (
        "llama3",
        8.0,
    )


def test_two_kinds_of_layers_have_their_old_words_also_within_a_larger_model(
    tmp_path: Path,
) -> None:
    for config in (
        words("gemma3", tmp_path / "text"),
        words("gemma3_vision", tmp_path / "both")["text_config"],
    ):
        assert (config["rope_theta"], config["rope_local_base_freq"]) == (1e6, 1e4)
        assert config["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}


def test_the_tokenizers_class_and_tokens_are_those_that_version_4_knows(tmp_path: Path) -> None:
    words("phi3", tmp_path / "base")
    config = json.loads((tmp_path / "base" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "<|end|>" in config["additional_special_tokens"]
    assert "extra_special_tokens" not in config
