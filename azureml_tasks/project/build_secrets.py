"""The secrets of a build: which ones the table wants, where the run says that they are, and what is wrong with them.

The table cannot say where a secret is: it may come with a pull request, and could name any file of the CI machine.
Values are read for one use, stored nowhere and never printed.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.plain_text import escape_json, shell_join
from azureml_tasks.project.model import BuildSecret
from azureml_tasks.project.netrc_form import bad_netrc_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.config.problems import Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.context_file import ContextFile

_LARGEST = 500 * 1024
"""Bytes that BuildKit accepts: https://github.com/moby/buildkit, session/secrets/secretsprovider."""
VARIABLES = {"pip-conf": "PIP_CONFIG_FILE", "netrc": "NETRC"}
"""The variables that tell pip where the files are: https://pip.pypa.io/en/stable/topics/configuration/ and
https://pip.pypa.io/en/stable/topics/authentication/#netrc-support."""
_USUAL = {
    "pip-conf": (
        "$PIP_CONFIG_FILE",
        "$XDG_CONFIG_HOME/pip/pip.conf",
        "~/Library/Application Support/pip/pip.conf",
        "~/.config/pip/pip.conf",
        "~/.pip/pip.conf",
    ),
    "netrc": ("$NETRC", "~/.netrc", "~/_netrc"),
}
"""Where pip itself looks for the user's files, on the same pages."""
_EXAMPLES = {
    "pip-conf": "[global]\nindex-url = https://pypi.contoso.example/simple",
    "netrc": "machine pypi.contoso.example login NAME password PASSWORD",
}
_VALUE = re.compile(r"\s*[\[#]|\s*(machine|default|login)\s|.*[\r\n]", re.DOTALL)
"""Matches the text of a secret where its place is expected."""


class SecretSource(NamedTuple):
    """Where a run says that a secret is.

    Args:
        source: a path relative to the current folder, `env:NAME`, or `default`.
        option: the flag or the environment variable that says so.
    """

    source: str
    option: str


def wanted_secrets(settings: Settings, problems: Problems) -> tuple[BuildSecret, ...]:
    """Return the secrets that the table wants, without their places."""
    wanted = [value for _, value in problems.valid_items("secrets", settings.secrets)]
    line = problems.line_of(("secrets",))
    return tuple(
        BuildSecret(id=name, variable=variable, line=line)
        for name, variable in VARIABLES.items()
        if name in wanted
    )


def source_problem(source: str) -> str:
    """Return what is wrong with the words that say where a secret is; they are not shown, for they may be a value."""
    if not source:
        return "is empty"
    if other := re.search(rf"[,;\s]\s*({'|'.join(VARIABLES)})=", source):
        return f"names {other[1]} too: give each secret a --secret of its own"
    if _VALUE.match(source) or "\0" in source:
        return "is the text of a secret, not its place"
    if source.startswith("env:") and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", source[4:]):
        return 'has no name of a variable after "env:"'
    return ""


def source_help(name: str) -> str:
    """Return how a run says where the secret *name* is."""
    return (
        f"Add: --secret {name}=FILE, --secret {name}=env:VARIABLE or --secret {name}=default\n"
        f"or: export {secret_variable(name)}=FILE"
    )


def secret_variable(name: str) -> str:
    """Return the environment variable that says where the secret *name* is."""
    return f"INVOKE_AZUREML_IMAGE_SECRET_{name.upper().replace('-', '_')}"


def with_sources(
    secrets: Iterable[BuildSecret], sources: Mapping[str, SecretSource]
) -> tuple[BuildSecret, ...]:
    """Return *secrets*, each with the place that the run gives."""
    return tuple(
        _with_source(secret, sources[secret.id]) if secret.id in sources else secret for secret in secrets
    )


def _with_source(secret: BuildSecret, given: SecretSource) -> BuildSecret:
    if given.source.startswith("env:"):
        return secret._replace(env=given.source[4:], option=given.option)
    path = _usual_file(secret.id) if given.source == "default" else given.source
    return secret._replace(file=os.path.normpath(Path.cwd() / _expanded(path)), option=given.option)


def _usual_file(name: str) -> str:
    """Return the file that pip would read; the last place that it looks at if there is none."""
    places = [_expanded(place) for place in _USUAL[name]]
    known = [place for place in places if place and "$" not in place]
    return next((place for place in known if Path(place).is_file()), _USUAL[name][-1])


def _expanded(path: str) -> str:
    # `Path.expanduser` raises an error if there is no home folder.
    return os.path.expanduser(os.path.expandvars(path) if path.startswith("$") else path)  # noqa: PTH111


def read_secrets(secrets: Iterable[BuildSecret]) -> dict[str, bytes]:
    """Return the value of each secret by its ID.

    Raises:
        SettingsError: with each secret that is missing or invalid.
    """
    values = {secret: _read(secret) for secret in secrets}
    if problems := [_problem(secret, value) for secret, value in values.items() if value.what]:
        raise SettingsError(problems)
    return {secret.id: value.content for secret, value in values.items()}


def secret_problems(
    root: Path, secrets: Iterable[BuildSecret], members: Iterable[ContextFile]
) -> list[Problem]:
    """Return what is wrong with *secrets*: BuildKit builds without a secret whose variable is not set.

    Args:
        root: the project's folder.
        secrets: of the build.
        members: of the build context; none of them may be the file of a secret.
    """
    values = [(secret, _read(secret)) for secret in secrets]
    problems = [_problem(secret, value) for secret, value in values if value.what]
    return [*problems, *_copied(root, [secret for secret, _ in values], members)]


def problem_of(secret: BuildSecret) -> str:
    """Return what is wrong with *secret*, to follow `location`; "" if nothing is."""
    return _read(secret).what


def location(secret: BuildSecret) -> str:
    """Return where *secret* is, for people."""
    return f"the variable {secret.env}" if secret.env else secret.file or "its place"


@dataclass(frozen=True, kw_only=True)
class _Value:
    """The value of a secret, or what is wrong with it and how to correct it."""

    content: bytes = field(default=b"", repr=False)
    what: str = ""
    fix: str = ""


def _problem(secret: BuildSecret, value: _Value) -> Problem:
    if not secret.option:
        what = f"{spell(('secrets',))} wants {secret.id}, and the run does not say where it is"
        return FileProblem(FILE, secret.line, what, value.fix)
    return Problem(secret.option, 0, f"{secret.id}: {location(secret)} {value.what}", value.fix)


def _copied(root: Path, secrets: Iterable[BuildSecret], members: Iterable[ContextFile]) -> Iterator[Problem]:
    """Yield a problem for each file of a secret that would be copied into the image as well."""
    files = {os.path.realpath(secret.file): secret for secret in secrets if secret.file}
    for member in members if files else ():
        if member.source and (secret := files.get(os.path.realpath(member.source))):
            path = Path(os.path.relpath(member.source, root)).as_posix()
            what = f"{secret.id}: {path} would be copied into the image"
            pattern = escape_json(json.dumps(path, ensure_ascii=False))
            yield Problem(
                secret.option, 0, what, f"Leave it out: add {pattern} as the last pattern of exclude"
            )


def _read(secret: BuildSecret) -> _Value:
    if not secret.option:
        return _Value(what="is not given", fix=source_help(secret.id))
    value = _variable(secret.env) if secret.env else _file(Path(secret.file))
    example = f"It holds, for example:\n{_EXAMPLES[secret.id]}"
    if value.what:
        return value if value.fix else _Value(what=value.what, fix=example)
    if len(value.content) > _LARGEST:
        return _Value(what="is larger than 500 KiB, the limit of BuildKit", fix=example)
    if what := _form_problem(secret.id, value.content):
        return _Value(what=what, fix=example)
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
        return _Value(what=f"cannot be read: {error.strerror}", fix=f"ls -l {shell_join([str(path)])}")


def _form_problem(name: str, content: bytes) -> str:
    if name == "pip-conf":
        line = _bad_line(content)
        return f"is not a valid pip.conf: pip cannot parse line {line}" if line else ""
    line, why = bad_netrc_line(content)
    return f"is not a valid netrc: line {line} {why}" if line else ""


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
