"""Which files of a folder are not looked at: those that the image does not get, and those that git ignores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from azureml_tasks.project.git_ignore import GitRules, LayeredRules, parse_git_ignore
from azureml_tasks.project.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file
from azureml_tasks.project.ignore_files import DEFAULTS
from azureml_tasks.project.paths import leaves
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azureml_tasks.project.ignore import IgnoreRules

_RulesT = TypeVar("_RulesT", Matcher, GitRules)
_LARGEST = 1_000_000
"""Bytes of an ignore file."""


def code_rules(folder: Path) -> IgnoreRules:
    """Return the rules for scripts: what no image gets, by the defaults and by `.dockerignore` or else `.amlignore`."""
    docker = _text(folder, ".dockerignore")
    if docker:
        return _valid(Matcher, [*_defaults(), *parse_ignore_file(docker, ".dockerignore")])
    azure_ml = parse_git_ignore(_text(folder, ".amlignore"), ".amlignore", "")
    return LayeredRules([Matcher(_defaults()), _valid(GitRules, azure_ml)])


def folder_rules(folder: Path) -> IgnoreRules:
    """Return the rules for all other files: the defaults, and what git ignores.

    A `.dockerignore` is none of them: it often excludes the Dockerfile and the YAML files themselves.
    """
    ignored = parse_git_ignore(_text(folder, ".gitignore"), ".gitignore", "")
    return LayeredRules([Matcher(_defaults()), _valid(GitRules, ignored)])


def default_rules() -> IgnoreRules:
    """Return the rules for models, which git often ignores because they are large."""
    return Matcher(_defaults())


def _defaults() -> list[Rule]:
    return [Rule(pattern=pattern, file="built-in default", line=0) for pattern in DEFAULTS]


def _text(folder: Path, name: str) -> str:
    """Return the text of an ignore file; "" if there is none that can be read: `image.check` says so."""
    path = folder / name
    try:
        return "" if not os.path.lexists(path) or leaves(folder, path) else read_text(path, largest=_LARGEST)
    except (FileNotFoundError, UnreadableFile, OSError, RuntimeError):  # RuntimeError: links in a circle
        return ""


def _valid(parse: Callable[[list[Rule]], _RulesT], rules: list[Rule]) -> _RulesT:
    """Parse those of *rules* that can be read; `image.check` reports the others."""
    return parse([rule for rule in rules if _is_valid(parse, rule)])


def _is_valid(parse: Callable[[list[Rule]], _RulesT], rule: Rule) -> bool:
    try:
        parse([rule])
    except IllegalPattern:
        return False
    return True
