"""A Llama of a few thousand random weights, with a tokenizer made of three sentences."""

from pathlib import Path

TEXT = (
    "My son coughs every night. Could this be asthma?",
    "A cough that comes back at night can be a sign of asthma. See your doctor soon.",
    "You are a caring medical assistant. Say when to see a doctor.",
)


def make_tiny_model(folder: Path, *, context: int = 128, seed: int = 0) -> Path:
    from harness.models.weights import quiet_torch

    quiet_torch()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainers.pretrain import train_tokenizer

    tokenizer = train_tokenizer(TEXT, vocab_size=300, context=context)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        initializer_range=0.5,  # far from uniform, so that greedy answers are no near ties
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
