"""The base of every record."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of everything that runs produce: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
