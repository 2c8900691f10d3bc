"""Checks of this machine: packages, accelerator, store and data folders."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from harness.config import Criterion, EndpointSpec, JudgeSpec, RubricMetric, ServeSpec
from harness.core.errors import HarnessError
from harness.core.paths import cache_dir
from harness.core.store import make_writable

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "langchain-openai",
    "rouge-score",
    "scipy",
    "rich",
)


class Finding(NamedTuple):
    """One check; a run would fail if it is not `ok`."""

    what: str
    ok: bool
    detail: str


def examine(store: Path) -> list[Finding]:
    """Check everything that a run depends on."""
    return [
        Finding("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        *(_package(name) for name in PACKAGES),
        _accelerator(),
        _store(store),
        *_data_folders(),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed; run `pip install alignment-harness`")


def _accelerator() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("accelerator", True, "unknown without torch")
    if not torch.cuda.is_available():
        return Finding("accelerator", True, f"none; {os.cpu_count()} CPU cores")
    properties = torch.cuda.get_device_properties(0)
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    return Finding("accelerator", True, f"{properties.name}, {memory}")


def _store(store: Path) -> Finding:
    try:
        make_writable(store)
    except HarnessError as error:
        return Finding("store", False, str(error))
    return Finding("store", True, f"{store} is writable")


def _data_folders() -> Iterator[Finding]:
    data_dir = os.environ.get("HARNESS_DATA_DIR")
    if data_dir is not None:
        exists = Path(data_dir).is_dir()
        detail = data_dir if exists else f"{data_dir} is not a folder"
        yield Finding("HARNESS_DATA_DIR", exists, detail)
    yield Finding("cache", True, str(cache_dir()))


# --- endpoints -------------------------------------------------------------------------------

_QUESTION = "My knee has hurt since yesterday. What can I do?"
_ANSWER = "Rest and cool it, and see a doctor if it lasts longer than a week."
_METRIC = RubricMetric(
    kind="rubric",
    scale=(1, 5),
    criteria=(Criterion(name="clarity", asks="Is the answer easy to understand?"),),
)


def examine_endpoints(profile: str) -> list[Finding]:
    """Ask each endpoint of a profile one question, and each endpoint judge for one verdict.

    Raises:
        HarnessError: there is no such profile, or it has a mistake.
    """
    from harness.config.loading import load_profile

    loaded, root = load_profile(profile)
    models = [
        _ask_model(name, spec.served)
        for name, spec in loaded.models.items()
        if spec.served is not None
    ]
    judges = [
        _ask_judge(name, spec, root)
        for name, spec in loaded.judges.items()
        if spec.endpoint is not None
    ]
    served = [(f"model {name}", spec.serve) for name, spec in loaded.models.items()]
    served += [
        (f"judge {name}", spec.local.serve) for name, spec in loaded.judges.items() if spec.local
    ]
    engines = [_find_engine(what, serve) for what, serve in served if serve is not None]
    return [*models, *judges, *engines] or [
        Finding("profile", True, f"{loaded.profile} has no endpoint")
    ]


def _find_engine(what: str, serve: ServeSpec) -> Finding:
    """Find the engine that a run would start, or ask somebody else's server for its list of models."""
    from harness.config.endpoint import server_endpoint
    from harness.models.endpoint import Endpoint
    from harness.models.served import lists_models
    from harness.models.serving.engines import find_engine

    server = server_endpoint(serve)
    try:
        if server is not None:
            listed = lists_models(Endpoint(server).list_models())
            detail = "lists its models" if listed else "does not list its models"
            return Finding(what, listed, f"{server.host} {detail}")
        assert serve.engine is not None
        engine = find_engine(serve.engine)
    except HarnessError as error:
        return Finding(what, False, str(error))
    options = [f"{name}={value}" for name, value in serve.options.items()]
    command = " ".join([*engine.command, *options])
    return Finding(what, True, f"{engine.name} {engine.version} would be started: {command}")


def _ask_model(name: str, spec: EndpointSpec) -> Finding:
    from harness.models.endpoint import Ask, Endpoint
    from harness.types import Message

    what = f"model {name}"
    try:
        ask = Ask((Message(role="user", content=_QUESTION),), max_tokens=64)
        [(_, reply)] = Endpoint(spec).ask_all([ask])
    except HarnessError as error:
        return Finding(what, False, str(error))
    served = f" as '{reply.model}'" if reply.model not in (None, spec.model) else ""
    if reply.problem not in (None, "length"):
        return Finding(what, False, f"{spec.host}: {reply.problem}: {reply.detail or 'no text'}")
    return Finding(
        what, True, f"{spec.model} at {spec.host} answered{served} in {reply.seconds:.1f} s"
    )


def _ask_judge(name: str, spec: JudgeSpec, root: Path) -> Finding:
    from harness.core.sanitize import printable_line
    from harness.types import GradeRequest, Sample
    from judges.factory import make_judge
    from judges.llm import LanguageModelJudge

    sample = Sample(id="doctor", input=_QUESTION, row=0)
    request = GradeRequest(
        sample=sample, metric_name="doctor", metric=_METRIC, model="doctor", answer=_ANSWER
    )
    what = f"judge {name}"
    try:
        judge = make_judge(name, spec, root)
        [(_, outcome)] = judge.judge([request])
    except HarnessError as error:
        return Finding(what, False, str(error))
    if outcome.values is None:
        replies = (
            [text for text in outcome.exchange.replies if text.strip()] if outcome.exchange else []
        )
        quoted = f"; it replied: {printable_line(replies[-1], limit=160)}" if replies else ""
        return Finding(what, False, f"no verdict ({outcome.reason}){quoted}")
    seconds = outcome.exchange.seconds if outcome.exchange else 0.0
    admitted = judge.admitted if isinstance(judge, LanguageModelJudge) else None
    format_ = f"; it {admitted}" if admitted else ""
    return Finding(what, True, f"gave a verdict that can be read, in {seconds:.1f} s{format_}")
