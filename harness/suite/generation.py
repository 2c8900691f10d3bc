"""How models are asked."""

from pydantic import Field

from harness.suite.spec import Spec


class Generation(Spec):
    """How a model is asked and decoded. `temperature: 0` is greedy decoding."""

    system: str | None = None
    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int = 1
