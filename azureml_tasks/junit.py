"""A smoke test's report as JUnit XML, which CI servers show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from azureml_tasks.report import Check, Report

__all__ = ["xml"]

# What XML 1.0 cannot hold in any form: https://www.w3.org/TR/xml/#charsets
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(report: Report) -> str:
    r"""One test suite with one test case for each check, and the container's log.

    Characters that XML cannot hold, such as those that colour a terminal, are spelled as in a
    Python string: ``\x1b``.
    """
    outcomes = [check.outcome for check in report.checks]
    suite = Element("testsuite", name=_clean(report.image), tests=str(len(outcomes)), errors="0")
    suite.set("failures", str(outcomes.count("failed")))
    suite.set("skipped", str(outcomes.count("not made")))
    suite.set("time", f"{sum(check.seconds for check in report.checks):.3f}")
    properties = SubElement(suite, "properties")
    for name, value in (("image id", report.image_id), ("asked", report.place)):
        SubElement(properties, "property", name=name, value=_clean(value))
    for check in report.checks:
        _case(suite, report, check)
    SubElement(suite, "system-out").text = _clean(report.log)
    SubElement(suite, "system-err").text = _clean("\n".join(report.warnings))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suite, encoding="unicode") + "\n"


def _case(suite: Element, report: Report, check: Check) -> None:
    case = SubElement(suite, "testcase", classname=_clean(report.image), name=_clean(check.name))
    case.set("time", f"{check.seconds:.3f}")
    if check.outcome == "failed":
        failure = SubElement(case, "failure", message=_clean("".join(check.details[:1])))
        traceback = ["", *report.traceback.splitlines()] if report.traceback else []
        failure.text = _clean("\n".join([*check.details, *traceback]))
    elif check.outcome == "not made":
        SubElement(case, "skipped", message="an earlier check failed")


def _clean(text: str) -> str:
    return _IMPOSSIBLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
