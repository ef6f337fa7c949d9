"""Git's ignore rules, which `.amlignore` follows: https://git-scm.com/docs/gitignore.

`pathspec` matches them, as it does in Azure ML's own SDK (azure-ai-ml, `_utils/_asset_utils.py`). Each file is decided
by itself, so `!` brings back a file of an excluded folder, as in that SDK.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from azureml_tasks.project.ignore import IgnoreRules, IllegalPattern, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pathspec import GitIgnoreSpec

_LINE_END = re.compile(r"\r\n?|\n")
"""The ends of lines in a text file; `str.splitlines` also ends one at U+2028 and others, which git does not."""
_LONGEST = 4096
"""The longest path of Linux; a longer pattern matches none."""
_MOST_IN_A_NAME = 3
_MOST = 4
"""Wildcards `*` of a pattern: pathspec's regular expressions try every way to divide a path among them."""


def parse_git_ignore(text: str, file: str, folder: str) -> list[Rule]:
    """Parse the text of a `.amlignore`.

    Args:
        text: the whole file; a byte order mark is skipped.
        file: its name, for the rules.
        folder: of the file, relative to the root; "" for the root itself.

    Returns:
        The rules in the order of the file, without comments and empty lines.
    """
    lines = enumerate(_LINE_END.split(text.removeprefix("\ufeff")), 1)
    return [
        Rule(pattern=line, file=file, line=number, folder=folder)
        for number, line in lines
        if line.strip() and not line.startswith("#")
    ]


class GitRules(IgnoreRules):
    """The rules of one file: the last one that matches a path below its folder decides.

    Args:
        rules: of the file.

    Raises:
        IllegalPattern: a pattern that cannot be read.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        for rule in rules:
            _spec([rule])
        self._spec = _spec(rules)
        self._folder = f"{rules[0].folder}/" if rules and rules[0].folder else ""
        self._brings_back = any(rule.pattern.startswith("!") for rule in rules)

    def decision(self, path: str) -> tuple[Rule | None, bool]:
        """Return the rule that decides about a file or folder, None for no rule, and whether it stays."""
        if not path.startswith(self._folder) or path == self._folder:
            return None, True
        result = self._spec.check_file(path[len(self._folder) :])
        return (None, True) if result.index is None else (self._rules[result.index], not result.include)

    def may_descend(self, folder: str) -> bool:
        """Return whether anything below a folder can stay."""
        return self._brings_back or self.excluding(f"{folder}/") is None

    def may_bring_back_below(self, folder: str) -> bool:
        """Return whether a "!" rule can match below a folder about which no rule decides."""
        return self._brings_back and (
            f"{folder}/".startswith(self._folder) or self._folder.startswith(f"{folder}/")
        )


class LayeredRules(IgnoreRules):
    """Rules of several kinds: those of the last layer that decides about a path count.

    Args:
        layers: the first one counts least.
    """

    def __init__(self, layers: Sequence[IgnoreRules]) -> None:
        self._layers = layers

    def decision(self, path: str) -> tuple[Rule | None, bool]:
        """Return the rule that decides about a file or folder, None for no rule, and whether it stays."""
        index, rule, stays = self._deciding(path)
        return (rule, stays) if index >= 0 else (None, True)

    def may_descend(self, folder: str) -> bool:
        """Return whether anything below a folder can stay."""
        index, _, stays = self._deciding(f"{folder}/")
        return (
            stays
            or self._layers[index].may_descend(folder)
            or any(layer.may_bring_back_below(folder) for layer in self._layers[index + 1 :])
        )

    def may_bring_back_below(self, folder: str) -> bool:
        """Return whether a "!" rule can match below a folder about which no rule decides."""
        return any(layer.may_bring_back_below(folder) for layer in self._layers)

    def _deciding(self, path: str) -> tuple[int, Rule | None, bool]:
        """Return the index of the layer that decides about *path*, its rule, and whether the path stays."""
        for index in range(len(self._layers) - 1, -1, -1):
            rule, stays = self._layers[index].decision(path)
            if rule:
                return index, rule, stays
        return -1, None, True


def _spec(rules: Sequence[Rule]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # few projects have such a file

    for rule in rules:
        if why := _too_much(rule.pattern):
            raise IllegalPattern(rule, why)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `re` warns of "[[".
            return GitIgnoreSpec.from_lines([rule.pattern for rule in rules])
    except (ValueError, re.error) as error:
        raise IllegalPattern(rules[0], "git's patterns have no such form") from error


def _too_much(pattern: str) -> str:
    names = pattern.removeprefix("!").removeprefix("**/").removesuffix("/**").split("/")
    wildcards = [len(re.findall(r"\*+", name)) for name in names]
    if sum(wildcards) > _MOST or max(wildcards) > _MOST_IN_A_NAME:
        return f"it has more than {_MOST} wildcards, or more than {_MOST_IN_A_NAME} in one name"
    return f"it is longer than {_LONGEST:,} characters" if len(pattern) > _LONGEST else ""
