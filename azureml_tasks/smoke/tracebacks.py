"""Find the traceback in a container's log that explains a failure.

The word "Error" is not enough: the scoring server logs a NotADirectoryError at every healthy start if AZUREML_MODEL_DIR
holds a plain file, and it wraps each exception of the entry script in one of its own.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_START = "Traceback (most recent call last):"
_USER_FRAME = 'File "/var/azureml-app/'
_CAUSE = "The above exception was the direct cause of the following exception:"
_CHAINED = (_CAUSE, "During handling of the above exception, another exception occurred:")
_FRAME = re.compile(r'  File "(/var/azureml-app/[^"]*)", line (\d+)')
_LOG_ENTRY = re.compile(r"\[?\d{4}-\d{2}-\d{2}[ T]")


@dataclass(frozen=True, kw_only=True)
class _Traceback:
    """One traceback in the log.

    Args:
        lines: from "Traceback" on.
        link: the line that chains it to the traceback before it; "" if it is the first of a chain.
    """

    lines: tuple[str, ...]
    link: str

    @property
    def is_users(self) -> bool:
        return any(_USER_FRAME in line for line in self.lines)


def user_traceback(log: str) -> str:
    """Return the last exception with a frame in /var/azureml-app, and the user's exceptions that it is chained to.

    Args:
        log: the container's whole log.

    Returns:
        The text from "Traceback" on; "" if the user's code raised nothing.
    """
    tracebacks = _tracebacks(log)
    while tracebacks and not tracebacks[-1].is_users:
        tracebacks.pop()
    chain = tracebacks[-1:]
    while chain and chain[0].link and len(tracebacks) > len(chain) and tracebacks[-len(chain) - 1].is_users:
        chain.insert(0, tracebacks[-len(chain) - 1])
    return _text(chain)


def root_traceback(log: str) -> str:
    """Return the last exception, without those that it is only wrapped in; "" if there is none."""
    tracebacks = _tracebacks(log)
    start = max(0, len(tracebacks) - 1)
    while start and tracebacks[start].link:
        start -= 1
    others = itertools.takewhile(lambda each: each.link != _CAUSE, tracebacks[start + 1 :])
    return _text([*tracebacks[start : start + 1], *others])


def brief_exception(log: str, paths: Mapping[str, str]) -> str:
    """Return the last exception of the user's code in *log*, or else of any, as `code/score.py:5: KeyError: 'age'`.

    Args:
        log: the container's.
        paths: of Python files in the container → their paths for people.

    Returns:
        The innermost line of the user's code, if one raised it, and the exception; "" if there is none.
    """
    lines = (user_traceback(log) or root_traceback(log)).splitlines()
    start = max((index for index, line in enumerate(lines) if line == _START), default=0)
    words = next((line for line in lines[start + 1 :] if not line.startswith(" ")), "")
    frames = [match for line in lines[start:] if (match := _FRAME.match(line))]
    where = f"{paths.get(frames[-1][1], frames[-1][1])}:{frames[-1][2]}: " if frames else ""
    return f"{where}{words}" if words else ""


def _text(chain: list[_Traceback]) -> str:
    links = ["" if not index else f"\n\n{each.link}\n\n" for index, each in enumerate(chain)]
    return "".join(link + "\n".join(each.lines) for link, each in zip(links, chain, strict=True))


def _tracebacks(log: str) -> list[_Traceback]:
    tracebacks: list[_Traceback] = []
    lines = log.splitlines()
    for index, line in enumerate(lines):
        if line.endswith(_START):
            before = [text for text in lines[max(0, index - 3) : index] if text]
            link = before[-1] if line == _START and before and before[-1] in _CHAINED else ""
            tracebacks.append(_Traceback(lines=(_START, *_body(lines[index + 1 :])), link=link))
    return tracebacks


def _body(lines: list[str]) -> list[str]:
    """Return the frames and the exception's own lines, up to the next entry of the log."""
    body: list[str] = []
    for line in lines:
        if not line or _LOG_ENTRY.match(line) or line.endswith(_START):
            break
        body.append(line)
    return body
