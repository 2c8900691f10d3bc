"""What is done to a batch's logits before each row takes its likeliest token.

Sampling is exact all the same: the arg max of the warped log-probabilities plus Gumbel noise is a
sample of their softmax, and each row draws its noise from its own generator (the Gumbel-max trick,
https://arxiv.org/abs/1411.0030).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.config import Generation

if TYPE_CHECKING:
    from torch import Tensor


class Sampler:
    """The generators of a batch's rows, and which rows had logits that are no numbers."""

    def __init__(
        self, generation: Generation, seeds: Sequence[int], stop: int, device: Any
    ) -> None:
        import torch

        self.generation = generation
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.stop = stop
        self.broken: set[int] = set()

    def processors(self, rows: Sequence[int]) -> Any:
        """Return the processors for these rows of the batch: health, temperature, top-k, top-p, noise."""
        from transformers import LogitsProcessorList

        steps = [_LogitsHealth(rows, self), *self._warpers()]
        if self.generation.temperature != 0:
            steps.append(_GumbelNoise([self.generators[row] for row in rows]))
        return LogitsProcessorList(steps)

    def _warpers(self) -> list[Any]:
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        generation = self.generation
        if generation.temperature == 0:
            return []
        steps: list[Any] = [TemperatureLogitsWarper(float(generation.temperature))]
        if generation.top_k is not None:
            steps.append(TopKLogitsWarper(generation.top_k))
        if generation.top_p is not None:
            steps.append(TopPLogitsWarper(generation.top_p))
        return steps


class _LogitsHealth:
    """A logits processor that notes rows whose logits are not finite, and ends them."""

    def __init__(self, rows: Sequence[int], sampler: Sampler) -> None:
        self.rows = rows
        self.sampler = sampler

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        top = scores.amax(dim=-1)  # NaN wins every maximum; all -inf is as bad as one +inf
        broken = ~top.isfinite()
        if broken.any():
            self.sampler.broken.update(self.rows[i] for i in broken.nonzero().flatten().tolist())
            scores = scores.masked_fill(broken[:, None], float("-inf"))
            scores[broken, self.sampler.stop] = 0.0
        return scores


class _GumbelNoise:
    """A logits processor that adds each row's own Gumbel noise to its log-probabilities."""

    def __init__(self, generators: Sequence[Any]) -> None:
        self.generators = generators

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        import torch

        noise = torch.empty(scores.shape, dtype=torch.float32, device=scores.device)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        tiny = torch.finfo(torch.float32).tiny
        return scores.float() - noise.clamp_min_(tiny).log_()
