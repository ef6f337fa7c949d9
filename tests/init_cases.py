"""The cases of `image.init`: files of a team, the command, and what becomes of them."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.cases import lay_out, sections
from tests.git_command import git

__all__ = ["INIT", "KINDS", "OUTCOMES", "command", "laid_out", "named", "project_folder"]

INIT = sorted((Path(__file__).parent / "cases" / "init").glob("*.txt"))
"""What teams have, each with the table that `image.init` writes and its report, or with its error."""
KINDS = ("deployment", "environment", "dockerfile", "conda", "requirements", "pyproject")
"""The kinds of sources, with which the names of cases begin."""
OUTCOMES = ("table", "report", "error")
"""The sections of a case that are expected."""
_COMMAND = "command"


def named(name: str) -> Path:
    """Return the case *name*."""
    return next(case for case in INIT if case.stem == name)


def command(case: Path) -> list[str]:
    """Return the words of a case after `init`."""
    return shlex.split(sections(case)[_COMMAND])


def project_folder(case: Path, folder: Path) -> Path:
    """Return the folder of the project that the command of a case names, or else *folder*."""
    words = command(case)
    return folder / words[words.index("--project") + 1] if "--project" in words else folder


def laid_out(case: Path, folder: Path, replace: tuple[str, str] = ("", "")) -> Path:
    """Write the files of a case into *folder*, which is then a git repository.

    A section `NAME (windows)` has line ends of Windows, and `NAME (latin-1)` is a text in that encoding.

    Args:
        case: the case.
        folder: an empty folder.
        replace: a text of the files, and the one in its place; by default none is replaced.
    """
    files = {name: text for name, text in sections(case).items() if name not in (_COMMAND, *OUTCOMES)}
    for section, text in files.items():
        name, _, how = section.removesuffix(")").partition(" (")
        written = text.replace(*replace) if replace[0] else text
        lay_out({name: ""}, folder)
        lines = written.replace("\n", "\r\n") if how == "windows" else written
        (folder / name).write_bytes(lines.encode("latin-1" if how == "latin-1" else "utf-8"))
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder
