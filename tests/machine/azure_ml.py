"""Microsoft's SDK of Azure ML, azure-ai-ml, in an environment of its own: how it reads YAML files.

Its telemetry has no variable that switches it off. It is MLClient's alone, in a notebook, through
azure-monitor-opentelemetry; the first two are not used here, and the third is left out of the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.machine import venv

__all__ = ["ensure", "loaded"]

_VERSION = "1.35.2"
_PACKAGES = (
    # What it asks for itself, azure-monitor-opentelemetry aside, which brings thirty more.
    *("azure-mgmt-core", "azure-storage-blob>=12.10", "azure-storage-file-datalake>=12.2"),
    *("azure-storage-file-share", "colorama", "isodate", "jsonschema<5", "marshmallow>=3.5,<4", "pydash<9"),
    *("pyjwt<3", "pyyaml<7", "strictyaml<2", "tqdm", "typing-extensions"),
    # What it imports and azure-monitor-opentelemetry would have brought.
    *("msrest", "opentelemetry-api"),
)
_NOWHERE = "http://127.0.0.1:9"

_LOAD = """\
import json
import sys


def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise SystemExit(f"azure-ai-ml is not to reach anything: {event} {arguments}")


sys.addaudithook(refuse)

from azure.ai.ml import load_environment, load_online_deployment


def read(kind, path):
    if kind == "environment":
        found = load_environment(path)
        return {"name": found.name, "version": found.version, **found._to_rest_object().as_dict()}
    found = load_online_deployment(path)
    sent = found._to_rest_object("westeurope").as_dict()
    return {"name": found.name, "endpoint_name": found.endpoint_name, **sent}


print(json.dumps([read(*word.split("=", 1)) for word in sys.argv[1:]]))
"""


def ensure() -> Path:
    """Install azure-ai-ml below `.machine`, once.

    Returns:
        The interpreter that has it.

    Raises:
        NotPossibleError: pip cannot install it; the words end with what it said.
    """
    return venv.apart(f"azure-ai-ml=={_VERSION}", _PACKAGES)


def loaded(files: Sequence[tuple[str, Path]]) -> list[dict[str, Any]]:
    """What azure-ai-ml reads in *files*, each "environment" or "deployment" and a path, as it would send it.

    Its own rules for names hold; whatever it tries to reach ends it.
    """
    env = {"PATH": os.environ.get("PATH", os.defpath), "HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE}
    command = [str(ensure()), "-c", _LOAD, *(f"{kind}={path}" for kind, path in files)]
    ended = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (0, "") == (ended.returncode, ended.stderr)
    objects: list[dict[str, Any]] = json.loads(ended.stdout)
    return objects
