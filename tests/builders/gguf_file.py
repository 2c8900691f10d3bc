"""A model as a GGUF file, written as llama.cpp's converter writes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_gguf(
    folder: Path,
    file: Path,
    *,
    quantised: str = "",
    leave_out: tuple[str, ...] = (),
    more: Mapping[str, Any] = {},
) -> Path:
    """Write the Llama or Qwen 2 of a folder with its tokenizer, in float32 but for rows in blocks of 32.

    `leave_out` names tensors and fields of the metadata that are not written; `more` fields that are, or
    replace others.
    """
    from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
    from gguf.quants import quantize
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = model.config
    writer = GGUFWriter(file, str(more.get("general.architecture", config.model_type)))
    fields = _fields(config, tokenizer) | dict(more)
    for name, value in fields.items():
        if name not in leave_out and name != "general.architecture":
            _add(writer, name, value)
    names = get_tensor_name_map(MODEL_ARCH[config.model_type.upper()], config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        weight = parameter.detach().float().numpy()
        if config.model_type == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_" in name else config.num_key_value_heads
            weight = _interleave(weight, heads)
        part, _, kind = name.rpartition(".")
        stated = f"{names.get_name(part)}.{kind}"
        if stated in leave_out:
            continue
        if quantised and weight.ndim == 2 and weight.shape[1] % 32 == 0:
            dtype = GGMLQuantizationType[quantised]
            writer.add_tensor(stated, quantize(weight, dtype), raw_dtype=dtype)
        else:
            writer.add_tensor(stated, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _fields(config: Any, tokenizer: Any) -> dict[str, Any]:
    backend = tokenizer.backend_tokenizer
    vocabulary = sorted(backend.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    special = set(tokenizer.all_special_tokens)
    return {
        f"{config.model_type}.context_length": config.max_position_embeddings,
        f"{config.model_type}.embedding_length": config.hidden_size,
        f"{config.model_type}.feed_forward_length": config.intermediate_size,
        f"{config.model_type}.block_count": config.num_hidden_layers,
        f"{config.model_type}.attention.head_count": config.num_attention_heads,
        f"{config.model_type}.attention.head_count_kv": config.num_key_value_heads,
        f"{config.model_type}.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        f"{config.model_type}.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        f"{config.model_type}.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [token for token, _ in vocabulary],
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token, _ in vocabulary],
        "tokenizer.ggml.merges": _merges(backend),
        "tokenizer.ggml.eos_token_id": tokenizer.eos_token_id,
        "tokenizer.ggml.padding_token_id": tokenizer.pad_token_id,
        "tokenizer.chat_template": tokenizer.chat_template,
    }


def _merges(backend: Any) -> list[str]:
    return [" ".join(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]


def _add(writer: Any, name: str, value: Any) -> None:
    match value:
        case str():
            writer.add_string(name, value)
        case int():
            writer.add_uint32(name, value)
        case float():
            writer.add_float32(name, value)
        case _:
            writer.add_array(name, value)


def _interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Order a projection's rows as llama.cpp's rotary positions want them: pairs side by side."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)
