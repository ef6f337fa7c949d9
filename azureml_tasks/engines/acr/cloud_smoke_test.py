"""The smoke test in the cloud: what travels for it, and what comes back in the log of its run."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.task_file import RESERVED, SERVER
from azureml_tasks.smoke.events import probe_config

if TYPE_CHECKING:
    from azureml_tasks.project.model import SmokeTestPlan

__all__ = ["Collector", "files", "marker"]

_LIMIT = 1024 * 1024
"""Bytes of an answer that are kept: what comes back does so through a log."""
_WORKSPACE = "/workspace"
_PROBE = (
    'exec "${AZUREML_CONDA_ENVIRONMENT_PATH:-/usr}/bin/python" -I '
    f"{_WORKSPACE}/{RESERVED}/probe_in_acr.py {_WORKSPACE}/{RESERVED}/probe.json\n"
)


def marker(smoke_test: SmokeTestPlan) -> str:
    """What each line of the smoke test begins with: a report counts for one smoke test alone."""
    return f"azureml-image-smoke-test-{smoke_test.sha256[:16]}"


def files(smoke_test: SmokeTestPlan) -> tuple[ContextFile, ...]:
    """The folder of the context for the smoke test: the scripts, and what they ask."""
    scripts = resources.files("azureml_tasks").joinpath("in_image")
    config = {
        **probe_config(smoke_test, f"http://{SERVER}:5001"),
        "container": SERVER,
        "marker": marker(smoke_test),
        "limit": _LIMIT,
    }
    texts = {
        "probe_in_acr.py": scripts.joinpath("probe_in_acr.py").read_bytes(),
        "probe.json": json.dumps(config, sort_keys=True).encode(),
        "probe.py": scripts.joinpath("probe.py").read_bytes(),
        "probe.sh": _PROBE.encode(),
        **(
            {"default_score.py": scripts.joinpath("default_score.py").read_bytes()}
            if smoke_test.default_script
            else {}
        ),
    }
    folder = ContextFile(name=f"{RESERVED}/")
    return (
        folder,
        *(ContextFile(name=f"{RESERVED}/{name}", data=text, size=len(text)) for name, text in texts.items()),
    )


@dataclass(kw_only=True)
class Collector:
    """Takes the lines of a smoke test out of a log.

    Args:
        mark: what they begin with; "" takes none.
        parts: number of an event → its parts by their place.
    """

    mark: str = ""
    parts: dict[int, dict[int, str]] = field(default_factory=dict)
    whole: dict[int, int] = field(default_factory=dict)

    def takes(self, line: str) -> bool:
        """Keep *line* where it is one of the smoke test's; whether it was."""
        if not self.mark or not line.startswith(self.mark):
            return False
        found = re.fullmatch(r" (\d+) (\d+)/(\d+) (\S+)", line[len(self.mark) :])
        if found:
            number, place, count = map(int, found.groups()[:3])
            self.parts.setdefault(number, {})[place] = found[4]
            self.whole[number] = count
        return True

    def events(self) -> list[dict[str, Any]]:
        """The events in their order, up to the first that did not come whole."""
        events = []
        for number in range(len(self.parts)):
            parts = self.parts.get(number, {})
            if len(parts) != self.whole.get(number):
                break
            text = "".join(parts[place] for place in sorted(parts))
            try:
                events.append(json.loads(zlib.decompress(base64.b64decode(text))))
            except (ValueError, zlib.error):
                break
        return events
