"""Placeholders of templates in a YAML file, such as `<ENDPOINT>` and `{{ENDPOINT}}`: nobody wrote a value yet.

`{{NAME}}` is no text in YAML but a mapping, or a mistake if anything follows it. So its braces are replaced before the
text is parsed, each by one character that no file of a person contains, which keeps lines and columns.
"""

from __future__ import annotations

import re

_BRACES = re.compile(r"(?<!\$)\{\{([ \t]*[\w.-]+[ \t]*)\}\}")
_LEFT, _RIGHT = "\ue0f0", "\ue0f1"
_MARKED = re.compile(f"{_LEFT}.([^{_RIGHT}]*).{_RIGHT}")
_ANGLES = re.compile(r"<[A-Za-z][\w .-]{0,60}>")
_WORD = re.compile(r"place[ _-]?holder", re.IGNORECASE)
_SHELL = re.compile(r"\$(?:[A-Z_][A-Z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")
"""A variable for `envsubst` or a shell. Azure ML replaces none in a value."""


def marked(text: str) -> str:
    """Return *text* with each `{{NAME}}` as a text that YAML reads, of the same length."""
    return _BRACES.sub(lambda match: f"{_LEFT}_{match[1]}_{_RIGHT}", text) if "{{" in text else text


def unmarked(text: str) -> str:
    """Return a value of a text that `marked` returned, as it was written."""
    return _MARKED.sub(lambda match: "{{" + match[1] + "}}", text)


def is_placeholder(text: str) -> bool:
    """Return whether a value of a text that `marked` returned has a placeholder in it."""
    return any(pattern.search(text) for pattern in (_MARKED, _ANGLES, _WORD, _SHELL))
