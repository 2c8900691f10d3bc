"""Tiny random bases of the families that people bring, each with a tokenizer and template of its manner.

python -m tests.builders.families FOLDER      # writes all of them
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.builders.tiny import TEXT

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Strips thoughts from earlier turns, and writes an empty one before an answer.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' %}{{ '<think>\n\n</think>\n\n' + m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' "
    "+ m.content + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\n' + m.content + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
    "{% else %}{{ '[INST] ' + m.content + ' [/INST]' }}{% endif %}{% endfor %}"
)
TEMPLATES_WITHOUT_SYSTEM = "{% for m in messages if m.role != 'system' %}"


class Family(NamedTuple):
    """A model's classes by name, its special tokens, its end of text, its template and its options."""

    model: str
    config: str
    specials: tuple[str, ...]
    eos: str
    template: str | None = None
    bos: str | None = None
    pad: str | None = None
    stops: tuple[str, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    @property
    def end_of_turn(self) -> str:
        return next((t for t in self.specials if t in TURN_ENDS), self.eos)


TURN_ENDS = {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"}
CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
GEMMA_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}


def rope(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


FAMILIES: dict[str, Family] = {
    # A base whose text and whose turns end in two tokens, with the template of its instruct version.
    "qwen2_base": Family(
        "Qwen2ForCausalLM",
        "Qwen2Config",
        CHATML_TOKENS,
        "<|endoftext|>",
        CHATML,
        pad="<|endoftext|>",
        options=rope(1e6) | {"tie_word_embeddings": True},
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM",
        "Qwen3Config",
        (*CHATML_TOKENS, "<think>", "</think>"),
        "<|im_end|>",
        THINKING,
        pad="<|endoftext|>",
        options=rope(1e6) | {"head_dim": 8, "tie_word_embeddings": True},
    ),
    "llama3": Family(
        "LlamaForCausalLM",
        "LlamaConfig",
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
            "<|finetune_right_pad_id|>",
        ),
        "<|eot_id|>",
        LLAMA,
        bos="<|begin_of_text|>",
        stops=("<|end_of_text|>", "<|eot_id|>"),
        options={
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    ),
    "gemma3": Family(
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        GEMMA_TOKENS,
        "<eos>",
        GEMMA,
        bos="<bos>",
        pad="<pad>",
        stops=("<eos>", "<end_of_turn>"),
        options={
            "head_dim": 8,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
            },
        },
    ),
    "gemma3_vision": Family(
        "Gemma3ForConditionalGeneration",
        "Gemma3Config",
        GEMMA_TOKENS,
        "<eos>",
        GEMMA,
        bos="<bos>",
        pad="<pad>",
        stops=("<eos>", "<end_of_turn>"),
    ),
    "phi3": Family(
        "Phi3ForCausalLM",
        "Phi3Config",
        ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<unk>"),
        "<|endoftext|>",
        PHI,
        pad="<|endoftext|>",
        stops=("<|endoftext|>", "<|end|>"),
        options=rope(1e5, partial_rotary_factor=0.5),
    ),
    "mistral": Family(
        "MistralForCausalLM",
        "MistralConfig",
        ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
        "</s>",
        MISTRAL,
        bos="<s>",
        options=rope(1e6) | {"sliding_window": None},
    ),
    "olmo2": Family(
        "Olmo2ForCausalLM",
        "Olmo2Config",
        (*CHATML_TOKENS, "<|pad|>"),
        "<|im_end|>",
        CHATML,
        pad="<|pad|>",
        options=rope(5e5),
    ),
    "smollm3": Family(
        "SmolLM3ForCausalLM",
        "SmolLM3Config",
        CHATML_TOKENS,
        "<|im_end|>",
        CHATML,
        pad="<|endoftext|>",
        options=rope(2e6),
    ),
    "gpt2": Family(
        "GPT2LMHeadModel",
        "GPT2Config",
        ("<|endoftext|>", "<|pad|>"),
        "<|endoftext|>",
        pad="<|pad|>",
        options={"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    ),
    "bloom": Family(
        "BloomForCausalLM",
        "BloomConfig",
        ("<unk>", "<s>", "</s>", "<pad>"),
        "</s>",
        bos="<s>",
        pad="<pad>",
        options={"hidden_size": 32, "n_layer": 2, "n_head": 4},
    ),
}


def make_base(name: str, folder: Path) -> Path:
    """Write the family's base in `folder`: random weights, and a tokenizer of three sentences."""
    from harness.models.weights import quiet_torch

    quiet_torch()
    import torch
    import transformers

    family = FAMILIES[name]
    tokenizer = _tokenizer(family)
    ids: Callable[[str | None], Any] = lambda token: (  # noqa: E731
        None if token is None else tokenizer.convert_tokens_to_ids(token)
    )
    tokens = {
        "vocab_size": len(tokenizer) + 8,  # as published: some more rows than tokens
        "bos_token_id": ids(family.bos),
        "eos_token_id": ids(family.eos),
        "pad_token_id": ids(family.pad),
    }
    torch.manual_seed(0)
    config = getattr(transformers, family.config)(**_options(name, family, tokens))
    model = getattr(transformers, family.model)(config)
    if family.stops:
        model.generation_config.eos_token_id = [ids(token) for token in family.stops]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _options(name: str, family: Family, tokens: dict[str, Any]) -> dict[str, Any]:
    if name != "gemma3_vision":
        own_sizes = name in ("gpt2", "bloom")
        return ({} if own_sizes else SIZES) | family.options | tokens
    vision = {name: SIZES[name] for name in ("hidden_size", "intermediate_size")}
    vision |= {"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    pictures = dict.fromkeys(
        ("image_token_index", "boi_token_index", "eoi_token_index"), tokens["vocab_size"] - 1
    )
    return {
        "text_config": SIZES | FAMILIES["gemma3"].options | tokens,
        "vision_config": vision,
        "mm_tokens_per_image": 4,
        **pictures,
    }


def _tokenizer(family: Family) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(family.specials),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    bpe.train_from_iterator(TEXT, trainer)
    if family.bos is not None:
        bos = (family.bos, bpe.token_to_id(family.bos))
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[bos]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=family.bos,
        eos_token=family.eos,
        pad_token=family.pad,
        chat_template=family.template,
        extra_special_tokens=list(family.specials),
        model_max_length=256,
    )


if __name__ == "__main__":
    for family_name in FAMILIES:
        make_base(family_name, Path(sys.argv[1]) / family_name)
