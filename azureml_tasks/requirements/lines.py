"""The lines of a requirements file, parsed as pip parses them.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from optparse import OptionParser

from azureml_tasks.config.requirement import USE_SECRETS, has_login, is_remote
from azureml_tasks.plain_text import hide_login

_PLAIN_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])==(?P<version>\d+(\.\d+)*)"
)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_INDEXES = ("index_url", "extra_index_url", "find_links")
_LONGEST_SHOWN = 300  # characters
_LONGEST_LINE = 100_000
"""Characters; a thousand hashes have fewer."""
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
    "all_releases": ("--all-releases",),
    "only_final": ("--only-final",),
    "hash": ("--hash",),
    "global_option": ("--global-option",),
    "config_settings": ("-C", "--config-settings", "--config-setting"),
}
_PER_REQUIREMENT = {"hash", "global_option", "config_settings"}
_INCLUDES = {"requirement", "constraint"}
_FLAGS = ("no_index", "pre", "prefer_binary", "require_hashes", "no_require_hashes")
_COMMAND_LINE = frozenset(
    re.findall(
        r"\S+",
        "break-system-packages cache-dir cert client-cert compile debug dry-run force-reinstall group "
        "help ignore-installed ignore-requires-python implementation isolated log no-build-isolation "
        "no-cache-dir no-compile no-deps no-input platform prefix progress-bar proxy python-version "
        "quiet report retries root root-user-action src target timeout upgrade upgrade-strategy "
        "use-pep517 user verbose version",
    )
)
"""Options of `pip install` that no version of pip takes from a file. Any other may be one of a newer pip."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One logical line: a requirement with options of its own, or options alone.

    Args:
        number: 1-based, of the first line if a backslash joins several.
        text: the whole line, joined and without comment.
        requirement: the part before the options, as written; may be empty.
        options: values by name ("extra_index_url"); those of a flag are (True,).
        stray: words between or after the options, which pip ignores.
        error: why the options cannot be parsed; then there are none.
        newer: options that are not known here, which the pip of the image decides about.
    """

    number: int
    text: str
    requirement: str
    options: Mapping[str, Sequence[Any]]
    stray: tuple[str, ...] = ()
    error: str = ""
    newer: tuple[str, ...] = ()


def lines_of(text: str) -> Iterator[Line]:
    """Read a requirements file's lines, without comments and empty ones.

    Args:
        text: the whole file; a byte order mark is skipped. Lines end where they end for pip: `str.splitlines`.
    """
    for number, joined in _join(text.removeprefix("\ufeff").splitlines()):
        if line := _COMMENT.sub("", joined).strip():
            yield _parse(number, line)


def misplaced(line: Line) -> list[tuple[str, str]]:
    """Return the parts of a line that pip would ignore silently: (what, fix)."""
    names = list(line.options)
    # One word may be a part of a password with spaces, so the message has the whole line.
    ignored = [f'"{shown(line.text)}" has a word after an option'] if line.stray else []
    if line.requirement:
        ignored += [
            f"{spelled(name)} is on the line of a requirement"
            for name in names
            if name not in _PER_REQUIREMENT
        ]
    elif _INCLUDES.intersection(names) and sum(map(len, line.options.values())) > 1:
        ignored += [f"{spelled(names[-1])} is on the line of an include"]
    return [(f"{what}, where pip ignores it", "Put it on a line of its own.") for what in ignored]


def shown(text: str) -> str:
    """Return a line or a value for a message: without a login, and cut if it is very long."""
    hidden = hide_login(text)
    return hidden if len(hidden) <= _LONGEST_SHOWN else f"{hidden[:_LONGEST_SHOWN]}…"


def spelled(name: str) -> str:
    """Return an option as it is written: "extra_index_url" is --extra-index-url."""
    return "--" + name.replace("_", "-")


def _join(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Join lines that end in a backslash; a comment line ends the line before it and is never joined."""
    start, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        start = start if parts else number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        yield start, "".join(parts) + (" " if is_comment else "") + line
        parts = []
    if parts:
        yield start, "".join(parts)


def _parse(number: int, text: str) -> Line:
    if len(text) > _LONGEST_LINE:
        error = f"it is longer than {_LONGEST_LINE:,} characters"
        return Line(number=number, text=text[:_LONGEST_SHOWN], requirement="", options={}, error=error)
    words = text.split(" ")
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    requirement = " ".join(words[:first]).strip()
    if first == len(words):
        return Line(number=number, text=text, requirement=requirement, options={})
    try:
        known, newer = _without_newer(shlex.split(" ".join(words[first:])))
        values, stray = _option_parser().parse_args(known)
    except ValueError as error:
        return Line(number=number, text=text, requirement=requirement, options={}, error=str(error))
    given = {name: tuple(value) for name, value in vars(values).items() if value}
    return Line(
        number=number,
        text=text,
        requirement=requirement,
        options=given,
        stray=tuple(stray),
        newer=tuple(newer),
    )


def _without_newer(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return *words* without the options of a newer pip and their values, and these options."""
    known: list[str] = []
    newer: list[str] = []
    before = ""
    for word in words:
        name = word.partition("=")[0]
        if not _takes_next(before) and _may_be_newer(name):
            newer.append(name)
        elif word.startswith("-") or not _may_be_newer(before):
            known.append(word)
        before = "" if _takes_next(before) else word
    return known, newer


def _takes_next(word: str) -> bool:
    """Return whether *word* is a known option whose value is the next word."""
    spellings = [spelling for names in _LISTS.values() for spelling in names]
    return word in spellings or (word.startswith("--") and any(name.startswith(word) for name in spellings))


def _may_be_newer(option: str) -> bool:
    """Return whether *option* is none that is known, nor the beginning or a misspelling of one."""
    spellings = _long_options()
    return (
        option.startswith("--")
        and option.removeprefix("--") not in _COMMAND_LINE
        and not any(known.startswith(option) for known in spellings)
        and not get_close_matches(option, spellings, n=1, cutoff=0.8)
    )


@cache
def _long_options() -> tuple[str, ...]:
    return tuple(
        spelling
        for spelling in (*(name for names in _LISTS.values() for name in names), *map(spelled, _FLAGS))
        if spelling.startswith("--")
    )


@cache
def _option_parser() -> OptionParser:
    """Return the parser that pip itself uses: it accepts -rFILE, --requirement=FILE and abbreviated options."""
    from optparse import OptionParser

    class Parser(OptionParser):
        def error(self, msg: str) -> NoReturn:
            raise ValueError(msg)

    parser = Parser(add_help_option=False)
    for name, spellings in _LISTS.items():
        parser.add_option(*spellings, dest=name, action="append")
    for name in _FLAGS:
        parser.add_option(spelled(name), dest=name, action="append_const", const=True)
    return parser


def normalize_name(name: str) -> str:
    """Return the name of a package as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def plain_pin(text: str) -> str:
    """Return a requirement such as `Numpy==1.26.4` with its name normalised; "" for any other form.

    It is the commonest form, and is read without `packaging`, whose import takes 20 ms of each command.
    """
    match = _PLAIN_PIN.fullmatch(text)
    return f"{normalize_name(match['name'])}=={match['version']}" if match else ""


def inside(path: str, folder: str = "") -> str | None:
    """Normalize a path; return None if it is outside the project, read as a POSIX or as a Windows path."""
    joined = posixpath.normpath(posixpath.join(folder, path))
    leaves = joined.startswith(("/", "../")) or joined == ".." or "\\" in path or PureWindowsPath(path).drive
    return None if leaves else joined


def option_problems(line: Line) -> list[tuple[str, str]]:
    """Return the options of a line that a build cannot follow: (what, fix)."""
    problems: list[tuple[str, str]] = []
    for value in line.options.get("editable", ()):
        fix = "List its dependencies (project-dependencies = true), or build a wheel and list that."
        problems += [(f'"-e {shown(value)}" is an editable install, which an image cannot have', fix)]
    for name, value in [(index, value) for index in _INDEXES for value in line.options.get(index, ())]:
        if has_login(value):
            problems += [(f"{spelled(name)} contains a user or password", USE_SECRETS)]
        elif not is_remote(value) and name == "find_links":
            fix = "List the wheels themselves, relative to the project's folder: ./wheels/NAME.whl"
            problems += [
                (f'--find-links "{shown(value)}" is a local folder, which the build cannot read', fix)
            ]
        elif not is_remote(value):
            fix = f"Write the full address: {spelled(name)} https://HOST/simple"
            problems += [(f'{spelled(name)} "{shown(value)}" is not an http or https address', fix)]
    if line.newer and has_login(line.text):
        problems += [(f"{shown(line.newer[0])} contains a user or password", USE_SECRETS)]
    return problems
