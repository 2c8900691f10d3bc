import threading

import pytest

from harness.types import Response
from judges.response_stream import JudgeWorker, ResponseStream, StreamClosedError


def response(model: str, i: int) -> Response:
    return Response(sample_id=f"q{i}", model=model, text="x", finish="stop")


def test_a_reader_gets_answers_while_others_are_still_to_come() -> None:
    board = ResponseStream(["a"], 3)
    first = threading.Event()

    def read() -> list[str]:
        seen = []
        for arrived in board.arrivals("a"):
            if arrived is not None:
                seen.append(arrived[0].sample_id)
                first.set()
        return seen

    reader = JudgeWorker(board, read)
    board.post(response("a", 2))
    assert first.wait(5)
    board.post(response("a", 0))
    board.post(response("a", 1))
    assert reader.result() == ["q2", "q0", "q1"]


def test_a_reader_is_told_when_nothing_has_come() -> None:
    board = ResponseStream(["a"], 1)
    arrivals = board.arrivals("a")
    assert next(arrivals) is None
    board.post(response("a", 0))
    assert next(arrivals) == (response("a", 0),)
    assert list(arrivals) == []


def test_a_pair_comes_when_both_answers_are_there_and_waits_for_no_other() -> None:
    board = ResponseStream(["a", "b"], 2)
    pairs = board.arrivals("a", "b")
    for late in (response("b", 0), response("b", 1), response("a", 1)):
        board.post(late)
    assert next(pairs) == (response("a", 1), response("b", 1))
    assert next(pairs) is None
    board.post(response("a", 0))
    assert list(pairs) == [(response("a", 0), response("b", 0))]


def test_a_failing_judge_closes_the_board_and_its_failure_is_raised() -> None:
    board = ResponseStream(["a"], 2)

    def fail() -> None:
        raise OSError("judge down")

    JudgeWorker(board, fail).join()
    assert board.closed
    with pytest.raises(OSError, match="judge down"):
        board.check()


def test_a_failure_of_the_main_thread_ends_the_readers() -> None:
    board = ResponseStream(["a"], 2)
    reader = JudgeWorker(board, lambda: list(board.arrivals("a")))
    with pytest.raises(KeyboardInterrupt), board.closed_on_error([reader]):
        raise KeyboardInterrupt
    assert not reader.is_alive()
    with pytest.raises(StreamClosedError):
        reader.result()


def test_the_cause_is_raised_and_not_its_consequence() -> None:
    board = ResponseStream(["a"], 1)

    def fail() -> None:
        raise OSError("judge down")

    failing = JudgeWorker(board, fail)
    with pytest.raises(OSError, match="judge down"), board.closed_on_error([failing]):
        failing.result()
