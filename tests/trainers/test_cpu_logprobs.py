"""The last layer on a CPU computes what TRL's tiles compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders.recipes import ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from trainers import cpu_logprobs as vocabulary_head
from trainers.cpu_logprobs import fast_cpu_logprobs, log_probabilities
from trainers.sft import train_sft

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

ALL = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
N, H, V = 37, 8, 51


def inputs(bias: bool) -> list[Any]:
    draw = torch.Generator().manual_seed(5)
    hidden, weight = (torch.randn(rows, H, generator=draw).requires_grad_() for rows in (N, V))
    targets = torch.randint(V, (N,), generator=draw)
    return [hidden, weight, torch.randn(V, generator=draw) if bias else None, targets]


def gradients(compute: Callable[..., Any], bias: bool, *rest: Any) -> tuple[Any, ...]:
    """All outputs, and the slopes of a loss that uses the two that can be learnt from."""
    hidden, weight, offset, targets = inputs(bias)
    found = compute(hidden, weight, offset, targets, *rest)
    (found[0].sum() + 0.3 * found[1].sum()).backward()
    return *found, hidden.grad, weight.grad


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("temperature", "softcap", "scale"), [(1.0, None, 1.0), (0.7, 3.0, 0.25)])
def test_values_and_gradients_are_those_of_the_tiles(
    bias: bool, temperature: float, softcap: float | None, scale: float
) -> None:
    from trl.kernels import ChunkedLogProbFunction

    rest = (temperature, 16, softcap, scale, ALL)
    ours = gradients(log_probabilities, bias, *rest)
    tiles = gradients(ChunkedLogProbFunction.apply, bias, *rest)
    assert len(ours) == len(tiles) == 7
    for one, other in zip(ours, tiles, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_is_not_asked_for_is_not_computed() -> None:
    hidden, weight, _, targets = inputs(bias=False)
    found = log_probabilities(hidden, weight, None, targets, 1.0, 16, None, 1.0, ("is_top1",))
    assert [value is None for value in found] == [False, True, True, True, False]


def test_a_batch_without_answers_is_a_zero_that_can_be_learnt_from() -> None:
    hidden, weight, _, targets = inputs(bias=False)
    found = log_probabilities(hidden[:0], weight, None, targets[:0], 1.0, 16, None, 1.0, ALL)
    assert found[0] is not None
    found[0].sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_trl_has_its_own_again_afterwards() -> None:
    from trl.trainer import utils

    before = utils._ChunkedLogProbFunction, utils._use_triton
    with fast_cpu_logprobs():
        assert (utils._ChunkedLogProbFunction, utils._use_triton) != before
    assert (utils._ChunkedLogProbFunction, utils._use_triton) == before


def test_large_batches_take_tiles_and_learn_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_tiny_model(tmp_path / "base")
    asked: list[int] = []

    def counted(*arguments: Any) -> Any:
        asked.append(len(arguments[0]))
        return log_probabilities(*arguments)

    monkeypatch.setattr(vocabulary_head, "log_probabilities", counted)
    at_once = train_sft(SFT, base, tmp_path / "at_once", rows=ROWS, progress=quiet)
    assert asked
    n_asked = len(asked)
    monkeypatch.setattr(vocabulary_head, "MAX_LOGITS", 0)
    in_tiles = train_sft(SFT, base, tmp_path / "in_tiles", rows=ROWS, progress=quiet)
    assert len(asked) == n_asked
    for curve, other in zip(at_once.curves, in_tiles.curves, strict=True):
        assert curve.name == other.name
        assert curve.values == pytest.approx(other.values, rel=1e-3, abs=1e-4)
