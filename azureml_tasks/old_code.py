"""The code in two: what has not changed for longest, and the few files that whoever works on it changes again.

On an engine the former is an image of its own, so that of a changed line the latter alone is copied. No file is in
both: what was in one that has changed must not be found in a layer below.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from azureml_tasks.context import contents, summed
from azureml_tasks.dockerfile import base_of
from azureml_tasks.making import fingerprint
from azureml_tasks.planning import APP_ROOT
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from azureml_tasks.context import Context
    from azureml_tasks.context_file import ContextFile

__all__ = ["is_code", "parted", "tag"]

_MANY = 64
"""Files from which it pays: an engine copies some in the time that it takes to look at another image."""
_RECENT = 8
"""Files that change again."""
_COPY = f"COPY code/ {APP_ROOT}/"
_MARK = "code-"
_DIGITS = 32


def parted(code: Context) -> tuple[Context, Context] | None:
    """Two contexts that make what *code* makes: that of the image below, and that of what comes on it; None for one.

    Args:
        code: the code, and a Dockerfile that copies it and sets variables, labels and user, which is the latter's too.
    """
    files = [file for file in code.files if file.source]
    if len(files) < _MANY:
        return None
    newest = sorted(files, key=lambda file: (_changed_at(file, code), file.name))[-_RECENT:]
    recent = {file.name for file in newest}
    around = {folder for name in recent for folder in _folders(name)}
    return (
        code._replace(
            files=tuple(file for file in code.files if file.name not in recent),
            dockerfile=f"# Code that has not changed for a while.\nFROM {base_of(code.dockerfile)}\n\n{_COPY}\n",
        ),
        code._replace(files=tuple(file for file in code.files if file.name in recent | around)),
    )


def _changed_at(file: ContextFile, code: Context) -> float:
    """When it or its name was changed, nanoseconds since 1970; what is too new for its times to tell is the newest."""
    kept = code.known.known.get(str(file.source)) if code.known else None
    if not kept:
        return inf
    _, mtime, ctime, _ = kept[0]
    return max(mtime, ctime)


def _folders(name: str) -> list[str]:
    """Each folder that a file of this name lies in."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) + "/" for count in range(len(parts))]


def tag(on: str, old: Context) -> str:
    """The name of the image that *old* makes on the image with the id *on*, in the repository of the prefixes."""
    made_of = {"version": VERSION, "on": on, "code": summed(contents(old))[0]}
    return _MARK + fingerprint(made_of)[:_DIGITS]


def is_code(text: str) -> bool:
    """Whether the tag *text* is one of `tag`."""
    return text.startswith(_MARK)
