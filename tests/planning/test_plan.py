from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.core.errors import HarnessError
from tests.builders.files import TO_BE_ASKED, write, write_rows, write_world
from tests.builders.plans import plan_of


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path)
    return tmp_path


def test_the_first_model_is_the_baseline_and_the_last_the_candidate(world: Path) -> None:
    plan = plan_of(world)
    assert (plan.baseline, plan.candidate) == ("sft", "dpo")
    assert plan.tasks[0].n_items == 12


def test_equal_plans_have_equal_hashes(world: Path) -> None:
    assert plan_of(world).hash == plan_of(world).hash


def test_a_changed_item_changes_the_hash(world: Path) -> None:
    before = plan_of(world).hash
    text = (world / "items.jsonl").read_text()
    write(world / "items.jsonl", text.replace("overuse", "over-use", 1))
    assert plan_of(world).hash != before


def test_a_changed_claim_changes_the_hash(world: Path) -> None:
    before = plan_of(world).hash
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("claim: superior", "claim: superior, margin: 0.1"))
    assert plan_of(world).hash != before


def test_a_limit_takes_the_first_items_and_stands_in_the_plan(world: Path) -> None:
    plan = plan_of(world, limit=5)
    assert [s.id for s in plan.tasks[0].samples] == [f"q{i}" for i in range(5)]
    assert plan.limit == 5


def test_a_seed_replaces_the_one_of_the_suite(world: Path) -> None:
    assert plan_of(world, seed=7).tasks[0].generation.seed == 7


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ("sft,dpoo", "has no model 'dpoo'. Did you mean 'dpo'?"),
        ("sft,dpo,sft", "named twice"),
    ],
)
def test_models_must_be_known_and_different(world: Path, models: str, problem: str) -> None:
    with pytest.raises(HarnessError) as error:
        plan_of(world, models)
    assert problem in str(error.value)


def test_an_unknown_judge_gets_a_suggestion(world: Path) -> None:
    with pytest.raises(HarnessError, match=r"has no judge 'defalt'\. Did you mean 'default'"):
        load_request(
            str(world / "small.yaml"), str(world / "recorded.yaml"), ["sft", "dpo"], judge="defalt"
        )


def test_a_share_that_so_few_items_cannot_show_is_refused(world: Path) -> None:
    text = (world / "small.yaml").read_text()
    evasion = text.partition("metrics:")[0] + (
        "metrics:\n  helpful: {kind: evasion}\n"
        "gate:\n  claims:\n    - {metric: helpful, claim: at_least, value: 0.9}\n"
    )
    write(world / "small.yaml", evasion)
    write(world / "recorded.yaml", TO_BE_ASKED)
    with pytest.raises(
        HarnessError, match="needs at least 29 items even if every answer is at its best"
    ):
        plan_of(world)


def test_rouge_without_references_is_refused(world: Path) -> None:
    text = (world / "small.yaml").read_text().replace(", reference: answer", "")
    rouge = text.partition("metrics:")[0] + "metrics:\n  rouge: {kind: rouge}\n"
    write(world / "small.yaml", rouge)
    with pytest.raises(HarnessError, match="metric 'rouge' needs a reference, but item 'q0'"):
        plan_of(world)


def test_metrics_on_other_items_make_a_task_of_their_own(world: Path) -> None:
    write_rows(world / "other.jsonl", [{"q": "Long?", "s": "Short?"}])
    text = (world / "small.yaml").read_text().partition("gate:")[0]
    other = "  rouge: {kind: rouge, data: {source: {path: other.jsonl, fields: {input: q, reference: s}}}}\n"
    write(world / "small.yaml", text + other)
    tasks = plan_of(world).tasks
    assert [(task.n_items, list(task.metrics)) for task in tasks] == [
        (12, ["rubric"]),
        (1, ["rouge"]),
    ]


REMOTE = """\
profile: remote
models:
  sft: {recorded: {path: sft.jsonl, fields: {id: id, response: text}}}
  dpo: {recorded: {path: dpo.jsonl, fields: {id: id, response: text}}}
judges:
  default: {endpoint: {model: m, base_url: 'https://judge.example.org/v1', api_key_env: KEY}}
"""


def test_protected_data_go_to_no_other_machine_unless_that_is_allowed(world: Path) -> None:
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("path: items.jsonl,", "path: items.jsonl, phi: true,"))
    assert plan_of(world).tasks[0].n_items == 12  # the offline judge works here
    write(world / "recorded.yaml", REMOTE)
    with pytest.raises(HarnessError, match=r"would send it to judge\.example\.org"):
        plan_of(world)
    assert plan_of(world, allow_remote_phi=True).tasks[0].n_items == 12


def test_protected_data_go_to_no_server_of_a_checkpoint_elsewhere(world: Path) -> None:
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("path: items.jsonl,", "path: items.jsonl, phi: true,"))
    serve = "{base_url: 'https://gpu.example.org/v1', model: dpo}"
    served = f"{{checkpoint: weights, serve: {serve}}}"
    text = (world / "recorded.yaml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("  dpo:"))
    write(world / "recorded.yaml", text.replace(line, f"  dpo: {served}"))
    with pytest.raises(HarnessError, match=r"would send it to gpu\.example\.org"):
        plan_of(world)
    plan = plan_of(world, allow_remote_phi=True)
    assert plan.models[-1].served_by == "gpu.example.org as 'dpo'"


def test_protected_data_may_go_to_an_endpoint_on_this_machine(world: Path) -> None:
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("path: items.jsonl,", "path: items.jsonl, phi: true,"))
    local = REMOTE.replace("https://judge.example.org/v1", "http://127.0.0.1:8000/v1")
    write(world / "recorded.yaml", local)
    assert plan_of(world).tasks[0].n_items == 12
