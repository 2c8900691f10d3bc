from pathlib import Path

import pytest

from harness.config import Profile
from harness.config.serving import ServeSpec, serve_by
from harness.core.errors import HarnessError
from harness.core.yaml_loader import load_spec
from tests.builders.files import write


def load(folder: Path, model: str, judge: str = "{offline: consumer_health}") -> Profile:
    text = f"profile: p\nmodels:\n  m: {model}\njudges:\n  j: {judge}\n"
    write(folder / "p.yaml", text)
    return load_spec(folder / "p.yaml", Profile)


def test_the_name_of_an_engine_is_short_for_it(tmp_path: Path) -> None:
    short = load(tmp_path, "{checkpoint: a, serve: vllm}").models["m"].serve
    assert short == load(tmp_path, "{checkpoint: a, serve: {engine: vllm}}").models["m"].serve


def test_only_weights_are_served(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"p\.yaml:3: models\.m\.serve: only a 'recipe'"):
        load(tmp_path, "{endpoint: {model: a}, serve: vllm}")


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        ("vlm", "Did you mean 'vllm'"),
        ("{}", "name an 'engine'"),
        ("{engine: vllm, model: a}", "model: belongs to a 'base_url'"),
        ("{base_url: 'http://127.0.0.1:1/v1', model: a, options: {}}", "belongs to an engine"),
        ("{base_url: 'http://127.0.0.1:1/v1'}", "name the model as the server calls it"),
    ],
)
def test_what_answers_is_one_thing_with_its_own_keys(
    tmp_path: Path, serve: str, words: str
) -> None:
    with pytest.raises(HarnessError, match=words):
        load(tmp_path, f"{{checkpoint: a, serve: {serve}}}")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("trust-remote-code: true", "type it: --serve-option trust-remote-code=VALUE"),
        ("middleware: a.b", "no option that a profile may set"),
        ("tool-parser-plugin: /x.py", "no option that a profile may set"),
        ("chat-template: /x.jinja", "no option that a profile may set"),
        ("speculative-config: '{}'", "no option that a profile may set"),
        ("distributed-executor-backend: my.Executor", "no path"),
        ("quantization: /x", "no path"),
        ("api-key: abc", "is set by the harness"),
        ("tensor-paralel-size: 2", "Did you mean 'tensor-parallel-size'"),
    ],
)
def test_an_option_that_could_load_code_is_none_of_a_profile(
    tmp_path: Path, option: str, words: str
) -> None:
    serve = f"{{engine: vllm, options: {{{option}}}}}"
    with pytest.raises(HarnessError, match=words):
        load(tmp_path, f"{{checkpoint: a, serve: {serve}}}")


@pytest.mark.parametrize("url", ["", "ftp://h/v1", "gpu1:8000", "http://me:pass@h/v1", "http://"])
def test_a_server_is_named_by_its_url_without_a_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(HarnessError, match="is no URL of a server") as error:
        load(tmp_path, f"{{checkpoint: a, serve: {{base_url: '{url}', model: m}}}}")
    assert "pass@" not in str(error.value)


def test_the_command_line_passes_any_option(tmp_path: Path) -> None:
    typed = serve_by("vllm", ["--trust-remote-code", "tensor-parallel-size=2"])
    assert typed.options == {"trust-remote-code": True, "tensor-parallel-size": 2}
    with pytest.raises(HarnessError, match="port: is set by the harness"):
        serve_by("vllm", ["port=1"])
    for other_spelling in ("served_model_name=x", "--api_key=x", "hos=0.0.0.0", "model"):
        with pytest.raises(HarnessError, match="is set by the harness"):
            serve_by("vllm", [other_spelling])
    assert serve_by("vllm", ["max_model_len=9"]).max_context == 9


def test_only_options_of_the_model_decide_its_answers() -> None:
    spec = ServeSpec(engine="vllm", options={"dtype": "float32", "tensor-parallel-size": 2})
    assert spec.answer_options == {"dtype": "float32"}


def test_serve_of_the_command_line_is_for_every_checkpoint(tmp_path: Path) -> None:
    profile = load(tmp_path, "{checkpoint: a}", "{local: {checkpoint: b}}")
    served = profile.served_by("transformers", ())
    assert served.models["m"].serve == ServeSpec(engine="transformers")
    assert served.judges["j"].local is not None
    assert served.judges["j"].local.serve == ServeSpec(engine="transformers")


def test_serve_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    profile = load(tmp_path, "{endpoint: {model: a}}")
    with pytest.raises(HarnessError, match="no model or judge of it is on this machine"):
        profile.served_by("vllm", ())
    with pytest.raises(HarnessError, match="add --serve ENGINE"):
        profile.served_by(None, ("dtype=float32",))


def test_a_server_elsewhere_is_another_machine(tmp_path: Path) -> None:
    serve = "{base_url: 'https://gpu.example.org/v1', model: a}"
    profile = load(
        tmp_path,
        f"{{checkpoint: a, serve: {serve}}}",
        f"{{local: {{checkpoint: b, serve: {serve}}}}}",
    )
    asked = profile.models["m"].asked
    assert asked is not None
    assert asked.elsewhere
    assert not profile.judges["j"].is_on_this_machine


def test_the_models_of_several_seeds_are_served_each(tmp_path: Path) -> None:
    serve = "{base_url: 'http://127.0.0.1:1/v1', model: 'dpo-{seed}'}"
    model = load(tmp_path, f"{{recipe: dpo, seeds: [1, 2], serve: {serve}}}").models["m"]
    one = model.of_seed(2).serve
    assert one is not None
    assert one.model == "dpo-2"


def test_a_typed_option_is_that_of_every_seed(tmp_path: Path) -> None:
    profile = load(tmp_path, "{recipe: dpo, seeds: [1, 2]}").served_by(
        "vllm", ["trust-remote-code"]
    )
    one = profile.models["m"].of_seed(2).serve
    assert one is not None
    assert one.options == {"trust-remote-code": True}


def test_editors_are_told_that_a_name_is_enough() -> None:
    [name, whole] = Profile.model_json_schema()["$defs"]["ServeSpec"]["anyOf"]
    assert name == {"enum": ["vllm", "sglang", "transformers"]}
    assert "base_url" in whole["properties"]


@pytest.mark.parametrize(
    "typed", ["hf-token=hf_abc", "--hf_token=hf_abc", "ssl-keyfile-password=pw7"]
)
def test_a_typed_secret_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(HarnessError, match="is a secret, and options stand in") as refused:
        serve_by("vllm", [typed])
    assert typed.partition("=")[2] not in str(refused.value).replace("--serve-option", "")


def test_a_number_of_tokens_is_no_secret() -> None:
    assert serve_by("vllm", ["max-num-batched-tokens=2048"]).options
