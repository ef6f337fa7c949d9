"""Which files Docker's ignore rules take out, and which rule does it.

The rules are those of Moby's patternmatcher (`MatchesOrParentMatches`) and of its reader of ignore
files (github.com/moby/patternmatcher); what one pattern matches is said in `ignore_pattern`.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.project.ignore_pattern import predicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["IllegalPattern", "Matcher", "Rule", "parse_ignore_file"]

# What Go trims from a line; Python's own strip() takes four control characters more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One pattern and where it stands.

    Args:
        pattern: as it is written; a leading "!" brings files back.
        file: "pyproject.toml", ".dockerignore" or "built-in default".
        line: 1-based; 0 for a built-in one.
    """

    pattern: str
    file: str
    line: int


class IllegalPattern(ValueError):
    """A pattern that Docker refuses.

    Args:
        rule: the pattern and its place.
        why: the reason, to stand behind a colon.
    """

    def __init__(self, rule: Rule, why: str) -> None:
        super().__init__(f'{rule.file}:{rule.line}: the pattern "{rule.pattern}" is not valid: {why}')
        self.rule = rule
        self.why = why


def parse_ignore_file(text: str, file: str) -> list[Rule]:
    """Read the text of a `.dockerignore`.

    Args:
        text: the whole file; a byte order mark is skipped.
        file: the name that its rules bear.

    Returns:
        The rules in the order of the file, without comments ("#" in the first column) and empty lines.
    """
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    return [
        Rule(pattern=line.strip(_SPACE), file=file, line=number)
        for number, line in lines
        if not line.startswith("#") and line.strip(_SPACE)
    ]


class Matcher:
    """Rules in their order, of which the last that matches a path or one of its parents decides.

    Args:
        rules: the rules of all files, one after the other.

    Raises:
        IllegalPattern: a pattern that Docker refuses.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._patterns = [pattern for rule in rules if (pattern := _read(rule)) is not None]
        self._deciding: dict[str, int] = {}

    def excluding(self, path: str) -> Rule | None:
        """Find the rule that takes a file or folder out; None if it stays.

        Args:
            path: relative to the project, with "/" between its parts.
        """
        pattern = self._last(path)
        return pattern.rule if pattern and not pattern.brings_back else None

    def reincluding(self, path: str) -> Rule | None:
        """Find the "!" rule that has the last word on a path, whether or not another took it out.

        Args:
            path: relative to the project, with "/" between its parts.
        """
        pattern = self._last(path)
        return pattern.rule if pattern and pattern.brings_back else None

    def may_descend(self, folder: str) -> bool:
        """Tell whether anything below a folder can stay.

        Args:
            folder: relative to the project, with "/" between its parts.
        """
        last = self._last_index(folder)
        if last < 0 or self._patterns[last].brings_back:
            return True
        return any(p.brings_back and p.reaches_below(folder) for p in self._patterns[last + 1 :])

    def _last(self, path: str) -> _Pattern | None:
        index = self._last_index(path)
        return self._patterns[index] if index >= 0 else None

    def _last_index(self, path: str) -> int:
        last = -1
        for part in _with_parents(path):
            if part not in self._deciding:
                later = range(len(self._patterns) - 1, last, -1)
                self._deciding[part] = next((i for i in later if self._patterns[i].matches(part)), last)
            last = self._deciding[part]
        return last


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    rule: Rule
    brings_back: bool
    matches: Callable[[str], object]
    parts: tuple[Callable[[str], object], ...] | None  # None: one part may match several folders

    def reaches_below(self, folder: str) -> bool:
        if self.parts is None:
            return True
        names = folder.split("/")
        # zip() ends with the folder, so a longer pattern is compared as far as the folder goes
        return len(self.parts) > len(names) and all(
            part(name) for part, name in zip(self.parts, names, strict=False)
        )


def _with_parents(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)
    yield path


def _read(rule: Rule) -> _Pattern | None:
    pattern = rule.pattern.strip(_SPACE)
    inverted = pattern.startswith("!")
    if pattern := pattern[inverted:].strip(_SPACE):
        pattern = _clean(pattern)
        pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
    # Moby cleans once more, now with the "!" in front, and only then decides what brings files back.
    pattern = ("!" * inverted + pattern).strip(_SPACE)
    if not pattern:
        return None
    pattern = _clean(pattern)
    brings_back = pattern.startswith("!")
    pattern = pattern[brings_back:]
    if not pattern:
        raise IllegalPattern(rule, 'nothing follows the "!"')
    spans = any(mark in pattern for mark in ("**", "[", "\\", "|", "{"))
    try:
        parts = None if spans else tuple(predicate(part) for part in pattern.split("/"))
        return _Pattern(rule=rule, brings_back=brings_back, matches=predicate(pattern), parts=parts)
    except ValueError as error:
        raise IllegalPattern(rule, str(error)) from error


def _clean(pattern: str) -> str:
    cleaned = posixpath.normpath(pattern)
    return cleaned[1:] if cleaned.startswith("//") else cleaned
