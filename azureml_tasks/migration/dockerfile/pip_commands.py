"""What a command of pip does to an image, in terms of the keys `pip` and `requirements`.

Options: https://pip.pypa.io/en/stable/cli/pip_install/.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIP = re.compile(r"pip[0-9.]*")
_PYTHON = re.compile(r"python[0-9.]*")
_VERSION = re.compile(r"(?:pip|python)(3\.[0-9]+)")
_LEAVE_NOTHING = (
    "cache",
    "check",
    "config list",
    "debug",
    "freeze",
    "help",
    "index",
    "inspect",
    "list",
)
_SHOWS = ("show", "--version", "-V")
_FLAGS = frozenset({
    "-q", "-qq", "-qqq", "--quiet", "-v", "-vv", "-vvv", "--verbose", "--no-cache-dir", "--no-cache", "--no-input",
    "--disable-pip-version-check", "--no-warn-script-location", "--no-warn-conflicts", "--no-color", "--compile",
    "--no-python-version-warning", "--break-system-packages", "--require-virtualenv", "--no-clean", "-y", "--yes",
})  # fmt: skip
"""Options that change nothing of what is installed into the environment."""
_FLAGS_WITH_VALUE = frozenset({
    "--timeout", "--default-timeout", "--retries", "--progress-bar", "--root-user-action", "--cache-dir", "--log",
    "--exists-action", "--use-feature", "--use-deprecated", "--upgrade-strategy",
})  # fmt: skip
_VALUES = frozenset({
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "-c", "--constraint", "-t",
    "--target", "--prefix", "--root", "--no-binary", "--only-binary", "--platform", "--python-version", "--abi",
    "--implementation", "--global-option", "--install-option", "--config-settings", "-C", "--src", "--proxy",
    "--cert", "--client-cert", "--report", "--group", "--python", "--build",
})  # fmt: skip
"""Further options that take a value."""
_HARMLESS = frozenset({
    "PIP_BREAK_SYSTEM_PACKAGES", "PIP_CACHE_DIR", "PIP_DEFAULT_TIMEOUT", "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_NO_CACHE_DIR", "PIP_NO_COLOR", "PIP_NO_INPUT", "PIP_NO_WARN_SCRIPT_LOCATION", "PIP_PROGRESS_BAR", "PIP_QUIET",
    "PIP_RETRIES", "PIP_ROOT_USER_ACTION", "PIP_VERSION",
})  # fmt: skip
"""Variables of pip, and of Dockerfiles that install it, by which it installs no other packages."""
_LOGIN = re.compile(r"://[^/\s]*@")
_SHORT_WITH_VALUE = re.compile(r"-([rceitfC])(.+)", re.DOTALL)


class PipInstall(NamedTuple):
    """`pip install`.

    Args:
        requirements: that the key `pip` takes.
        others: further ones, which it does not take: an address without a name, a folder, a wheel.
        files: that `-r` names.
        options: that neither key has, as they are written.
        upgrades: whether packages that are there are replaced by newer ones.
        environment: path or name of the one that it installs into; "" for that of the first `pip` in PATH.
        python: version that the name of the program has, such as "3.12"; "" for none.
    """

    requirements: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    upgrades: bool = False
    environment: str = ""
    python: str = ""

    @property
    def has_login(self) -> bool:
        """Whether an address contains a user or a password."""
        return any(_LOGIN.search(word) for word in (*self.options, *self.others, *self.requirements))


def pip_command(words: Sequence[str]) -> PipInstall | str | None:
    """Return what a command of pip does: an installation, why it leaves nothing, or None for anything else.

    Args:
        words: of a command, the program first.
    """
    environment, words = _environment(words)
    program = posixpath.basename(words[0]) if words else ""
    if _PYTHON.fullmatch(program) and list(words[1:3]) == ["-m", "pip"]:
        rest = list(words[3:])
    elif _PIP.fullmatch(program):
        rest = list(words[1:])
    else:
        return None
    if not environment and "/" in words[0]:
        environment = posixpath.dirname(posixpath.dirname(words[0]))
    while rest and rest[0] in _FLAGS:
        rest = rest[1:]
    command = rest[0] if rest else ""
    if command in _LEAVE_NOTHING or command in _SHOWS:
        return f"pip {command} adds nothing to the image"
    if command != "install":
        return None
    version = _VERSION.fullmatch(program)
    return _install(rest[1:], environment)._replace(python=version[1] if version else "")


def _environment(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the environment in which `conda run` starts a command, and the words of that; "" without `conda run`.

    Options: https://docs.conda.io/projects/conda/en/stable/commands/run.html.
    """
    if posixpath.basename(words[0]) not in ("conda", "mamba") or list(words[1:2]) != ["run"]:
        return "", words
    environment, at = "", 2
    while at < len(words) and words[at].startswith("-"):
        name, sign, value = words[at].partition("=")
        at += 1
        if name in ("-n", "--name", "-p", "--prefix"):
            if not sign and at < len(words):
                value, at = words[at], at + 1
            environment = value
    return environment or "base", words[at:]


def _install(words: Sequence[str], environment: str) -> PipInstall:
    requirements, others, files, options = [], [], [], []
    upgrades, at = False, 0
    while at < len(words):
        word, at = words[at], at + 1
        name, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if match := _SHORT_WITH_VALUE.fullmatch(word):
            name, sign, value = f"-{match[1]}", "=", match[2]
        takes = (
            name in _FLAGS_WITH_VALUE
            or name in _VALUES
            or name in ("-r", "--requirement", "-e", "--editable")
        )
        if takes and not sign and at < len(words):
            value, at = words[at], at + 1
        if name in ("-r", "--requirement"):
            files.append(value)
        elif name in ("-e", "--editable"):
            others.append(f"-e {value}")
        elif name in ("-U", "--upgrade"):
            upgrades = True
        elif name in _FLAGS or name in _FLAGS_WITH_VALUE:
            continue
        elif word.startswith("-"):
            options.append(f"{name} {value}" if takes else word)
        elif _is_requirement(word):
            requirements.append(word)
        else:
            others.append(word)
    return PipInstall(tuple(requirements), tuple(others), tuple(files), tuple(options), upgrades, environment)


def _is_requirement(word: str) -> bool:
    is_path = word.startswith((".", "/")) or word.endswith((".whl", ".zip", ".gz"))
    return not is_path and not validators.PIP.error(word)


def changes_pip(name: str) -> bool:
    """Return whether pip installs other packages, or from elsewhere, by the variable *name*: each option has one.

    https://pip.pypa.io/en/stable/topics/configuration/#environment-variables
    """
    return name.startswith("PIP_") and name not in _HARMLESS
