import pytest

from harness.endpoint import Ask
from harness.models import LocalModel, make_prompt
from judges.language_model import LanguageModelJudge
from judges.local import BATCH_SIZE, LocalAnswerer
from tests.judges.answerers import is_unscored
from tests.judges.builders import BAD, GOOD, evasion, grade, outcomes
from tests.trainers.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.load(make_tiny_model(tmp_path_factory.mktemp("model"), context=256))


def asks(n: int) -> list[Ask]:
    return [Ask(make_prompt("Say when to see a doctor.", "cough " * (1 + i % 5))) for i in range(n)]


def test_every_chat_gets_its_own_reply(model: LocalModel):
    answerer = LocalAnswerer(model, max_new_tokens=6)
    together = dict(answerer.ask_all(asks(2 * BATCH_SIZE + 3)))
    alone = [next(answerer.ask_all([ask]))[1].text for ask in asks(5)]
    assert sorted(together) == list(range(2 * BATCH_SIZE + 3))
    assert [together[i].text for i in range(5)] == alone


def test_replies_tell_tokens_and_ending(model: LocalModel):
    ask = asks(1)[0]
    ((_, given),) = LocalAnswerer(model, max_new_tokens=6).ask_all([ask])
    assert given.input_tokens == model.prompt_lengths([ask.messages])[0]
    assert given.output_tokens is not None
    assert given.output_tokens <= 6
    assert given.finish in ("stop", "length")
    assert given.problem is None


def test_what_waits_for_replies_gets_them(model: LocalModel):
    replies: list[int] = []

    def one_after_the_other():
        yield asks(1)[0]
        while not replies:
            yield None
        yield asks(1)[0]

    for number, _ in LocalAnswerer(model, max_new_tokens=2).ask_all(one_after_the_other()):
        replies.append(number)
    assert replies == [0, 1]


def test_a_chat_beyond_the_context_is_a_problem_and_not_an_answer(model: LocalModel):
    ((_, given),) = LocalAnswerer(model).ask_all([Ask(make_prompt(None, "asthma " * 500))])
    assert (given.text, given.problem) == (None, "context_length")


def test_fingerprint_covers_model_and_decoding(model: LocalModel):
    first, second = LocalAnswerer(model), LocalAnswerer(model, max_new_tokens=5)
    assert first.fingerprint == LocalAnswerer(model).fingerprint
    assert first.fingerprint != second.fingerprint


def test_a_model_too_small_for_the_prompt_scores_nothing(model: LocalModel):
    judge = LanguageModelJudge(
        LocalAnswerer(model), name="tiny", nature="a tiny local model", model="tiny"
    )
    given = outcomes(judge, [grade(GOOD), grade(BAD, evasion())])
    assert all(is_unscored(outcome, "too long") for outcome in given)
