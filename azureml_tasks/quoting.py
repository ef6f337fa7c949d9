"""Names and values as a Dockerfile writes them, so that they come back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["pairs", "quoted"]


def pairs(word: str, named: Mapping[str, str]) -> list[str]:
    """One instruction for all of them: each costs the legacy builder a container."""
    lines = [f"{name if word == 'ENV' else quoted(name)}={quoted(value)}" for name, value in named.items()]
    return (
        [f"{word} {lines[0]}", *lines[1:]]
        if len(lines) == 1
        else [f"{word} \\", *(f"    {line} \\" for line in lines[:-1]), f"    {lines[-1]}"]
    )


def quoted(text: str) -> str:
    r"""*text* in double quotes, as ENV and LABEL read it back unchanged.

    Inside double quotes Docker knows three escapes, `\"`, `\$` and `\\`
    (https://docs.docker.com/reference/dockerfile/#environment-replacement; moby's shell lexer).
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
