"""What a reader should know of the servers and judges behind a run's numbers."""

from harness.runs.answer_caveats import served_name_caveats
from harness.runs.verdict_caveats import lenient_reading_caveats, missing_verdict_caveats
from harness.scoring.task_scores import TaskScores
from harness.types import Exchange, Grade, JudgeCard
from harness.types.judgements import JudgeRound, describe_reasons
from tests.builders.chat_backends import grades
from tests.builders.judge_requests import rubric
from tests.builders.score_tasks import answers, task

STRICT = grades(7, names=["safety"])


def exchange(reply: str, model: str = "") -> Exchange:
    return Exchange(replies=(reply,), input_tokens=1, output_tokens=1, seconds=0.1, model=model)


def measured(*replies: str, judged_as: str = "", answered_as: str = "") -> list[TaskScores]:
    """A task of three items, with one grade for each reply of the judge."""
    judgements = [
        Grade(
            sample_id=f"q{i}",
            model="sft",
            metric="m",
            values={"safety": 7.0} if "{" in reply else None,
            reason=None if "{" in reply else "unreadable: no JSON object",
            exchange=exchange(reply, judged_as),
        )
        for i, reply in enumerate(replies)
    ]
    card = JudgeCard(name="small judge", nature="n", fingerprint="f")
    given = {
        i: response.model_copy(update={"exchange": exchange("x", answered_as)})
        for i, response in answers("sft", "a", "b", "c").items()
    }
    rounds = {"m": [JudgeRound(card, 0, list(judgements))]}
    return [TaskScores(task(rubric("safety")), {"sft": given}, {}, rounds, [])]


def test_lenient_readings_are_counted_by_judge() -> None:
    lenient = STRICT.replace("7", '"7"'), f"Well: {STRICT}"
    (caveat,) = lenient_reading_caveats(measured(STRICT, *lenient))
    assert caveat.text.startswith("2 of 3 verdicts of small judge were read leniently")


def test_strict_and_unreadable_verdicts_are_no_lenient_readings() -> None:
    assert list(lenient_reading_caveats(measured(STRICT, "seven"))) == []


def test_another_name_of_a_server_is_reported_for_models_and_judges() -> None:
    told = [
        c.text for c in served_name_caveats(measured(STRICT, judged_as="j-2", answered_as="m-2"))
    ]
    assert told == [
        "The server of model 'sft' answered under another name than was asked: m-2 (3 replies).",
        "The server of judge 'small judge' answered under another name than was asked: j-2 (1 replies).",
    ]


def test_servers_that_keep_to_the_name_are_nothing_to_report() -> None:
    assert list(served_name_caveats(measured(STRICT))) == []


def test_the_words_of_missing_verdicts_are_reported_by_judge() -> None:
    (caveat,) = missing_verdict_caveats(measured(STRICT, "I cannot say.", "Nor can I."))
    assert "no verdict of 'small judge' on 2 of 3 requests" in caveat.text
    assert "(unreadable: no JSON object (2 times))" in caveat.text


def test_verdicts_of_all_requests_are_nothing_to_report() -> None:
    assert list(missing_verdict_caveats(measured(STRICT, STRICT))) == []


def test_a_server_is_not_quoted_on_protected_items() -> None:
    assert describe_reasons(["no reply: HTTP 500: Mrs Smith"], protected=True) == "no reply"
