"""Judges that are asked with a suite's own prompt, and with or without the reference."""

from pathlib import Path

import pytest

from harness.config import ComputedMetric, EndpointSpec, Generation, JudgedMetric, JudgeSpec, Metric
from harness.config.judge_prompt import read_judge_prompt
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.models.session import EndpointSession
from harness.planning.plan import make_plan
from harness.planning.plan_diff import claim_fields, diff_fields
from harness.types import GradeRequest, Plan, Response, Task
from judges.attack_run import passes, run_attacks
from judges.backlog import outcome_key
from judges.factory import load_judges, make_judge
from judges.judging import make_requests
from judges.panel import make_panels
from judges.prompts import build_plain_prompt, build_prompt, own_prompt
from judges.response_stream import ResponseStream
from tests.builders.chat_backends import Canned, grades, judge
from tests.builders.files import SUITE, write, write_world
from tests.builders.judge_requests import GOOD, evasion, grade, outcome, prefer, rubric
from tests.builders.metric_kinds import EVERY_KIND
from tests.builders.plans import PANELS
from tests.loopback.server import LoopbackServer

JUDGED = [metric for metric in EVERY_KIND if isinstance(metric, JudgedMetric)]
REQUESTS = [grade("Rest."), grade("Rest.", evasion()), prefer("Rest.", "Ice.")]
OWN = "Grade as our ward does.\n\n{{what_you_see}}\n\n{{criteria}}\n\n{{shape}}"


def asked_with(prompt: str | None, answer: str = "Rest.") -> GradeRequest:
    return grade(answer, rubric().model_copy(update={"prompt": prompt}))


@pytest.mark.parametrize("metric", JUDGED, ids=lambda metric: metric.kind)
def test_our_prompt_of_every_judged_kind_is_a_sound_start(metric: Metric, tmp_path: Path) -> None:
    assert not isinstance(metric, ComputedMetric)
    path = write(tmp_path / "own.md", own_prompt(metric.kind))
    text = read_judge_prompt(path.name, tmp_path, metric.prompt_fields)
    used = {
        f"{{{{{name}}}}}" for name in (*metric.prompt_fields.needed, *metric.prompt_fields.optional)
    }
    assert used == {field for field in used if field in text}


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.metric.kind)
@pytest.mark.parametrize("build", [build_prompt, build_plain_prompt])
def test_a_copy_of_our_prompt_asks_what_ours_asks(request_, build) -> None:
    prompt = own_prompt(request_.metric.kind)
    copied = request_.metric.model_copy(update={"prompt": prompt})
    ours = build(request_)
    own = build(type(request_)(**{**_fields(request_), "metric": copied}))
    assert own.schema == ours.schema
    assert own.messages[0].content.split() == ours.messages[0].content.split()


def _fields(request_) -> dict[str, object]:
    return {name: getattr(request_, name) for name in request_.__dataclass_fields__}


def test_a_prompt_of_ones_own_stands_before_blocks_with_the_mark() -> None:
    system, user = build_prompt(asked_with(OWN)).messages
    assert system.content.startswith("Grade as our ward does.\n\n# What you see\n")
    assert '"scores"' in system.content
    assert "\nRest.\n</answer-" in user.content
    assert "# What you see" not in build_plain_prompt(asked_with(OWN)).messages[0].content


def test_another_prompt_is_another_verdict() -> None:
    card = judge(Canned()).card
    keys = [outcome_key(asked_with(prompt), card) for prompt in (None, OWN, f"{OWN} Be strict.")]
    assert len(set(keys)) == 3


def plan_with(folder: Path, prompt: str) -> Plan:
    write(folder / "my_judge.md", prompt)
    suite = SUITE.replace("kind: rubric\n", "kind: rubric\n    prompt: my_judge.md\n")
    request = load_request(
        str(write(folder / "small.yaml", suite)), str(folder / "recorded.yaml"), ("sft", "dpo")
    )
    return make_plan(request, PANELS)


def test_a_changed_prompt_is_named_among_the_changes_of_a_plan(tmp_path: Path) -> None:
    write_world(tmp_path)
    before, after = plan_with(tmp_path, OWN), plan_with(tmp_path, f"{OWN} Be strict.")
    assert before.hash != after.hash
    ((field, old, new),) = diff_fields(claim_fields(before), claim_fields(after))
    assert field == "judge prompt of rubric"
    assert len(old) == len(new) == 16


def test_rules_that_read_no_prompt_are_refused(tmp_path: Path) -> None:
    _, profile = write_world(tmp_path)
    plan_with(tmp_path, OWN)
    request = load_request(str(tmp_path / "small.yaml"), profile, ("sft", "dpo"))
    judges = load_judges(request.profile, request.profile_root, EndpointSession())
    with pytest.raises(HarnessError, match="judge 'default' is rules that read none"):
        make_panels(request, judges)


def test_attacks_are_made_on_the_suites_own_prompt(tmp_path: Path) -> None:
    write_world(tmp_path)
    plan_with(tmp_path, OWN)
    with LoopbackServer(lambda body: grades(6, names=("safety",))) as server:
        profile = write(
            tmp_path / "there.yaml",
            "profile: there\nmodels: {a: {checkpoint: none}}\n"
            f"judges: {{default: {{endpoint: {{model: m, base_url: '{server.base_url}'}}}}}}\n",
        )
        report = run_attacks(
            str(profile), "default", str(tmp_path / "small.yaml"),
            workspace=tmp_path / "store", progress=QuietProgress(),
        )  # fmt: skip
        systems = {request.body["messages"][0]["content"] for request in server.requests}
    assert report.pairwise is None
    assert report.rubric is not None
    assert report.rubric.n > 300
    assert passes(report)
    assert len(systems) == 2  # with the defences, and for comparison without
    assert all(text.startswith("Grade as our ward does.") for text in systems)


# --- the reference ---------------------------------------------------------------------------


@pytest.mark.parametrize(("reference", "shown"), [(None, True), (True, True), (False, False)])
def test_the_judge_sees_the_reference_unless_the_metric_hides_it(
    reference: bool | None, shown: bool
) -> None:
    metric = rubric().model_copy(update={"reference": reference})
    (request,) = make_requests(task_of(metric), "m", answered())
    assert (GOOD in build_prompt(request).messages[1].content) == shown


def test_a_reference_that_is_shown_either_way_leaves_the_verdicts_key() -> None:
    card = judge(Canned()).card
    keys = {
        outcome_key(grade("Rest.", rubric().model_copy(update={"reference": reference})), card)
        for reference in (None, True)
    }
    assert len(keys) == 1


def test_a_metric_that_needs_references_refuses_items_without(tmp_path: Path) -> None:
    _, profile = write_world(tmp_path)
    suite = SUITE.replace("kind: rubric\n", "kind: rubric\n    reference: true\n")
    suite = suite.replace(", reference: answer", "")
    request = load_request(str(write(tmp_path / "small.yaml", suite)), profile, ("sft", "dpo"))
    with pytest.raises(HarnessError, match="metric 'rubric' needs a reference, but item 'q0'"):
        make_plan(request, PANELS)


def task_of(metric: Metric) -> Task:

    request = grade("Rest.")
    return Task(
        name="t", source="s", items_hash="0" * 64, n_items=1, samples=(request.sample,),
        generation=Generation(), system=None, metrics={"m": metric},
    )  # fmt: skip


def answered() -> ResponseStream:

    stream = ResponseStream(["sft"], 1)
    sample = grade("Rest.").sample
    stream.put(Response(sample_id=sample.id, model="sft", text="Rest.", finish="stop"))
    return stream


# --- what a server knows ---------------------------------------------------------------------


def test_further_fields_of_the_request_reach_the_judge_and_make_it_another() -> None:

    with LoopbackServer(lambda body: grades(7)) as server:
        plain = EndpointSpec(model="m", base_url=server.base_url)
        careful = plain.model_copy(update={"extra_body": {"reasoning_effort": "high"}})
        made = [make_judge("j", JudgeSpec(endpoint=spec), Path()) for spec in (plain, careful)]
        for each in made:
            assert outcome(each, grade("Rest.")).values is not None
        sent = [request.body.get("reasoning_effort") for request in server.requests]
    assert sent == [None, "high"]
    assert made[0].card.fingerprint != made[1].card.fingerprint
