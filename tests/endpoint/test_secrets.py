import os
import subprocess
import sys

import pytest

from harness.endpoint import EndpointRefusedError
from tests.endpoint.asking import ask_one
from tests.loopback.faults import Fault, Kind, always, script
from tests.loopback.server import LoopbackServer

CANARY = "sk-canary-4f1c9be2"

# Everything that a run could print, with all logging on.
LOUD = """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG)
from tests.endpoint.asking import make_asks, make_endpoint
endpoint = make_endpoint(sys.argv[1], api_key_env="CANARY_KEY", timeout_s=3.0)
print(repr(endpoint), endpoint.fingerprint, vars(endpoint), vars(endpoint._caller))
try:
    for _, reply in endpoint.ask_all(make_asks(12)):
        print(repr(reply), reply.model_dump_json())
except Exception as error:
    traceback.print_exc()
    print(repr(error), error.args, repr(error.__cause__), repr(error.__context__))
"""

ECHOES: list[Kind] = ["429", "500", "400", "html", "error_200", "reset"]


@pytest.mark.parametrize("last", ["401", "insufficient_quota"])
def test_the_key_appears_nowhere(last: Kind) -> None:
    faults = [Fault(kind, echo=True) for kind in [*ECHOES, last]]
    with LoopbackServer(fault=script(*faults)) as server:
        done = subprocess.run(
            [sys.executable, "-c", LOUD, server.base_url],
            env=os.environ | {"CANARY_KEY": CANARY, "OPENAI_LOG": "debug"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    said = done.stdout + done.stderr
    assert "[key]" in said
    assert "refuses all asks" in said
    assert CANARY not in said


def test_a_text_that_quotes_the_key_is_kept_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    with LoopbackServer(lambda _: f"Your key is {CANARY}.") as server:
        assert ask_one(server, api_key_env="CANARY_KEY").text == "Your key is [key]."


def test_without_a_key_no_authorization_is_sent() -> None:
    with LoopbackServer() as server:
        ask_one(server)
    assert "authorization" not in server.requests[0].headers


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    with LoopbackServer() as elsewhere:
        away = {"Location": f"{elsewhere.base_url}/chat/completions"}
        with (
            LoopbackServer(fault=always("redirect", headers=away)) as server,
            pytest.raises(EndpointRefusedError, match="redirects to"),
        ):
            ask_one(server, api_key_env="CANARY_KEY")
    assert elsewhere.counts.total() == 0
