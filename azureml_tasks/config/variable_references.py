"""Variables that a value of `env` names: `$NAME`, `${NAME}`, and `$$` for a dollar.

Values are kept as they are written. Once the names of the table are replaced, see `project.variables`, the others are
variables of the base, and `dockerfile_line.quoted_value` writes them as Docker reads them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_AFTER_DOLLAR = re.compile(
    rf"(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<braced>{_NAME})\}}"
    rf"|(?P<own>\{{(?P<of>{_NAME}):(?:\+:\$\{{(?P=of)\}}|-/[^{{}}$\"\\]*)\}})"
)
_SHOWN = re.compile(r"\{[^{}$]{0,40}\}?|.?", re.DOTALL)
VALUE = rf"(?:[^\$\n\r\u0000]|\$(?:\$|{_NAME}|\{{{_NAME}\}}))*"
"""The form of a value, for JSON Schema."""


class Reference(NamedTuple):
    """A variable that a value names.

    Args:
        name: of the variable.
        optional: what takes its place in a Dockerfile if the base need not set it, one of our own forms; else "".
    """

    name: str
    optional: str = ""

    def written(self) -> str:
        """Return it as a value contains it."""
        return self.optional or f"${{{self.name}}}"


def extended_by(name: str) -> str:
    """Return the end of a list of folders that the base may go on: a colon and its variable *name*, if it sets it.

    No table can contain it: `reference_error` refuses it.
    """
    return f"${{{name}:+:${{{name}}}}}"


def literal(text: str) -> str:
    """Return *text* as a value that names no variable."""
    return text.replace("$", "$$")


def parts(value: str) -> Iterator[str | Reference]:
    """Yield the texts and the variables of a valid *value*, in their order."""
    at = 0
    while (dollar := value.find("$", at)) >= 0:
        if dollar > at:
            yield value[at:dollar]
        match = _AFTER_DOLLAR.match(value, dollar + 1)
        if not match or match["dollar"]:  # A wrong value is reported, and goes on as a text.
            yield "$"
        else:
            name = match["plain"] or match["braced"] or match["of"]
            yield Reference(name=name, optional=f"${match['own']}" if match["own"] else "")
        at = match.end() if match else dollar + 1
    if at < len(value):
        yield value[at:]


def plain(value: str) -> str:
    """Return a *value* that names no variable as the text that it stands for."""
    return "".join(part if isinstance(part, str) else part.written() for part in parts(value))


def names(value: str) -> list[str]:
    """Return the variables that *value* names, each once."""
    return list(dict.fromkeys(part.name for part in parts(value) if isinstance(part, Reference)))


def reference_error(value: str) -> str:
    """Say which "$" of *value* names no variable, in words that follow the value; "" if each does."""
    at = 0
    while (dollar := value.find("$", at)) >= 0:
        match = _AFTER_DOLLAR.match(value, dollar + 1)
        if not match or match["own"]:
            shown = _SHOWN.match(value, dollar + 1)
            return f'has "${shown[0] if shown else ""}", which names no variable'
        at = match.end()
    return ""
