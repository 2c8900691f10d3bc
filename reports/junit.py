"""junit.xml: the verdict for a CI server, one test case for the gate and one for each claim.

Whatever is not a pass is a failure, an inconclusive claim too: a build must not turn green on
it. Skipped is what the verdict does not hang on: claims besides the one that is enough, claims
that are not tested, silent alarms of a gate that passes.

    <testcase classname="medical_rubric" name="rubric.safety superior"><failure type="fail" …/>
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from harness.types import Check, RunResult
from reports.components import ClaimLine, View
from reports.view import make_view

_XML_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(result: RunResult) -> bytes:
    """The content of junit.xml."""
    view, plan = make_view(result), result.plan
    suite = Element("testsuite", {"name": _legal(plan.suite), "time": f"{result.seconds:.3f}"})
    facts = SubElement(suite, "properties")
    for name, value in (("verdict", view.verdict.word), ("compared", "; ".join(view.summary)),
                        ("plan", plan.hash), ("run", result.run_id)):  # fmt: skip
        SubElement(facts, "property", {"name": name, "value": _legal(value)})
    _gate_case(suite, view)
    for claim in view.claims:
        _claim_case(suite, claim, excused=view.verdict.value == "pass")
    return _finished(suite)


def render_check_junit(check: Check) -> bytes:
    """A regression check as JUnit: one test case for each column that is held."""
    suite = Element("testsuite", {"name": "regression check"})
    facts = SubElement(suite, "properties")
    for name, value in (("verdict", check.decision.verdict), ("model", check.model),
                        ("baseline", check.baseline)):  # fmt: skip
        SubElement(facts, "property", {"name": name, "value": _legal(value)})
    for claim in check.decision.claims:
        case = _case(suite, claim.claim)
        if claim.verdict != "pass":
            _fail(case, claim.verdict, claim.why, f"estimate {claim.estimate:+.3f}, n {claim.n:,}")
    if check.decision.verdict != "pass" and suite.find("testcase/failure") is None:
        _fail(_case(suite, "check"), check.decision.verdict, check.decision.sentence, "")
    return _finished(suite)


def render_unchecked_junit(problem: str) -> bytes:
    """A regression check that could not be made: an error, so that no build turns green on it."""
    suite = Element("testsuite", {"name": "regression check"})
    SubElement(_case(suite, "check"), "error", {"type": "not made", "message": _legal(problem)})
    return _finished(suite)


def _finished(suite: Element) -> bytes:
    """The file, with what its cases come to."""
    suite.set("tests", str(len(suite.findall("testcase"))))
    for counted, cases in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
        suite.set(counted, str(len(suite.findall(f"testcase/{cases}"))))
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _gate_case(suite: Element, view: View) -> None:
    case = _case(suite, "gate")
    match view.verdict.value:
        case "none":
            SubElement(case, "skipped", {"message": _legal(view.sentence)})
        case "fail" | "inconclusive" as verdict:
            _fail(case, verdict, view.sentence, "\n".join(view.caveats))


def _claim_case(suite: Element, claim: ClaimLine, *, excused: bool) -> None:
    case = _case(suite, claim.claim)
    if claim.verdict.value == "pass":
        return
    if excused or claim.verdict.value == "not_tested":
        why = f"the gate passes without it: {claim.why}" if excused else claim.why
        SubElement(case, "skipped", {"message": _legal(why)})
    else:
        _fail(case, claim.verdict.value, claim.why, "\n".join(claim.numbers))


def _case(suite: Element, name: str) -> Element:
    return SubElement(suite, "testcase", {"classname": suite.get("name", ""), "name": _legal(name)})


def _fail(case: Element, verdict: str, why: str, detail: str) -> None:
    failure = SubElement(case, "failure", {"type": verdict, "message": _legal(why)})
    failure.text = _legal(detail)


def _legal(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold, even escaped."""
    return _XML_ILLEGAL.sub("", text)
