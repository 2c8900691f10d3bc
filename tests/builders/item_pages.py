"""Items as their pages show them."""

from reports import item_pages as item_pages
from reports.item_pages import Answer, Item, ItemScore, Said


def item(name: str = "q1", moved: float | None = 1.0, text: str = "") -> Item:
    return Item(
        task="questions",
        sample_id=name,
        input=f"May I run?{text}",
        reference=f"Yes.{text}",
        answers=(Answer("sft", f"Yes.{text}"), Answer("dpo", None, "gave no answer")),
        scores=(ItemScore("rubric.safety", ("7", f"unscored: odd{text}")),),
        said=(Said(f"large{text}", "rubric", f"sft{text}", "safety 7", f"Fine.{text}"),),
        metric="rubric.safety",
        moved=moved,
    )
