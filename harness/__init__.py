"""alignment-harness: is this checkpoint better, and is it safe to ship?

harness.load_run("runs/medical_rubric/5f0c1a2b3c4d").to_pandas()
"""

import os
from importlib import import_module
from typing import Any

from harness.core.paths import link_bundle
from harness.core.scorer import Item, Scorer

__all__ = ["Item", "Scorer", "__version__", "load_run"]
__version__ = "0.1.0"

# Training libraries tell the hub of every run, and huggingface_hub which program runs it. They read this
# when they are imported, in every process that training starts.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

link_bundle()


def __getattr__(name: str) -> Any:
    """Import `load_run` at its first use: it imports numpy and more."""
    if name == "load_run":
        return import_module("harness.artifacts.run_folder").load_run
    raise AttributeError(f"module 'harness' has no attribute '{name}'")
