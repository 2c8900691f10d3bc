from pathlib import Path

import pytest

from harness.core.errors import HarnessError, InfrastructureError
from harness.types import Curve
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    Training,
    checkpoint_folder,
    checkpoint_key,
    finalise,
    make_card,
    verify_checkpoint,
)
from trainers.recipe import SftRecipe, load_recipe

TRAINING = Training(
    recipe="tiny_sft",
    method="sft",
    seed=1,
    key="k",
    parent=Origin(source="/base", fingerprint="f" * 64),
    data_hash="d",
    facts={"rows": "3"},
    metrics={"train_loss": 1.23456},
    curves=(Curve(name="loss", steps=(1, 2), values=(2.0, 1.0)),),
)


def make_checkpoint(out: Path) -> CheckpointManifest:
    with checkpoint_folder(out) as folder:
        (folder / "adapter").mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"adapter")
        return finalise(folder, TRAINING)


def write_half(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"wei")
    raise RuntimeError("killed")


def test_a_whole_checkpoint_is_verified(tmp_path: Path):
    made = make_checkpoint(tmp_path / "sft")
    assert verify_checkpoint(tmp_path / "sft") == made
    assert set(made.files) == {
        "adapter/adapter_model.safetensors",
        "config.json",
        "model.safetensors",
    }


def test_the_fingerprint_covers_what_answers_and_not_where_it_came_from(tmp_path: Path):
    here, there = make_checkpoint(tmp_path / "a"), make_checkpoint(tmp_path / "b")
    assert here.fingerprint == there.fingerprint
    (tmp_path / "b" / "model.safetensors").write_bytes(b"other")
    assert finalise(tmp_path / "b", TRAINING).fingerprint != here.fingerprint


def test_a_flipped_byte_is_found(tmp_path: Path):
    make_checkpoint(tmp_path / "sft")
    (tmp_path / "sft" / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(HarnessError, match=r"model\.safetensors: its sha256 is not the one"):
        verify_checkpoint(tmp_path / "sft")


def test_a_missing_file_is_named(tmp_path: Path):
    make_checkpoint(tmp_path / "sft")
    (tmp_path / "sft" / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(HarnessError, match=r"adapter_model\.safetensors: is missing"):
        verify_checkpoint(tmp_path / "sft")


def test_an_unfinished_checkpoint_is_refused(tmp_path: Path):
    make_checkpoint(tmp_path / "sft")
    (tmp_path / "sft" / "COMPLETE").unlink()
    with pytest.raises(HarnessError, match="training did not finish"):
        verify_checkpoint(tmp_path / "sft")


def test_a_manifest_changed_by_hand_is_refused(tmp_path: Path):
    make_checkpoint(tmp_path / "sft")
    path = tmp_path / "sft" / "checkpoint.json"
    path.write_text(path.read_text().replace("tiny_sft", "tiny_dpo"))
    with pytest.raises(HarnessError, match="was changed after"):
        verify_checkpoint(tmp_path / "sft")


def test_a_pickle_file_is_refused(tmp_path: Path):
    make_checkpoint(tmp_path / "sft")
    (tmp_path / "sft" / "training_args.bin").write_bytes(b"")
    with pytest.raises(HarnessError, match=r"training_args\.bin: a pickle file may run code"):
        verify_checkpoint(tmp_path / "sft")


def test_a_failed_run_leaves_nothing_and_keeps_what_was_there(tmp_path: Path):
    made = make_checkpoint(tmp_path / "sft")
    with pytest.raises(RuntimeError, match="killed"), checkpoint_folder(tmp_path / "sft") as folder:
        write_half(folder)
    assert verify_checkpoint(tmp_path / "sft") == made
    assert [path.name for path in tmp_path.iterdir()] == ["sft"]


def test_a_folder_that_is_no_checkpoint_is_not_overwritten(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HarnessError, match="is not overwritten"):
        make_checkpoint(tmp_path)


def test_the_key_changes_with_what_changes_the_result_and_not_with_names():
    recipe, _ = load_recipe("tiny/sft.yaml")
    assert isinstance(recipe, SftRecipe)
    key = checkpoint_key(recipe, "parent", "data")
    assert checkpoint_key(recipe.model_copy(update={"recipe": "renamed"}), "parent", "data") == key
    assert checkpoint_key(recipe.model_copy(update={"seed": 2}), "parent", "data") != key
    assert checkpoint_key(recipe, "other", "data") != key
    assert checkpoint_key(recipe, "parent", "other") != key


def test_the_card_shows_what_the_report_needs(tmp_path: Path):
    shown = make_card(make_checkpoint(tmp_path / "sft"), "sft")
    assert (shown.model, shown.method, shown.parent) == ("sft", "sft", "f" * 64)
    assert shown.facts == {"rows": "3", "train_loss": "1.235"}
    assert shown.curves[0].values == (2.0, 1.0)


def test_what_a_killed_run_left_is_removed_by_the_next_and_a_running_one_is_left(tmp_path: Path):
    import os
    import subprocess

    ended = subprocess.Popen(["true"])
    ended.wait()
    for process in (ended.pid, os.getppid()):
        (tmp_path / f".sft.{process}").mkdir()
    (tmp_path / ".sft.0123456789ab.steps").mkdir()
    make_checkpoint(tmp_path / "sft")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"sft", f".sft.{os.getppid()}", ".sft.0123456789ab.steps"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("writer", ["torch", "python", "safetensors"])
def test_a_full_disk_is_named_whoever_was_writing(writer: str, tmp_path: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    import torch
    from safetensors import SafetensorError

    def write() -> None:
        match writer:
            case "torch":
                torch.save({"a": torch.zeros(9999)}, "/dev/full")
            case "python":
                Path("/dev/full").write_bytes(bytes(9999))
            case "safetensors":  # its words on a full disk; it would replace the device by a file
                raise SafetensorError("I/O error: No space left on device (os error 28)")

    out = tmp_path / "out"
    with pytest.raises(InfrastructureError, match="the disk is full"), checkpoint_folder(out):
        write()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_keep_their_own_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), checkpoint_folder(tmp_path / "out"):
        raise RuntimeError("shapes differ")
