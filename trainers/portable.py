"""A saved model's configuration in the words of transformers 4 beside those of 5.

transformers 5 writes rotary positions and the tokenizer's class in new words alone. Version 4, and what
reads files as it does (vLLM, llama.cpp's converter), takes a default for what it does not find, without a
warning: `rope_theta` 10,000 in the place of 500,000. So both forms are written.
"""

import json
from pathlib import Path
from typing import Any

# Classes of version 5 alone, and the class of version 4 that reads the same tokenizer.json.
_TOKENIZER_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}


def add_version_4_words(folder: Path) -> None:
    """Add the words of transformers 4 to a folder's config.json and tokenizer_config.json."""
    _rewrite(folder / "config.json", _with_rope)
    _rewrite(folder / "tokenizer_config.json", _with_tokenizer_class)


def _with_rope(config: dict[str, Any]) -> dict[str, Any]:
    """Add `rope_theta` and its kin to a configuration, and to those of its parts."""
    parts = {name: _with_rope(part) for name, part in config.items() if _is_part(name, part)}
    return {**config, **parts, **_rope_words(config.get("rope_parameters"))}


def _is_part(name: str, value: object) -> bool:
    return name.endswith("_config") and name != "quantization_config" and isinstance(value, dict)


def _rope_words(rope: object) -> dict[str, Any]:
    """Return version 4's keys for rotary positions, of one kind of layer or, as in Gemma 3, of two."""
    if not isinstance(rope, dict):
        return {}
    if "full_attention" in rope:
        local = rope.get("sliding_attention") or {}
        words = _rope_words(rope["full_attention"])
        return words | (
            {"rope_local_base_freq": local["rope_theta"]} if "rope_theta" in local else {}
        )
    words = {name: rope[name] for name in ("rope_theta", "partial_rotary_factor") if name in rope}
    match rope.get("rope_type", "default"):
        case "default":
            pass
        case "longrope":  # Phi-3, whose version 4 admits these three keys and has the other outside
            factors = {name: rope[name] for name in ("short_factor", "long_factor") if name in rope}
            words["rope_scaling"] = {"type": "longrope", **factors}
            if "original_max_position_embeddings" in rope:
                words["original_max_position_embeddings"] = rope["original_max_position_embeddings"]
        case _:
            words["rope_scaling"] = {n: value for n, value in rope.items() if n not in words}
    return words


def _with_tokenizer_class(config: dict[str, Any]) -> dict[str, Any]:
    name = config.get("tokenizer_class")
    config = {**config, "tokenizer_class": _TOKENIZER_CLASSES.get(str(name), name)}
    extra = config.get("extra_special_tokens")
    if isinstance(extra, list):  # version 4 takes a mapping of names here, and a list there
        del config["extra_special_tokens"]
        config["additional_special_tokens"] = extra
    return config


def _rewrite(path: Path, change: Any) -> None:
    if path.is_file():
        content = json.loads(path.read_bytes())
        text = json.dumps(change(content), indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")
