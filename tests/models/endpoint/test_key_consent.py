from pathlib import Path

import pytest

from harness.config import EndpointSpec
from harness.core.errors import HarnessError
from harness.models.endpoint.addresses import find_key, read_address
from harness.models.endpoint.key_consent import allow_key, require_allowed

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HARNESS_ALLOW_KEY", raising=False)


def test_a_profile_cannot_send_any_variable_to_its_own_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    url = "https://collector.example/v1"
    spec = EndpointSpec(model="m", base_url=url, api_key_env="AWS_SECRET_ACCESS_KEY")
    with pytest.raises(HarnessError, match="was never used with this host") as caught:
        find_key(spec, read_address(url))
    assert SECRET not in str(caught.value)


def test_a_confirmed_pair_is_never_asked_about_again(tmp_path: Path) -> None:
    file = allow_key("MY_KEY", "Models.example:8443")
    assert file.is_relative_to(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    require_allowed("MY_KEY", "models.example:8443")


@pytest.mark.parametrize(
    ("variable", "host"),
    [("MY_KEY", "models.example"), ("OTHER_KEY", "models.example:8443")],
)
def test_a_confirmation_is_for_one_variable_and_one_host(variable: str, host: str) -> None:
    allow_key("MY_KEY", "models.example:8443")
    with pytest.raises(HarnessError):
        require_allowed(variable, host)


def test_ci_names_the_pair_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_ALLOW_KEY", "MY_KEY@models.example, B_KEY@b.example")
    require_allowed("MY_KEY", "models.example")
    require_allowed("B_KEY", "b.example")


@pytest.mark.parametrize(
    ("variable", "host", "known"),
    [
        *[("MISTRAL_API_KEY", "api.mistral.ai", True), ("OPENAI_API_KEY", "api.openai.com", True)],
        ("AZURE_OPENAI_API_KEY", "mine.openai.azure.com:443", True),
        ("AZURE_OPENAI_API_KEY", "mine.openai.azure.com.example", False),
        ("MISTRAL_API_KEY", "xapi.mistral.ai", False),
        ("MISTRAL_API_KEY", "api.mistral.ai:8443", False),
    ],
)
def test_a_providers_own_key_goes_to_the_provider(variable: str, host: str, known: bool) -> None:
    if known:
        require_allowed(variable, host)
    else:
        with pytest.raises(HarnessError):
            require_allowed(variable, host)


@pytest.mark.parametrize("pasted", ["hf_AbCdEf0123456789", "gsk_0123456789abcdef", "AKIAIOSFODNN7"])
def test_a_key_pasted_in_place_of_its_variable_is_never_printed(
    pasted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://models.example/v1"
    spec = EndpointSpec(model="m", base_url=url, api_key_env=pasted)
    for value in ("", "a-key-that-is-set"):
        monkeypatch.setenv(pasted, value)
        with pytest.raises(HarnessError) as caught:
            find_key(spec, read_address(url))
        assert pasted not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "host"), [("MY KEY", "a.example"), ("MY_KEY", "https://a.b/")]
)
def test_what_is_no_variable_or_host_is_not_confirmed(variable: str, host: str) -> None:
    with pytest.raises(HarnessError):
        allow_key(variable, host)
