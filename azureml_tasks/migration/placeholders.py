"""Placeholders of templates in a YAML file, such as `<ENDPOINT>` and `{{ENDPOINT}}`: nobody wrote a value yet.

`{{NAME}}` is no text in YAML but a mapping, or a mistake if anything follows it. So its braces are replaced before the
text is parsed, each by one character that no file of a person contains, which keeps lines and columns.
"""

from __future__ import annotations

import re

_BRACES = re.compile(r"(?<!\$)\{\{([ \t]*[\w.-]+[ \t]*)\}\}")
_LEFT, _RIGHT = "\ue0f0", "\ue0f1"
_MARKED = re.compile(f"{_LEFT}_([^{_LEFT}{_RIGHT}]*)_{_RIGHT}")
_OTHERS = (
    re.compile(r"<%?[ ]?[A-Za-z][\w .-]{0,60}%?>"),  # <NAME>, <% NAME %>
    re.compile(r"\$[A-Za-z_]\w*|\$[({]{1,2}[ ]?[A-Za-z_]"),  # shells, pipelines of Azure and GitHub
    re.compile(r"#\{[\w.-]+\}#|__[A-Z][A-Z0-9_]*__"),  # tasks that replace tokens
    re.compile(r"place[ _-]?holder|\b(?:change|replace)[ _-](?:me|at|this|with)|\byour[_-]", re.IGNORECASE),
)
"""Azure ML replaces none of them, but what `is_secret_reference` finds."""
_SECRET = re.compile(r"\$\{\{[ ]?(?:azureml|keyvault):")
"""https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoint-with-secret-injection."""


def marked(text: str) -> str:
    """Return *text* with each `{{NAME}}` as a text that YAML reads, of the same length."""
    return _BRACES.sub(lambda match: f"{_LEFT}_{match[1]}_{_RIGHT}", text) if "{{" in text else text


def unmarked(text: str) -> str:
    """Return a value of a text that `marked` returned, as it was written."""
    return _MARKED.sub(lambda match: "{{" + match[1] + "}}", text)


def is_placeholder(text: str) -> bool:
    """Return whether a value of a text that `marked` returned has a placeholder in it."""
    return any(pattern.search(text) for pattern in (_MARKED, *_OTHERS)) and not is_secret_reference(text)


def is_secret_reference(text: str) -> bool:
    """Return whether Azure ML replaces a value when it deploys: by the secret of a connection or of a key vault."""
    return _SECRET.search(text) is not None
