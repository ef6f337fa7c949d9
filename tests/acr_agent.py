"""What an agent of ACR Tasks does with a task file, imitated after Azure/acr-builder.

Comments and aliases: graph/preprocessor.go. Templates: templating/engine.go. The shell, which is a real one:
builder/context.go, getDockerRunArgs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml

from azureml_tasks.planning.plan import Plan
from tests.acr_plans import task_text

__all__ = ["LONGEST_LINE", "expand", "expected_arguments", "server_arguments"]

LONGEST_LINE = 64 * 1024 - 1
"""Go's bufio.Scanner silently stops at a longer line."""


_ALIASES = {name: f"{{{{.Run.{name}}}}}" for name in ("ID", "Registry", "Date", "OS", "Commit", "Branch")}
_VALUES = {".Run.ID": "ca8", ".Run.Registry": "contoso.azurecr.io", ".Values.netrc": "bWFjaGluZQ=="}


def _lines(text: str) -> Iterator[str]:
    """Yield lines as Go's bufio.ScanLines does, which stops at a line that is too long."""
    for line in text.split("\n"):
        if len(line.encode()) > LONGEST_LINE:
            return
        yield line.removesuffix("\r")


def _expand_aliases(text: str) -> str:
    """Remove comments and replace `$NAME`, as SeparateAliasFromRest and preprocessString do."""
    lines = [line + "\n" for line in _lines(text.removesuffix("\n")) if not re.match(r"\s*#", line)]
    out, command, ongoing = "", "", False
    for char in "".join(lines) + " ":
        if not ongoing:
            ongoing = char == "$"
            out += "" if ongoing else char
        elif char == "$" and not command:
            out, ongoing = out + "$", False
        elif re.fullmatch("[A-Za-z0-9]", char):
            command += char
        else:
            known = command in _ALIASES
            out += _ALIASES[command] if known else f"${command}"
            out += "" if known and char == "$" else char
            ongoing, command = known and char == "$", ""
    return out.removesuffix(" ")


def _render(text: str) -> str:
    """Render a Go template that contains fields and strings only; missing values become nothing."""

    def value(match: re.Match[str]) -> str:
        action = match[1].strip()
        if string := re.fullmatch(r'"([^"\\\n]*)"|`([^`]*)`', action):
            return string[1] or string[2] or ""
        if not re.fullmatch(r"(\.\w+)+", action):
            raise ValueError(f"failed to parse template: {action}")
        return _VALUES.get(action, "<no value>")

    whole = re.sub(r"\{\{(.*?)\}\}", value, text, flags=re.DOTALL)
    if "{{" in re.sub(r"\{\{(.*?)\}\}", "", text, flags=re.DOTALL):
        raise ValueError("failed to parse template: unclosed action")
    return whole.replace("<no value>", "")


def expand(text: str) -> str:
    """Return a task file as the agent parses it: without aliases, and rendered."""
    return _render(_expand_aliases(text))


def _docker_run_arguments(step: dict[str, Any]) -> list[str]:
    """Return the arguments of `docker run` for a step, which a shell splits."""
    words = ["docker run --name", step["id"], *(f"--env {each}" for each in step.get("env", [])), step["cmd"]]
    script = "docker() { printf '%s\\0' \"$@\"; }; " + " ".join(words)
    ended = subprocess.run(["/bin/sh", "-c", script.encode()], capture_output=True, check=True)
    assert ended.stderr == b""
    return ended.stdout.decode().split("\0")[:-1]


def server_arguments(plan: Plan) -> list[str]:
    """Return the arguments of `docker run` for the server of *plan*."""
    steps = yaml.safe_load(expand(task_text(plan)))["steps"]
    assert [step["id"] for step in steps] == ["build", "server", "smoke-test", "push"]
    return _docker_run_arguments(steps[1])


def expected_arguments(*variables: str) -> list[str]:
    """Return the expected arguments of `docker run` for a server with these variables."""
    image = "contoso.azurecr.io/team/scoring/candidate:ca8"
    return [
        "run",
        "--name",
        "server",
        *(word for variable in variables for word in ("--env", variable)),
        image,
    ]
