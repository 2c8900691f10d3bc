"""A real cross-encoder of sentence-transformers: the first layer of a BERT folder, with a head of random weights."""

from pathlib import Path


def make_cross_encoder(base: Path, folder: Path, *, seed: int = 1) -> Path:
    """Write one whose scores tell pairs apart, and mean nothing."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, num_hidden_layers=1
    )
    torch.nn.init.normal_(model.classifier.weight, std=1.0)
    plain = folder.with_name(f"{folder.name}-plain")
    model.save_pretrained(plain)
    AutoTokenizer.from_pretrained(base).save_pretrained(plain)
    CrossEncoder(str(plain), device="cpu", max_length=256).save_pretrained(str(folder))
    return folder
