import re
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError
from harness.core.store import Store
from harness.planning.plan_diff import diff_fields
from harness.planning.preregistration import Preregistration, preregister_plan
from tests.builders.commands import harness_here
from tests.builders.files import write, write_world
from tests.builders.plans import CARD, plan_of


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path)
    return tmp_path


def registered(world: Path, models: str = "sft,dpo") -> Preregistration:
    with Store(world / "kept") as store:
        return preregister_plan(plan_of(world, models), store)


def amend(world: Path, old: str, new: str) -> None:
    text = (world / "small.yaml").read_text()
    assert old in text
    write(world / "small.yaml", text.replace(old, new, 1))


def test_the_first_plan_has_nothing_to_be_held_to(world: Path) -> None:
    assert registered(world).amendments == ()


def test_the_same_plan_again_keeps_its_first_time(world: Path) -> None:
    assert registered(world) == registered(world)


def test_a_changed_claim_is_told_with_what_it_was(world: Path) -> None:
    first = registered(world)
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    (amendment,) = registered(world).amendments
    (change,) = amendment.changes
    assert amendment.registered == first.registered
    assert change.field.startswith("claims on rubric.")
    assert change.before.endswith("superior")
    assert change.now.endswith("superior by 0.1")


def test_another_share_that_may_be_missing_is_no_changed_claim(world: Path) -> None:
    first = registered(world)
    amend(world, "gate:\n", "gate:\n  max_unscored: 0.1\n")
    later = registered(world)
    assert (later.amendments, later.number) == ((), first.number)


def test_going_back_to_the_first_plan_changes_nothing(world: Path) -> None:
    first = registered(world)
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    registered(world)
    amend(world, "claim: superior, margin: 0.1", "claim: superior")
    assert registered(world) == first


def test_other_models_under_the_same_claims_change_nothing(world: Path) -> None:
    registered(world)
    assert registered(world, models="dpo,sft").amendments == ()


def test_other_items_are_another_study(world: Path) -> None:
    registered(world)
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    text = (world / "items.jsonl").read_text()
    write(world / "items.jsonl", text.replace("overuse", "over-use", 1))
    assert registered(world).amendments == ()


def test_items_under_other_ids_are_the_same_items(world: Path) -> None:
    registered(world)
    for file in sorted(world.glob("*.jsonl")):
        write(file, re.sub(r'"id": ?"', '"id": "renamed-', file.read_text()))
    assert registered(world).amendments == ()
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    changed = [change.field for one in registered(world).amendments for change in one.changes]
    assert len(changed) == 1
    assert changed[0].startswith("claims on rubric.")


def test_a_data_set_under_another_name_is_the_same_one() -> None:
    before = {"items of old": "f00", "decoding of old": "greedy", "metric m": "1"}
    after = {"items of new": "f00", "decoding of new": "greedy", "metric m": "1"}
    assert list(diff_fields(before, after)) == []
    after["decoding of new"] = "sampled"
    assert list(diff_fields(before, after)) == [("decoding of new", "greedy", "sampled")]


def set_clock_back(world: Path) -> None:
    """Date what was registered so far as if the clock had been ahead."""
    for copy in (world / "kept" / "plans").iterdir():
        write(
            copy,
            re.sub(
                r'"registered":"?[^,]*', '"registered": "2099-01-01T00:00:00"', copy.read_text()
            ),
        )


def test_a_plan_is_earlier_by_the_counter_where_the_clock_was_set_back(world: Path) -> None:
    registered(world)
    set_clock_back(world)
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    later = registered(world)
    assert [one.registered for one in later.amendments] == ["2099-01-01T00:00:00"]
    assert later.clock_set_back


def test_a_plan_is_earlier_by_the_clock_where_its_number_was_changed(world: Path) -> None:
    registered(world)
    (copy,) = (world / "kept" / "plans").iterdir()
    write(copy, re.sub(r'"number": ?\d+', '"number": 99', copy.read_text()))
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    assert len(registered(world).amendments) == 1


def test_numbers_go_on_where_the_store_was_removed(world: Path) -> None:
    first = registered(world)
    for file in (world / "kept").glob("store.sqlite*"):
        file.unlink()
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    assert registered(world).number > first.number


def test_a_clock_that_is_behind_what_is_stored_is_noticed(world: Path) -> None:
    with Store(world / "kept") as store:
        store.put("response", {"a": CARD})
        store._connection.execute("UPDATE counter SET made = made + 1000")
    assert registered(world).clock_set_back


def test_answers_have_smaller_numbers_than_a_plan_that_was_stated_after_them(world: Path) -> None:
    with Store(world / "kept") as store:
        store.put("response", {"before": CARD})
    first = registered(world)
    with Store(world / "kept") as store:
        store.put("response", {"after": CARD})
        before, after = (store.numbers("response", [key])[0] for key in ("before", "after"))
    assert before < first.number < after


def test_the_same_claims_of_other_models_were_stated_with_the_first_of_them(world: Path) -> None:
    assert registered(world).number == registered(world, models="dpo,sft").number


def test_a_damaged_copy_is_no_missing_one(world: Path) -> None:
    registered(world)
    (copy,) = (world / "kept" / "plans").iterdir()
    write(copy, copy.read_text()[:50])
    with pytest.raises(InfrastructureError, match="damaged"):
        registered(world)


def test_the_report_says_that_claims_were_changed(world: Path) -> None:
    run = ("run", "small.yaml", "--models", "sft,dpo", "--profile", "recorded.yaml")
    harness_here(*run, cwd=world)
    amend(world, "claim: superior", "claim: superior, margin: 0.1")
    assert "has been changed since: claims on rubric." in re.sub(
        r"\s+", " ", harness_here(*run, cwd=world).stdout
    )
