"""Bases that are published in 4 bits: an adapter is trained on them as they are, and merged at their values.

Rounding the sum of a 4-bit weight and its adapter to 4 bits again would lose most of the adapter. A
4-bit weight is a number of a small table times a constant, so full precision holds it; there the
merged model equals the adapter on its base.
"""

from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError


def check_quantisation(config: Any, source: str | Path) -> bool:
    """Return whether a model's configuration (an object, or what config.json holds) is that of 4 bits.

    Raises:
        HarnessError: it is quantised in another way, for which merging is not known to be exact.
    """
    quantisation = _get(config, "quantization_config")
    if quantisation is None:
        return False
    method = _get(quantisation, "quant_method")
    method = str(getattr(method, "value", method))
    in_4_bits = _get(quantisation, "load_in_4bit") or _get(quantisation, "_load_in_4bit")
    if method == "bitsandbytes" and in_4_bits:
        return True
    kind = f"{method} in 8 bits" if method == "bitsandbytes" else method
    raise HarnessError(
        f"{source}: is quantised ({kind}), and an adapter on it could not be merged without rounding. Name "
        "the same model in full precision, where 'quantisation' in a recipe trains it in 4 bits, or one in "
        "the 4 bits of bitsandbytes."
    )


def dequantise(model: Any) -> Any:
    """Return a 4-bit model in the full precision of its other weights, at the same values."""
    model = model.dequantize()
    # Left by loading, and only for weights in 4 bits: saving would apply them backwards.
    conversions = getattr(model, "_weight_conversions", None) or []
    model._weight_conversions = [c for c in conversions if not _is_of_4_bits(c)]
    return model


def _is_of_4_bits(conversion: Any) -> bool:
    operations = getattr(conversion, "operations", None) or []
    return any(type(o).__module__.endswith(".bitsandbytes") for o in operations)


def _get(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, dict) else getattr(record, name, None)
