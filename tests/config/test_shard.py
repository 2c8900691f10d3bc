import pytest

from harness.config.shard import Shard, read_shard
from harness.core.errors import HarnessError


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("3/16", (3, 16)), (" 4/4 ", (4, 4))])
def test_a_shard_is_a_number_of_a_total(text: str, shard: tuple[int, int]) -> None:
    assert read_shard(text) == Shard(*shard)


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "a/b", "3", "3/", "-1/4", "1.5/4", "1/4/4", "", "1/0"]
)
def test_what_is_no_shard_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(HarnessError, match=r"1/4, 2/4, 3/4 and 4/4"):
        read_shard(text)
