"""The secrets of a build: where they are, and their values, which are read for one use and stored nowhere."""

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
    from azureml_tasks.config.settings import Settings

_LARGEST = 500 * 1024
"""Bytes that BuildKit accepts: https://github.com/moby/buildkit, session/secrets/secretsprovider."""
_VARIABLES = {"pip-conf": "PIP_CONFIG_FILE", "netrc": "NETRC"}
"""The variables that tell pip where the files are: https://pip.pypa.io/en/stable/topics/configuration/ and
https://pip.pypa.io/en/stable/topics/authentication/#netrc-support."""
_FIXES = {
    "pip-conf": 'Write: pip-conf = { env = "PIP_CONF" }',
    "netrc": 'Write: netrc = { file = "~/.netrc" }',
}
_EXAMPLES = {
    "pip-conf": "[global]\nindex-url = https://pypi.contoso.example/simple",
    "netrc": "machine pypi.contoso.example login NAME password PASSWORD",
}


def find_secrets(root: Path, settings: Settings, problems: Problems) -> tuple[BuildSecret, ...]:
    """Return where the secrets of the Python step are, without reading their values; report what is wrong.

    Args:
        root: the project's folder.
        settings: the table.
        problems: receives each problem.
    """
    secrets = []
    for name, secret in (("pip-conf", settings.secrets.pip_conf), ("netrc", settings.secrets.netrc)):
        if secret is None:
            continue
        place: Place = ("secrets", name)
        if problems.is_written((*place, "env")) == problems.is_written((*place, "file")):
            problems.add(place, f"{spell(place)} must have exactly one of env and file", _FIXES[name])
        # `Path.expanduser` raises an error for a user that does not exist.
        file = os.path.normpath(root / os.path.expanduser(secret.file)) if secret.file else ""  # noqa: PTH111
        line = problems.line_of((*place, "env" if secret.env else "file"))
        secrets.append(
            BuildSecret(id=name, variable=_VARIABLES[name], env=secret.env or "", file=file, line=line)
        )
    return tuple(secrets)


def read_secrets(secrets: Iterable[BuildSecret]) -> dict[str, bytes]:
    """Return the value of each secret by its ID. Values are never stored, printed or logged.

    Raises:
        SettingsError: with each secret that is missing or invalid.
    """
    values = {secret: _read(secret) for secret in secrets}
    if problems := [_problem(secret, value) for secret, value in values.items() if value.what]:
        raise SettingsError(problems)
    return {secret.id: value.content for secret, value in values.items()}


def missing_secrets(secrets: Iterable[BuildSecret]) -> list[Problem]:
    """Return what `read_secrets` would refuse: BuildKit builds without a secret whose variable is not set."""
    values = [(secret, _read(secret)) for secret in secrets]
    return [_problem(secret, value) for secret, value in values if value.what]


def problem_of(secret: BuildSecret) -> str:
    """Return what is wrong with *secret*, to follow `location`; "" if nothing is."""
    return _read(secret).what


def location(secret: BuildSecret) -> str:
    """Return where *secret* is, for people."""
    return f"the variable {secret.env}" if secret.env else secret.file


@dataclass(frozen=True, kw_only=True)
class _Value:
    """The value of a secret, or what is wrong with it and how to correct it."""

    content: bytes = field(default=b"", repr=False)
    what: str = ""
    fix: str = ""


def _problem(secret: BuildSecret, value: _Value) -> Problem:
    what = f"{spell(('secrets', secret.id))}: {location(secret)} {value.what}"
    return Problem(FILE, secret.line, what, value.fix)


def _read(secret: BuildSecret) -> _Value:
    value = _variable(secret.env) if secret.env else _file(Path(secret.file))
    example = f"It holds, for example:\n{_EXAMPLES[secret.id]}"
    if value.what:
        return value if value.fix else _Value(what=value.what, fix=example)
    if len(value.content) > _LARGEST:
        return _Value(what="is larger than 500 KiB, the limit of BuildKit", fix=example)
    if secret.id == "pip-conf" and (line := _bad_line(value.content)):
        return _Value(what=f"is not a valid pip.conf: pip cannot parse line {line}", fix=example)
    return value


def _variable(name: str) -> _Value:
    content = os.fsencode(os.environ.get(name, ""))
    if not content:
        state = "is empty" if name in os.environ else "is not set"
        return _Value(what=state, fix=f'export {name}="$(cat FILE)"')
    return _Value(content=content)


def _file(path: Path) -> _Value:
    try:
        if path.is_file():
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            return _Value(content=content) if content else _Value(what="is empty")
        return _Value(what="is not a file" if path.exists() else "does not exist")
    except OSError as error:
        return _Value(what=f"cannot be read: {error.strerror}", fix=f"ls -l {shlex.quote(str(path))}")


def _bad_line(content: bytes) -> int:
    """Return the line that pip cannot parse, and would print with its password; 0 for none."""
    from configparser import Error, RawConfigParser

    try:
        RawConfigParser().read_string(content.decode())
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    except Error as error:
        lines = [line for line, _ in getattr(error, "errors", [])]  # a ParsingError has several
        return int(lines[0] if lines else getattr(error, "lineno", None) or 1)
    return 0
