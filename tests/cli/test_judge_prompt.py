"""`harness judge prompt`: ours as the start of one's own."""

from pathlib import Path

from tests.builders.commands import harness_here


def test_our_prompt_is_copied_into_a_new_file_and_never_over_one(tmp_path: Path) -> None:
    copy = ("judge", "prompt", "rubric", "--out", "my_judge.md")
    done = harness_here(*copy, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        "my_judge.md: name it as 'prompt' of a rubric metric\n",
    )
    assert "{{what_you_see}}" in (tmp_path / "my_judge.md").read_text()
    again = harness_here(*copy, cwd=tmp_path)
    assert again.returncode == 2
    assert "my_judge.md: is there already" in again.stderr


def test_a_kind_that_no_judge_is_asked_about_has_no_prompt(tmp_path: Path) -> None:
    done = harness_here("judge", "prompt", "rouge", cwd=tmp_path)
    assert done.returncode == 2
    assert "no judge is asked with a prompt for 'rouge'" in done.stderr
