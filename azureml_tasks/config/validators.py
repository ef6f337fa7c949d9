"""What each value of the table must be, as one sentence, one check and, where one is enough, one pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from azureml_tasks import image_reference
from azureml_tasks.config import tag_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["APT", "LONGEST_LINE", "PIP", "Rule", "between", "matching", "one_of", "pairs", "quoted"]

LONGEST_LINE = 65_535
"""Both of Docker's builders read lines of at most this many bytes: Go's bufio.MaxScanTokenSize."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a value must be.

    Args:
        complaint: gives what is wrong with a value, to follow the value ("is not …"); "" where nothing is.
        fix: the next step.
        schema: the same for an editor, as far as JSON Schema can say it.
    """

    complaint: Callable[[Any], str]
    fix: str
    schema: dict[str, Any]


def matching(pattern: str, complaint: str, fix: str) -> Rule:
    """A string that the whole of *pattern* fits."""
    return Rule(
        complaint=lambda value: "" if re.fullmatch(pattern, value) else complaint,
        fix=fix,
        schema={"pattern": f"^(?:{pattern})$"},
    )


def between(low: float, high: float) -> Rule:
    """A number from *low* to *high*, both included."""
    return Rule(
        complaint=lambda value: "" if low <= value <= high else f"is not between {low:g} and {high:g}",
        fix=f"Write a number from {low:g} to {high:g}.",
        schema={"minimum": low, "maximum": high},
    )


def one_of(*values: str) -> Rule:
    """One of *values*."""
    known = ", ".join(f'"{value}"' for value in values)
    return Rule(
        complaint=lambda value: "" if value in values else "is not known",
        fix=f"Known are {known}.",
        schema={"enum": list(values)},
    )


def _control(value: str) -> str:
    """The first character that no line of a Dockerfile can hold, by name."""
    names = {"\n": "a line break", "\r": "a carriage return", "\0": "a NUL"}
    return next((names[character] for character in value if character in names), "")


def _one_line(value: str) -> str:
    if held := _control(value):
        return f"holds {held}, which a Dockerfile cannot hold"
    return _too_long(value)


def _too_long(value: str) -> str:
    # Quoting at most doubles a string, JSON makes six bytes of a character; a line of the file has a little more.
    escaped = sum(value.count(character) for character in '\\"$')
    length = len(value.encode(errors="surrogatepass")) + escaped
    return (
        f"is longer than a Dockerfile's line of {LONGEST_LINE:,} bytes"
        if length > LONGEST_LINE - 1024
        else ""
    )


def _command(value: str) -> str:
    if "\0" in value:
        return "holds a NUL, which no command can hold"
    from json import dumps

    length = len(dumps(value))
    return (
        f"is longer than a Dockerfile's line of {LONGEST_LINE:,} bytes"
        if length > LONGEST_LINE - 1024
        else ""
    )


def _path(value: str) -> str:
    from pathlib import PurePosixPath, PureWindowsPath

    if held := _control(value):
        return f"holds {held}"
    windows = PureWindowsPath(value)
    if PurePosixPath(value).is_absolute() or windows.drive or windows.root:
        return "is absolute"
    if ".." in PurePosixPath(value).parts or ".." in windows.parts:
        return "leaves the project"
    return ""


def _platform_free_reference(value: str) -> str:
    return "" if image_reference.expand_base(value) else "is no image reference"


PATH = Rule(
    complaint=_path,
    fix="Paths are relative to the folder of pyproject.toml and stay inside it.",
    schema={"not": {"pattern": r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)"}},
)
ANY_PATH = Rule(
    complaint=lambda value: f"holds {held}" if (held := _control(value)) else "",
    fix='Write: file = "~/.netrc"',
    schema={},
)
BASE = Rule(
    complaint=_platform_free_reference,
    fix='Write: base = "minimal-py312-inference", or a reference such as "contoso.azurecr.io/bases/serving:4"',
    schema={"pattern": f"^{image_reference.REFERENCE}$"},
)
REPOSITORY = matching(
    rf"(?=.{{1,200}}$){image_reference.REPOSITORY}",
    "is a name that no registry takes",
    'Lower-case letters and digits, with ".", "_" or "-" between them and "/" between parts: "team/scoring"',
)
REGISTRY = matching(
    rf"(?=[^/]*[.:]|localhost$){image_reference.HOST}",
    "is no login server",
    'Write the host alone, without scheme and path: registry = "contoso.azurecr.io"',
)
SHARED_LAYERS = matching(
    rf"(?=[^/]*[.:]|localhost/){image_reference.HOST}/{image_reference.REPOSITORY}",
    "is no repository with its login server",
    'Write: shared-layers = "contoso.azurecr.io/scoring/prefix"',
)
TAG_TEMPLATE = Rule(complaint=tag_template.check, fix='Write: tags = ["{version}", "{git-sha}"]', schema={})
PLATFORM = matching(
    r"linux/[a-z0-9]+(/v[0-9]+)?", "is no platform of a Linux image", 'Write: platform = "linux/amd64"'
)
VARIABLE = matching(
    r"[A-Za-z_][A-Za-z0-9_.-]*", "is no name of an environment variable", "Letters, digits and underscores."
)
LABEL = Rule(
    complaint=lambda value: (
        _one_line(value) or ("" if value and "=" not in value else 'is empty or holds "="')
    ),
    fix='Write a name such as "com.contoso.team"',
    schema={"pattern": r"^[^=\n\r\u0000]+$"},
)
ONE_LINE = Rule(
    complaint=_one_line,
    fix="Write it in double quotes, on one line.",
    schema={"pattern": r"^[^\n\r\u0000]*$"},
)
COMMAND = Rule(
    complaint=_command,
    fix="Write a command for /bin/sh -c; what is too long for a line goes into a script in the code folder.",
    schema={},
)
# useradd(8)'s default rule, or a number that is not root's.
USER = matching(
    r"(?!root$)[a-z_][a-z0-9_-]{0,31}|[1-9][0-9]{0,9}",
    "is no runtime user",
    'Write: user = "dockeruser"; root does not serve.',
)
MEMORY = matching(r"[1-9][0-9]*[kmg]", "is no amount of memory", 'Write: memory = "4g"')
URL_PATH = matching(r"/[!-~]*", "is no path of a URL", 'Write: path = "/score"')


def _requirement(value: str) -> str:
    try:
        read = Requirement(value)
    except InvalidRequirement as error:
        return f"is no requirement: {str(error).splitlines()[0]}"
    if not read.url:
        return ""
    parts = urlsplit(read.url)
    if parts.scheme not in {"http", "https"} and not parts.scheme.startswith("git+"):
        return f'points at "{parts.scheme}:", which the image build does not see'
    return "carries a user or password, which would stay in the image" if "@" in parts.netloc else ""


# Names: https://www.debian.org/doc/debian-policy/ch-controlfields.html#source; versions: #version, there.
# apt-get takes a trailing "-" as an order to remove.
APT = matching(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[A-Za-z0-9.+:~-]+)?",
    "is no Debian package",
    'Write the name alone or with its version: "libpng-tools", "libpng-tools=1.6.39-2"',
)
PIP = Rule(
    complaint=_requirement,
    fix='Write a requirement such as "numpy==2.1.3" or "contoso-features[text]>=4; python_version >= \'3.11\'"',
    schema={},
)


def pairs(word: str, named: Mapping[str, str]) -> list[str]:
    """One instruction for all of them: each costs the legacy builder a container."""
    lines = [f"{name if word == 'ENV' else quoted(name)}={quoted(value)}" for name, value in named.items()]
    return (
        [f"{word} {lines[0]}", *lines[1:]]
        if len(lines) == 1
        else [f"{word} \\", *(f"    {line} \\" for line in lines[:-1]), f"    {lines[-1]}"]
    )


def quoted(text: str) -> str:
    r"""*text* in double quotes, as ENV and LABEL read it back unchanged.

    Inside double quotes Docker knows three escapes, `\"`, `\$` and `\\`
    (https://docs.docker.com/reference/dockerfile/#environment-replacement; moby's shell lexer).
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
