"""The traceback in a container's log that a person needs to see first.

A log cannot be judged by the word: the scoring server logs a NotADirectoryError at every healthy
start when AZUREML_MODEL_DIR holds a plain file, and wraps each exception of the user's into its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["last_traceback", "user_traceback"]

_START = "Traceback (most recent call last):"
_USER_FRAME = 'File "/var/azureml-app/'
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_ENTRY = re.compile(r"\[?\d{4}-\d{2}-\d{2}[ T]")


@dataclass(frozen=True, kw_only=True)
class _Traceback:
    lines: tuple[str, ...]
    link: str  # how it follows from the one before; "" when it does not

    @property
    def is_users(self) -> bool:
        return any(_USER_FRAME in line for line in self.lines)


def user_traceback(log: str) -> str:
    """The last exception with a frame in /var/azureml-app, with those that it was raised from.

    Args:
        log: the container's, whole.

    Returns:
        The text from "Traceback" on; empty when the user's code raised nothing.
    """
    found = _tracebacks(log)
    while found and not found[-1].is_users:
        found.pop()
    chain = found[-1:]
    while chain and chain[0].link and len(found) > len(chain) and found[-len(chain) - 1].is_users:
        chain.insert(0, found[-len(chain) - 1])
    return _text(chain)


def last_traceback(log: str) -> str:
    """The last exception, whoever raised it, with no other; empty when there is none."""
    return _text(_tracebacks(log)[-1:])


def _text(chain: list[_Traceback]) -> str:
    links = ["" if not index else f"\n\n{each.link}\n\n" for index, each in enumerate(chain)]
    return "".join(link + "\n".join(each.lines) for link, each in zip(links, chain, strict=True))


def _tracebacks(log: str) -> list[_Traceback]:
    found: list[_Traceback] = []
    lines = log.splitlines()
    for index, line in enumerate(lines):
        if line.endswith(_START):
            before = [text for text in lines[max(0, index - 3) : index] if text]
            link = before[-1] if line == _START and before and before[-1] in _CHAINED else ""
            found.append(_Traceback(lines=(_START, *_rest(lines[index + 1 :])), link=link))
    return found


def _rest(lines: list[str]) -> list[str]:
    """The frames, which are indented, and the exception's lines, up to what is surely not theirs."""
    rest: list[str] = []
    for line in lines:
        if not line or _ENTRY.match(line) or line.endswith(_START):
            break
        rest.append(line)
    return rest
