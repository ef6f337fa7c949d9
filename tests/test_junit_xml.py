"""A report as JUnit XML, read back by a parser."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.notice import Notice
from azureml_tasks.smoke.report import Check, Report, junit_xml

REPORT = Report(
    image="train:1.4.0",
    image_id="sha256:5f1c2d3e",
    place="through 127.0.0.1:49153",
    look_inside="docker run -it train:1.4.0",
    checks=(
        Check(name="start-up", outcome="passed", seconds=1.0668),
        Check(
            name='<"a&b">.json',
            outcome="failed",
            details=("$.a: expected 1, got 2", "answer: <b>"),
            seconds=0.0125,
        ),
        Check(name="malformed body", outcome="not run"),
    ),
    warnings=(Notice("root-user", "it runs as root"), Notice("slow-stop", "it stops slowly")),
    log="one\n\x1b[31mred\x1b[0m \x00 \ufffe \udc80 é 模 😀\n",
    traceback="Traceback (most recent call last):\nKeyError: 'age'",
)


def test_a_report() -> None:
    """Each check is a test case; a failure has its details, and the suite the log."""
    expected = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- smoke test by azureml-tasks -->
<testsuite name="train:1.4.0" tests="3" errors="0" failures="1" skipped="1" time="1.079">\
<properties><property name="image id" value="sha256:5f1c2d3e" />\
<property name="place" value="through 127.0.0.1:49153" />\
<property name="proven" value="requests" /></properties>\
<testcase classname="train:1.4.0" name="start-up" time="1.067" />\
<testcase classname="train:1.4.0" name="&lt;&quot;a&amp;b&quot;&gt;.json" time="0.013">\
<failure message="$.a: expected 1, got 2">$.a: expected 1, got 2
answer: &lt;b&gt;

Traceback (most recent call last):
KeyError: 'age'</failure></testcase>\
<testcase classname="train:1.4.0" name="malformed body" time="0.000">\
<skipped message="an earlier check failed" /></testcase>\
<system-out>one
\\x1b[31mred\\x1b[0m \\x00 \\ufffe \\udc80 é 模 😀
</system-out><system-err>it runs as root
it stops slowly</system-err></testsuite>
"""
    assert expected == junit_xml(REPORT)


@given(st.text(st.characters()))
def test_any_log_makes_valid_xml(log: str) -> None:
    """A parser reads the file and finds the log in it, for any log."""
    read = ET.fromstring(junit_xml(replace(REPORT, log=log)).encode())

    spelled = re.sub(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]",
        lambda match: match[0].encode("unicode_escape").decode(),
        log,
    )
    assert re.sub("\r\n?", "\n", spelled) == (read.findtext("system-out") or "")
