"""What the harness relies on, of every inference server: one set of tests over all of them.

The ordinary set has `transformers serve` with a tiny model; `make test-servers` has all three with SmolLM2.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import EndpointSpec, Generation, JudgeSpec
from harness.core.errors import InfrastructureError
from harness.models.endpoint import Reply
from harness.models.local import LocalModel, make_prompt
from harness.types import Outcome
from harness.types.judgements import MissingReason, reason_kind
from judges.factory import make_judge
from tests.builders.asking import make_ask, make_endpoint
from tests.builders.inference_servers import (
    LLAMA_CPP,
    TRANSFORMERS,
    VLLM,
    Engine,
    Served,
    packaged_smollm2,
    serve,
)
from tests.builders.judge_requests import one_of_each_kind
from tests.builders.tiny import make_tiny_model

QUESTIONS = (
    "My son coughs every night. Could this be asthma?",
    "Name three signs of a stroke.",
    "What should I do about a sprained ankle?",
)


def _marked(engine: Engine) -> object:
    return pytest.param(engine, marks=pytest.mark.servers, id=engine.name)


@pytest.fixture(
    scope="module",
    params=[pytest.param(None, id="tiny"), *map(_marked, (TRANSFORMERS, VLLM, LLAMA_CPP))],
)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    engine: Engine | None = request.param
    if engine is None:
        folder = tmp_path_factory.mktemp("servers") / "tiny"
        engine, weights = TRANSFORMERS, make_tiny_model(folder, context=8192)
    else:
        weights = packaged_smollm2(engine)
    with serve(engine, weights) as server:
        yield server


def ask(served: Served, *questions: str, **spec: object) -> list[Reply]:
    known = {"model": served.model, "max_tokens": 16, "max_concurrency": 1, "timeout_s": 300}
    replies = dict(
        make_endpoint(served.base_url, **(known | spec)).ask_all(map(make_ask, questions))
    )
    return [replies[i] for i in range(len(questions))]


def test_greedy_answers_begin_as_those_of_this_process(served: Served):
    if served.weights.is_file():
        pytest.skip(
            "a quantised file is computed with in other numbers than its dequantised weights"
        )
    model = LocalModel.load(str(served.weights))
    prompts = [make_prompt(None, question) for question in QUESTIONS]
    here = model.answer(prompts, Generation(max_new_tokens=16, temperature=0.0), seeds=[0, 0, 0])
    there = ask(served, *QUESTIONS)
    assert [reply.text for reply in there] == [answer.text for answer in here]


def test_greedy_answers_are_repeated(served: Served):
    first, again = (ask(served, QUESTIONS[0])[0] for _ in range(2))
    assert first.text == again.text


def test_an_answer_that_is_cut_off_says_so_and_counts_its_tokens(served: Served):
    [reply] = ask(served, QUESTIONS[0], max_tokens=4)
    assert (reply.problem, reply.finish, reply.output_tokens) == ("length", "length", 4)
    assert reply.input_tokens
    assert reply.input_tokens > 10


def test_a_model_that_is_not_there_ends_the_run(served: Served):
    if served.engine is LLAMA_CPP:  # it answers whatever name is asked, under that name
        [reply] = ask(served, QUESTIONS[0], model="another-model")
        assert reply.problem in (None, "length")
        return
    with pytest.raises(InfrastructureError, match="another-model"):
        ask(served, QUESTIONS[0], model="another-model")


def test_a_prompt_beyond_the_context_is_a_problem_of_that_request(served: Served):
    if served.engine is TRANSFORMERS:
        pytest.skip("it answers beyond the model's context, with whatever comes of it")
    [reply] = ask(served, "How are you? " * served.engine.context)
    assert reply.problem == "context_length"


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "text"])
def test_judges_are_asked_in_every_format_for_every_kind_of_verdict(
    served: Served, structured: str
):
    spec = EndpointSpec.model_validate(
        {"model": served.model, "base_url": served.base_url, "structured": structured}
        | {"max_tokens": 48, "timeout_s": 300, "max_concurrency": 1}
    )
    judge = make_judge("j", JudgeSpec(endpoint=spec), Path())
    outcomes = dict(judge.judge(one_of_each_kind()))
    assert len(outcomes) == 4
    assert all(_was_answered(outcome) for outcome in outcomes.values())


def _was_answered(outcome: Outcome) -> bool:
    assert outcome.exchange is not None
    kind = reason_kind(outcome.reason or "")
    return kind not in {MissingReason.NO_REPLY, MissingReason.TOO_LONG, MissingReason.REFUSED}
