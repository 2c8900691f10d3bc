"""What an endpoint is asked about a sample, and its reply as a response."""

from collections.abc import Sequence

from pydantic import JsonValue

from harness.config import EndpointSpec, Generation
from harness.models.endpoint import Ask, Reply
from harness.models.model_kinds import EndpointModel
from harness.types import Exchange, Message, Response, Sample, Task
from harness.types.samples import hash_prompt


def make_ask(sample: Sample, task: Task) -> Ask:
    """Build the request; a repeated sample needs another seed, or it may get the same answer."""
    seed = task.generation.seed + sample.draw if sample.draw else None
    return Ask(sample.chat(task.system), seed=seed)


def with_generation(spec: EndpointSpec, generation: Generation) -> EndpointSpec:
    """Return the endpoint with the suite's decoding; OpenAI is not sent top_k and template variables."""
    decoding = {
        "temperature": None if spec.temperature is None else generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k if spec.base_url else None,
        "seed": generation.seed,
        "max_tokens": generation.max_tokens,
        "structured": "text",
        "extra_body": _with_template_options(spec, generation),
    }
    return spec.model_copy(update=decoding)


def _with_template_options(spec: EndpointSpec, generation: Generation) -> dict[str, JsonValue]:
    """Return the further fields of a request's body, with the switch of thinking as vLLM takes it."""
    options = generation.template_options
    if not options or spec.base_url is None:
        return spec.extra_body
    return spec.extra_body | {"chat_template_kwargs": spec.template_options | options}


def read_reply(
    reply: Reply, sample: Sample, model: EndpointModel, sent: Sequence[Message] = ()
) -> Response:
    """Convert a reply; a refusal counts as an answer, and so does one without text, which says why.

    `sent` are the messages that it answers, by whose hash they can be built again.
    """
    text = reply.refusal if reply.problem == "refusal" else reply.text
    answered = reply.problem in {None, "refusal", "length", "empty"}
    return Response(
        sample_id=sample.id,
        model=model.name,
        text=(text or "") if answered else None,
        finish=("length" if reply.problem == "length" else "stop") if answered else "failed",
        n_tokens=reply.output_tokens,
        reason=_why_empty(reply) if answered else f"{reply.problem}: {reply.detail or ''}",
        thoughts=reply.thoughts,
        exchange=Exchange(
            replies=(text or "",),
            input_tokens=reply.input_tokens or 0,
            output_tokens=reply.output_tokens or 0,
            seconds=reply.seconds,
            model="" if reply.model in (None, model.spec.model) else reply.model or "",
            prompt=hash_prompt(sent) if sent else "",
        ),
    )


def _why_empty(reply: Reply) -> str | None:
    """Return what the model did instead of giving a text; None where it gave one."""
    if reply.problem == "empty" and reply.finish in ("tool_calls", "function_call"):
        return "the model called a tool instead of answering"
    return None
