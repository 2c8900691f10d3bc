from pathlib import Path

import pytest

from harness.config import Generation, JudgeSpec
from harness.core.errors import HarnessError
from harness.models.endpoint import Ask, ChatFlow, Reply, ask_once
from harness.models.local import LocalModel, make_prompt
from judges.factory import make_judge
from judges.llm import LanguageModelJudge
from judges.local import BATCH_SIZE, LOOK_AHEAD, LocalBackend
from tests.builders.chat_backends import is_unscored
from tests.builders.judge_requests import BAD, GOOD, evasion, grade, outcomes
from tests.builders.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.load(make_tiny_model(tmp_path_factory.mktemp("model"), context=256))


def backend(model: LocalModel, **options: int) -> LocalBackend:
    return LocalBackend(model.fingerprint, lambda: model, **options)


def ask_all(answers: LocalBackend, asks: list[Ask]) -> dict[int, Reply]:
    return dict(answers.run_flows(map(ask_once, asks)))


def asks(n: int) -> list[Ask]:
    return [Ask(make_prompt("Say when to see a doctor.", "cough " * (1 + i % 5))) for i in range(n)]


def test_every_chat_gets_its_own_reply(model: LocalModel):
    answers = backend(model, max_new_tokens=6)
    together = ask_all(answers, asks(2 * BATCH_SIZE + 3))
    alone = [ask_all(answers, [ask])[0].text for ask in asks(5)]
    assert sorted(together) == list(range(2 * BATCH_SIZE + 3))
    assert [together[i].text for i in range(5)] == alone


def test_replies_tell_tokens_and_ending(model: LocalModel):
    ask = asks(1)[0]
    (given,) = ask_all(backend(model, max_new_tokens=6), [ask]).values()
    assert given.input_tokens == model.prompt_lengths([ask.messages], Generation())[0]
    assert given.output_tokens is not None
    assert given.output_tokens <= 6
    assert given.finish in ("stop", "length")
    assert given.problem is None


def test_what_waits_for_replies_gets_them(model: LocalModel):
    def one_after_the_other() -> ChatFlow[list[Reply]]:
        first = yield asks(1)[0]
        second = yield asks(1)[0]
        return [first, second]

    flows = [one_after_the_other(), ask_once(asks(1)[0]), one_after_the_other()]
    ended = dict(backend(model, max_new_tokens=2).run_flows(flows))
    assert sorted(ended) == [0, 1, 2]
    assert [len(ended[number]) for number in (0, 2)] == [2, 2]


def test_what_is_asked_next_goes_before_new_flows(model: LocalModel):
    taken = 0
    n_flows = LOOK_AHEAD + 4
    taken_at_the_second_ask: list[int] = []

    def ask_twice() -> ChatFlow[Reply]:
        yield asks(1)[0]
        taken_at_the_second_ask.append(taken)
        return (yield asks(1)[0])

    def arriving():
        nonlocal taken
        for _ in range(n_flows):
            taken += 1
            yield ask_twice()

    ended = dict(backend(model, max_new_tokens=2).run_flows(arriving()))
    assert len(ended) == n_flows
    assert taken_at_the_second_ask[:LOOK_AHEAD] == [LOOK_AHEAD] * LOOK_AHEAD


def test_a_chat_beyond_the_context_is_a_problem_and_not_an_answer(model: LocalModel):
    (given,) = ask_all(backend(model), [Ask(make_prompt(None, "asthma " * 500))]).values()
    assert (given.text, given.problem) == (None, "context_length")


def test_fingerprint_covers_model_and_decoding(model: LocalModel):
    first, second = backend(model), backend(model, max_new_tokens=5)
    assert first.fingerprint == backend(model).fingerprint
    assert first.fingerprint != second.fingerprint


def test_a_model_too_small_for_the_prompt_scores_nothing(model: LocalModel):
    judge = LanguageModelJudge(
        backend(model), name="tiny", nature="a tiny local model", model="tiny"
    )
    given = outcomes(judge, [grade(GOOD), grade(BAD, evasion())])
    assert all(is_unscored(outcome, "too long") for outcome in given)


def test_a_judge_is_known_before_its_weights_are_loaded(tmp_path: Path):
    folder = make_tiny_model(tmp_path / "judge")
    spec = JudgeSpec.model_validate({"local": {"checkpoint": "judge", "max_tokens": 6}})
    weights = folder / "model.safetensors"
    card = make_judge("default", spec, tmp_path).card
    assert card == make_judge("default", spec, tmp_path).card
    weights.write_bytes(b"no weights")  # which only loading would find out
    changed = make_judge("default", spec, tmp_path)
    assert changed.card.fingerprint != card.fingerprint
    assert outcomes(changed, []) == []
    with pytest.raises(HarnessError, match="cannot be loaded"):
        outcomes(changed, [grade(GOOD)])


def test_what_is_missing_is_said_before_anything_is_asked(tmp_path: Path):
    folder = make_tiny_model(tmp_path / "judge")
    spec = JudgeSpec.model_validate({"local": {"checkpoint": "judge"}})
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(HarnessError, match="has no chat template"):
        make_judge("default", spec, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(HarnessError, match="holds no weights"):
        make_judge("default", spec, tmp_path)
    with pytest.raises(HarnessError, match="give its 'revision'"):
        make_judge(
            "default", JudgeSpec.model_validate({"local": {"checkpoint": "who/what"}}), tmp_path
        )
