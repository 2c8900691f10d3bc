import pytest

from harness.config import EndpointSpec
from harness.core.errors import HarnessError
from harness.models.endpoint.addresses import find_key, read_address, suggest_base_url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:1/v1",
        "http://127.8.8.8/v1",
        "http://[::1]:8000/v1",
        "https://localhost/v1",
    ],
)
def test_this_machine_needs_neither_https_nor_a_key(url: str) -> None:
    address = read_address(url)
    assert address.loopback
    assert find_key(EndpointSpec(model="m", base_url=url), address) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://10.0.0.7:8000/v1",
        "http://localhost.example.com/v1",
        "http://api.openai.com/v1",
    ],
)
def test_plain_http_goes_only_to_this_machine(url: str) -> None:
    with pytest.raises(HarnessError, match="plain http"):
        read_address(url)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",  # the same, as one number
        "0xa9.0xfe.0xa9.0xfe",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "metadata.google.internal",
        "metadata.google.internal.",
    ],
)
def test_addresses_that_hand_out_credentials_are_refused(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(HarnessError, match="never asked"):
            read_address(f"{scheme}://{host}/v1")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "https://", "https://x:y/v1", ""])
def test_what_is_no_url_is_told(url: str) -> None:
    if url:
        with pytest.raises(HarnessError, match="is no URL"):
            read_address(url)
    else:
        assert read_address(url).openai


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(HarnessError) as caught:
        read_address("https://me:secret@api.example.com/v1")
    assert "secret" not in str(caught.value)


def test_the_openai_key_is_the_default_only_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    key = find_key(EndpointSpec(model="m"), read_address(None))
    assert key is not None
    assert key.get_secret_value() == "sk-test"


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "https://api.openai.com.example.com"]
)
def test_the_openai_key_goes_to_no_other_host(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    named = EndpointSpec(model="m", base_url=url, api_key_env="OPENAI_API_KEY")
    with pytest.raises(HarnessError, match="OPENAI_API_KEY is only ever sent to"):
        find_key(named, read_address(url))
    assert find_key(EndpointSpec(model="m", base_url=url), read_address(url)) is None


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000/v1", "http://gpu-box/v1"])
def test_plain_http_to_ones_own_host_needs_consent(url: str) -> None:
    with pytest.raises(HarnessError, match="allow_plain_http: true"):
        read_address(url)
    assert not read_address(url, allow_plain_http=True).loopback


def test_consent_to_plain_http_opens_no_address_of_credentials() -> None:
    with pytest.raises(HarnessError, match="never asked"):
        read_address("http://169.254.169.254/v1", allow_plain_http=True)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("https://x.example/v1/chat/completions", "https://x.example/v1"),
        ("https://x.example/openai", "https://x.example/openai/v1"),
    ],
)
def test_a_wrong_path_gets_a_suggestion(url: str, meant: str) -> None:
    assert f"did you mean base_url: {meant} ?" in suggest_base_url(read_address(url))


def test_a_usual_path_gets_no_suggestion() -> None:
    assert suggest_base_url(read_address("http://localhost:8000/v1/")) == ""


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(HarnessError, match="OPENAI_API_KEY holds no key"):
        find_key(EndpointSpec(model="m"), read_address(None))


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "späße"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    spec = EndpointSpec(model="m", api_key_env="MY_KEY")
    with pytest.raises(HarnessError) as caught:
        find_key(spec, read_address(None))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("name.openai.azure.com", "name.openai.azure.com:443", "name.openai.azure.us"),
        *("name.cognitiveservices.azure.com", "name.services.ai.azure.com"),
    ],
)
def test_azures_hosts_are_known_with_and_without_a_port(host: str) -> None:
    assert read_address(f"https://{host}/openai/v1").azure


@pytest.mark.parametrize("host", ["azure.com", "openai.azure.com.example", "xopenai.azure.com"])
def test_hosts_that_only_look_like_azure_are_not(host: str) -> None:
    assert not read_address(f"https://{host}/v1").azure


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [
        *[("127.0.0.1.example.com", True), ("127.example.com", True), ("10.0.0.7", True)],
        *[("localhost.example.com", True), ("127.0.0.1", False), ("127.8.8.8:9", False)],
        *[("[::1]:8000", False), ("localhost:8000", False)],
    ],
)
def test_only_a_loopback_address_or_localhost_is_this_machine(host: str, elsewhere: bool) -> None:
    assert EndpointSpec(model="m", base_url=f"http://{host}/v1").elsewhere is elsewhere
