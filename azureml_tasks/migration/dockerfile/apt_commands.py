"""What a command of apt does to an image, in terms of the key `apt`.

Options: apt-get(8), https://manpages.debian.org/bookworm/apt/apt-get.8.en.html.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config import validators

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = ("add-apt-repository", "apt", "apt-add-repository", "apt-get", "apt-key", "aptitude", "dpkg")
_LEAVE_NOTHING = ("autoclean", "autoremove", "check", "clean", "list", "policy", "search", "show", "update")
"""Commands after which an image has no other packages."""
_FLAGS = frozenset({
    "-y", "--yes", "--assume-yes", "-q", "-qq", "--quiet", "-m", "--fix-missing", "--no-install-suggests",
    "--show-progress", "--no-show-upgraded",
})  # fmt: skip
"""Options that change nothing of what is installed."""
_NO_RECOMMENDS = re.compile(
    r"--no-install-recommends(?:=(?:true|yes|1))?|--install-recommends=(?:false|no|0)"
    r"|APT::Install-Recommends=\"?(?:false|no|0)\"?",
    re.IGNORECASE,
)
_HARMLESS_SETTING = re.compile(r"(?:Acquire::|Dpkg::Use-Pty|APT::Install-Suggests=)", re.IGNORECASE)


class AptInstall(NamedTuple):
    """`apt-get install`.

    Args:
        packages: `name` or `name=version`.
        has_recommended: whether packages that others recommend are installed too.
    """

    packages: tuple[str, ...]
    has_recommended: bool


def apt_command(words: Sequence[str]) -> AptInstall | str | None:
    """Return what a command of apt does: an installation, why it leaves nothing, or None for anything else.

    Args:
        words: of a command that is not open, the program first.
    """
    if words[0] not in ("apt", "apt-get"):
        return None
    options, operands = _divided(words[1:])
    no_recommends = [option for option in options if _NO_RECOMMENDS.fullmatch(option)]
    others = [option for option in options if option not in no_recommends and not _changes_nothing(option)]
    if others or not operands:
        return None
    command, *packages = operands
    if command in _LEAVE_NOTHING:
        return f"{words[0]} {command} adds nothing to the image"
    if command != "install" or not packages or any(validators.APT.error(name) for name in packages):
        return None
    return AptInstall(packages=tuple(packages), has_recommended=not no_recommends)


def _divided(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options and the operands of a command; an option `-o NAME=VALUE` without its sign."""
    options, operands, rest = [], [], iter(words)
    for word in rest:
        if word in ("-o", "--option"):
            options.append(next(rest, word))
        elif word.startswith("-"):
            options.append(word.removeprefix("-o"))
        else:
            operands.append(word)
    return options, operands


def _changes_nothing(option: str) -> bool:
    """Return whether an option changes nothing of what is installed; short ones may be together, such as `-yq`."""
    return (
        option in _FLAGS
        or re.fullmatch(r"-[yq]+|-q=\d", option) is not None
        or _HARMLESS_SETTING.match(option) is not None
    )


def removes_lists(words: Sequence[str]) -> bool:
    """Return whether a command is an `rm` of apt's lists and archives alone, which no step here leaves behind."""
    operands = [word for word in words[1:] if not word.startswith("-")]
    folders = ("/var/lib/apt/lists", "/var/cache/apt", "/var/lib/dpkg/info/*.postrm")
    return (
        words[0] == "rm"
        and bool(operands)
        and all(word.startswith(folders) and ".." not in word for word in operands)
    )
