"""The frozen parent in fewer bits while its adapter trains: `quantisation` in a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from harness.config import Spec


class Quantisation(Spec):
    """The frozen parent in 4 bits while its adapter trains (https://arxiv.org/abs/2305.14314)."""

    bits: Literal[4]
    kind: Literal["nf4", "fp4"] = "nf4"
    double: bool = True
    compute: Literal["bfloat16", "float16", "float32"] = "bfloat16"

    @property
    def description(self) -> str:
        """Return the number format in a few words."""
        return f"{self.bits}-bit {self.kind}{', double quantisation' if self.double else ''}"


class EightBits(Spec):
    """The frozen parent in 8 bits while its adapter trains (https://arxiv.org/abs/2208.07339).

    Columns of inputs with a number of at least `threshold` are multiplied in 16 bits.
    """

    bits: Literal[8]
    threshold: float = Field(default=6.0, ge=0.0)

    @property
    def description(self) -> str:
        """Return the number format in a few words."""
        return "8-bit"


AnyQuantisation = Annotated[Quantisation | EightBits, Field(discriminator="bits")]
