"""The lines of a requirements file, taken apart as pip does it.

https://pip.pypa.io/en/stable/reference/requirements-file-format/ describes them.
"""

from __future__ import annotations

import optparse
import posixpath
import re
import shlex
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

from azureml_tasks.plain_text import hide_login

__all__ = [
    "REMOTE",
    "WITHOUT_LOGIN",
    "Line",
    "inside",
    "lines_of",
    "login_problems",
    "misplaced",
    "option_problems",
    "spelled",
]

_COMMENT = re.compile(r"(^|\s+)#.*$")
_LISTS = {
    "requirement": ("-r", "--requirement"),
    "constraint": ("-c", "--constraint"),
    "editable": ("-e", "--editable"),
    "index_url": ("-i", "--index-url", "--pypi-url"),
    "extra_index_url": ("--extra-index-url",),
    "find_links": ("-f", "--find-links"),
    "no_binary": ("--no-binary",),
    "only_binary": ("--only-binary",),
    "trusted_host": ("--trusted-host",),
    "use_feature": ("--use-feature",),
    "hash": ("--hash",),
    "global_option": ("--global-option",),
    "config_settings": ("-C", "--config-settings", "--config-setting"),
}
_ITS_OWN = {"hash", "global_option", "config_settings"}
_INCLUDES = {"requirement", "constraint"}
_FLAGS = ("no_index", "pre", "prefer_binary", "require_hashes")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One logical line: a requirement with options of its own, or options alone.

    Args:
        number: 1-based, of the first line where a backslash joins several.
        text: all of it, without comment and joins.
        requirement: the part before the options, as written; may be empty.
        options: values by name ("extra_index_url"), those of a flag (True,).
        stray: words between or behind the options, which pip drops.
        error: why the options cannot be read; then there are none.
    """

    number: int
    text: str
    requirement: str
    options: Mapping[str, Sequence[Any]]
    stray: tuple[str, ...] = ()
    error: str = ""


def lines_of(text: str) -> Iterator[Line]:
    """Read a requirements file's lines, without comments and empty ones.

    Args:
        text: the whole file; a byte order mark is skipped.
    """
    for number, joined in _join(text.removeprefix("\ufeff").splitlines()):
        if line := _COMMENT.sub("", joined).strip():
            yield _take_apart(number, line)


def misplaced(line: Line) -> list[tuple[str, str]]:
    """Tell what of a line pip would drop without a word, and what to do about it."""
    names = list(line.options)
    # a word alone may be the middle of a password with spaces, so the whole line is shown
    dropped = [f'"{hide_login(line.text)}" has a word behind an option'] if line.stray else []
    if line.requirement:
        dropped += [f"{spelled(name)} stands behind a requirement" for name in names if name not in _ITS_OWN]
    elif _INCLUDES.intersection(names) and sum(map(len, line.options.values())) > 1:
        dropped += [f"{spelled(names[-1])} stands beside an include"]
    return [(f"{what}, where pip does not read it", "Give it a line of its own.") for what in dropped]


def spelled(name: str) -> str:
    """Spell an option as a person writes it: "extra_index_url" is --extra-index-url."""
    return "--" + name.replace("_", "-")


def _join(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Join lines at a backslash; a comment line ends what came before it and is never joined itself."""
    start, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        start = start if parts else number
        is_comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        yield start, "".join(parts) + (" " if is_comment else "") + line
        parts = []
    if parts:
        yield start, "".join(parts)


def _take_apart(number: int, text: str) -> Line:
    words = text.split(" ")
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    requirement = " ".join(words[:first]).strip()
    parser = _Parser(add_help_option=False)
    for name, spellings in _LISTS.items():
        parser.add_option(*spellings, dest=name, action="append")
    for name in _FLAGS:
        parser.add_option(spelled(name), dest=name, action="append_const", const=True)
    try:
        values, stray = parser.parse_args(shlex.split(" ".join(words[first:])))
    except ValueError as error:
        return Line(number=number, text=text, requirement=requirement, options={}, error=str(error))
    given = {name: tuple(value) for name, value in vars(values).items() if value}
    return Line(number=number, text=text, requirement=requirement, options=given, stray=tuple(stray))


class _Parser(optparse.OptionParser):
    """The very parser that pip uses: it knows -rFILE, --requirement=FILE and shortened names."""

    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


def inside(path: str, folder: str = "") -> str | None:
    """Normalise a path; None where it leaves the project, as POSIX or as Windows reads it."""
    joined = posixpath.normpath(posixpath.join(folder, path))
    leaves = joined.startswith(("/", "../")) or joined == ".." or "\\" in path or PureWindowsPath(path).drive
    return None if leaves else joined


REMOTE = re.compile(r"(?:(?:git|hg|svn|bzr)\+[a-z]+|https?)://", re.IGNORECASE)
# A user before the "@" of the host, or a "host" whose port is no number: a password with a slash in it.
_LOGIN = re.compile(r"//[^/?#\s]*@|//[^/@\s]*:(?!\d+(?:[/?#]|$))[^@]*@")
_INDEXES = ("index_url", "extra_index_url", "find_links")
WITHOUT_LOGIN = (
    "Use an index without login, or give pip the login by its own configuration in the base image."
)


def option_problems(line: Line) -> list[tuple[str, str]]:
    """Tell which options of a line a build cannot follow, and what to do about it."""
    wrong = []
    for value in line.options.get("editable", ()):
        fix = "List what it needs (project-dependencies = true), or build a wheel and name that."
        wrong += [(f'"-e {hide_login(value)}" installs a folder as it is edited, which an image cannot', fix)]
    for name, value in [(index, value) for index in _INDEXES for value in line.options.get(index, ())]:
        shown = re.sub(r".*@", "***@", value)
        if _LOGIN.search(value):
            wrong += login_problems(spelled(name), value)
        elif not REMOTE.match(value) and name == "find_links":
            fix = "Name the wheels themselves, one a line, from the project's folder: ./wheels/NAME.whl"
            wrong += [(f'--find-links "{shown}" is a local folder, which a build does not have', fix)]
        elif not REMOTE.match(value):
            fix = f"Write the address in full: {spelled(name)} https://HOST/simple"
            wrong += [(f'{spelled(name)} "{shown}" is no http or https address', fix)]
    return wrong


def login_problems(subject: str, address: str) -> list[tuple[str, str]]:
    """Tell that *address* carries a login, without showing any of it."""
    return [(f"{subject} contains a user or password", WITHOUT_LOGIN)] if _LOGIN.search(address) else []
