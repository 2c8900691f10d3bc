"""A judge should not judge its own family of language models."""

from harness.models.families import families_of
from harness.types import JudgeCard

__all__ = ["families_of", "shared_family"]


def shared_family(judge: JudgeCard, model: str | None) -> str | None:
    """Return a family that the judge's model and the named one have in common, if one is known.

    A distilled model belongs to both families. An unknown name belongs to none, which does not
    prove that the models are unrelated.
    """
    common = families_of(judge.model or "") & families_of(model or "")
    return min(common, default=None)
