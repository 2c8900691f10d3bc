import json
import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from harness.models.endpoint import EndpointRefusedError
from harness.models.endpoint.secrets import make_key_redactor
from tests.builders.asking import ask_one
from tests.loopback.faults import Fault, Kind, always, script
from tests.loopback.server import LoopbackServer

CANARY = "sk-canary-4f1c9be2"

# Everything that a run could print, with all logging on.
LOUD = """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG)
from tests.builders.asking import make_asks, make_endpoint
endpoint = make_endpoint(sys.argv[1], api_key_env="CANARY_KEY", timeout_s=3.0)
print(repr(endpoint), endpoint.fingerprint, vars(endpoint), vars(endpoint._runner))
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
    assert "refuses all requests" in said
    assert CANARY not in said


AWKWARD = "sk-canary+/4f1c9be2=="  # with characters that are escaped


@pytest.mark.parametrize(
    "form",
    [
        AWKWARD,
        AWKWARD.replace("/", "\\/"),
        "".join(f"\\u{ord(c):04x}" for c in AWKWARD),
        AWKWARD.replace("+", "\\u002B"),
        quote(AWKWARD, safe=""),
        quote(AWKWARD, safe="/").lower(),
        quote(quote(AWKWARD, safe=""), safe=""),
        AWKWARD.replace("+", "&#43;").replace("/", "&#x2F;"),
        json.dumps(json.dumps({"key": "".join(f"\\u{ord(c):04X}" for c in AWKWARD)})),
    ],
)
def test_the_key_is_found_however_it_is_escaped(form: str) -> None:
    blot = make_key_redactor(SecretStr(AWKWARD))
    assert "[key]" in blot(f"Your key is {form}.")
    assert "f1c9" not in blot(form)


@pytest.mark.parametrize("text", ["sk-canary", AWKWARD[:-1], "", "\\" * 50_000, "%25" * 50_000])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert make_key_redactor(SecretStr(AWKWARD))(text) == text
    assert make_key_redactor(None)(AWKWARD) == AWKWARD


@pytest.mark.parametrize("length", range(270, 310, 3))
def test_a_message_is_never_cut_inside_the_key(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    away = {"Location": f"https://example.com/{'x' * (length - 20)}{CANARY}"}
    with (
        LoopbackServer(fault=always("redirect", headers=away)) as server,
        pytest.raises(EndpointRefusedError) as caught,
    ):
        ask_one(server, api_key_env="CANARY_KEY")
    assert "sk-" not in str(caught.value)


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


def test_a_word_that_stands_for_no_key_is_left_in_answers() -> None:
    assert (
        make_key_redactor(SecretStr("EMPTY"))("The stomach must be EMPTY.")
        == "The stomach must be EMPTY."
    )
