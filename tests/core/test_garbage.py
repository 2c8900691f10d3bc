"""The search for cycles is paused in a block, and as before after it."""

import gc
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest

from harness.core.garbage import no_cycle_search


@pytest.fixture(autouse=True)
def searching() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_search_is_paused_until_the_outer_block_ends() -> None:
    with no_cycle_search():
        with no_cycle_search():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_resumes_it() -> None:
    with pytest.raises(ZeroDivisionError), no_cycle_search():
        _ = 1 / 0
    assert gc.isenabled()


def test_one_that_was_off_stays_off() -> None:
    gc.disable()
    with no_cycle_search():
        pass
    assert not gc.isenabled()


def test_it_is_paused_until_the_last_thread_is_done() -> None:
    inside, first_left = Barrier(2, timeout=60), Barrier(2, timeout=60)
    seen = []

    def stay() -> None:
        with no_cycle_search():
            inside.wait()
            first_left.wait()
            seen.append(gc.isenabled())

    thread = Thread(target=stay)
    thread.start()
    with no_cycle_search():
        inside.wait()
    first_left.wait()
    thread.join()
    assert seen == [False]
    assert gc.isenabled()
