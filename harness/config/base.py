"""The base class of all configuration, and the types of names and hashes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.core.yaml_loader import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """The base of everything that users write: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
