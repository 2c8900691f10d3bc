"""Does a server hold these weights and this chat template?

The template is checked exactly: the server counts as many tokens in each prompt as this process. Weights
are checked by greedy answers to a few prompts. Two engines compute the same logits but for rounding, so
that their answers may part where two tokens are almost equally likely, and nowhere else: the logits'
difference in this process at the place where an answer parts tells rounding from other weights.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.models.endpoint import Reply
from harness.models.local import LocalModel, Prompt, encode_chat, make_prompt
from harness.models.weights import stop_ids
from harness.types import Message, Record

PROBE_VERSION = 1  # raise it when other prompts are asked, or other answers recorded
N_TOKENS = 24
NEAR_TIE = 0.5  # in logits; rounding to bfloat16 moves them by some hundredths
MIN_COMPARED = 3

_QUESTIONS = (
    "My knee hurts. What helps?",
    "Name three colours.",
    "What is 17 + 25?",
    "Is fever bad?",
    "Say hello in French.",
    "Why is the sky blue?",
)
_CHAT = (
    Message(role="user", content="Hi."),
    Message(role="assistant", content="Hello!"),
    Message(role="user", content="I cough at night."),
)
PROBES: tuple[Prompt, ...] = (*(make_prompt(None, text) for text in _QUESTIONS), _CHAT)
_IGNORED = re.compile(r"\s+|\ufffd|</?think>")  # what decoders write differently


class Probe(Record):
    """This process's greedy answer to a prompt, token by token.

    `ends` are the lengths of the text, without what decoders write differently, behind each token;
    `margins` the logit of each token less that of the runner-up. Without tokens it was not answered.
    """

    prompt_tokens: int
    text: str
    ends: tuple[int, ...]
    margins: tuple[float, ...]


class Probes(Record):
    """The answers to all probes, in their order."""

    probes: tuple[Probe, ...]


class Compared(NamedTuple):
    """How a server's answers compare: a `problem` where it holds another model, and what was seen."""

    problem: str | None
    seen: str


def answer_probes(local: LocalModel) -> Probes:
    """Answer the probes that the template and the context allow, greedily, one by one."""
    return Probes(probes=tuple(_answer_probe(local, prompt) for prompt in PROBES))


def _answer_probe(local: LocalModel, prompt: Prompt) -> Probe:
    import torch
    from transformers import GenerationConfig

    ids = encode_chat(local.tokenizer, prompt)
    if len(ids) + N_TOKENS > local.context:
        return Probe(prompt_tokens=len(ids), text="", ends=(), margins=())
    stops = stop_ids(local.model, local.tokenizer)
    inputs = torch.tensor([ids], device=local.model.device)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=N_TOKENS,
        eos_token_id=stops,
        pad_token_id=stops[0],
        output_logits=True,
        return_dict_in_generate=True,
    )
    with torch.inference_mode():
        output = local.model.generate(
            input_ids=inputs, attention_mask=torch.ones_like(inputs), generation_config=config
        )
    tokens = output.sequences[0, len(ids) :].tolist()
    best = [step[0].float().topk(2).values.tolist() for step in output.logits]
    texts = [_decode(local.tokenizer, tokens[: n + 1]) for n in range(len(tokens))]
    return Probe(
        prompt_tokens=len(ids),
        text=texts[-1],
        ends=tuple(map(len, texts)),
        margins=tuple(first - second for first, second in best),
    )


def _decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    return _comparable(tokenizer.decode(list(tokens), skip_special_tokens=True))


def _comparable(text: str) -> str:
    return _IGNORED.sub("", text)


def prompt_problem(counted: int | None, prompt_tokens: int) -> str | None:
    """Return what differs in the server's prompt; None where it has as many tokens as ours."""
    if counted is None:
        return (
            "does not count the tokens of prompts ('usage'), so that its chat template is not known"
        )
    if counted != prompt_tokens:
        return (
            f"writes a prompt with {counted} tokens that has {prompt_tokens} by the checkpoint's chat "
            "template and tokenizer, so it holds another one of them"
        )
    return None


def compare_answers(probes: Sequence[Probe], replies: Sequence[Reply]) -> Compared:
    """Compare a server's greedy replies with this process's answers."""
    n_same = n_near = 0
    for probe, reply in zip(probes, replies, strict=True):
        if not probe.ends:
            continue
        text = _comparable((reply.thoughts or "") + (reply.text or ""))
        margin = _margin_where_they_part(probe, text)
        if margin is None:
            n_same += 1
        elif margin <= NEAR_TIE:
            n_near += 1
        else:
            return Compared(
                f"answers {text[:60]!r} where these weights give {probe.text[:60]!r}, and are sure of it "
                f"(by {margin:.1f} in logits): it holds other weights, or changed ones",
                "",
            )
    if n_same + n_near < MIN_COMPARED:
        return Compared(
            f"could be compared on {n_same + n_near} answers only, which does not tell its weights",
            "",
        )
    parted = f", {n_near} part at a near tie" if n_near else ""
    return Compared(None, f"{n_same} of {n_same + n_near} greedy answers are equal{parted}")


def _margin_where_they_part(probe: Probe, text: str) -> float | None:
    """Return how sure these weights are where the text parts from their answer; None where it does not."""
    if text == probe.text:
        return None
    shorter = min(len(text), len(probe.text))
    at = next((i for i in range(shorter) if text[i] != probe.text[i]), shorter)
    token = next((n for n, end in enumerate(probe.ends) if end > at), len(probe.ends) - 1)
    # A token of the other answer may begin with all of this one's.
    return min(probe.margins[max(0, token - 1) : token + 1])
