"""MT-Bench and Arena-Hard: questions, answers, ratings and judgements of pairs."""

from pathlib import Path
from typing import Any

import pytest

from harness.config import load_profile
from harness.core.errors import HarnessError
from harness.interop.importing import ImportedStudy, import_records
from tests.builders.foreign_logs import (
    answers_of,
    arena_row,
    mt_bench_answer,
    mt_bench_question,
    pair_row,
    rating_row,
    rows_of,
    save,
    scores_of,
)

RATINGS = [
    rating_row(i, model, 4 + i + turn, turn)
    for i in (1, 2) for model in ("old", "new") for turn in (1, 2)
]  # fmt: skip


def import_all(folder: Path, **files: list[dict[str, Any]]) -> ImportedStudy:
    named = [save(folder / f"{name}.jsonl", rows) for name, rows in files.items()]
    return import_records(named, folder / "study")


def verdicts_of(folder: Path, candidate: str) -> list[tuple[str, str, str | None]]:
    rows = rows_of(folder / "study" / "preferences" / f"{candidate}.jsonl")
    return [(row["id"], row["order"], row["winner"]) for row in rows]


def test_each_turn_of_mt_bench_is_an_item_of_its_questions_cluster(tmp_path: Path) -> None:
    found = import_all(
        tmp_path,
        questions=[mt_bench_question(i, reference=["one", "two"]) for i in (1, 2, 3)],
        old=[mt_bench_answer(i, "old") for i in (1, 2)],
        new=[mt_bench_answer(i, "new") for i in (1, 2)],
        ratings=RATINGS,
    )
    assert (found.models, found.metrics) == (("old", "new"), ("rating_by_gpt-4",))
    assert found.left_out == {"neither scored nor compared in any file": 2}
    items = {item["id"]: item for item in rows_of(tmp_path / "study" / "items.jsonl")}
    assert items["1-turn2"] == {
        "id": "1-turn2", "input": "First 1?\n\nThen 1?", "reference": "two", "cluster": "1",
    }  # fmt: skip
    assert answers_of(tmp_path, "new")["1-turn2"] == "new then 1"
    assert scores_of(tmp_path, "new", "rating_by_gpt-4") == {
        "1": 6, "1-turn2": 7, "2": 7, "2-turn2": 8,
    }  # fmt: skip


def test_the_ratings_alone_quote_questions_and_answers(tmp_path: Path) -> None:
    import_all(tmp_path, ratings=RATINGS)
    items = {item["id"]: item["input"] for item in rows_of(tmp_path / "study" / "items.jsonl")}
    assert items == {
        "1": "First 1?", "1-turn2": "First 1?\n\nThen 1?",
        "2": "First 2?", "2-turn2": "First 2?\n\nThen 2?",
    }  # fmt: skip
    assert answers_of(tmp_path, "old")["2-turn2"] == "old then 2"
    suite = (tmp_path / "study" / "suite.yaml").read_text()
    assert "- 1\n    - 10\n" in suite


def test_a_rating_that_was_not_read_is_a_gap(tmp_path: Path) -> None:
    rows = [rating_row(1, "old", 5), rating_row(1, "new", -1), rating_row(1, "new", 9)]
    found = import_all(tmp_path, ratings=[*rows, rating_row(2, "old", 5), rating_row(2, "new", 6)])
    assert scores_of(tmp_path, "new", "rating_by_gpt-4") == {"1": 9.0, "2": 6.0}
    assert found.left_out["no rating from 1 to 10 was read: unscored"] == 1


def test_ratings_of_two_judges_are_two_scores(tmp_path: Path) -> None:
    other = [rating_row(1, m, 3, judge=["claude", "single-v1"]) for m in ("old", "new")]
    found = import_all(tmp_path, a=[rating_row(1, m, 9) for m in ("old", "new")], b=other)
    assert found.metrics == ("rating_by_claude", "rating_by_gpt-4")


def test_verdicts_without_texts_ask_for_them(tmp_path: Path) -> None:
    rows = [rating_row(1, m, 9, user_prompt="?") for m in ("old", "new")]
    with pytest.raises(HarnessError, match="import the questions and answers with them"):
        import_all(tmp_path, ratings=rows)


def test_both_games_of_a_pair_are_verdicts_in_their_order(tmp_path: Path) -> None:
    rows = [
        pair_row(1, "model_1", "model_1"),
        pair_row(2, "tie", "model_2"),
        pair_row(3, "error", "model_1"),
    ]
    found = import_all(tmp_path, pairs=rows)
    assert (found.models, found.metrics) == (
        ("old", "new"),
        ("win_rate",),
    )  # model_2 is the baseline
    assert verdicts_of(tmp_path, "new") == [
        ("1", "candidate_first", "candidate"), ("1", "baseline_first", "candidate"),
        ("2", "candidate_first", "tie"), ("2", "baseline_first", "baseline"),
        ("3", "candidate_first", None), ("3", "baseline_first", "candidate"),
    ]  # fmt: skip
    assert answers_of(tmp_path, "new") == {"1": "new 1", "2": "new 2", "3": "new 3"}
    assert found.left_out == {"no winner was read: unscored": 1}


def test_the_model_that_all_pairs_share_is_the_baseline(tmp_path: Path) -> None:
    rows = [pair_row(1, "tie", "tie", model_1="base", model_2=m) for m in ("a", "b")]
    found = import_all(tmp_path, pairs=rows)
    assert found.models == ("base", "a", "b")


@pytest.mark.parametrize(
    ("first", "second", "winners"),
    [
        ("A>B", "B>A", ["baseline", "baseline"]),
        ("B>>A", "A>>B", ["candidate", "candidate"]),
        ("A=B", "B=A", ["tie", "tie"]),
        ("B<A", "A<<B", ["baseline", "baseline"]),
        ("A", None, [None, None]),
    ],
)
def test_arena_hard_shows_the_baseline_first_in_the_first_game(
    tmp_path: Path, first: str, second: str, winners: list[str]
) -> None:
    found = import_all(tmp_path, judgements=[arena_row(1, first, second, baseline="base")])
    assert found.models == ("base", "new")
    assert verdicts_of(tmp_path, "new") == [
        ("q1", "baseline_first", winners[0]), ("q1", "candidate_first", winners[1]),
    ]  # fmt: skip
    assert answers_of(tmp_path, "base") == {"q1": "base 1"}


def test_a_strong_verdict_of_arena_hard_counts_threefold_as_in_its_own_score(
    tmp_path: Path,
) -> None:
    rows = [
        arena_row(1, "B>>A", "A>B", baseline="base"),  # the candidate wins both: 3 and 1
        arena_row(2, "A>>B", "B>>A", baseline="base"),  # and loses both: 3 and 3
        arena_row(3, "A=B", "A>B", baseline="base"),
        arena_row(4, "A>B", None, baseline="base"),
    ]
    found = import_all(tmp_path, judgements=rows)
    assert scores_of(tmp_path, "new", "strength") == {"q1": 2.0, "q2": -3.0, "q3": 0.5, "q4": None}
    assert scores_of(tmp_path, "base", "strength") == {"q1": 0, "q2": 0, "q3": 0, "q4": 0}
    # Weights 3 1 3 3 1 1 1 with outcomes 1 1 0 0 .5 1 0: 5.5 of 13.
    assert "new 42.3% by that rule" in " ".join(found.notes)
    suite = (tmp_path / "study" / "suite.yaml").read_text()
    assert "-3" in suite


def test_without_strong_verdicts_there_is_no_other_score(tmp_path: Path) -> None:
    found = import_all(tmp_path, judgements=[arena_row(1, "B>A", "A>B", baseline="base")])
    assert found.metrics == ("win_rate",)


def test_arena_hard_2_is_read(tmp_path: Path) -> None:
    answers = {
        model: [
            {"uid": "u1", "model": model, "messages": [
                {"role": "user", "content": "Do it"},
                {"role": "assistant", "content": {"answer": f"{model} did"}}]}
        ] for model in ("o3", "new")
    }  # fmt: skip
    games = [{"score": "A>B", "judgment": {"answer": "because"}, "prompt": []}, None]
    judged = [
        {"uid": "u1", "category": "hard_prompt", "judge": "gpt", "model": "new", "baseline": "o3",
         "games": games}
    ]  # fmt: skip
    questions = [{"uid": "u1", "category": "hard_prompt", "prompt": "Do it"}]
    found = import_all(tmp_path, judged=judged, questions=questions, **answers)
    assert (found.models, found.n_items) == (("o3", "new"), 1)
    (row,) = rows_of(tmp_path / "study" / "preferences" / "new.jsonl")
    assert (row["winner"], row["words"]) == ("baseline", "because")
    assert answers_of(tmp_path, "new") == {"u1": "new did"}


def test_a_baseline_without_a_name_is_the_model_that_has_answers_only(tmp_path: Path) -> None:
    rows = [{"question_id": "q1", "model_id": m, "choices": [{"turns": [{"content": f"{m} x"}]}]}
            for m in ("gpt-4-0314", "new")]  # fmt: skip
    found = import_all(tmp_path, judged=[arena_row(1, "A=B", "A=B")], answers=rows)
    assert found.models == ("gpt-4-0314", "new")


def test_files_of_two_judges_do_not_replace_each_other(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="one judge at a time"):
        import_all(tmp_path, a=[arena_row(1, "A>B", "A>B")], b=[arena_row(1, "B>A", "A>B")])


def test_a_name_for_a_file_of_several_models_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "ratings.jsonl", RATINGS)
    with pytest.raises(HarnessError, match="has 2 models"):
        import_records([f"sft={file}"], tmp_path / "study")


def test_a_name_is_that_of_the_candidate_of_a_file_of_pairs(tmp_path: Path) -> None:
    file = save(tmp_path / "judged.jsonl", [arena_row(1, "A>B", "A>B")])
    assert import_records([f"dpo={file}"], tmp_path / "study").models == ("baseline", "dpo")


def test_the_judge_is_named(tmp_path: Path) -> None:
    import_all(tmp_path, ratings=RATINGS)
    profile, _ = load_profile(str(tmp_path / "study" / "profile.yaml"))
    assert profile.judges["default"].note == "gpt-4"


def test_an_endpoint_error_in_place_of_an_answer_is_a_gap(tmp_path: Path) -> None:
    broken = mt_bench_answer(1, "new", choices=[{"turns": ["$ERROR$", "fine"]}])
    found = import_all(
        tmp_path,
        questions=[mt_bench_question(1)],
        old=[mt_bench_answer(1, "old")],
        new=[broken],
        ratings=[rating_row(1, m, 2, turn) for m in ("old", "new") for turn in (1, 2)],
    )
    assert scores_of(tmp_path, "new", "rating_by_gpt-4") == {"1": None, "1-turn2": 2.0}
    assert found.left_out == {"ended in an error: no answer and no score": 1}


def test_a_quoted_conversation_with_headings_of_its_own_is_not_guessed(tmp_path: Path) -> None:
    rows = [rating_row(1, m, 5, turn) for m in ("old", "new") for turn in (1, 2)]
    rows[3]["user_prompt"] = rows[3]["user_prompt"].replace("new first 1", "x\n\n### User:\ny")
    found = import_all(tmp_path, ratings=rows)
    assert list(answers_of(tmp_path, "new")) == ["1"]
    assert found.left_out == {"not answered by every model": 1}
