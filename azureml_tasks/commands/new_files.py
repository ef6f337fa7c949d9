"""Write new files and the end of a file; nothing that exists is overwritten, also if two commands write at once."""

from __future__ import annotations

import glob
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.atomic_write import UNFINISHED, remove_unfinished
from azureml_tasks.errors import FileProblem, SettingsError, stating
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from azureml_tasks.reporter import Reporter


class NewFile(NamedTuple):
    """A file to write.

    Args:
        path: of it.
        text: to write.
        before: what the file has, to whose end *text* is added; None for a file that does not exist.
    """

    path: Path
    text: str
    before: bytes | None = None


def write_files(
    files: Sequence[NewFile], reporter: Reporter, on_written: Callable[[Path], None] = lambda _: None
) -> None:
    """Write *files* in order; each completely or not at all.

    Args:
        files: to write.
        reporter: announces each; under --dry none is written.
        on_written: takes the path of each as it is written.

    Raises:
        SettingsError: a file came into being or was changed meanwhile.
        MachineError: a file cannot be written.
    """
    written: list[str] = []
    for file in files:
        name = os.path.relpath(file.path)
        redirection = ">" if file.before is None else ">>"
        if not reporter.effect(["cat"], after=f" {redirection} {shell_join([name])}", file=file.text):
            continue
        with stating(f"Written: {', '.join(written)}." if written else "Nothing was written."):
            _write(file)
        written.append(name)
        on_written(file.path)


def _write(file: NewFile) -> None:
    if file.before is None:
        _create(file.path, file.text)
    else:
        _replace(file.path, file.before, file.before + file.text.encode())


def _create(path: Path, text: str) -> None:
    """Write a file that does not exist."""
    try:
        write_all(path, text.encode())
    except FileExistsError:
        what = "was made by another program meanwhile"
        raise SettingsError([FileProblem(path.name, 0, what, "Run the command again.")]) from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Write a file that exists, unless it has changed since it was read."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    remove_unfinished(path.parent, f".{glob.escape(path.name)}.*{UNFINISHED}")
    try:
        write_all(temporary, after)
        shutil.copymode(path, temporary)
        if path.read_bytes() != before:
            what = "was changed by another program meanwhile"
            raise SettingsError([FileProblem(path.name, 0, what, "Run the command again.")])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_all(path: Path, content: bytes) -> None:
    """Write a file that does not exist.

    Raises:
        FileExistsError: it does.
    """
    with path.open("xb") as stream:
        stream.write(content)
