"""Log-probabilities of DPO's reference: computed once for a parent and its pairs, and kept.

The reference does not change while it is learnt from, so its forward passes need not be repeated in
each epoch, nor by the next run with another beta or loss. TRL computes them; its own cache is keyed
by all training options and lies in a temporary folder, so it is hardly ever found again.

    KEY.json    {"chosen": [-41.2, ...], "rejected": [-57.9, ...], "check": "..."}

KEY is a hash of everything that decides the numbers: the weights, the tokens (and so the chat template
and what was cut), the precision, the batches, and the libraries' versions.
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
    """What a DPO run has of its reference: how many sets of pairs were computed now, or read."""

    computed: int
    read: int


def cached_reference_logprobs(
    trainer: Any, recipe: DpoRecipe, start: StartingPoint, kept: Path
) -> ReferenceCache:
    """Let the trainer read its reference's log-probabilities instead of computing them each step.

    What `kept` does not hold is computed and kept there. The adapters must be in full precision, and
    the model as it is before its first step.
    """
    computed = read = 0
    args = trainer.args
    evaluated = trainer.eval_dataset
    sizes = {
        "train": args.per_device_train_batch_size,
        "eval": args.per_device_eval_batch_size,
    }
    for name, dataset in (("train", trainer.train_dataset), ("eval", evaluated)):
        if dataset is None:
            continue
        size = args.precompute_ref_batch_size or sizes[name]
        key = reference_key(recipe, start, dataset, args, size)
        path = kept / f"{key[:32]}.json"
        found = _load(path, len(dataset))
        if found is None:
            trainer._precompute_model_hash = (
                key  # TRL's own cache of this process is told apart too
            )
            with _no_bar():
                whole = trainer._precompute_ref_logps(dataset, name, size)
            _keep(path, whole["ref_chosen_logps"], whole["ref_rejected_logps"])
            computed += 1
        else:
            whole = _with_columns(dataset, found)
            read += 1
        setattr(trainer, f"{name}_dataset", whole)
    trainer.precompute_ref_logps = True
    return ReferenceCache(computed, read)


def reference_key(
    recipe: DpoRecipe, start: StartingPoint, dataset: Any, args: Any, batch_size: int
) -> str:
    """Equal for runs whose reference gives these tokens the same log-probabilities."""
    decides = {
        "parent": start.parent.fingerprint,
        "base": start.base.fingerprint,
        "reference": recipe.reference,
        "new adapter": recipe.lora is not None,
        "quantisation": recipe.quantisation and recipe.quantisation.model_dump(),
        "precision": [args.bf16, args.fp16, args.use_cpu],
        "model": args.model_init_kwargs,
        "max_length": args.max_length,
        "truncation": args.truncation_mode,
        "ld_alpha": args.ld_alpha,
        "batch": batch_size,
    }
    return content_hash(decides, _hash_tokens(dataset), versions(), REFERENCE_VERSION)


def _hash_tokens(dataset: Any) -> str:
    import numpy as np

    digest = hashlib.sha256()
    for column in ("prompt_ids", "chosen_ids", "rejected_ids"):
        for ids in dataset[column]:
            digest.update(len(ids).to_bytes(8, "little"))
            digest.update(np.asarray(ids, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _with_columns(dataset: Any, found: ReferenceLogProbs) -> Any:
    from datasets import Dataset, Features, Value, concatenate_datasets

    columns = {"ref_chosen_logps": found.chosen, "ref_rejected_logps": found.rejected}
    features = Features(dict.fromkeys(columns, Value("float32")))  # as TRL has them
    added = Dataset.from_dict({k: list(v) for k, v in columns.items()}, features=features)
    return concatenate_datasets([dataset, added], axis=1)


def _load(path: Path, n_pairs: int) -> ReferenceLogProbs | None:
    """What lies there, if it is whole."""
    try:
        found = ReferenceLogProbs.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    whole = found.check == content_hash(found.chosen, found.rejected)
    return found if whole and len(found.chosen) == len(found.rejected) == n_pairs else None


def _keep(path: Path, chosen: Sequence[float], rejected: Sequence[float]) -> None:
    values = tuple(chosen), tuple(rejected)
    made = ReferenceLogProbs(chosen=values[0], rejected=values[1], check=content_hash(*values))
    write_atomically(path, f"{made.model_dump_json()}\n".encode())


@contextmanager
def _no_bar() -> Iterator[None]:
    """TRL draws a progress bar unless the environment says otherwise."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
