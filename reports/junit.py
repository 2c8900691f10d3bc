"""junit.xml: the verdict for a CI server, one test case for the gate and one for each claim.

Every outcome other than a pass is a failure, also an inconclusive claim: a build must not turn
green on it. Cases that do not affect the verdict are skipped: further claims where one is enough,
claims that are not tested, and alarms that are not raised while the gate passes.

    <testcase classname="medical_rubric" name="rubric.safety superior"><failure type="fail" …/>
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from harness.types import Check, RunResult
from harness.types.release import ReleaseResult
from reports.components import ClaimLine, View
from reports.view import make_view

_XML_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(result: RunResult) -> bytes:
    """Return the content of junit.xml."""
    view, plan = make_view(result), result.plan
    suite = Element("testsuite", {"name": _legal(plan.suite), "time": f"{result.seconds:.3f}"})
    facts = SubElement(suite, "properties")
    for name, value in (("verdict", view.verdict.word), ("compared", "; ".join(view.summary)),
                        ("plan", plan.hash), ("run", result.run_id)):  # fmt: skip
        SubElement(facts, "property", {"name": name, "value": _legal(value)})
    _gate_case(suite, view)
    for claim in view.claims:
        _claim_case(suite, claim, gate_passes=view.verdict.value == "pass")
    return _serialise(suite)


def render_check_junit(*checks: Check) -> bytes:
    """Return regression checks as JUnit XML, one test case for each checked column."""
    if len(checks) == 1:
        return _serialise(_check_suite(checks[0]))
    suites = Element("testsuites")
    for check in checks:
        suite = _check_suite(check)
        _count_cases(suite)
        suites.append(suite)
    return _write(suites)


def _check_suite(check: Check) -> Element:
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
    return suite


def render_release_junit(result: ReleaseResult) -> bytes:
    """Return a release as JUnit XML, one test case for the verdict and one for each suite."""
    suite = Element("testsuite", {"name": _legal(result.release)})
    facts = SubElement(suite, "properties")
    for name, value in (("verdict", result.verdict), ("models", ", ".join(result.models))):
        SubElement(facts, "property", {"name": name, "value": _legal(value)})
    case = _case(suite, "release")
    if result.verdict != "pass":
        _fail(case, result.verdict, result.sentence, "")
    for line in result.lines:
        case = _case(suite, f"{line.name} ({line.role})")
        if line.problem:
            SubElement(case, "error", {"type": "no result", "message": _legal(line.problem)})
        elif line.role == "shown" and line.verdict != "pass":
            SubElement(case, "skipped", {"message": _legal(f"only shown: {line.sentence}")})
        elif line.verdict and line.verdict != "pass":
            _fail(case, line.verdict, line.sentence, line.folder)
    return _serialise(suite)


def render_failed_check_junit(problem: str) -> bytes:
    """Return JUnit XML for a check that could not run: an error, so that no build turns green."""
    suite = Element("testsuite", {"name": "regression check"})
    SubElement(_case(suite, "check"), "error", {"type": "not made", "message": _legal(problem)})
    return _serialise(suite)


def _serialise(suite: Element) -> bytes:
    """Return the XML file, with the counts of its test cases."""
    _count_cases(suite)
    return _write(suite)


def _count_cases(suite: Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for attribute, tag in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))


def _write(suite: Element) -> bytes:
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


def _claim_case(suite: Element, claim: ClaimLine, *, gate_passes: bool) -> None:
    case = _case(suite, claim.claim)
    if claim.verdict.value == "pass":
        return
    if gate_passes or claim.verdict.value == "not_tested":
        why = f"the gate passes without it: {claim.why}" if gate_passes else claim.why
        SubElement(case, "skipped", {"message": _legal(why)})
    else:
        _fail(case, claim.verdict.value, claim.why, "\n".join(claim.numbers))


def _case(suite: Element, name: str) -> Element:
    return SubElement(suite, "testcase", {"classname": suite.get("name", ""), "name": _legal(name)})


def _fail(case: Element, verdict: str, why: str, detail: str) -> None:
    failure = SubElement(case, "failure", {"type": verdict, "message": _legal(why)})
    failure.text = _legal(detail)


def _legal(text: str) -> str:
    """Return the text without the characters that XML 1.0 cannot hold, even escaped."""
    return _XML_ILLEGAL.sub("", text)
