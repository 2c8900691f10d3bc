"""What an endpoint is sent beside the chat, as its profile says."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from harness.config import EndpointSpec
from harness.config.endpoint import BODY_FIELDS
from harness.models.endpoint.addresses import read_address
from harness.models.endpoint.client import fingerprint_endpoint
from harness.models.endpoint.transport import Ask, make_body
from harness.types import Message

LOCAL = "http://127.0.0.1:8000/v1"
ASK = Ask((Message(role="user", content="Why?"),))


def body_of(**options: Any) -> dict[str, Any]:
    spec = EndpointSpec(model="m", **{"base_url": LOCAL, **options})
    body: dict[str, Any] = json.loads(make_body(spec, read_address(spec.base_url), ASK))
    return body


def fingerprint(**options: Any) -> str:
    spec = EndpointSpec(model="m", base_url=LOCAL, **options)
    return fingerprint_endpoint(spec, read_address(LOCAL))


def test_a_gateway_is_sent_the_token_limit_under_the_name_it_takes() -> None:
    assert body_of()["max_tokens"] == 1024
    body = body_of(max_tokens_key="max_completion_tokens")
    assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 1024)
    assert body_of(base_url=None, max_tokens_key="max_tokens")["max_tokens"] == 1024


def test_further_fields_go_into_the_body_and_the_fingerprint() -> None:
    extra = {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    assert body_of(extra_body=extra).items() >= extra.items()
    assert fingerprint(extra_body=extra) not in {fingerprint(), fingerprint(extra_body={"a": 1})}


def test_an_endpoint_without_further_fields_keeps_its_fingerprint() -> None:
    assert fingerprint(extra_body={}) == fingerprint(max_tokens_key="max_tokens") == fingerprint()


@pytest.mark.parametrize("field", sorted(BODY_FIELDS))
def test_fields_of_the_harness_cannot_be_replaced(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        EndpointSpec(model="m", extra_body={field: 1})
