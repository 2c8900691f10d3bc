"""Merging adapters, exporting checkpoints, and reporting to trackers."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.models.model_folder import fingerprint_model
from tests.builders.recipes import ROWS, SFT, Sft, quiet
from tests.builders.recipes import sft as sft
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import checkpoint_key, load_manifest, trace_manifests, verify_checkpoint
from trainers.export import copy_checkpoint, without_paths
from trainers.merge import merge_adapter
from trainers.sft import train_sft
from trainers.trl_config import TRACKERS, check_trackers

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


def loose_adapter(sft: Sft, folder: Path, **changes: object) -> Path:
    """The adapter as others would have it: alone, with other options in its configuration."""
    shutil.copytree(sft.out / "adapter", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))
    return folder


# --- merging ---------------------------------------------------------------------------------


def test_merging_a_checkpoints_adapter_again_gives_the_same_checkpoint(
    sft: Sft, tmp_path: Path
) -> None:
    merged = merge_adapter(sft.out / "adapter", str(sft.base), tmp_path / "merged")
    assert verify_checkpoint(tmp_path / "merged").fingerprint == sft.manifest.fingerprint
    assert (merged.recipe, merged.method) == ("test_sft", "sft")
    assert merged.metrics["merge_kl"] < 1e-6


def test_an_adapter_from_elsewhere_is_merged_and_its_training_unknown(
    sft: Sft, tmp_path: Path
) -> None:
    adapter = loose_adapter(sft, tmp_path / "adapter")
    merged = merge_adapter(adapter, str(sft.base), tmp_path / "merged")
    assert merged.fingerprint == sft.manifest.fingerprint
    assert (merged.recipe, merged.method) == ("merged", "merge")
    assert merged.facts["training"].startswith("unknown")


def test_another_base_than_the_adapters_is_refused_unless_allowed(sft: Sft, tmp_path: Path) -> None:
    adapter = loose_adapter(sft, tmp_path / "adapter")
    other = str(shutil.copytree(sft.base, tmp_path / "other"))
    with pytest.raises(HarnessError, match="pass --allow-other-base"):
        merge_adapter(adapter, other, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    merge_adapter(adapter, other, tmp_path / "merged", allow_other_base=True)
    verify_checkpoint(tmp_path / "merged")


def test_a_base_that_changed_since_the_training_is_another_one(sft: Sft, tmp_path: Path) -> None:
    own = tmp_path / "sft"
    base = make_tiny_model(tmp_path / "base")
    train_sft(SFT, base, own, rows=ROWS, progress=quiet)
    make_tiny_model(base, context=256)
    with pytest.raises(HarnessError, match="--allow-other-base"):
        merge_adapter(own / "adapter", str(base), tmp_path / "merged")


def test_a_quantised_base_is_refused(sft: Sft, tmp_path: Path) -> None:
    base = Path(shutil.copytree(sft.base, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(HarnessError, match=r"is quantised \(awq\)"):
        merge_adapter(sft.out / "adapter", str(base), tmp_path / "merged")


def test_an_adapter_that_does_not_fit_is_refused(sft: Sft, tmp_path: Path) -> None:
    adapter = loose_adapter(sft, tmp_path / "adapter", r=2)
    with pytest.raises(HarnessError, match="does not fit"):
        merge_adapter(adapter, str(sft.base), tmp_path / "merged")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "XLORA"}, "of type XLORA; known here: LORA"),
        ({"peft_type": "IA3"}, "lacks weights that its configuration names"),
        ({"task_type": "TOKEN_CLS"}, "is for TOKEN_CLS"),
    ],
)
def test_other_adapters_are_refused(
    sft: Sft, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    adapter = loose_adapter(sft, tmp_path / "adapter", **changes)
    with pytest.raises(HarnessError, match=message):
        merge_adapter(adapter, str(sft.base), tmp_path / "merged")


def test_weights_in_a_pickle_file_are_not_loaded(sft: Sft, tmp_path: Path) -> None:
    adapter = loose_adapter(sft, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(HarnessError, match="may run code"):
        merge_adapter(adapter, str(sft.base), tmp_path / "merged")


# --- exporting -------------------------------------------------------------------------------


def test_an_exported_checkpoint_is_the_one_that_was_evaluated(sft: Sft, tmp_path: Path) -> None:
    copy_checkpoint(sft.out, tmp_path / "out")
    assert fingerprint_model(tmp_path / "out") == sft.manifest.fingerprint
    exported = verify_checkpoint(tmp_path / "out")
    assert exported.versions == sft.manifest.versions
    assert exported.curves == sft.manifest.curves
    assert exported.parent is not None
    assert exported.parent.source == "base"


def test_an_export_names_no_folder_of_this_machine(sft: Sft, tmp_path: Path) -> None:
    copy_checkpoint(sft.out, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        assert str(sft.base.parent).encode() not in path.read_bytes()


def test_a_model_card_may_be_edited(sft: Sft, tmp_path: Path) -> None:
    copy_checkpoint(sft.out, tmp_path / "out")
    (tmp_path / "out" / "README.md").write_text("# Ours\n")
    verify_checkpoint(tmp_path / "out")


def test_a_damaged_checkpoint_is_not_exported(sft: Sft, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(sft.out, tmp_path / "broken"))
    (broken / "config.json").write_text("{}")
    with pytest.raises(HarnessError, match="damaged or changed"):
        copy_checkpoint(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_not_overwritten(sft: Sft, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(HarnessError, match="is not overwritten"):
        copy_checkpoint(sft.out, tmp_path)


def test_a_checkpoint_is_not_exported_onto_itself(sft: Sft) -> None:
    with pytest.raises(HarnessError, match="is the checkpoint itself"):
        copy_checkpoint(sft.out, sft.out)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("judged by /models/big-judge on this machine", "judged by big-judge on this machine"),
        ("'/home/me/data/rows.jsonl', 8 rows", "'rows.jsonl', 8 rows"),
        ("see https://example.org/a/b and 3/4 and and/or", None),
    ],
)
def test_paths_become_names_and_nothing_else_changes(text: str, told: str | None) -> None:
    assert without_paths(text) == (told or text)


def test_a_lineage_ends_where_a_parent_was_replaced(sft: Sft, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    train_sft(SFT, sft.base, parent, rows=ROWS, progress=quiet)
    child = tmp_path / "child"
    train_sft(SFT.model_copy(update={"recipe": "second"}), parent, child, rows=ROWS, progress=quiet)
    assert [m.recipe for m in trace_manifests(child)] == ["second", "test_sft"]
    train_sft(SFT.model_copy(update={"seed": 2}), sft.base, parent, rows=ROWS, progress=quiet)
    assert [m.recipe for m in trace_manifests(child)] == ["second"]


# --- trackers --------------------------------------------------------------------------------


def test_nothing_is_reported_to_anybody_unless_asked_for() -> None:
    assert check_trackers(None, "sft") == check_trackers("none", "sft") == []


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_tracker_that_is_not_installed_is_named(tracker: str, sft: Sft, tmp_path: Path) -> None:
    if any(find_spec(package) for package in TRACKERS[tracker]):
        pytest.skip(f"{tracker} is installed")
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | {"report_to": tracker}})
    with pytest.raises(HarnessError, match=f"`pip install {tracker}`"):
        train_sft(recipe, sft.base, tmp_path / "out", rows=ROWS, progress=quiet)


def test_an_unknown_tracker_is_refused_with_a_suggestion() -> None:
    with pytest.raises(HarnessError, match="Did you mean 'wandb'"):
        check_trackers(["wandbb"], "sft")


def test_who_is_told_does_not_make_another_checkpoint() -> None:
    told = SFT.model_copy(update={"trainer": SFT.trainer | {"report_to": "wandb"}})
    assert checkpoint_key(told, "parent", "data") == checkpoint_key(SFT, "parent", "data")


@pytest.mark.skipif(not find_spec("tensorboard"), reason="tensorboard is not installed")
def test_tensorboard_files_lie_beside_the_checkpoint(sft: Sft, tmp_path: Path) -> None:
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | {"report_to": "tensorboard"}})
    out = tmp_path / "out"
    train_sft(recipe, sft.base, out, rows=ROWS, progress=quiet)
    assert list((tmp_path / "out.logs").glob("events.*"))
    assert load_manifest(out).fingerprint == sft.manifest.fingerprint
