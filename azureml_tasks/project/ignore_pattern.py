r"""Match paths with one pattern of Docker's ignore files.

Moby turns a pattern into a Go regular expression. This has odd results, which are the same here:
`[^a]` also matches a slash, `\d` is a digit, a `*` inside `[...]` ends the set, and in a pattern with a
wildcard `|` and `{2}` mean what they mean in Go, as Moby does not escape them.
Known difference: `\x41`, `\pL`, `\Q` and `[[:^alpha:]]`, which Go understands, are refused.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from azureml_tasks.project.ignore_steps import search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SET_CHARACTER = r"(?:\\.|[^\\\]-])"
# The syntax of Go's filepath.Match, by which Moby accepts or refuses a pattern.
_LEGAL = re.compile(
    rf"(?: \\. | [^\\\[] | \[ (?:\^|(?!\^)) (?:{_SET_CHARACTER} (?:-{_SET_CHARACTER})?)+ \] )*",
    re.DOTALL | re.VERBOSE,
)
_LITERAL_TAIL = re.compile(r"(?: (?<!\\) [^*?\[\]\\{}^] )* \Z", re.DOTALL | re.VERBOSE)
_LITERAL_HEAD = re.compile(r"\*\*/([^*?\[\]\\{}^|/]+)\*", re.DOTALL)
_TOKEN = re.compile(r"\*\*/?|\\.|.", re.DOTALL)
_SET_ITEM = re.compile(
    r"\[:(?P<name>.*?):\] | \\(?P<perl>[dDsSwW]) | (?P<low>\\.|[^\\]) (?:-(?P<high>\\.|[^\\\]]))?",
    re.DOTALL | re.VERBOSE,
)
_REPEAT = re.compile(r"\{(?:0|[1-9]\d*)(?:,(?:0|[1-9]\d*)?)?\}", re.ASCII)
_REPEATS = re.compile(r"(?<!\\)\{(\d+,?\d*)\}", re.ASCII)
_MOST_REPEATS = 1000
"""https://pkg.go.dev/regexp/syntax: "implementations limit the counts to 1000"."""
_LONGEST = 4096
"""The longest path of Linux; a longer pattern matches none."""
_PERL_SETS = {"d": "0-9", "D": r"\D", "s": r"\t\n\f\r ", "S": r"\S\v", "w": r"\w", "W": r"\W"}
_CONTROLS = frozenset("afnrtv")
_ANCHORS = {"A": r"\A", "b": r"\b", "B": r"\B", "z": r"\Z"}
_POSIX_SETS = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


def predicate(pattern: str) -> Callable[[str], object]:
    """Return a function that tells whether a pattern, without its "!", matches a path itself.

    Args:
        pattern: cleaned as by Go's filepath.Clean.

    Raises:
        ValueError: Docker refuses the pattern, with the reason.
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    if not (legal := _LEGAL.match(pattern)) or legal.end() < len(pattern):
        raise ValueError(_complaint(pattern[legal.end() if legal else 0 :]))
    tokens = _TOKEN.findall(pattern)
    special = [i for i, token in enumerate(tokens) if len(token) > 1 or token in set("*?[]")]
    if not special:
        return pattern.__eq__
    if special == [0] and tokens[0].startswith("**"):
        return lambda path: f"/{path}".endswith(pattern[2:])
    if special == [len(tokens) - 1] and tokens[-1] == "**":
        return lambda path: path.startswith(pattern[:-2])
    if head := literal_head(pattern):
        return partial(_is_named, head)
    expression = _from_go(_to_go(tokens))
    repeats = [
        int(number) for repeat in _REPEATS.findall(expression) for number in repeat.split(",") if number
    ]
    if any(number > _MOST_REPEATS for number in repeats):
        raise ValueError(f"Go's regular expressions repeat nothing more than {_MOST_REPEATS:,} times")
    try:
        return search(expression)
    except re.error as error:
        raise ValueError(f"Go's regular expressions know no such thing ({error.msg})") from error


def literal_tail(pattern: str) -> str:
    """Return the literal end of every path that *pattern* matches; "" if there is none.

    Args:
        pattern: as `predicate` takes it.
    """
    tail = _LITERAL_TAIL.search(pattern)
    if not tail or "|" in pattern:
        return ""
    return tail[0].removeprefix("/")  # "**/" also matches nothing, slash included.


def literal_head(pattern: str) -> str:
    """Return the text in `**/TEXT*`, with which the last part of each path begins that it matches; "" for others."""
    head = _LITERAL_HEAD.fullmatch(pattern)
    return head[1] if head else ""


def _is_named(start: str, path: str) -> bool:
    """Return whether the last part of *path* begins with *start*, in folders that Go's "." matches."""
    folder, _, name = path.rpartition("/")
    return name.startswith(start) and "\n" not in folder


def _complaint(rest: str) -> str:
    if rest.startswith("["):
        return 'a "[" needs a "]" and characters between them; write a literal "-" as "\\-"'
    return "it ends in a backslash, which escapes nothing"


def _to_go(tokens: Sequence[str]) -> str:
    """Return the regular expression that Moby builds from a pattern."""
    meaning = {"*": "[^/]*", "?": "[^/]", "**": "(.*/)?", "**/": "(.*/)?"}
    escaped = {mark: f"\\{mark}" for mark in ".+()$"}
    *before, last = [meaning.get(token, escaped.get(token, token)) for token in tokens]
    return "".join([*before, ".*" if tokens[-1].startswith("**") else last])


def _from_go(expression: str) -> str:
    """Translate a Go regular expression to Python, as far as patterns lead to them."""
    python, at = "", 0
    while at < len(expression):
        if expression[at] == "[":
            text, at = _set(expression, at + 1)
            python += text
        elif expression[at] == "\\":
            mark = expression[at + 1]
            python += _ANCHORS.get(mark) or (f"[{_PERL_SETS[mark]}]" if mark in _PERL_SETS else _escape(mark))
            at += 2
        elif expression[at] == "{" and not _REPEAT.match(expression, at):
            python += r"\{"
            at += 1
        else:
            python += expression[at]
            at += 1
    return python


def _set(expression: str, at: int) -> tuple[str, int]:
    negated = expression.startswith("^", at)
    start = at = at + negated
    items = []
    while at == start or expression[at] != "]":
        item = _SET_ITEM.match(expression, at)
        if item is None:
            raise ValueError('a "[" needs a "]"')
        items.append(_set_item(item))
        at = item.end()
    return f"[{'^' * negated}{''.join(items)}]", at + 1


def _set_item(item: re.Match[str]) -> str:
    name, perl, low, high = item.group("name", "perl", "low", "high")
    if name is not None and name not in _POSIX_SETS:
        raise ValueError(f'"[:{name}:]" is no known set of characters')
    if name is not None:
        return _POSIX_SETS[name]
    if perl:
        return _PERL_SETS[perl]
    return _character(low) + (f"-{_character(high)}" if high else "")


def _character(text: str) -> str:
    return _escape(text[1]) if len(text) > 1 else re.escape(text)


def _escape(mark: str) -> str:
    if mark in _CONTROLS:
        return f"\\{mark}"
    if mark.isalnum() or not mark.isascii():
        raise ValueError(f'"\\{mark}" escapes nothing; folders are separated by "/"')
    return re.escape(mark)
