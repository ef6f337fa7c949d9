"""What the secrets of a build hold: read where they are used, and kept nowhere."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.project.model import BuildSecret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Secret, Settings

__all__ = ["build_secrets", "complaint", "missing", "place", "read", "refuse_two_registries"]

_LARGEST = 500 * 1024
"""BuildKit takes no larger one (session/secrets/secretsprovider)."""
_EXAMPLES = {
    "pip-conf": "[global]\nindex-url = https://pypi.contoso.example/simple",
    "netrc": "machine pypi.contoso.example login NAME password PASSWORD",
}


def read(secrets: Iterable[BuildSecret]) -> dict[str, bytes]:
    """The value of each of *secrets* by its id; none is written down, shown or logged.

    Raises:
        SettingsError: with each that is not there or is not what it should be.
    """
    looks = {secret: _look(secret) for secret in secrets}
    if problems := [_problem(secret, look) for secret, look in looks.items() if look.what]:
        raise SettingsError(problems)
    return {secret.id: look.value for secret, look in looks.items()}


def missing(secrets: Iterable[BuildSecret]) -> list[Problem]:
    """What `read` would refuse: of a variable that is not set BuildKit mounts nothing, and builds."""
    looks = [(secret, _look(secret)) for secret in secrets]
    return [_problem(secret, look) for secret, look in looks if look.what]


def complaint(secret: BuildSecret) -> str:
    """What is wrong with *secret*, to follow `place`; "" where nothing is."""
    return _look(secret).what


def place(secret: BuildSecret) -> str:
    """Where *secret* is, for people."""
    return f"the variable {secret.env}" if secret.env else secret.file


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A value, or what is wrong with it and the next step."""

    value: bytes = field(default=b"", repr=False)
    what: str = ""
    fix: str = ""


def _problem(secret: BuildSecret, look: _Look) -> Problem:
    what = f"{spell(('secrets', secret.id))}: {place(secret)} {look.what}"
    return Problem(FILE, secret.line, what, look.fix)


def _look(secret: BuildSecret) -> _Look:
    look = _variable(secret.env) if secret.env else _file(Path(secret.file))
    example = f"It holds, for example:\n{_EXAMPLES[secret.id]}"
    if look.what:
        return look if look.fix else _Look(what=look.what, fix=example)
    if len(look.value) > _LARGEST:
        return _Look(what="holds more than the 500 KiB that BuildKit mounts", fix=example)
    if secret.id == "pip-conf" and (line := _bad_line(look.value)):
        return _Look(what=f"holds no pip.conf: pip cannot read its line {line}", fix=example)
    return look


def _variable(name: str) -> _Look:
    value = os.fsencode(os.environ.get(name, ""))
    if not value:
        state = "is empty" if name in os.environ else "is not set"
        return _Look(what=state, fix=f'export {name}="$(cat FILE)"')
    return _Look(value=value)


def _file(path: Path) -> _Look:
    try:
        if path.is_file():
            with path.open("rb") as file:
                value = file.read(_LARGEST + 1)
            return _Look(value=value) if value else _Look(what="is empty")
        return _Look(what="is no file" if path.exists() else "does not exist")
    except OSError as error:
        return _Look(what=f"cannot be read: {error.strerror}", fix=f"ls -l {shlex.quote(str(path))}")


def _bad_line(value: bytes) -> int:
    """The line that pip stops at, which it would show as it is, password and all; 0 where there is none."""
    from configparser import Error, RawConfigParser

    try:
        RawConfigParser().read_string(value.decode())
    except UnicodeDecodeError as error:
        return value.count(b"\n", 0, error.start) + 1
    except Error as error:
        lines = [line for line, _ in getattr(error, "errors", [])]  # a ParsingError has several
        return int(lines[0] if lines else getattr(error, "lineno", None) or 1)
    return 0


_VARIABLES = {"pip-conf": "PIP_CONFIG_FILE", "netrc": "NETRC"}
"""What pip reads each from: https://pip.pypa.io/en/stable/topics/configuration/ and
https://pip.pypa.io/en/stable/topics/authentication/#netrc-support."""
_FIXES = {
    "pip-conf": 'Write: pip-conf = { env = "PIP_CONF" }',
    "netrc": 'Write: netrc = { file = "~/.netrc" }',
}


def refuse_two_registries(problems: Problems) -> None:
    """Note where `acr.workspace` stands beside `registry`, or without the group that it is found in."""
    place: Place = ("acr", "workspace")
    if not problems.is_written(place):
        return
    if problems.is_written(("registry",)) and "registry" not in problems.sources:
        what = f"{spell(place)} stands beside {spell(('registry',))}: each names the registry"
        problems.add(place, what, "Keep one of the two.")
    if not problems.is_written(("acr", "resource-group")):
        fix = 'Write: resource-group = "…", that of the workspace'
        problems.add(place, f"{spell(place)} needs {spell(('acr', 'resource-group'))}", fix)


def build_secrets(root: Path, settings: Settings, problems: Problems) -> tuple[BuildSecret, ...]:
    """The secrets of the Python step; nothing is read of them but where they are."""
    given = {"pip-conf": settings.secrets.pip_conf, "netrc": settings.secrets.netrc}
    secrets = {name: secret for name, secret in given.items() if secret is not None}
    for name in secrets:
        place: Place = ("secrets", name)
        if problems.is_written((*place, "env")) == problems.is_written((*place, "file")):
            problems.add(place, f"{spell(place)} must have exactly one of env and file", _FIXES[name])
    return tuple(_secret(root, name, secret, problems) for name, secret in secrets.items())


def _secret(root: Path, name: str, secret: Secret, problems: Problems) -> BuildSecret:
    file = os.path.normpath(root / os.path.expanduser(secret.file)) if secret.file else ""  # noqa: PTH111 -- Path's own raises
    line = problems.line_of(("secrets", name, "env" if secret.env else "file"))
    return BuildSecret(id=name, variable=_VARIABLES[name], env=secret.env or "", file=file, line=line)
