"""Texts that a model, a judge or a data file could hold, and a result that holds one everywhere."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.config import Criterion, Gate, Spec
from harness.types import RunResult
from tests.builders.doubts import doubted
from tests.builders.results import jury_run
from tests.builders.sealed import sealed

HTML_PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</svg><script>alert(1)</script>",
    "</desc><script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    '<img src="https://evil.example/beacon.png">',
    "<img/src=`x`onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=data:text/html,<script>alert(1)</script>></object>",
    "<embed src=//evil.example/x.swf>",
    "<base href=//evil.example/>",
    "<form action=https://evil.example><input autofocus onfocus=alert(1)></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<style>*{background:url(https://evil.example)}</style>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='https://evil.example'>x</a>",
    "<div style=background:url(https://evil.example)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<<script>script>alert(1)<</script>/script>",
    "<script\x00>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    '" autofocus onfocus=alert(1) x="',
    "` onmouseover=`alert(1)",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "{{ 7*7 }}",
    "{% include '/etc/passwd' %}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "${7*7}",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "\ufeff<script>alert(1)</script>",
)
MARKDOWN_PAYLOADS = (
    "![beacon](https://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "[ref]\n\n[ref]: https://evil.example",
    "https://evil.example/?leak=1",
    "www.evil.example",
    "mailto:someone@evil.example",
    "@octocat #1",
    "```\n</details>\n# heading\n```",
    "~~~~\n``````\n# heading",
    "| a | b |\n| - | - |",
    "\n# heading\n- list\n> quote",
    "trailing backslash \\",
    "<!-- comment -->",
)
TERMINAL_PAYLOADS = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b31m",
    "[bold red]x[/bold red]",
    "[link=https://evil.example]x[/link]",
    "[/]",
    "\r\x08\x08overwritten",
    "::error::workflow command",
)
UNICODE_PAYLOADS = (
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "zero\u200bwidth\u200d\u2060",
    "NUL \x00 in the middle",
    "lone \ud800 surrogate",
    "\ufffe\uffff",
    "e\u0301 combining, 👩‍⚕️ emoji",
    "line\u2028separator\u2029",
    "CR\r\nLF",
    "\U000e0041\U000e0042 tags",
)
PAYLOADS = (*HTML_PAYLOADS, *MARKDOWN_PAYLOADS, *TERMINAL_PAYLOADS, *UNICODE_PAYLOADS)

# Fields that are names or literals by type, and mappings whose keys are.
_FIXED = {
    *("metric", "column", "flags", "kind", "verdict", "variants", "finish", "without", "pairs"),
    *("counting", "scale", "at_worst", "flips"),
}
_FIXED_KEYS = {"metrics", "judges", "histogram", "counts"}

RecordT = TypeVar("RecordT", bound=BaseModel)


def hostile_run(payload: str) -> RunResult:
    """A jury's run with the payload behind every text that is not a validated name."""
    return _with_payload(clean_run(), payload)


def clean_run() -> RunResult:
    """The same run without a payload."""
    return doubted(jury_run())


def _with_payload(record: RecordT, payload: str) -> RecordT:
    fixed = {"judge", "thoughts"} if isinstance(record, Spec) else set()  # any text elsewhere
    return record.model_copy(
        update={
            name: _poisoned(value, payload, name) for name, value in record if name not in fixed
        }
    )


def _poisoned(value: object, payload: str, field: str) -> object:
    match value:
        case str():
            return value + payload if value and field not in _FIXED else value
        case Gate():
            return value
        case Criterion():
            return value.model_copy(update={"asks": value.asks + payload})
        case BaseModel():
            return _with_payload(value, payload)
        case tuple():
            return tuple(_poisoned(part, payload, field) for part in value)
        case dict():
            inner = "kind" if field == "flags" else "value"  # an example's flags are literals
            return {
                _key(key, payload, field): _poisoned(part, payload, inner)
                for key, part in value.items()
            }
        case _:
            return value


def _key(key: object, payload: str, field: str) -> object:
    return key if field in _FIXED_KEYS or not isinstance(key, str) else key + payload


def readable_hostile_run(payload: str) -> RunResult:
    """The hostile run as its file is read: literals, which no file can hold otherwise, are clean."""
    clean = clean_run().model_dump(mode="json")
    data = hostile_run(payload).model_dump(mode="json")
    while True:
        try:
            result = RunResult.model_validate(data, strict=False)
        except ValidationError as error:
            for problem in error.errors():
                _restore(data, clean, problem["loc"])
            continue
        # What no reader refuses: a judge for every metric, and no rules that the gate does not have.
        plan, decision = result.plan, result.decision
        assert decision
        (card, *_) = plan.judges.values()
        judges = {name: card for task in plan.tasks for name in task.metrics}
        update = {
            "plan": plan.model_copy(update={"judges": judges}),
            "decision": decision.model_copy(update={"critical": ()}),
        }
        return sealed(result.model_copy(update=update))


def _restore(data: Any, clean: Any, place: tuple[int | str, ...]) -> None:
    """Give the value at a place, or the nearest above it that both have, its clean value."""
    first, *rest = place
    inner = data[first] if isinstance(data, list) or first in data else None
    known = clean[first] if isinstance(clean, list) or first in clean else None
    if rest and isinstance(inner, dict | list) and _has(inner, rest[0]) and _has(known, rest[0]):
        _restore(inner, known, tuple(rest))
    else:
        data[first] = known


def _has(value: Any, key: int | str) -> bool:
    return key < len(value) if isinstance(value, list) else isinstance(value, dict) and key in value
