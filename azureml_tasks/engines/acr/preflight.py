"""Checks before anything is sent: what a remote build cannot do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks import image_reference
from azureml_tasks.config.dockerfile_line import LONGEST_LINE
from azureml_tasks.config.problems import FILE
from azureml_tasks.engines.acr.candidates import SUFFIX
from azureml_tasks.engines.acr.task_file import quote_yaml, server_variables
from azureml_tasks.errors import EngineError, FileProblem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.planning.plan import Plan

_MAX_REPOSITORY = 255 - len(SUFFIX)
"""Docker limits a name to 255 characters: https://github.com/distribution/reference/blob/main/reference.go"""
_UNNAMED = 2
"""Words of a FROM without a name for its stage."""
_YAML_INDENT = len("      - ")
_MAX_SECRET = 64 * 1024
"""Linux limits one argument of a program to 128 KiB, and escaping can double the length."""


def check_repository(plan: Plan) -> None:
    """Check that the candidates have a repository of their own.

    Raises:
        SettingsError: the name ends with `/candidate`, or is too long to append it.
    """
    why = ""
    if plan.repository.endswith(SUFFIX):
        why = f'ends with "{SUFFIX}", which is reserved for candidate images'
    elif len(plan.repository) > _MAX_REPOSITORY:
        why = f'is longer than {_MAX_REPOSITORY} characters, which leaves no room for "{SUFFIX}"'
    if why:
        problem = FileProblem(FILE, 0, f'the name "{plan.repository}" {why}', 'Write: name = "scoring"')
        raise SettingsError([problem])


def check_secrets(secrets: Mapping[str, bytes]) -> None:
    """Check that the agent can write each secret to a file: it passes it as an argument of a shell.

    Raises:
        SettingsError: a secret is too long or contains a NUL byte.
    """
    problems = []
    for name, value in secrets.items():
        why = ""
        if b"\0" in value:
            why = "contains a NUL byte"
        elif len(value) > _MAX_SECRET:
            why = "is longer than 64 KiB"
        if why:
            what = f"the secret {name} {why}, which ACR Tasks does not support"
            fix = "Remove what pip does not need, or build on a Docker engine: --engine docker"
            problems.append(FileProblem(FILE, 0, what, fix))
    if problems:
        raise SettingsError(problems)


def check_dockerfile(plan: Plan) -> None:
    """Check that the agent can find the images of the project's own Dockerfile, which it looks for before any build.

    It reads line by line without regard to instructions, and knows neither --platform in FROM nor any variable
    but `$NAME` and `${NAME}` with the value of an ARG: https://github.com/Azure/acr-builder, scan/dependencies.go.

    Raises:
        EngineError: with each line that it would refuse.
    """
    own = plan.own_dockerfile
    if not own:
        return
    lines = [f"{own.name}:{number}: {line.strip()}" for number, line in _unreadable_lines(own.text)]
    if own.facts.escape != "\\":
        lines = [f"{own.name}: # escape={own.facts.escape}", *lines]
    if lines:
        what = f"Azure Container Registry cannot read {own.name}, whose FROM lines it looks for line by line."
        fix = "Change these lines (no --platform in FROM, no other line that begins with FROM, `$NAME` alone):\n"
        raise EngineError(
            what, next_step=f"{fix}{chr(10).join(lines)}\nor build on a Docker engine: --engine docker"
        )


def _unreadable_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that begins with FROM and names no image that the agent understands, with its number."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        words = line.split()
        first = words[0].upper() if words else ""
        if first == "ARG" and len(words) > 1:
            name, equals, value = words[1].partition("=")
            if equals:
                arguments.setdefault(name, value.strip("\"'"))
        elif first == "FROM":
            image, is_named = (words[1] if len(words) > 1 else ""), len(words) > _UNNAMED
            image = re.sub(
                r"\$(?:\{([^}]*)\}|(\w+))", lambda match: arguments.get(match[1] or match[2], ""), image
            )
            is_wrong = is_named and (words[2].lower() != "as" or len(words) == _UNNAMED + 1)
            if is_wrong or (image not in stages and not image_reference.parse(image)):
                yield number, line
            stages |= set(words[_UNNAMED + 1 : _UNNAMED + 2])


def check_smoke_test(plan: Plan) -> None:
    """Check that the smoke test can run in the cloud.

    Raises:
        EngineError: it mounts a model, limits memory or uses GPUs, which task files cannot express; or its variables
            are too long. The agent silently drops everything after a line of 64 KiB, and passes all variables in one
            argument of a shell.
    """
    smoke_test = plan.smoke_test
    length = sum(_YAML_INDENT + len(quote_yaml(variable)) for variable in server_variables(plan))
    limits = [
        (smoke_test.model, "mount a model (smoke-test.model)", 'bake the model in: model = "…"'),
        (smoke_test.memory, "limit memory (smoke-test.memory)", "remove smoke-test.memory"),
        (smoke_test.gpus, "use GPUs (smoke-test.gpus)", "remove smoke-test.gpus"),
        (length > LONGEST_LINE, "set 64 KiB of variables (smoke-test.env)", "shorten smoke-test.env"),
    ]
    if exceeded := [(what, fix) for is_exceeded, what, fix in limits if is_exceeded]:
        whats, fixes = zip(*exceeded, strict=True)
        fix = f"Run it on a Docker engine, or {', and '.join(fixes)}"
        raise EngineError(f"A smoke test in the cloud cannot {' or '.join(whats)}.", next_step=fix)
