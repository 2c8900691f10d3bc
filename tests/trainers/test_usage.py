"""What a training took, as its log and the system tell it."""

from trainers.usage import count_tokens, describe_usage, reset_peak_memory


def test_tokens_of_a_resumed_run_are_added_to_those_before_it() -> None:
    log = [
        {"num_tokens": 10},
        {"num_tokens": 30},
        {"loss": 1},
        {"num_tokens": 5},
        {"num_tokens": 9},
    ]
    assert count_tokens(log) == 39


def test_the_peak_begins_anew() -> None:
    reset_peak_memory()
    held = bytearray(200 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    before = _mebibytes()
    del held
    reset_peak_memory()
    assert _mebibytes() < before - 100


def _mebibytes() -> int:
    return int(describe_usage([])["peak memory"].split()[0].replace(",", ""))
