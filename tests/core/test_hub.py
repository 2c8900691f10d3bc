"""Whether the hub can be had, told before its own client has tried for half a minute."""

import socket
from pathlib import Path

import pytest

from harness.config import Source
from harness.core.errors import InfrastructureError
from harness.core.hub import check_model_available, hub_unreachable_reason
from harness.data.tables import load_rows
from tests.loopback.hub import serve_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a port where nobody listens, without any proxy on the way."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture(params=["hub", "proxy"])
def unreachable(
    request: pytest.FixtureRequest, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hub: nobody is there, or nobody where the proxy should be."""
    if request.param == "proxy":
        monkeypatch.setenv("HTTPS_PROXY", nobody)
    endpoint = nobody if request.param == "hub" else "https://hub.invalid"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)


@pytest.mark.usefixtures("unreachable")
def test_a_data_set_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    source = Source(hub="nobody/nothing", revision=COMMIT, split="train")
    with pytest.raises(InfrastructureError, match=r"cannot be reached .*refused.* local 'path'"):
        load_rows(source, tmp_path)


@pytest.mark.usefixtures("unreachable")
def test_a_model_that_cannot_be_had_says_what_to_do() -> None:
    with pytest.raises(InfrastructureError, match=r"cannot be reached .*refused.* `hf download`"):
        check_model_available("nobody/nothing", COMMIT)


@pytest.mark.parametrize("proxied", [False, True])
def test_a_hub_that_answers_is_no_problem(
    nobody: str, monkeypatch: pytest.MonkeyPatch, proxied: bool
) -> None:
    with serve_hub("a token") as hub:
        if proxied:
            monkeypatch.setenv("HTTP_PROXY", hub.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.ENDPOINT", "http://hub.invalid" if proxied else hub.url
        )
        assert hub_unreachable_reason() is None
