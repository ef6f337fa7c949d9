"""The result of a smoke test, as text, as a record and as JUnit XML."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from azureml_tasks.context.own_outputs import JUNIT_HEAD
from azureml_tasks.notice import Notice  # noqa: TC001 -- `typed_json` reads the types of fields
from azureml_tasks.sizes import duration_text, memory_text
from azureml_tasks.typed_json import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

_LAST_LINES = 40  # of the container's log
_TRACEBACK_LINES = 200
_LONGEST_LINE = 2000  # characters
_ONLY_START_UP = "only start-up was proven (no request)"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of the smoke test.

    Args:
        name: for a request, the name of its file.
        outcome: "not run" if an earlier check failed.
        details: of a failed check, and what a passed one has shown beyond that, one line each.
        seconds: how long it took.
    """

    name: str
    outcome: Literal["passed", "failed", "not run"]
    details: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The response times of a request, in seconds.

    Args:
        name: of the request.
        status: of HTTP.
        p50: that half of the times do not exceed.
        p95: the same for 95 of 100.
        repeats: how many times there are.
        same: whether all answers were the same.
        times: each of them, in the order in which the request was sent.
    """

    name: str
    status: int
    p50: float
    p95: float
    repeats: int
    same: bool = True
    times: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Why the server was not ready.

    Args:
        seconds: since the first try, when that was first seen.
        reason: in a few words.
    """

    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of a smoke test.

    Args:
        image: reference.
        image_id: `sha256:…`; "" if a remote build did not push the image.
        place: where the requests were sent from, such as "through 127.0.0.1:49153".
        look_inside: the command that opens a shell in the image.
        checks: in the order in which they run, the malformed body last.
        latencies: one for each request that passed.
        started: seconds until GET / answered 200; None if it never did.
        waits: why the server was not ready before, in order; at most the first 50.
        stopped: seconds that the container took to stop; None if it was not stopped.
        peak_memory: bytes; None if it was not measured.
        warnings: one line each; a pass can have some too.
        log: the container's log; of a long one the beginning and the end.
        log_lines: how many lines the whole log has; 0 if all of them are in `log`.
        traceback: from the log, the one that explains a failure.
        log_says_why: whether the log may explain a failure; False if a wrong answer explains it.
        log_file: the file that has the log, as messages call it; "" for none.
        exit_code: the container's; None while it runs.
        proven: by what: the answers to requests, a mini-batch, or start-up alone.
    """

    image: str
    image_id: str
    place: str
    look_inside: str
    checks: tuple[Check, ...]
    latencies: tuple[Latency, ...] = ()
    started: float | None = None
    waits: tuple[Wait, ...] = ()
    stopped: float | None = None
    peak_memory: int | None = None
    warnings: tuple[Notice, ...] = field(default=(), metadata=HIDDEN)  # `--json` has them beside the others
    log: str = field(default="", metadata=HIDDEN)  # `image.logs` prints it
    log_lines: int = field(default=0, metadata=HIDDEN)
    traceback: str = ""
    log_says_why: bool = field(default=True, metadata=HIDDEN)
    log_file: str = ""
    exit_code: int | None = None
    proven: Literal["requests", "mini-batch", "start-up"] = "requests"

    @property
    def passed(self) -> bool:
        """Whether every check ran and passed."""
        return all(check.outcome == "passed" for check in self.checks)


def report_record(report: Report) -> dict[str, Any]:
    """Return the report as a JSON object, without the log; times in seconds, memory in bytes."""
    record = asdict(report)
    record["warnings"] = [str(warning) for warning in report.warnings]
    for name in ("log", "log_file", "log_lines", "log_says_why", "traceback", "look_inside"):
        del record[name]
    return {"passed": report.passed, **record}


def report_text(report: Report) -> str:
    """Return the report for people: a few lines for a pass, and for a failure everything that can explain it."""
    return "\n".join(_passed(report) if report.passed else _failed(report))


def failure_text(report: Report) -> str:
    """Return which checks of a smoke test failed, and why, without figures and logs."""
    failed = (check for check in report.checks if check.outcome == "failed")
    details = (line for check in failed for line in (f"Failed: {check.name}", *_indented(check.details)))
    return "\n".join([f"{report.image} failed its smoke test ({_where(report)}).", *details])


def _where(report: Report) -> str:
    """Return the image's ID, if it has one, and where the requests were sent from."""
    return ", ".join(part for part in (report.image_id[:19], report.place) if part)


def _passed(report: Report) -> Iterator[str]:
    verdict = f"{report.image} passed its smoke test ({_where(report)})"
    yield f"{verdict}: {_ONLY_START_UP}." if report.proven == "start-up" else f"{verdict}."
    yield from _indented(_figures(report))
    yield from (f"Warning: {warning}" for warning in report.warnings)


def _figures(report: Report) -> Iterator[str]:
    if report.started is not None:
        yield f"ready after {duration_text(report.started)}"
    for check in report.checks:
        if check.outcome == "passed":
            yield from (f"{check.name}: {detail}" for detail in check.details)
    for latency in report.latencies:
        times = f"p50 {duration_text(latency.p50)}, p95 {duration_text(latency.p95)} of {latency.repeats}"
        varied = "" if latency.same else ", not always the same answer"
        yield f"{latency.name}: {latency.status} in {times}{varied}"
    if report.peak_memory is not None:
        yield f"peak memory {memory_text(report.peak_memory)}"


def _failed(report: Report) -> Iterator[str]:
    """Yield the lines for a failure, of which the last ones say why."""
    yield f"{report.image} failed its smoke test ({_where(report)})."
    yield from _indented(_figures(report))
    yield from (f"Warning: {warning}" for warning in report.warnings)
    if not_run := [check.name for check in report.checks if check.outcome == "not run"]:
        yield f"Not run: {', '.join(not_run)}"
    yield f"Look inside: {report.look_inside}"
    yield from [f"The container's log is in {report.log_file}"] if report.log_file else []
    for check in report.checks:
        if check.outcome == "failed":
            yield from ("", f"Failed: {check.name}", *_indented(check.details))
    yield from _log(report)


def _log(report: Report) -> Iterator[str]:
    """Yield what the container's log says about the failure; nothing if a wrong answer explains it."""
    if report.traceback:
        yield from ("", "In the container's log:", *_indented(_shown(report.traceback, _TRACEBACK_LINES)))
    elif report.log_says_why and (lines := _shown(report.log, _LAST_LINES)):
        title = "The container's log"
        count = report.log_lines or report.log.rstrip("\n").count("\n") + 1
        if count > _LAST_LINES:
            title = f"The last {_LAST_LINES} of the {count} lines of the container's log"
        yield from ("", f"{title}:", *_indented(lines))


def _shown(text: str, most: int) -> list[str]:
    """Return the last lines of *text*, each cut at a length at which it can still be read."""
    lines = text.rstrip("\n").split("\n") if text.strip("\n") else []
    return [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in lines[-most:]]


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}".rstrip() for line in lines)


# The characters that XML 1.0 cannot hold: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: Report) -> str:
    r"""Return one test suite with one test case for each check, and the container's log.

    Characters that XML cannot hold, such as a terminal's colour codes, are escaped as in a Python string: ``\x1b``.
    """
    return _xml(_suite(report))


def junit_xml_of_images(reports: Iterable[Report]) -> str:
    """Return one document with the test suite of each image, see `junit_xml`."""
    from xml.etree.ElementTree import Element  # takes a while to import, as below

    suites = Element("testsuites")
    suites.extend(map(_suite, reports))
    return _xml(suites)


def _xml(element: Element) -> str:
    from xml.etree.ElementTree import tostring

    return f"{JUNIT_HEAD}\n{tostring(element, encoding='unicode')}\n"


def _suite(report: Report) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    outcomes = [check.outcome for check in report.checks]
    suite = Element("testsuite", name=_clean(report.image), tests=str(len(outcomes)), errors="0")
    suite.set("failures", str(outcomes.count("failed")))
    suite.set("skipped", str(outcomes.count("not run")))
    suite.set("time", f"{sum(check.seconds for check in report.checks):.3f}")
    properties = SubElement(suite, "properties")
    for name, value in (
        ("image id", report.image_id),
        ("place", report.place),
        ("proven", report.proven),
    ):
        SubElement(properties, "property", name=name, value=_clean(value))
    for check in report.checks:
        _case(suite, report, check)
    SubElement(suite, "system-out").text = _clean(report.log)
    SubElement(suite, "system-err").text = _clean("\n".join(map(str, report.warnings)))
    return suite


def _case(suite: Element, report: Report, check: Check) -> None:
    from xml.etree.ElementTree import SubElement

    case = SubElement(suite, "testcase", classname=_clean(report.image), name=_clean(check.name))
    case.set("time", f"{check.seconds:.3f}")
    if check.outcome == "failed":
        failure = SubElement(case, "failure", message=_clean("".join(check.details[:1])))
        traceback = ["", *_shown(report.traceback, _TRACEBACK_LINES)] if report.traceback else []
        failure.text = _clean("\n".join([*check.details, *traceback]))
    elif check.outcome == "not run":
        SubElement(case, "skipped", message="an earlier check failed")


def _clean(text: str) -> str:
    return _NOT_XML.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
