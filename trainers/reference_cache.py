"""A cache of the log-probabilities of DPO's reference, for one parent and its pairs.

The reference does not change during training, so its forward passes need not be repeated in each
epoch, nor in the next run with another beta or loss. TRL computes them; its own cache is keyed by all
training options and in a temporary folder, so that it is hardly ever reused.

    KEY.json    {"chosen": [-41.2, ...], "rejected": [-57.9, ...], "check": "..."}

KEY is a hash of everything that decides the numbers: the weights, the tokens (and so the chat template
and truncation), the precision, the batches, and the libraries' versions.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from harness.core.files import write_atomically
from harness.core.hashing import content_hash
from harness.types import Record
from trainers.checkpoint import versions
from trainers.recipe import DpoRecipe
from trainers.starting_model import StartingPoint

REFERENCE_VERSION = 1  # raise it when the same key gives other numbers


class ReferenceLogProbs(Record):
    """The summed log-probability of each pair's answers, in nats; `check` is a hash of both."""

    chosen: tuple[float, ...]
    rejected: tuple[float, ...]
    check: str


class ReferenceCache(NamedTuple):
    """The use of the cache in one run: sets of pairs that were computed, and that were read."""

    computed: int
    read: int


def cached_reference_logprobs(
    trainer: Any, recipe: DpoRecipe, start: StartingPoint, cache_dir: Path
) -> ReferenceCache:
    """Give the trainer its reference's log-probabilities, so that it computes none in its steps.

    Values that `cache_dir` does not hold are computed and written there. The adapters must be in full
    precision, and the model before its first step.
    """
    computed = read = 0
    args = trainer.args
    sizes = {
        "train": args.per_device_train_batch_size,
        "eval": args.per_device_eval_batch_size,
    }
    for name, dataset in (("train", trainer.train_dataset), ("eval", trainer.eval_dataset)):
        if dataset is None:
            continue
        size = args.precompute_ref_batch_size or sizes[name]
        key = reference_key(recipe, start, dataset, args, size)
        path = cache_dir / f"{key[:32]}.json"
        cached = _load(path, len(dataset))
        if cached is None:
            trainer._precompute_model_hash = key  # the key of TRL's own cache in this process
            with _without_progress_bar():
                extended = trainer._precompute_ref_logps(dataset, name, size)
            _write(path, extended["ref_chosen_logps"], extended["ref_rejected_logps"])
            computed += 1
        else:
            extended = _with_columns(dataset, cached)
            read += 1
        setattr(trainer, f"{name}_dataset", extended)
    trainer.precompute_ref_logps = True
    return ReferenceCache(computed, read)


def reference_key(
    recipe: DpoRecipe, start: StartingPoint, dataset: Any, args: Any, batch_size: int
) -> str:
    """Return a key that is equal for runs whose reference gives the same log-probabilities."""
    inputs = {
        "parent": start.parent.fingerprint,
        "base": start.base.fingerprint,
        "reference": recipe.reference,
        "new adapter": recipe.new_adapter is not None,
        "quantisation": recipe.quantisation and recipe.quantisation.model_dump(),
        "precision": [args.bf16, args.fp16, args.use_cpu],
        "model": args.model_init_kwargs,
        "max_length": args.max_length,
        "truncation": args.truncation_mode,
        "ld_alpha": args.ld_alpha,
        "batch": batch_size,
    }
    return content_hash(inputs, _hash_tokens(dataset), versions(), REFERENCE_VERSION)


def _hash_tokens(dataset: Any) -> str:
    import numpy as np

    digest = hashlib.sha256()
    for column in ("prompt_ids", "chosen_ids", "rejected_ids"):
        for ids in dataset[column]:
            digest.update(len(ids).to_bytes(8, "little"))
            digest.update(np.asarray(ids, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _with_columns(dataset: Any, cached: ReferenceLogProbs) -> Any:
    from datasets import Dataset, Features, Value, concatenate_datasets

    columns = {"ref_chosen_logps": cached.chosen, "ref_rejected_logps": cached.rejected}
    features = Features(dict.fromkeys(columns, Value("float32")))  # TRL's type
    added = Dataset.from_dict({k: list(v) for k, v in columns.items()}, features=features)
    return concatenate_datasets([dataset, added], axis=1)


def _load(path: Path, n_pairs: int) -> ReferenceLogProbs | None:
    """Load cached values; None if the file is missing, damaged or of another number of pairs."""
    try:
        cached = ReferenceLogProbs.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    intact = cached.check == content_hash(cached.chosen, cached.rejected)
    return cached if intact and len(cached.chosen) == len(cached.rejected) == n_pairs else None


def _write(path: Path, chosen: Sequence[float], rejected: Sequence[float]) -> None:
    values = tuple(chosen), tuple(rejected)
    record = ReferenceLogProbs(chosen=values[0], rejected=values[1], check=content_hash(*values))
    write_atomically(path, f"{record.model_dump_json()}\n".encode())


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Disable TRL's progress bar, which only an environment variable can."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
