"""Items as their pages show them."""

from reports.items import Item, ItemAnswer, ItemJudgement, ItemScore


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
