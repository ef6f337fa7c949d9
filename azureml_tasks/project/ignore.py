"""Docker's ignore rules: which files they exclude, and which rule does it.

The rules are those of Moby's patternmatcher (`MatchesOrParentMatches`) and of its reader of ignore
files (https://github.com/moby/patternmatcher); `ignore_pattern` matches one pattern.
"""

from __future__ import annotations

import posixpath
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.project.ignore_pattern import literal_head, literal_tail, predicate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What Go trims from a line; Python's strip() also removes four control characters.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

_SPECIAL = re.compile(r"[*?\[\]\\{}^|]")
"""What a pattern must escape in the name of a folder."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One pattern and where it is written.

    Args:
        pattern: as written; a leading "!" brings files back.
        file: "pyproject.toml", "built-in default", or an ignore file.
        line: 1-based; 0 for a built-in one.
        folder: that the pattern is relative to, unless it begins with `**/`; "" for the root.
    """

    pattern: str
    file: str
    line: int
    folder: str = ""


class IllegalPattern(ValueError):
    """A pattern that Docker refuses.

    Args:
        rule: the pattern and where it is written.
        why: the reason, to follow a colon.
    """

    def __init__(self, rule: Rule, why: str) -> None:
        super().__init__(f'{rule.file}:{rule.line}: the pattern "{rule.pattern}" is not valid: {why}')
        self.rule = rule
        self.why = why


def parse_ignore_file(text: str, file: str) -> list[Rule]:
    """Parse the text of a `.dockerignore`.

    Args:
        text: the whole file; a byte order mark is skipped.
        file: its name, for the rules.

    Returns:
        The rules in the order of the file, without comments ("#" in the first column) and empty lines.
    """
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    return [
        Rule(pattern=line.strip(_SPACE), file=file, line=number)
        for number, line in lines
        if not line.startswith("#") and line.strip(_SPACE)
    ]


class IgnoreRules(ABC):
    """Which files and folders of a project are excluded, and which rule decides."""

    @abstractmethod
    def decision(self, path: str) -> tuple[Rule | None, bool]:
        """Return the rule that decides about a file or folder, None for no rule, and whether it stays.

        Args:
            path: relative to the root, with "/" between its parts; that of a folder may end with one.
        """

    def excluding(self, path: str) -> Rule | None:
        """Return the rule that excludes a file or folder; None if it stays."""
        rule, stays = self.decision(path)
        return None if stays else rule

    def reincluding(self, path: str) -> Rule | None:
        """Return the "!" rule that decides about a path, whether or not another rule excluded it before."""
        rule, stays = self.decision(path)
        return rule if stays else None

    @abstractmethod
    def may_descend(self, folder: str) -> bool:
        """Return whether anything below a folder can stay."""

    @abstractmethod
    def may_bring_back_below(self, folder: str) -> bool:
        """Return whether a "!" rule can match below a folder about which no rule decides."""


class Matcher(IgnoreRules):
    """Rules in their order: the last one that matches a path or one of its parents decides.

    Args:
        rules: the rules of all files, one after the other.

    Raises:
        IllegalPattern: a pattern that Docker refuses.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._patterns = [pattern for rule in rules if (pattern := _parsed(rule)) is not None]
        self._tails = tuple(pattern.tail for pattern in self._patterns if pattern.tail)
        self._heads = tuple(pattern.head for pattern in self._patterns if pattern.head)
        self._others = [pattern for pattern in self._patterns if not pattern.tail and not pattern.head]
        self._deciding: dict[str, int] = {}

    def decision(self, path: str) -> tuple[Rule | None, bool]:
        """Return the rule that decides about a file or folder, None for no rule, and whether it stays."""
        index = self._last_index(path.removesuffix("/"))
        if index < 0:
            return None, True
        pattern = self._patterns[index]
        return pattern.rule, pattern.brings_back

    def may_descend(self, folder: str) -> bool:
        """Return whether anything below a folder can stay."""
        last = self._last_index(folder)
        if last < 0 or self._patterns[last].brings_back:
            return True
        return any(p.brings_back and p.reaches_below(folder) for p in self._patterns[last + 1 :])

    def may_bring_back_below(self, folder: str) -> bool:
        """Return whether a "!" rule can match below a folder about which no rule decides."""
        return any(pattern.brings_back and pattern.reaches_below(folder) for pattern in self._patterns)

    def _last_index(self, path: str) -> int:
        """Return the index of the pattern that decides about *path*; -1 for none."""
        last = self._deciding.get(path)
        if last is None:
            last = -1
            for end in [*_ends_of_parents(path, self._deciding), len(path)]:
                last = self._decide(path[:end], last)
        return last

    def _decide(self, path: str, last: int) -> int:
        """Return, and keep, the index for *path*; *last* is that of its parent."""
        known = self._deciding.get(path)
        if known is None:
            known = last
            name = path.rpartition("/")[2]
            may_match = path.endswith(self._tails) or name.startswith(self._heads)
            if may_match or any(pattern.matches(path) for pattern in self._others):
                later = range(len(self._patterns) - 1, last, -1)
                known = next((i for i in later if self._patterns[i].matches(path)), last)
            self._deciding[path] = known
        return known


def _ends_of_parents(path: str, known: Mapping[str, int]) -> list[int]:
    """Return where the parents of *path* end in it, from the last one that is *known* on."""
    ends: list[int] = []
    end = path.rfind("/")
    while end > 0:
        ends.append(end)
        if path[:end] in known:
            break
        end = path.rfind("/", 0, end)
    return ends[::-1]


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """One pattern, ready to match.

    Args:
        rule: where it is written.
        brings_back: whether it begins with "!".
        matches: returns whether it matches a path itself.
        tail: the literal end of every path that it matches; "" if there is none.
        head: the literal beginning of the last part of every path that it matches; "" if there is none.
        parts: the same for each folder; None if one part may match several folders.
    """

    rule: Rule
    brings_back: bool
    matches: Callable[[str], object]
    tail: str
    head: str
    parts: tuple[Callable[[str], object], ...] | None

    def reaches_below(self, folder: str) -> bool:
        if self.parts is None:
            return True
        names = folder.split("/")
        # zip() ends with the folder, so a longer pattern is compared as far as the folder goes
        return len(self.parts) > len(names) and all(
            part(name) for part, name in zip(self.parts, names, strict=False)
        )


def _parsed(rule: Rule) -> _Pattern | None:
    pattern = rule.pattern.strip(_SPACE)
    inverted = pattern.startswith("!")
    if pattern := pattern[inverted:].strip(_SPACE):
        pattern = _clean(pattern)
        pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
        pattern = _from_root(rule, pattern)
    # Moby cleans once more, now with the "!" in front, and only then checks for the "!".
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
        return _Pattern(
            rule=rule,
            brings_back=brings_back,
            matches=predicate(pattern),
            tail=literal_tail(pattern),
            head=literal_head(pattern),
            parts=parts,
        )
    except ValueError as error:
        raise IllegalPattern(rule, str(error)) from error


def _from_root(rule: Rule, pattern: str) -> str:
    """Return a cleaned pattern of a rule relative to the root."""
    if not rule.folder or pattern == "**" or pattern.startswith("**/"):
        return pattern
    pattern = posixpath.normpath(f"{_escaped(rule.folder)}/{pattern}")
    if pattern == ".." or pattern.startswith("../"):
        raise IllegalPattern(rule, "it leads out of the folder of `root`")
    return pattern


def _escaped(folder: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", folder)


def _clean(pattern: str) -> str:
    cleaned = posixpath.normpath(pattern)
    return cleaned[1:] if cleaned.startswith("//") else cleaned
