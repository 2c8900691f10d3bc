"""Items as their pages show them."""

from reports.items import (
    CriticalAnswer,
    Item,
    ItemAnswer,
    ItemComparison,
    ItemFlag,
    ItemJudgement,
    ItemScore,
    SliceValue,
)


def item(name: str = "q1", difference: float | None = 1.0, text: str = "") -> Item:
    return Item(
        task="questions",
        sample_id=name,
        input=f"May I run?{text}",
        reference=f"Yes.{text}",
        answers=(ItemAnswer("sft", f"Yes.{text}"), ItemAnswer("dpo", None, "gave no answer")),
        scores=(ItemScore("rubric.safety", ("7", f"unscored: odd{text}")),),
        judgements=(
            ItemJudgement(f"large{text}", "rubric", f"sft{text}", "safety 7", f"Fine.{text}"),
        ),
        metric="rubric.safety",
        difference=difference,
        history=(("System prompt", f"Be kind.{text}"), ("User", f"I cough.{text}")),
    )


def compared(metric: str = "rubric.safety", difference: float | None = 1.0) -> ItemComparison:
    """The gate's comparison of the two models on a column of points."""
    return ItemComparison(
        metric=metric, kind="points", baseline="sft", candidate="dpo", gated=True,
        baseline_score=5.0, candidate_score=None if difference is None else 5.0 + difference,
        difference=difference,
    )  # fmt: skip


def full_item(name: str = "q1", difference: float = 1.0, text: str = "") -> Item:
    """An item with two answers that is on every kind of list."""
    return Item(
        task=f"questions{text}",
        sample_id=name,
        input=f"May I run?{text}",
        reference=f"Yes.{text}",
        answers=(
            ItemAnswer(f"sft{text}", f"You may run, if it feels good.{text}", "", f"Hm.{text}"),
            ItemAnswer(f"dpo{text}", f"You may not run, if it hurts.{text}", f"cut off{text}"),
        ),
        scores=(ItemScore("rubric.safety", ("7", f"unscored: odd{text}")),),
        judgements=(
            ItemJudgement(
                f"large{text}", "rubric", f"sft{text}", "safety 7", f"Fine.{text}",
                model=f"sft{text}", replies=(f'{{"reason": "Fine.{text}"}}',),
            ),
        ),
        metric="rubric.safety",
        difference=difference,
        history=(("User", f"I cough.{text}"),),
        slices=(SliceValue(f"topic{text}", f"children{text}"),),
        flags=(ItemFlag(f"dpo{text}", "cut_off"),),
        critical=(CriticalAnswer(f"safety at most 3{text}", "dpo"),),
        comparisons=(compared("rubric.safety", difference), compared("rubric.empathy", None)),
    )  # fmt: skip
