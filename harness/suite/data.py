"""Where data comes from."""

from typing import Literal

from pydantic import Field, model_validator

from harness.suite.spec import Name, Sha256, Spec


class Source(Spec):
    """A table of rows: a local path, a URL pinned by sha256, or a hub data set at a revision.

    `local` is where a pinned source lies below `HARNESS_DATA_DIR` for those who have it already.
    A hub data set has a `split`, and may have a `subset`. `format` is told by the file's ending
    unless stated. `fields` says which column holds what; `where` keeps only the rows with these
    values.
    `phi` marks protected health information: it goes to no other machine unless that is allowed.
    """

    path: str | None = None
    url: str | None = None
    sha256: Sha256 | None = None
    hub: str | None = None
    subset: str | None = Field(default=None, exclude_if=lambda name: name is None)
    revision: str | None = None
    split: str = "train"
    local: str | None = None
    format: Literal["csv", "json", "jsonl", "xlsx"] | None = None
    fields: dict[str, str] = Field(default={})
    where: dict[str, str] = Field(default={})
    phi: bool = False

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> "Source":
        if sum(origin is not None for origin in (self.path, self.url, self.hub)) != 1:
            raise ValueError(
                "name exactly one of 'path', 'url' (with sha256) or 'hub' (with revision)"
            )
        if self.url is not None and self.sha256 is None:
            raise ValueError(
                "a 'url' needs the 'sha256' of the file, so that it cannot change unseen"
            )
        if self.hub is not None and self.revision is None:
            raise ValueError("a 'hub' data set needs a 'revision', so that it cannot change unseen")
        return self

    @property
    def label(self) -> str:
        """A short name that still pins the content: a path, or a file or data set at a version."""
        if self.url is not None and self.sha256 is not None:
            return f"{self.url.rsplit('/', 1)[-1]} (sha256 {self.sha256[:12]})"
        return self.path or f"hub:{self.hub}@{self.revision}"


class Take(Spec):
    """A seeded random subset of `n` items."""

    n: int = Field(ge=1)
    seed: int


class DataSpec(Spec):
    """The items of a suite: a data set that the profile binds by `name`, or one `source`."""

    name: Name | None = None
    source: Source | None = None
    take: Take | None = None

    @model_validator(mode="after")
    def _name_or_source(self) -> "DataSpec":
        if (self.name is None) == (self.source is None):
            raise ValueError("name exactly one of 'name' (bound by the profile) or 'source'")
        return self
