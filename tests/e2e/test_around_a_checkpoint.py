"""Talking with a checkpoint, merging one and giving one away, as a user does."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from harness.core.errors import HarnessError
from harness.core.paths import bundle_root
from harness.models.model_folder import fingerprint_model
from harness.release.registry import Registry
from harness.release.resolve import find_model
from tests.builders.commands import Done, environment, harness, harness_here
from tests.builders.files import write
from tests.builders.pipelines import LOOP, PROFILE, make_world
from tests.builders.tiny import make_tiny_model
from tests.loopback.hub import serve_hub
from tests.loopback.server import LoopbackServer
from trainers.checkpoint import load_manifest, verify_checkpoint

BASE = "base"  # of the tiny profile, which needs no training
NOTE = "far too small to give medical advice"
ENDPOINT = """\
profile: there
models:
  far: {{endpoint: {{model: far-model, base_url: '{url}'}}}}
"""
TOKEN = "hf_canary4f1c9be2d07a"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a loop has promoted 'assistant'; its last suite has a judge."""
    world = make_world(tmp_path_factory.mktemp("world"))
    note = f"note: Models that are {NOTE}.\n"
    judge = "judges:\n  default: {offline: consumer_health}\n"
    write(world / "world.yaml", PROFILE + "  short: {recipe: short.yaml}\n" + note + judge)
    certify = (world / "certify.yaml").read_text()
    win_rate = ", win_rate: {kind: pairwise, asks: 'Which is better?'}}\ngate"
    write(world / "certify.yaml", certify.replace("}\ngate", win_rate))
    write(world / "loop.yaml", LOOP.replace("RECIPES", "short.yaml").replace("LOSERS", "keep"))
    done = harness("loop", "loop.yaml", cwd=world)
    assert done.returncode == 0, done.stderr
    return world


def in_world(world: Path, *args: str, **env: str) -> Done:
    return harness(*args, cwd=world, env={"HARNESS_PROFILE": "world.yaml", **env})


def certified_run(world: Path) -> str:
    (run,) = (world / "runs" / "certify").iterdir()
    return str(run)


def checkpoint(world: Path) -> Path:
    return world / Registry(world / ".harness").find("assistant").checkpoint


# --- chat through a pipe ---------------------------------------------------------------------


def chat(world: Path, *args: str, lines: str, **env: str) -> Done:
    return harness_here("chat", *args, cwd=world, env=env, typed=lines)


def test_a_line_is_a_question_and_answers_alone_are_on_standard_output(tmp_path: Path) -> None:
    asked = "Why do I cough?\n/reset\nWhy do I cough?\n"
    done = chat(tmp_path, BASE, "--max-new-tokens", "8", lines=asked)
    assert done.returncode == 0, done.stderr
    first, second, rest = done.stdout.split("\n\n")
    assert first == second != ""
    assert rest == ""
    assert done.stderr.count(NOTE) == 1


def test_the_system_prompt_is_part_of_the_dialogue(tmp_path: Path) -> None:
    write(tmp_path / "prompt.md", "You answer questions about the skin.")
    asked = "Why do I cough?\n"
    without = chat(tmp_path, BASE, "--max-new-tokens", "16", lines=asked)
    told = chat(tmp_path, BASE, "--max-new-tokens", "16", "--system", "prompt.md", lines=asked)
    assert told.returncode == 0
    assert told.stdout != without.stdout


def test_a_question_that_cannot_be_answered_exits_4(tmp_path: Path) -> None:
    done = chat(tmp_path, BASE, lines="cough " * 600 + "\n")
    assert done.returncode == 4
    assert "No answer: the prompt has" in done.stderr


def test_a_promoted_name_a_recipe_and_a_folder_are_the_same_model(world: Path) -> None:
    profile, store, folder = str(world / "world.yaml"), world / ".harness", checkpoint(world)
    for name in ("assistant", str(world / "short.yaml"), folder.name, str(folder)):
        assert world / find_model(name, profile, store).source == folder


def test_a_recipe_with_several_checkpoints_names_none_of_them(world: Path, tmp_path: Path) -> None:
    for name in ("short-new", "short-old"):
        shutil.copytree(checkpoint(world), tmp_path / "checkpoints" / name)
    with pytest.raises(HarnessError, match="2 checkpoints of this recipe"):
        find_model(str(world / "short.yaml"), "tiny", tmp_path)


def test_a_checkpoint_of_the_profile_brings_its_note(world: Path) -> None:
    done = chat(world, str(checkpoint(world)), lines="", HARNESS_PROFILE="world.yaml")
    assert done.returncode == 0
    assert NOTE in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bse", "Did you mean 'base'?"),
        ("dpo", "Run `harness train tiny/dpo.yaml` first"),
        (".", "contains no model"),
    ],
)
def test_a_model_that_is_not_there_exits_2_with_a_remedy(
    tmp_path: Path, name: str, message: str
) -> None:
    done = chat(tmp_path, name, lines="Why?\n")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_behind_an_endpoint_is_talked_with_and_told_where_it_is(tmp_path: Path) -> None:
    with LoopbackServer(lambda body: f"{len(body['messages'])} messages") as server:
        write(tmp_path / "there.yaml", ENDPOINT.format(url=server.base_url))
        done = chat(tmp_path, "far", "--profile", "there.yaml", lines="Why?\nAnd how?\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 messages\n\n3 messages\n\n"
    assert "your input is sent to 127.0.0.1" in done.stderr


# --- chat in a terminal ----------------------------------------------------------------------


class Screen:
    """What a person at a terminal sees."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.seen = ""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self.terminal, keys.encode())

    def wait_for(self, text: str) -> None:
        self._wait_until(lambda: text in self.seen)

    def wait_for_more(self) -> None:
        """Until something is shown beyond what has been seen."""
        known = len(self.seen)
        self._wait_until(lambda: len(self.seen) > known)

    def _wait_until(self, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not come():
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")


@contextmanager
def at_a_terminal(folder: Path, model: Path) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "chat", str(model), "--max-new-tokens", "4000"],
        cwd=folder,
        env=environment({"TERM": "dumb"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,
    ) as process:
        os.close(theirs)
        try:
            yield Screen(ours), process
        finally:
            process.kill()
            os.close(ours)


def leave(screen: Screen, process: "subprocess.Popen[bytes]", key: str) -> int | None:
    """The exit code after a key; pressed again where it fell between the prompt and the reading."""
    for _ in range(20):
        screen.type(key)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=2)
    return None


def _take_terminal() -> None:
    """Make standard input the terminal that Ctrl-C comes from."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_stops_an_answer_and_a_second_one_leaves(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model", context=8192)  # its answers have no end
    with at_a_terminal(tmp_path, model) as (screen, process):
        screen.wait_for("you > ")
        screen.type("Why?\n")
        screen.wait_for("\nmodel\r\n")
        screen.wait_for_more()
        screen.type("\x03")
        screen.wait_for("you > ")
        assert "…" in screen.seen
        assert leave(screen, process, "\x03") == 130


def test_ctrl_d_leaves_with_0(tmp_path: Path) -> None:
    with at_a_terminal(tmp_path, bundle_root() / "trainers" / "tiny_base") as (screen, process):
        screen.wait_for("you > ")
        assert NOTE in " ".join(screen.seen.split())
        assert leave(screen, process, "\x04") == 0


# --- merge -----------------------------------------------------------------------------------


def test_a_merged_adapter_is_a_checkpoint_one_can_talk_with(world: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(checkpoint(world) / "adapter", tmp_path / "adapter")
    out = tmp_path / "merged"
    done = harness_here(
        "merge", str(adapter), "--into", str(world / "base"), "--out", str(out), cwd=world
    )
    assert done.returncode == 0, done.stderr
    assert "merge_kl" in done.stdout
    assert verify_checkpoint(out).fingerprint == load_manifest(checkpoint(world)).fingerprint
    assert chat(tmp_path, "merged", lines="Why?\n").returncode == 0


def test_an_adapter_of_another_base_exits_2(world: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(checkpoint(world) / "adapter", tmp_path / "adapter")
    other = str(bundle_root() / "trainers" / "tiny_base")
    done = harness_here("merge", str(adapter), "--into", other, "--out", "merged", cwd=tmp_path)
    assert done.returncode == 2
    assert "--allow-other-base" in done.stderr


def test_the_adapter_of_a_checkpoint_points_to_its_checkpoint(world: Path) -> None:
    done = chat(world, str(checkpoint(world) / "adapter"), lines="Why?\n")
    assert done.returncode == 2
    assert "which holds the merged model" in done.stderr


# --- export ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(world: Path) -> Path:
    """'assistant', exported with the run that certified it."""
    run = certified_run(world)
    done = in_world(world, "export", "assistant", "--out", "given/assistant", "--run", run)
    assert done.returncode == 0, done.stderr
    return world / "given" / "assistant"


def test_an_exported_folder_is_a_model_with_the_fingerprint_that_was_certified(
    world: Path, exported: Path
) -> None:
    certified = Registry(world / ".harness").find("assistant").fingerprint
    assert fingerprint_model(exported) == verify_checkpoint(exported).fingerprint == certified
    assert chat(world, str(exported), lines="Why?\n").returncode == 0


def test_the_card_has_the_results_where_the_hub_reads_them(exported: Path) -> None:
    data = ModelCard.load(exported / "README.md").data
    found = {result.metric_type: result for result in data.eval_results}
    assert set(found) == {"rouge.rouge1_precision", "rouge.rouge1_recall", "rouge.rouge1_f1", "win_rate"}  # fmt: skip
    win_rate = found["win_rate"]
    assert 0 <= win_rate.metric_value <= 1
    assert win_rate.metric_name == "win_rate against base"
    assert win_rate.metric_args["judge"].startswith("offline rules")
    assert win_rate.metric_args["n"] == 16


def test_the_card_says_verdict_judge_limits_and_lineage(exported: Path) -> None:
    text = (exported / "README.md").read_text()
    for part in (
        "**PASS.** short against base",
        "judged by offline rules",
        NOTE,
        "no evidence that the model is safe for patients",
        "- short: sft, fingerprint",
        "- from base, fingerprint",
    ):
        assert part in text


def test_an_export_tells_nothing_of_this_machine(world: Path, exported: Path) -> None:
    for path in exported.rglob("*"):
        assert str(world).encode() not in path.read_bytes()


def test_a_run_of_another_checkpoint_is_refused(world: Path) -> None:
    other = bundle_root() / "trainers" / "tiny_base"
    done = in_world(world, "export", str(other), "--out", "other", "--run", certified_run(world))
    assert done.returncode == 2
    assert "did not evaluate this checkpoint" in done.stderr
    assert not (world / "other").exists()


def test_a_card_without_a_run_says_that_nothing_is_known(world: Path) -> None:
    assert in_world(world, "export", "assistant", "--out", "plain").returncode == 0
    text = (world / "plain" / "README.md").read_text()
    assert "No evaluation was exported" in text
    assert ModelCard(text).data.eval_results is None


# --- push ------------------------------------------------------------------------------------


def test_a_hub_that_cannot_be_reached_exits_4_and_exports_nothing(world: Path) -> None:
    hub = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = in_world(world, "export", "assistant", "--out", "pushed", "--push", "me/tiny", **hub)
    assert done.returncode == 4
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (world / "pushed").exists()


def test_pushing_without_a_token_exits_2(world: Path) -> None:
    hub = {"HF_TOKEN": "", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = in_world(world, "export", "assistant", "--out", "pushed", "--push", "me/tiny", **hub)
    assert done.returncode == 2
    assert "HF_TOKEN" in done.stderr


def test_what_is_pushed_is_the_folder_and_a_new_repository_is_private(world: Path) -> None:
    with serve_hub(TOKEN) as hub:
        settings = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
        args = ("export", "assistant", "--out", "given/tiny", "--push", "me/tiny")
        done = in_world(world, *args, **settings)
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/me/tiny" in done.stdout
    assert hub.created["visibility"] == "private"
    folder = world / "given" / "tiny"
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_hub_that_refuses_the_token_exits_4_and_the_token_is_not_shown(world: Path) -> None:
    with serve_hub("another") as hub:
        settings = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url}
        args = ("export", "assistant", "--out", "given/refused", "--push", "me/tiny")
        done = in_world(world, *args, **settings)
    assert done.returncode == 4
    assert "was exported, but not pushed" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    verify_checkpoint(world / "given" / "refused")
