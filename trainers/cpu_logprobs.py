"""The last layer on a CPU: the answers' tokens projected onto the vocabulary at once.

TRL 1.16 projects in tiles, and once more in the backward pass. On a GPU its Triton kernels make that
cheap. In plain torch every tile takes a dozen passes over memory, for prompts and padding too, which
is nearly half of a small model's training time on a CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MAX_LOGITS = 1 << 26  # 256 MB in 32 bits, held about six times until the backward pass is over


@contextmanager
def fast_cpu_logprobs() -> Iterator[None]:
    """What TRL's trainers compute on a CPU meanwhile is the same, but for rounding, and sooner.

    Batches of more than `MAX_LOGITS` logits, and other devices, are left to TRL.
    """
    from trl.trainer import utils

    tiles, picks_answers = utils._ChunkedLogProbFunction, utils._use_triton

    class Head:
        """Takes the place of TRL's autograd function."""

        @staticmethod
        def apply(hidden: "Tensor", weight: "Tensor", *rest: Any) -> tuple["Tensor | None", ...]:
            small = len(hidden) * len(weight) <= MAX_LOGITS
            compute = log_probabilities if small and hidden.device.type == "cpu" else tiles.apply
            return compute(hidden, weight, *rest)

    utils._ChunkedLogProbFunction = Head
    # This is asked whether to project answers alone. That is right wherever shapes may change.
    utils._use_triton = lambda device: device.type == "cpu" or picks_answers(device)
    try:
        yield
    finally:
        utils._ChunkedLogProbFunction, utils._use_triton = tiles, picks_answers


def log_probabilities(
    hidden: "Tensor",
    weight: "Tensor",
    bias: "Tensor | None",
    targets: "Tensor",
    temperature: float,
    chunk_size: int,
    softcap: float | None,
    scale: float,
    outputs: tuple[str, ...],
) -> tuple["Tensor | None", ...]:
    """Of n states (n x h) and n targets: log-probabilities, and what else `outputs` names.

    That is each state's entropy, log of the sum of squared probabilities, mean logit, and whether
    its target is the likeliest token; each of length n, or None where not asked for. The arguments
    are those of TRL's `ChunkedLogProbFunction`; there are no chunks here.
    """
    from torch import log_softmax, tanh
    from torch.nn.functional import linear

    logits = linear(hidden, weight, bias).float()
    if scale != 1:  # each of these is a pass over all logits
        logits = logits * scale
    if softcap is not None:
        logits = softcap * tanh(logits / softcap)
    if temperature != 1:
        logits = logits / temperature
    log_p = log_softmax(logits, dim=-1)
    return (
        log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1),
        -(log_p.exp() * log_p).sum(-1) if "entropy" in outputs else None,
        (2 * log_p.detach()).logsumexp(-1) if "log_sum_sq_probs" in outputs else None,
        logits.detach().mean(-1) if "mean_logits" in outputs else None,
        log_p.detach().argmax(-1) == targets if "is_top1" in outputs else None,
    )
