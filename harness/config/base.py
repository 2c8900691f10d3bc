"""The base of everything that people write."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.core.yaml_loader import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """Base of everything that people write: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
