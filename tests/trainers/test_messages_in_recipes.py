"""One's own file of chats in a recipe."""

import json
from pathlib import Path

import pytest

from harness.data.conversions import conversion_facts
from trainers.examples import load_examples
from trainers.recipe import TrainingSource


def source(folder: Path, column: str = "messages", **more: object) -> TrainingSource:
    """A file of four chats: a plain one, one with thoughts, a tool call, and an answer of weight 0."""
    asked = {"role": "user", "content": [{"type": "text", "text": "Is it bad?"}]}
    answers = [
        {"content": "No."},
        {"content": "Yes.", "reasoning_content": "It hurts."},
        {"content": "Let me look.", "tool_calls": [{"id": "1"}]},
        {"content": "Maybe.", "weight": 0},
    ]
    rows = [{column: [asked, {"role": "assistant", **answer}]} for answer in answers]
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TrainingSource.model_validate(
        {"path": "chats.jsonl", "fields": {"messages": column}, **more}
    )


def test_chats_are_read_as_convert_reads_them_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    chats = source(tmp_path)
    rows = load_examples([chats], tmp_path)
    assert [row.prompt[-1].content for row in rows] == ["Is it bad?"] * 2
    assert [row.completion for row in rows] == ["No.", "<think>\nIt hurts.\n</think>\n\nYes."]
    (fact,) = conversion_facts([chats], tmp_path).values()
    assert "tool_calls" in fact
    assert "weight_zero" in fact


@pytest.mark.parametrize(
    ("column", "more"), [("chats", {}), ("messages", {"where": {"split": "train"}})]
)
def test_what_does_not_go_with_it_is_refused(
    column: str, more: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"fields: \{messages"):
        source(tmp_path, column, **more)
