"""The smoke test of a batch deployment's script: what runs in the image, and the report on it.

The script is called in the image as Azure ML calls it, see `in_image/batch_driver.py`. No server is asked.
"""

from __future__ import annotations

import shlex
from importlib import resources
from typing import TYPE_CHECKING, Any

from azureml_tasks.notice import Notice
from azureml_tasks.smoke.container_protocol import FIND_PYTHON
from azureml_tasks.smoke.event_lines import event_marker
from azureml_tasks.smoke.report import Check, Report
from azureml_tasks.smoke.tracebacks import root_traceback, user_traceback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.smoke.container_protocol import ContainerEnd

    Event = Mapping[str, Any]

_DRIVER = "batch_driver.py"
_SCRIPTS = (_DRIVER, "probe_in_acr.py")
_DATA = "data"
_CORE = "a batch deployment also needs azureml-core in the image: "
"""https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-batch-endpoints, "No module named azureml"."""


def batch_files(smoke_test: SmokeTestPlan) -> dict[str, bytes]:
    """Return what has to be in one folder of the container: name, which may have folders → content."""
    scripts = resources.files("azureml_tasks").joinpath("in_image")
    return {
        **{name: scripts.joinpath(name).read_bytes() for name in _SCRIPTS},
        **{f"{_DATA}/{file.name}": file.content for file in smoke_test.mini_batch},
    }


def batch_mounts(smoke_test: SmokeTestPlan, folder: str) -> dict[str, str]:
    """Return where each of `batch_files` is on this machine: path in the container → path here."""
    scripts = resources.files("azureml_tasks").joinpath("in_image")
    return {
        **{f"{folder}/{name}": str(scripts.joinpath(name)) for name in _SCRIPTS},
        **{f"{folder}/{_DATA}/{file.name}": file.source for file in smoke_test.mini_batch},
    }


def batch_command(smoke_test: SmokeTestPlan, folder: str) -> str:
    """Return the shell command that calls the script, with `batch_files` in *folder* of the container."""
    paths = [f"{folder}/{_DATA}/{file.name}" for file in smoke_test.mini_batch]
    times = [f"{seconds:g}" for seconds in (smoke_test.start_timeout, smoke_test.mini_batch_timeout)]
    words = ["-I", f"{folder}/{_DRIVER}", event_marker(smoke_test), *times, *paths]
    return f'exec "{FIND_PYTHON}" {shlex.join(words)}'


def batch_report(
    plan: Plan, image: BuiltImage, events: Iterable[Event], end: ContainerEnd, *, place: str, look_inside: str
) -> Report:
    """Report on the driver's events; the arguments are those of `smoke.events.make_report`."""
    by_name = {event["event"]: event for event in events}
    checks = (_init_check(by_name, end), _run_check(plan.smoke_test, by_name))
    passed = all(check.outcome == "passed" for check in checks)
    log = end.log.text
    return Report(
        image=image.names[0],
        image_id=image.id,
        place=place,
        look_inside=look_inside,
        checks=checks,
        peak_memory=end.peak_memory,
        warnings=tuple(_warnings(plan, image, end)),
        log=log,
        log_lines=end.log.lines,
        traceback="" if passed else user_traceback(log) or root_traceback(log),
        exit_code=end.exit_code,
        proven=plan.smoke_test.proves,
    )


def _init_check(events: Mapping[str, Event], end: ContainerEnd) -> Check:
    event = events.get("batch-init")
    if event is None:
        code = "" if end.exit_code is None else f" with code {end.exit_code}"
        why = f"the container ended{code} before the script was called: the image needs a Python"
        return Check(name="init()", outcome="failed", details=(why,))
    if event["error"]:
        return Check(name="init()", outcome="failed", details=(event["error"],), seconds=event["seconds"])
    details = (f"in {event['seconds']:.1f} s, with the import of the script",)
    return Check(name="init()", outcome="passed", details=details, seconds=event["seconds"])


def _run_check(smoke_test: SmokeTestPlan, events: Mapping[str, Event]) -> Check:
    count = len(smoke_test.mini_batch)
    name = f"run() with {count} file{'s' if count > 1 else ''}"
    event = events.get("batch-run")
    if event is None:
        return Check(name=name, outcome="not run")
    if event["error"]:
        return Check(name=name, outcome="failed", details=(event["error"],), seconds=event["seconds"])
    items = event.get("items", 0)
    details = (
        f"a {event.get('kind', '')} of {items} item{'s' if items != 1 else ''} in {event['seconds']:.1f} s",
    )
    return Check(name=name, outcome="passed", details=details, seconds=event["seconds"])


def _warnings(plan: Plan, image: BuiltImage, end: ContainerEnd) -> Iterator[Notice]:
    if end.has_core is False:
        own = plan.own_dockerfile
        what = _CORE + (f"let {own.name} install it" if own else 'pip = ["azureml-core"]')
        yield Notice("no-azureml-core", what)
    if image.user in {"", "0", "root"}:
        yield Notice("root-user", "the image runs as root")
    if end.out_of_memory:
        limit = plan.smoke_test.memory or "no limit set"
        what = f"the kernel killed a process in the container because memory ran out ({limit})"
        yield Notice("out-of-memory", what)
