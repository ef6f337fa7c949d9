"""A smoke test in the cloud: the files that a run needs for it, and the results in the run's log."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.task_file import RESERVED, SERVER, WORKSPACE
from azureml_tasks.smoke.batch import batch_command, batch_files
from azureml_tasks.smoke.container_protocol import FIND_PYTHON, end_of
from azureml_tasks.smoke.event_form import valid_events
from azureml_tasks.smoke.event_lines import CLOSING, event_marker
from azureml_tasks.smoke.events import make_report, probe_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan
    from azureml_tasks.smoke.report import Report

    Event = dict[str, Any]

OPEN_SHELL = "invoke image.build --engine docker (a candidate image that fails is deleted)"
_MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are kept: it comes back through the run's log."""
_SCRIPT = (
    f'exec "{FIND_PYTHON}" -I {WORKSPACE}/{RESERVED}/probe_in_acr.py {WORKSPACE}/{RESERVED}/probe.json\n'
)


def smoke_test_files(smoke_test: SmokeTestPlan) -> tuple[ContextFile, ...]:
    """Return the folder of the build context with the scripts of the smoke test and their input."""
    contents = _batch_contents(smoke_test) if smoke_test.mini_batch else _probe_contents(smoke_test)
    folders = dict.fromkeys(
        f"{RESERVED}/{parent}/" for name in contents for parent in reversed(PurePosixPath(name).parents[:-1])
    )
    return (
        ContextFile(name=f"{RESERVED}/"),
        *(ContextFile(name=folder) for folder in folders),
        *(
            ContextFile(name=f"{RESERVED}/{name}", data=content, size=len(content))
            for name, content in contents.items()
        ),
    )


def _batch_contents(smoke_test: SmokeTestPlan) -> dict[str, bytes]:
    command = batch_command(smoke_test, f"{WORKSPACE}/{RESERVED}")
    return {**batch_files(smoke_test), "probe.sh": f"{command}\n".encode()}


def _probe_contents(smoke_test: SmokeTestPlan) -> dict[str, bytes]:
    scripts = resources.files("azureml_tasks").joinpath("in_image")
    config = {
        **probe_config(smoke_test, f"http://{SERVER}:{smoke_test.port}"),
        "container": SERVER,
        "marker": event_marker(smoke_test),
        "limit": _MAX_ANSWER,
        **({"stand_in": True} if smoke_test.default_script else {}),
    }
    contents = {
        "probe_in_acr.py": scripts.joinpath("probe_in_acr.py").read_bytes(),
        "probe.json": json.dumps(config, sort_keys=True).encode(),
        "probe.py": scripts.joinpath("probe.py").read_bytes(),
        "probe.sh": _SCRIPT.encode(),
    }
    if smoke_test.default_script:
        contents["default_score.py"] = scripts.joinpath("default_score.py").read_bytes()
    return contents


def report_from_events(plan: Plan, image: BuiltImage, events: Sequence[Event]) -> Report:
    """Return the report of a smoke test in the cloud."""
    events = valid_events(events)
    container = next((event for event in events if event["event"] == CLOSING), {})
    end = end_of(container)
    probe_events = [event for event in events if event["event"] != CLOSING]
    place = f"in the cloud, by run {image.run}" if image.run else "in the cloud"
    return make_report(plan, image, probe_events, end, place=place, look_inside=OPEN_SHELL)
