import signal
import threading
import time

import pytest

from harness.types import Response
from judges.response_stream import JudgeWorker, ResponseStream, StreamClosedError


def response(model: str, i: int) -> Response:
    return Response(sample_id=f"q{i}", model=model, text="x", finish="stop")


def test_a_reader_gets_answers_while_others_are_still_to_come() -> None:
    stream = ResponseStream(["a"], 3)
    first = threading.Event()

    def read() -> list[str]:
        seen = []
        for (arrived,) in stream.iter_complete("a"):
            seen.append(arrived.sample_id)
            first.set()
        return seen

    reader = JudgeWorker(stream, read)
    stream.put(response("a", 2))
    assert first.wait(5)
    stream.put(response("a", 0))
    stream.put(response("a", 1))
    assert reader.result() == ["q2", "q0", "q1"]


def test_a_reader_waits_while_nothing_has_come() -> None:
    stream = ResponseStream(["a"], 1)
    reader = JudgeWorker(stream, lambda: list(stream.iter_complete("a")))
    time.sleep(0.1)
    assert reader.is_alive()
    stream.put(response("a", 0))
    assert reader.result() == [(response("a", 0),)]


def test_a_pair_comes_when_both_answers_are_there_and_waits_for_no_other() -> None:
    stream = ResponseStream(["a", "b"], 2)
    seen: list[tuple[Response, ...]] = []
    reader = JudgeWorker(stream, lambda: seen.extend(stream.iter_complete("a", "b")))
    for late in (response("b", 0), response("b", 1), response("a", 1)):
        stream.put(late)
    pairs = stream.iter_complete("a", "b")
    assert next(pairs) == (response("a", 1), response("b", 1))
    time.sleep(0.1)
    assert reader.is_alive()
    stream.put(response("a", 0))
    assert list(pairs) == [(response("a", 0), response("b", 0))]
    reader.result()
    assert [first.sample_id for first, _ in seen] == ["q1", "q0"]


def test_a_failing_judge_closes_the_stream_and_its_failure_is_raised() -> None:
    stream = ResponseStream(["a"], 2)

    def fail() -> None:
        raise OSError("judge down")

    JudgeWorker(stream, fail).join()
    assert stream.closed
    with pytest.raises(OSError, match="judge down"):
        stream.check()


def test_a_failure_of_the_main_thread_ends_the_readers() -> None:
    stream = ResponseStream(["a"], 2)
    reader = JudgeWorker(stream, lambda: list(stream.iter_complete("a")))
    with pytest.raises(KeyboardInterrupt), stream.abort_on_error([reader]):
        raise KeyboardInterrupt
    assert not reader.is_alive()
    with pytest.raises(StreamClosedError):
        reader.result()


def test_a_closed_stream_hands_on_nothing_more() -> None:
    stream = ResponseStream(["a"], 3)
    for i in range(3):
        stream.put(response("a", i))
    arrivals = stream.iter_complete("a")
    assert next(arrivals) == (response("a", 0),)
    stream.fail(KeyboardInterrupt())
    with pytest.raises(StreamClosedError):
        next(arrivals)


def test_the_cause_is_raised_and_not_its_consequence() -> None:
    stream = ResponseStream(["a"], 1)

    def fail() -> None:
        raise OSError("judge down")

    failing = JudgeWorker(stream, fail)
    with pytest.raises(OSError, match="judge down"), stream.abort_on_error([failing]):
        failing.result()


def test_a_worker_is_waited_for_again_after_an_interruption() -> None:
    """Python 3.11's own `join` returns at once when an earlier one was interrupted."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stream = ResponseStream(["a"], 1)
    finished = threading.Event()

    def work() -> None:
        time.sleep(0.5)
        finished.set()

    before = signal.signal(signal.SIGALRM, interrupt)
    worker = JudgeWorker(stream, work)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt), stream.abort_on_error([worker]):
            worker.result()
        assert finished.is_set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
