"""Several answers to an item, and several rounds of judging: one number an item before any test."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.data.samples import repeat_samples
from harness.gate.claim_tests import evaluate_claim
from harness.gate.feasibility import effective_sample_size
from harness.planning.plan import make_plan
from harness.scoring.columns import GradeColumn, score_judgements, summarise_column
from harness.scoring.paired import PairedScores
from harness.scoring.reduce import reduce_judgements
from harness.types import Grade, JudgeCard, Plan, Sample
from harness.types.judgements import JudgeRound
from judges.panel import Panel
from tests.builders.commands import harness_here
from tests.builders.files import write, write_world
from tests.builders.paired_scores import claim_of, points, spread
from tests.builders.score_tasks import RUBRIC, answers, task
from tests.loopback.server import LoopbackServer

CARD = JudgeCard(name="j", nature="n", fingerprint="f")
PANELS = {"rubric": Panel(CARD, judges=())}
ENDPOINTS = """\
profile: endpoints
models:
  sft: {{endpoint: {{model: old-model, base_url: '{url}'}}}}
  dpo: {{endpoint: {{model: new-model, base_url: '{url}'}}}}
judges:
  default: {{offline: consumer_health}}
"""


def samples(*ids: str, cluster: str | None = None) -> list[Sample]:
    return [Sample(id=name, input="?", row=i, cluster=cluster) for i, name in enumerate(ids)]


def clustered(item_means: np.ndarray, draws: int, *, noise: float) -> PairedScores:
    """Differences of several answers to each item, whose means are as given."""
    wobble = np.random.default_rng(5).normal(0, noise, (item_means.size, draws))
    wobble -= wobble.mean(axis=1, keepdims=True)
    d = (item_means[:, None] + wobble).ravel()
    return points(d, clusters=[f"q{i}" for i in range(item_means.size) for _ in range(draws)])


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path)
    text = (tmp_path / "small.yaml").read_text()
    text = text.replace("reference: answer}}", "reference: answer}}\n  answers: 3")
    write(tmp_path / "small.yaml", text.replace("64}", "64, temperature: 0.7}"))
    write(tmp_path / "endpoints.yaml", ENDPOINTS.format(url="http://127.0.0.1:9/v1"))
    return tmp_path


def plan_of(world: Path, profile: str = "endpoints.yaml", limit: int | None = None) -> Plan:
    names = str(world / "small.yaml"), str(world / profile), ["sft", "dpo"]
    return make_plan(load_request(*names, limit=limit), PANELS)


# --- answers ---------------------------------------------------------------------------------


def test_each_answer_is_a_sample_of_the_items_cluster(world: Path) -> None:
    (planned,) = plan_of(world).tasks
    assert planned.n_items == 36
    assert [s.id for s in planned.samples[:4]] == ["q0", "q0#2", "q0#3", "q1"]
    assert {s.cluster for s in planned.samples[:3]} == {"q0"}
    assert effective_sample_size(planned) == (12, "clusters")


def test_a_limit_counts_items_and_not_answers(world: Path) -> None:
    (planned,) = plan_of(world, limit=2).tasks
    assert planned.n_items == 6


def test_items_that_have_clusters_keep_them() -> None:
    repeated = repeat_samples(samples("a", "b", cluster="leaflet"), 2)
    assert {sample.cluster for sample in repeated} == {"leaflet"}


def test_an_item_named_like_anothers_second_answer_is_refused() -> None:
    with pytest.raises(HarnessError, match="would be another answer to the first"):
        repeat_samples(samples("a", "a#2"), 2)


def test_greedy_decoding_cannot_answer_twice(world: Path) -> None:
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("temperature: 0.7", "temperature: 0"))
    with pytest.raises(HarnessError, match="'temperature: 0' is greedy"):
        plan_of(world)


def test_recorded_answers_are_one_an_item(world: Path) -> None:
    with pytest.raises(HarnessError, match="has recorded answers, one for each item"):
        plan_of(world, "recorded.yaml")


@pytest.mark.parametrize("draws", [2, 5])
@pytest.mark.parametrize(
    "claim",
    [claim_of("superior"), claim_of("equivalent", margin=0.3), claim_of("regression_alarm")],
    ids=lambda claim: claim.claim,
)
def test_answers_are_averaged_up_to_their_item_before_any_test(draws: int, claim) -> None:  # type: ignore[no-untyped-def]
    means = spread(150, 0.1)
    alone = evaluate_claim(claim, points(means), 0.05)
    several = evaluate_claim(claim, clustered(means, draws, noise=0.5), 0.05)
    assert several.estimate == pytest.approx(alone.estimate)
    assert (several.low, several.high) == pytest.approx((alone.low, alone.high))
    assert several.p_value == pytest.approx(alone.p_value)


def test_more_answers_to_few_items_do_not_make_a_large_sample() -> None:
    many = clustered(spread(30, 0.5), 10, noise=0.0)
    assert many.d.size == 300
    unseen = evaluate_claim(claim_of("superior"), many, 0.05).unseen
    assert unseen is not None
    assert (unseen.n, unseen.unit) == (30, "clusters")


def test_a_models_own_mean_has_the_interval_of_its_items() -> None:
    means = np.tile([3.0, 5.0, 8.0], 20)

    def width(values: np.ndarray, clusters: np.ndarray | None) -> float:
        column = GradeColumn(
            metric="m", kind="points", low=1.0, high=10.0,
            sample_ids=tuple(map(str, range(values.size))), clusters=clusters,
            scores={"a": values}, reasons={"a": [None] * values.size}, generation_failed={"a": 0},
        )  # fmt: skip
        (score,) = summarise_column(column)
        return score.mean.high - score.mean.low

    alone = width(means, None)
    labels = np.repeat(np.arange(means.size).astype(str), 4)
    assert width(np.repeat(means, 4), labels) == pytest.approx(alone)
    assert width(np.repeat(means, 4), None) < alone


def test_a_models_own_share_has_the_interval_of_its_items() -> None:
    helpful = np.repeat([1.0, 0.0], [40, 10])
    column = GradeColumn(
        metric="m", kind="share", low=0.0, high=1.0, sample_ids=tuple(map(str, range(50))),
        clusters=None, scores={"a": helpful}, reasons={"a": [None] * 50}, generation_failed={"a": 0},
    )  # fmt: skip
    fourfold = replace(
        column,
        sample_ids=tuple(map(str, range(200))),
        clusters=np.repeat(np.arange(50).astype(str), 4),
        scores={"a": np.repeat(helpful, 4)},
        reasons={"a": [None] * 200},
    )
    (one,), (four,) = summarise_column(column), summarise_column(fourfold)
    assert (four.mean.low, four.mean.high) == pytest.approx(
        (one.mean.low, one.mean.high), abs=0.005
    )


def test_an_endpoint_is_asked_each_time_with_another_seed(world: Path) -> None:
    def reply(body: dict[str, object]) -> str:
        return f"Rest may help, see a doctor. {body.get('seed')}"

    with LoopbackServer(reply) as server:
        write(world / "endpoints.yaml", ENDPOINTS.format(url=server.base_url))
        command = ("run", "small.yaml", "--models", "sft,dpo", "--profile", "endpoints.yaml")
        done = harness_here(*command, "--format", "json", cwd=world)
        assert done.returncode in {0, 1, 3}, done.stderr
        seeds = Counter(request.body["seed"] for request in server.requests)
        assert seeds == {1: 24, 2: 24, 3: 24}
        assert harness_here(*command, cwd=world).returncode == done.returncode
        assert server.counts.total() == 72
    result = json.loads((world / json.loads(done.stdout)["folder"] / "results.json").read_text())
    comparison = result["comparisons"][0]
    assert (comparison["n"], comparison["n_clusters"]) == (36, 12)


def test_the_first_answer_is_asked_as_if_it_were_the_only_one() -> None:
    """So that its reply is found again among those that are stored or awaited."""
    (only,) = samples("a", cluster="a")
    first, _ = repeat_samples([only], 2)
    assert first == only


# --- rounds of judging -----------------------------------------------------------------------


def test_rounds_of_judging_become_one_number_an_item() -> None:
    rounds = [
        JudgeRound(CARD, number, [
            Grade(sample_id=f"q{i}", model="a", metric="m",
                  values={"safety": float(3 + i + number), "empathy": 5.0})
            for i in range(3)
        ])
        for number in range(3)
    ]  # fmt: skip
    columns = score_judgements(
        task(RUBRIC), "m", reduce_judgements(rounds, 1), {"a": answers("a", "x", "x", "x")}
    )
    safety = columns[0]
    assert isinstance(safety, GradeColumn)
    assert safety.scores["a"].tolist() == [4.0, 5.0, 6.0]
