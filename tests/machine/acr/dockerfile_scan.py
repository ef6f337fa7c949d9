"""The agent's scan of a Dockerfile before a build: line by line, unlike Docker's parser."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.machine.acr import template

__all__ = ["ScanError", "build_words", "scan"]

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[\w][\w.-]{{0,127}})?(?:@[a-z0-9]+:[0-9a-f]{{32,}})?"
)


class ScanError(Exception):
    """The scan rejects the Dockerfile, with the agent's message."""


@dataclass(frozen=True, kw_only=True)
class BuildWords:
    """The options of a build step that the agent reads."""

    dockerfile: str
    target: str
    context: str
    tags: Sequence[str]
    arguments: Sequence[str]


def build_words(text: str) -> BuildWords:
    """Parse the options of a build; only those separated from their value by a space are recognized."""
    dockerfile, target, context, before = "", "", ".", ""
    tags, arguments = [], []
    for word in text.split():
        if before in {"-f", "--file"}:
            dockerfile = word.strip("'\"")
        elif before == "--target":
            target = word.strip("'\"")
        elif not before.startswith("-") and not word.startswith("-"):
            context = word.strip("'\"")
        if before in {"-t", "--tag"}:
            tags.append(word)
        if before == "--build-arg":
            arguments.append(word)
        before = word
    return BuildWords(dockerfile=dockerfile, target=target, context=context, tags=tags, arguments=arguments)


def scan(text: str, words: BuildWords) -> Sequence[str]:
    """Return the base images of a Dockerfile, that of its last stage first.

    Raises:
        ScanError: a line is not understood, or there is no FROM.
    """
    values = dict(_assignment(argument) for argument in words.arguments)
    stages: dict[str, str] = {}
    bases: dict[str, None] = {}
    origin = ""
    for line in template.scanned(text.removeprefix("\ufeff")):
        tokens = line.split()
        if not tokens or tokens[0].startswith("#"):
            continue
        if tokens[0].upper() == "ARG":
            _argument(line.strip(), tokens, values)
        elif tokens[0].upper() == "FROM":
            name, alias = _from(line.strip(), tokens, values)
            origin = stages.get(name, name)
            if name not in stages:
                bases[name] = None
            if alias:
                stages[alias] = origin
            if words.target and alias == words.target:
                break
    if not bases:
        raise ScanError("unexpected dockerfile format")
    for name in bases:
        _reference(name)
    return [origin, *(name for name in bases if name != origin)]


def _from(line: str, tokens: Sequence[str], values: Mapping[str, str]) -> tuple[str, str]:
    """Return image and name of a stage."""
    count = len(tokens)
    if count < 2 or (count > 2 and (count < 4 or tokens[2].lower() != "as")):
        raise ScanError(f"unable to understand line {line}")
    name = re.sub(
        r"\$\{([^}]*)\}|\$(\w+)",
        lambda match: values.get(match.group(1) or match.group(2), ""),
        tokens[1].strip("'\""),
    )
    return name, tokens[3] if count > 3 else ""


def _argument(line: str, tokens: Sequence[str], values: dict[str, str]) -> None:
    if len(tokens) == 1:
        raise ScanError(f"dockerfile syntax requires ARG directive to have exactly 1 argument. LINE: {line}")
    if "=" in tokens[1]:
        name, value = _assignment(tokens[1])
        values.setdefault(name, value)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ScanError(f"{text} cannot be split into 2 tokens with '='")
    return name, value.strip("'\"")


def _reference(name: str) -> None:
    tagged = name if ":" in name or "@" in name else f"{name}:latest"
    if not _REFERENCE.fullmatch(tagged):
        raise ScanError(
            f"Failed to parse image reference, ensure tags have a valid format: {tagged}: invalid reference format"
        )
