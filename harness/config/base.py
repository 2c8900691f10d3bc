"""The base class of all configuration, and the types of names and hashes."""

import re
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from harness.core.yaml_loader import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """The base of everything that users write: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


SEED = "{seed}"  # stands for a training seed in texts
AnySpec = TypeVar("AnySpec", bound=Spec)


def names_seed(spec: Spec) -> bool:
    """Return whether a text of the spec holds `{seed}`."""
    return SEED in spec.model_dump_json(exclude_unset=True)


def fill_seed(spec: AnySpec, seed: int) -> AnySpec:
    """Return the spec with the seed's number for `{seed}` in every text."""
    written = spec.model_dump_json(exclude_unset=True)
    return type(spec).model_validate_json(written.replace(SEED, str(seed)))
