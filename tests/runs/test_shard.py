"""A shard answers and judges its part of the items into the store, and decides nothing."""

from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.config.shard import Shard
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.runs.shard import FinishedShard, describe_shard, run_shard
from harness.training.context import make_context
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import TO_BE_ASKED, write, write_rows, write_world
from tests.builders.human_judges import SUITE as PEOPLE_SUITE
from tests.builders.human_judges import write_world as write_people_world
from tests.builders.judged_runs import write_labels
from tests.builders.seeds import write_seeded_world
from tests.loopback.faults import Fault, Request, always
from tests.loopback.server import LoopbackServer

N = 20
FIRST_OF_TWO = Shard(1, 2)


def shard_of(
    folder: Path, suite: str, profile: str, models: str, shard: Shard = FIRST_OF_TWO
) -> FinishedShard:
    request = load_request(str(folder / suite), str(folder / profile), models.split(","))
    return run_shard(request, shard, make_context(folder / "store", QuietProgress()))


def test_all_shards_together_judge_every_item_once(tmp_path: Path) -> None:
    write_world(tmp_path, N)
    done = [
        shard_of(tmp_path, "small.yaml", "recorded.yaml", "sft,dpo", Shard(n, 3)) for n in (1, 2, 3)
    ]
    assert sum(one.n_items for one in done) == N
    assert {one.plan_hash for one in done} == {path.stem for path in plans(tmp_path)}
    with Store(tmp_path / "store") as store:
        assert len(store.keys("outcome")) == 2 * N
    assert not (tmp_path / "store" / "ledger.jsonl").exists()  # nothing was tried


def plans(folder: Path) -> list[Path]:
    return list((folder / "store" / "plans").iterdir())


def test_a_shard_without_an_item_ends_as_others(tmp_path: Path) -> None:
    write_world(tmp_path, 1)
    done = [
        shard_of(tmp_path, "small.yaml", "recorded.yaml", "sft,dpo", Shard(n, 9))
        for n in range(1, 10)
    ]
    assert sorted(one.n_items for one in done) == [0] * 8 + [1]


def test_items_count_once_however_many_seeds_answer_them(tmp_path: Path) -> None:
    write_seeded_world(tmp_path, n=N)
    done = [shard_of(tmp_path, "small.yaml", "seeds.yaml", "sft,dpo", Shard(n, 2)) for n in (1, 2)]
    assert sum(one.n_items for one in done) == N


def test_what_people_judge_is_left_to_them(tmp_path: Path) -> None:
    rows = [{"item": f"q{i}", "annotator": "Ada", "winner": "candidate"} for i in range(100)]
    write_labels(tmp_path / "labels.csv", rows)
    write_people_world(tmp_path, "{people: {labels: labels.csv}}")
    suite = PEOPLE_SUITE.format(name="knees", judge="physicians", extra="max_unscored: 0.5")
    write(tmp_path / "knees.yaml", suite)
    done = shard_of(tmp_path, "knees.yaml", "profile.yaml", "sft,dpo")
    assert 0 < done.n_items < done.n_all == 100  # only what people were shown is measured


def test_judging_that_may_stop_early_is_refused(tmp_path: Path) -> None:
    write_world(tmp_path, 60)
    suite = (tmp_path / "small.yaml").read_text()
    write(tmp_path / "small.yaml", suite.replace("gate:\n", "gate:\n  stop_early: true\n"))
    with pytest.raises(HarnessError, match=r"'stop_early'.*Leave one of them out"):
        shard_of(tmp_path, "small.yaml", "recorded.yaml", "sft,dpo")


def test_a_checkpoint_that_is_still_to_be_trained_is_refused(tmp_path: Path) -> None:
    write_world(tmp_path, N)
    write(
        tmp_path / "recorded.yaml", TO_BE_ASKED.replace("checkpoint: dpo", "recipe: tiny/sft.yaml")
    )
    with pytest.raises(HarnessError, match="every shard would make its own"):
        shard_of(tmp_path, "small.yaml", "recorded.yaml", "sft,dpo")
    assert not (tmp_path / "store" / "checkpoints").exists()


PROFILE = """\
profile: remote
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}', timeout_s: 1}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}', timeout_s: 1}}}}
"""


def remote_world(folder: Path, server: LoopbackServer, suite: str = SUITE) -> None:
    rows = [{"id": f"q{i}", "question": f"Why {i}?", "answer": "Rest."} for i in range(N)]
    write_rows(folder / "items.jsonl", rows)
    write(folder / "remote.yaml", suite)
    write(folder / "there.yaml", PROFILE.format(url=server.base_url))


def test_a_server_that_refuses_ends_a_shard_like_a_run(tmp_path: Path) -> None:
    with LoopbackServer(answer, fault=always("401")) as server:
        remote_world(tmp_path, server)
        with pytest.raises(InfrastructureError):
            shard_of(tmp_path, "remote.yaml", "there.yaml", "old")


def test_requests_that_fail_on_their_way_are_counted(tmp_path: Path) -> None:
    def one_question(request: Request) -> Fault | None:
        asked = request.body["model"] == "old-model" and request.prompt == "Why 3?"
        return Fault("context_length") if asked else None

    gate = SUITE.replace("gate:\n", "gate:\n  max_unscored: 0.5\n")
    with LoopbackServer(answer, fault=one_question) as server:
        remote_world(tmp_path, server, gate)
        done = shard_of(tmp_path, "remote.yaml", "there.yaml", "old", Shard(1, 1))
    assert done.failed_answers == 1
    lines = describe_shard(done, Shard(1, 1), "store")
    assert lines[1].startswith("1 answers and 0 verdicts failed")
