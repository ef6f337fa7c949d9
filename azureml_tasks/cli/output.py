"""Where a task writes what it was asked for: stdout, or the file that a flag names."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.cli.streams import write_bytes
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.plain_text import clean, shell_join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.cli.options import TaskRun
    from azureml_tasks.commands.export import ContextArchive


def output_file(flag: str, name: str) -> Path | None:
    """Return the file that *flag* names, relative to the current folder; None if it was not given.

    Raises:
        SettingsError: it cannot be written, which is better known before any work.
    """
    if not name:
        return None
    path = Path(name)
    if path.is_dir():
        raise SettingsError([Problem(flag, 0, f'is "{name}", which is a folder')])
    if path.parent.exists() and not path.parent.is_dir():
        raise SettingsError([Problem(flag, 0, f'is "{name}", but {path.parent} is not a folder')])
    if not path.parent.is_dir():
        what = f'is "{name}", but the folder {path.parent} does not exist'
        raise SettingsError([Problem(flag, 0, what, shell_join(["mkdir", "-p", str(path.parent)]))])
    if elsewhere := _led_away(path):
        what = f'is "{name}", but a link leads from there out of the project, to {elsewhere}'
        raise SettingsError(
            [Problem(flag, 0, what, f"Remove the link, or write: {flag} {shell_join([elsewhere])}")]
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SettingsError([Problem(flag, 0, f'is "{name}", which you may not write')])
    return path


def _led_away(path: Path) -> str:
    """Return where *path* really is if links of a checkout lead out of it or into its `.git`; "" if none does.

    A pull request may have added the links. A path in the checkout is meant to be a file of the checkout.
    """
    written, real, here = Path(os.path.abspath(path)), Path(os.path.realpath(path)), Path.cwd()  # noqa: PTH100 -- without links
    for top in written.parents:
        if top == here or os.path.lexists(top / ".git"):
            inside = Path(os.path.realpath(top))
            if not real.is_relative_to(inside) or ".git" in real.relative_to(inside).parts:
                return str(real)
    return ""


def refuse_terminal() -> None:
    """Refuse to write an archive to a terminal.

    Raises:
        SettingsError: with the way to write it elsewhere.
    """
    if sys.stdout.isatty():
        fix = "invoke image.context --output context.tar\nor: invoke image.context | docker build -"
        raise SettingsError([Problem("stdout", 0, "is a terminal, and the build context is an archive", fix)])


def write_text(run: TaskRun, path: Path | None, text: str, *flags: str, is_foreign: bool = False) -> None:
    """Write *text* to *path*, or to stdout if there is none.

    Args:
        run: the task's run.
        path: of `--output`.
        text: what to write.
        flags: of the command that writes the same to stdout, as words.
        is_foreign: whether *text* is that of a file, which may hold what a CI system obeys in a log.
    """
    if not path and run.console.collected:
        return  # The object on stdout has it.
    if not path:
        # A file or a program gets every byte; a terminal would obey some of them.
        shown = clean(text) if is_foreign or sys.stdout.isatty() else text
        write_bytes([shown.encode("utf-8", "surrogateescape")])
    elif run.console.effect([], before=_redirected(run, path, flags)):
        _write_file(path, text)


def write_archive(run: TaskRun, path: Path | None, archive: ContextArchive) -> None:
    """Write *archive* to *path*, or to stdout if there is none."""
    blocks = run.console.progress(archive.blocks, archive.size, "packing the build context")
    if not path:
        write_bytes(blocks)
    elif run.console.effect([], before=_redirected(run, path, ())):
        with _blaming("--output", path), path.open("wb") as stream:
            stream.writelines(blocks)


def write_page(run: TaskRun, path: Path | None, page: str) -> None:
    """Write the page of `image.report` to *path*, or among the records if there is none, and print where it is."""
    words = ["--output", str(path)] if path else []
    if not run.console.effect([], before=shell_join(["invoke", f"image.{run.task}", *words])):
        return
    if path:
        _write_file(path, page)
    else:
        path = Path(os.path.relpath(run.context.records.write_report(page)))
    run.console.result(str(path))


def _write_file(path: Path, text: str) -> None:
    """Write into the file of `--output`, as a shell's `>` does: it may be a link, or a device such as /dev/null.

    `output_file` has refused links that lead out of a checkout.
    """
    with _blaming("--output", path):
        path.write_text(text, encoding="utf-8", newline="\n")


def _redirected(run: TaskRun, path: Path, flags: Sequence[str]) -> str:
    """Return the command that writes the same to *path*, as a person would type it."""
    words = "".join(f" {shell_join([word])}" for word in flags)
    return f"invoke image.{run.task}{words} > {shell_join([str(path)])}"


@contextmanager
def _blaming(flag: str, path: Path) -> Iterator[None]:
    """Turn an error about *path* itself into a problem of *flag*; a full disk is none, and names no file."""
    try:
        yield
    except OSError as error:
        if error.filename != str(path):
            raise
        raise SettingsError([Problem(flag, 0, f'is "{path}": {error.strerror}')]) from error
