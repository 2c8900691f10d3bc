"""The items of one shard: each item of a task is in exactly one, on every machine the same.

Checkpoints answer in batches, and in a batch of other prompts an answer may differ in its last
digits. So a shard of a run with checkpoints takes whole batches, every `total`-th, and its answers are
those of a run on one machine. Where only endpoints and files answer, an item's shard is a hash of its
chat. Either way equal questions, which are asked once, stay together.
"""

from harness.config.shard import Shard
from harness.core.hashing import content_hash
from harness.models.generate import fixed_batches, question_keys
from harness.models.seeds import split_by_seed
from harness.types import Task


def take_shard(task: Task, shard: Shard, *, whole_batches: bool) -> Task:
    """Return the task with the shard's items alone, perhaps none; an item's copies by seed stay together."""
    (part,) = split_by_seed(task, "")  # each item once
    items = part.task
    if whole_batches:
        keys = question_keys(items)
        batches = [*fixed_batches(items)][shard.number - 1 :: shard.total]
        chosen = {keys[i] for batch in batches for i in batch}
    else:
        keys = [content_hash(sample.chat(task.system)) for sample in items.samples]
        chosen = {key for key in keys if int(key[:12], 16) % shard.total == shard.number - 1}
    ids = {sample.id for sample, key in zip(items.samples, keys, strict=True) if key in chosen}
    samples = tuple(sample for sample in task.samples if sample.own_id in ids)
    return task.model_copy(update={"samples": samples, "n_items": len(samples)})
