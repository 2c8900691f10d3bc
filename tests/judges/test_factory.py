import subprocess
import sys
from pathlib import Path

import pytest

import judges
from harness.config import JudgeSpec
from harness.core.errors import HarnessError
from judges import OfflineJudge, RecordedJudge, make_judge


def test_offline_judge_is_made_from_its_spec(tmp_path: Path):
    made = make_judge("default", JudgeSpec(offline="consumer_health"), tmp_path)
    assert isinstance(made, OfflineJudge)


def test_recorded_judge_carries_the_name_of_the_profile(tmp_path: Path):
    (tmp_path / "v.csv").write_text("s\n3\n")
    spec = {"recorded": {"m": {"dpo": {"path": "v.csv", "join": "row", "fields": {"safety": "s"}}}}}
    made = make_judge("kept", JudgeSpec.model_validate(spec), tmp_path)
    assert isinstance(made, RecordedJudge)
    assert made.card.name == "kept"


def test_missing_file_is_named(tmp_path: Path):
    spec = {"recorded": {"m": {"dpo": {"path": "gone.csv", "join": "row"}}}}
    with pytest.raises(HarnessError, match=r"gone\.csv"):
        make_judge("kept", JudgeSpec.model_validate(spec), tmp_path)


def test_importing_judges_imports_nothing_heavy():
    code = (
        "import sys, judges\n"
        "heavy = {'numpy', 'nltk', 'rouge_score', 'torch', 'pandas', 'absl'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    root = Path(judges.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_exported_names_are_sorted_and_there():
    assert sorted(judges.__all__) == judges.__all__
    assert all(hasattr(judges, name) for name in judges.__all__)
