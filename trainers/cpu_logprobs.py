"""TRL's token log-probabilities on a CPU, in one matrix product over the answers' tokens.

TRL 1.16 computes the logits in tiles, and again in the backward pass. On a GPU its Triton kernels
make that cheap. In plain torch every tile takes a dozen passes over memory, for prompts and padding
too, which is nearly half of a small model's training time on a CPU (docs/benchmarks.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MAX_LOGITS = 1 << 26  # 256 MB in 32 bits, in memory about six times until the backward pass ends


@contextmanager
def fast_cpu_logprobs() -> Iterator[None]:
    """Replace TRL's log-probabilities on CPUs inside this context: same values up to rounding, faster.

    TRL computes batches of more than `MAX_LOGITS` logits, and other devices, itself.
    """
    from trl.trainer import utils

    trl_function, trl_use_triton = utils._ChunkedLogProbFunction, utils._use_triton

    class LogProbFunction:
        """A replacement of TRL's autograd function."""

        @staticmethod
        def apply(hidden: "Tensor", weight: "Tensor", *rest: Any) -> tuple["Tensor | None", ...]:
            small = len(hidden) * len(weight) <= MAX_LOGITS
            replaced = small and hidden.device.type == "cpu"
            compute = log_probabilities if replaced else trl_function.apply
            return compute(hidden, weight, *rest)

    utils._ChunkedLogProbFunction = LogProbFunction
    # TRL calls this to decide whether to project the answers' tokens alone, which is right wherever
    # shapes may differ between steps.
    utils._use_triton = lambda device: device.type == "cpu" or trl_use_triton(device)
    try:
        yield
    finally:
        utils._ChunkedLogProbFunction, utils._use_triton = trl_function, trl_use_triton


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
    """Compute the log-probabilities of n targets from n states (n x h), and the named `outputs`.

    These are each state's entropy, the log of the sum of its squared probabilities, its mean logit,
    and whether its target is the likeliest token; each of length n, or None if not named. The
    arguments are those of TRL's `ChunkedLogProbFunction`; `chunk_size` is ignored.
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
