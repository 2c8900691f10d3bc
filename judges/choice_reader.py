"""Which option an answer chooses: a strict reader that never picks a letter out of a sentence.

    The answer is (B).    **B) furosemide**    Answer: furosemide    {"answer": "B"}      B
    A or B?    I would not give A.    E. coli (no option's text)    Yes and no            none

A choice is read at the first of these levels that has one:

1. the answer is a JSON object with a key such as "answer";
2. a statement names it, such as "Answer: B" or "the correct option is B"; the last statement counts, and
   those that begin a line before all others;
3. a line is nothing but an option, or the first line begins with one.

Two options at one level, in one statement, or as the letter and the text of one claim, are no choice. A
letter counts where nothing but a choice can be meant: alone, in brackets, before its option's text or a word
such as "because". So "C. difficile" and "A rash" are no letters.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from harness.core.choice_text import option_key, plain_text
from harness.core.json_shape import parse_strict_json

JSON_KEYS = ("answer", "choice", "option", "final_answer", "correct_answer", "selected_option")

MAX_LINE = 1_000  # characters behind a statement, or of a line, that are looked at
_QUOTES = "\"'\u201c\u201d\u2018\u2019«»"
_LAST = 20  # statements of an answer that are looked at

_QUALITY = r"(?:(?:single|final|correct|right|best|most|likely|probable|appropriate|my)\s+){0,4}"
_STATEMENT = re.compile(
    rf"\b{_QUALITY}(?:answer|choice|option|conclusion)\s*(?P<mark>:|=|\bis\b|\b(?:would|should)\s+be\b)\s*:?"
    r"|\b(?:I|we)(?:\s+would|'d|\s+will|'ll)?\s+(?:choose|pick|select|go\s+with)\b"
    r"|\\boxed(?=\s*\{)"
    r"|\b(?:antwort|lösung|réponse|respuesta|risposta|resposta)\s*(?::|=|\b(?:ist|lautet|est|es|è|é)\b)\s*:?"
    r"|(?:答案|选项|回答|选择|正解|정답)\s*(?:是|为|為|は|은)?\s*[:=]?|(?:故选|应选|應選)",
    re.IGNORECASE,
)
_FILLERS = re.compile(
    r"\s*(?:(?:option|choice|answer|letter|the|that|therefore|thus|clearly|probably|most\s+likely|likely)\b[\s,:]*){0,4}",
    re.IGNORECASE,
)
_RIGHT = (
    r"(?:the\s+)?(?:single\s+)?(?:most\s+)?(?:correct|right|best|answer|likely|appropriate|true)\b"
)
_REASON = re.compile(
    r"[\s.,;:!?)\]\"'-]*(?:because|since|as|which|due|for|given|this|the|it|that|explanation|reason(?:ing)?"
    rf"|rationale|while|whereas|based|according|so|therefore|is\s+{_RIGHT})\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"[\s.,;:)\]\"'-]*(?:(?:is|are|was|were|would|seems?|looks?|can|could|may|might|does|do|has)\s+)?(?:be\s+)?"
    r"(?:\w+ly\s+)?(?:(?:is|are|was|ca|does|would)n't|cannot|not|wrong|incorrect|false|unlikely|less|excluded|ruled"
    r"|inappropriate|contraindicated|also|another)\b",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"[\s.)\]\"']*(?:,?\s*(?:\b(?:or|and|oder|und|ou|et|o|y)\b|[/&+]|或|和)|,)\s*(?:option\s+|both\s+)?",
    re.IGNORECASE,
)
_REVERSED = (
    r"(?<!\w)[(\[]?\b({labels})\b[)\]]?\.?\s+(?:is|would\s+be|seems)\s+(?:the\s+)?(?:single\s+)?(?:most\s+)?"
    r"(?:(?:correct|right|best|likely|appropriate)\s+(?:answer|choice|option)\b"
    r"|(?:the\s+)?(?:correct|right|best)(?=[.,;!]|\s+(?:because|since|as)\b|\s*$))"
)
_OPENING = re.compile(rf"(?:[\s(\[{{${_QUOTES}]|[>#-]+(?=\s))*")  # no minus
_END = re.compile(rf"[\s.,;:!?)\]}}${_QUOTES}]*$")
_STOP = re.compile(rf"\s*(?:$|\(|[.,;:!?)\]}}${_QUOTES}/\u2013\u2014-]+(?!\w))")  # but 5.5, 5-10
_LABEL = re.compile(r"([A-Za-z]|[0-9]{1,2})(?!\w)")
_BESIDE = re.compile(r"\s*[(\[]\s*([A-Za-z]|[0-9]{1,2})\s*[)\]]")  # furosemide (B)
_SENTENCE = re.compile(r"\s*[.;]\s+[A-Z(]")  # The answer is B. The others …; but E. coli
_LEAD = re.compile(
    rf"[\s>#-]*(?:the\s+)?{_QUALITY}(?:answer|choice|option)?\s*[:=-]?(?=[\s(\[])", re.IGNORECASE
)
_FENCE = re.compile(r"\A\s*```[^\n]*\n(.*?)\n?```\s*\Z", re.DOTALL)


class Reading(NamedTuple):
    """The label of the option that an answer chooses, or None with the reason; `words` are the place."""

    label: str | None
    words: str


class _Options(NamedTuple):
    """An item's options: patterns of the texts, longest first, and labels where they are shown.

    A text has several labels where options are alike.
    """

    texts: tuple[tuple[frozenset[str], re.Pattern[str]], ...]
    labels: tuple[str, ...]


class _Claim(NamedTuple):
    """Options claimed at a place, and what follows them on the line; several are no choice."""

    labels: frozenset[str]
    rest: str


_NONE = _Claim(frozenset(), "")


class _Statement(NamedTuple):
    """A statement: where it starts, its claim and words, and whether its line begins with it."""

    start: int
    claim: _Claim
    words: str
    formal: bool


def read_choice(answer: str, choices: Mapping[str, str], *, lettered: bool) -> Reading:
    """Return the option that an answer chooses; letters count only where they are shown."""
    options = _options(tuple(choices.items()), lettered)
    named = _from_json(answer, options)
    if named is None:
        text = plain_text(answer)
        named = _from_statements(text, options) or _from_lines(text, options)
    if named is None:
        return Reading(None, "it states no option")
    claim, words = named
    shown = " ".join(words.split())[:80]
    if len(claim.labels) > 1:
        return Reading(None, f"it claims {' and '.join(sorted(claim.labels))}: '{shown}'")
    if not claim.labels:
        return Reading(None, f"it names none of the options: '{shown}'")
    return Reading(next(iter(claim.labels)), f"'{shown}'")


@lru_cache(maxsize=4096)
def _options(choices: tuple[tuple[str, str], ...], lettered: bool) -> _Options:
    labels_of: dict[str, set[str]] = {}
    for label, text in choices:
        labels_of.setdefault(option_key(text), set()).add(label)
    longest_first = sorted(labels_of, key=len, reverse=True)
    texts = tuple((frozenset(labels_of[key]), _pattern(key)) for key in longest_first)
    return _Options(texts, tuple(label for label, _ in choices) if lettered else ())


def _pattern(key: str) -> re.Pattern[str]:
    words = r"\s+".join(map(re.escape, key.split()))
    return re.compile(words + (r"(?!\w)" if key[-1:].isalnum() else ""), re.IGNORECASE)


# --- levels ----------------------------------------------------------------------------------


def _from_json(answer: str, options: _Options) -> tuple[_Claim, str] | None:
    fenced = _FENCE.match(answer)
    text = (fenced[1] if fenced else answer).strip()
    if not text.startswith("{"):
        return None
    try:
        value = parse_strict_json(text)
    except ValueError:
        return None
    assert isinstance(value, dict)
    stated = [v for k, v in value.items() if k.casefold().replace(" ", "_") in JSON_KEYS]
    if not stated:
        return None
    claims = [
        _whole(plain_text(str(part)), options) for part in stated if isinstance(part, str | int)
    ]
    if None in claims:
        return _NONE, text
    return _Claim(frozenset().union(*(claim.labels for claim in claims if claim)), ""), text


def _from_statements(text: str, options: _Options) -> tuple[_Claim, str] | None:
    """Return the last statement's claim; those of one line belong together.

    "Answer: B" at the start of a line counts before what sentences around it say of options.
    """
    every = sorted(_statements(text, options), key=lambda statement: statement.start)
    found = [statement for statement in every if statement.formal] or every
    if not found:
        return None
    last = found[-1]
    line = text.rfind("\n", 0, last.start)
    end = text.find("\n", last.start)
    same_line = (s for s in every if line < s.start and (end < 0 or s.start < end))
    labels = (statement.claim.labels for statement in same_line)
    return last.claim._replace(labels=frozenset().union(*labels)), last.words


def _statements(text: str, options: _Options) -> Iterator[_Statement]:
    for match in deque(_STATEMENT.finditer(text), maxlen=_LAST):
        rest = text[match.end() : match.end() + MAX_LINE].lstrip().partition("\n")[0]
        fillers = _FILLERS.match(rest)
        assert fillers is not None
        claim = _claim_at(rest, options, stated=True) or _claim_at(
            rest[fillers.end() :], options, stated=True
        )
        before = text[max(0, match.start() - MAX_LINE) : match.start()].rpartition("\n")[2]
        formal = match["mark"] == ":" and not before.strip(" #>-")
        if claim is not None or (formal and rest):
            # What stands behind "Answer:" at the start of a line is the choice, or there is none.
            yield _Statement(match.start(), claim or _NONE, f"{match[0]} {rest}", formal)
    if options.labels:
        pattern = _REVERSED.format(labels="|".join(map(re.escape, options.labels)))
        for match in deque(re.finditer(pattern, text, re.MULTILINE), maxlen=_LAST):
            claim = _Claim(frozenset({match[1]}), "")
            yield _Statement(match.start(), claim, match[0], formal=False)


def _from_lines(text: str, options: _Options) -> tuple[_Claim, str] | None:
    """Return the claim of the lines that are nothing but an option, and of the first line's opening."""
    lines = [line for line in text.splitlines() if line.strip()]
    claims = [(claim, line) for line in lines if (claim := _whole(line, options)) is not None]
    openings = [_claim_at(line[:MAX_LINE], options) for line in lines]
    first = openings[0] if openings else None
    begun = frozenset[str]().union(*(claim.labels for claim in openings if claim is not None))
    # Lines that begin with several options discuss them one by one.
    if first is not None and begun == first.labels and not _DENIAL.match(first.rest):
        claims.append((first, lines[0]))
    if not claims:
        return None
    labels = frozenset().union(*(claim.labels for claim, _ in claims))
    words = "; ".join(dict.fromkeys(line for _, line in claims[:_LAST]))
    return _Claim(labels, ""), words


# --- one claim -------------------------------------------------------------------------------


def _whole(line: str, options: _Options) -> _Claim | None:
    """Return the claim of a line that is nothing but an option, or a word such as "Option" and one."""
    if len(line) > MAX_LINE:
        return None
    lead = _LEAD.match(line)
    for start in (0, lead.end()) if lead else (0,):
        claim = _claim_at(line[start:], options)
        if claim is not None and _END.fullmatch(claim.rest):
            return claim
    return None


def _claim_at(line: str, options: _Options, *, stated: bool = False) -> _Claim | None:
    """Return the option or options that a line begins with; None if it begins with none.

    Where a statement leads up to it (`stated`), another sentence may follow a letter.
    """
    opening = _OPENING.match(line)
    assert opening is not None
    body = line[opening.end() :]
    bracketed = opening[0].rstrip(" \"'").endswith(("(", "["))
    claim = (
        _text_at(line.lstrip(), options)  # a text may begin with a sign: > 5 mg
        or _text_at(body, options)
        or _label_at(body, options, bracketed=bracketed, stated=stated)
    )
    if claim is None:
        return None
    other = _other(claim.rest, options)
    return claim if other is None else _Claim(claim.labels | other.labels, other.rest)


def _other(rest: str, options: _Options) -> _Claim | None:
    """Return the option that is named as well: `or B`, `, C`, `/ none`."""
    also = _ALSO.match(rest)
    if also is None:
        return None
    behind = _OPENING.sub("", rest[also.end() :], count=1)
    label = _LABEL.match(behind)
    text = _text_at(behind, options)
    if text is not None:
        return text
    if label is None or label[1] not in options.labels:
        return None
    return _Claim(frozenset({label[1]}), behind[label.end() :])


def _text_at(body: str, options: _Options) -> _Claim | None:
    """Return the option whose text stands there as a whole, and not as the start of a sentence."""
    for labels, pattern in options.texts:
        match = pattern.match(body)
        rest = body[match.end() :] if match else ""
        if match and _is_bounded(rest, options):
            beside = _BESIDE.match(rest)
            label = _shown_label(beside[1], options) if beside else ""
            if beside and label:
                own = {label} if label in labels else {label, *labels}
                return _Claim(frozenset(own), rest[beside.end() :])
            return _Claim(labels, rest)
    return None


def _is_bounded(rest: str, options: _Options) -> bool:
    """Return whether an option's text ends there: before punctuation, a reason or another option."""
    return bool(
        _STOP.match(rest)
        or _REASON.match(rest)
        or _DENIAL.match(rest)
        or _names_another(rest, options)
    )


def _names_another(rest: str, options: _Options) -> bool:
    """Return whether `or`, `/` and the like lead from one option to another."""
    also = _ALSO.match(rest)
    if also is None:
        return False
    behind = _OPENING.sub("", rest[also.end() :], count=1)
    label = _LABEL.match(behind)
    return bool(label and label[1] in options.labels) or any(
        pattern.match(behind) for _, pattern in options.texts
    )


def _label_at(body: str, options: _Options, *, bracketed: bool, stated: bool) -> _Claim | None:
    """Return the option whose letter stands there, where nothing but the letter can be meant."""
    match = _LABEL.match(body)
    label = _shown_label(match[1], options) if match else ""
    if not match or not label:
        return None
    rest = body[match.end() :]
    # Its own text may go on; the text of another option makes it no choice.
    behind = rest.lstrip(" .,:()[]-\u2013\u2014=\"'")
    for labels, pattern in options.texts:
        own = pattern.match(behind)
        if own and label in labels:
            return _Claim(frozenset({label}), behind[own.end() :])
    other = _text_at(behind, options)
    if other is not None:
        return other._replace(labels=other.labels | {label})
    closed = rest.lstrip(" ").startswith((")", "]"))
    alone = bool(_END.fullmatch(rest)) or (bracketed and closed)
    follows = closed or _REASON.match(rest) or _other(rest, options) is not None
    sentence = stated and _SENTENCE.match(rest)
    written = match[1] == label and (follows or sentence)  # not a small letter inside a sentence
    return _Claim(frozenset({label}), rest) if alone or written else None


def _shown_label(label_text: str, options: _Options) -> str:
    """Return the label as it is shown, whatever its case; empty if there is no such label."""
    return next(
        (label for label in options.labels if label.casefold() == label_text.casefold()), ""
    )
