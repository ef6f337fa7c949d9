"""A folder of the project → the files of the build context, links and secrets considered."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.project.secret_files import is_suspect_name, private_key_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.project.ignore import Matcher

__all__ = ["Walk"]


@dataclass(kw_only=True)
class Walk:
    """One folder or file on its way into the context.

    Args:
        project: the project's folder, resolved.
        top: what is copied, relative to the project, with "/"; "." for the project itself.
        into: its folder in the context.
        matcher: what is excluded.
        left_out: project-relative paths that other settings claim.
        problem: takes what is wrong, and its fix.
        largest: bytes that a file may have; None for no limit.
    """

    project: Path
    top: str
    into: str
    matcher: Matcher
    left_out: frozenset[str]
    problem: Callable[[str, str], None]
    largest: int | None = None
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = (self.project / self.top).resolve()

    def files(self) -> Iterator[ContextFile]:
        """Everything below `top` that is not excluded, folders before what they hold, sorted by name."""
        if self.root.is_dir():
            yield from self._folder(self.root, "" if self.top == "." else self.top, self.into, (self.root,))
        else:
            yield from self._file(self.root, self.top, f"{self.into}/{Path(self.top).name}", self.root.stat())

    def _folder(self, folder: Path, path: str, name: str, above: tuple[Path, ...]) -> Iterator[ContextFile]:
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except PermissionError:
            self.problem(f"{path} cannot be read by you", f"chmod u+rx {path!r}")
            return
        if any(entry.name == "pyvenv.cfg" for entry in entries) and not self.matcher.reincluding(path):
            return  # A virtual environment, whatever its folder is called.
        yield ContextFile(name=f"{name}/")
        for entry in entries:
            yield from self._entry(entry, f"{path}/{entry.name}".lstrip("/"), f"{name}/{entry.name}", above)

    def _entry(
        self, entry: os.DirEntry[str], path: str, name: str, above: tuple[Path, ...]
    ) -> Iterator[ContextFile]:
        if path in self.left_out:
            return
        excluded = self.matcher.excluding(path) is not None
        if not excluded and _undecodable(path):
            self.problem(f"{path!r} has a name that is not UTF-8", "Rename it.")
            return
        if entry.is_dir(follow_symlinks=False):
            if not excluded:
                yield from self._folder(Path(entry.path), path, name, above)
            elif self.matcher.may_descend(path):
                below = list(self._folder(Path(entry.path), path, name, above))
                yield from below if len(below) > 1 else ()
        elif not excluded:
            if entry.is_symlink():
                yield from self._link(Path(entry.path), path, name, above)
            else:
                yield from self._file(Path(entry.path), path, name, entry.stat(follow_symlinks=False))

    def _link(self, link: Path, path: str, name: str, above: tuple[Path, ...]) -> Iterator[ContextFile]:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError is how Python before 3.13 says that links go round.
            missing = not os.path.lexists(link.parent / link.readlink())
            what = "does not exist" if missing else "leads round in a circle"
            self.problem(f"{path} is a link to {link.readlink()}, which {what}", _link_fix(path))
            return
        if not target.is_relative_to(self.project):
            self.problem(f"{path} is a link to {link.readlink()}, which leaves the project", _link_fix(path))
        elif target.is_relative_to(self.root) and not self._claimed(self._walked(target)):
            yield from self._inner_link(link, target, path, name)
        elif target.is_dir():
            if any(folder.is_relative_to(target) for folder in (*above, link)):
                self.problem(
                    f"{path} is a link to {link.readlink()}, which leads round in a circle", _link_fix(path)
                )
            else:
                yield from self._folder(target, path, name, (*above, target))
        else:
            yield from self._file(target, path, name, target.stat())

    def _inner_link(self, link: Path, target: Path, path: str, name: str) -> Iterator[ContextFile]:
        inside = self._walked(target)
        if rule := self.matcher.excluding(inside):
            why = f'which "{rule.pattern}" ({rule.file}{f":{rule.line}" if rule.line else ""}) excludes'
            self.problem(f"{path} is a link to {inside}, {why}", _link_fix(path))
            return
        if any((folder / "pyvenv.cfg").is_file() for folder in _up_to(self.root, target)):
            self.problem(f"{path} is a link to {inside}, into a virtual environment", _link_fix(path))
            return
        text = link.readlink()
        # One in a folder that was itself reached by a link stands elsewhere in the context than here, and the
        # copied folder has another name there.
        moved = not link.is_relative_to(self.root)
        climbs = not moved and ".." in _lexically(link.parent.relative_to(self.root) / text).parts
        if moved or climbs or text.is_absolute():
            there = f"{self.into}/{target.relative_to(self.root).as_posix()}"
            text = Path(os.path.relpath(there, Path(name).parent))
        if _undecodable(str(text)):
            self.problem(f"{path} is a link to {str(text)!r}, a name that is not UTF-8", "Rename it.")
            return
        yield ContextFile(name=name, link=text.as_posix())

    def _walked(self, target: Path) -> str:
        """The project-relative path by which the walk comes to *target*: `top` may be a link itself."""
        return (Path(self.top) / target.relative_to(self.root)).as_posix()

    def _claimed(self, path: str) -> bool:
        return any(path == claimed or path.startswith(f"{claimed}/") for claimed in self.left_out)

    def _file(self, source: Path, path: str, name: str, status: os.stat_result) -> Iterator[ContextFile]:
        if complaint := self._complaint(source, path, status):
            self.problem(*complaint)
            return
        executable = bool(status.st_mode & stat.S_IXUSR)
        yield ContextFile(name=name, source=source, size=status.st_size, executable=executable)

    def _complaint(self, source: Path, path: str, status: os.stat_result) -> tuple[str, str] | None:
        if not stat.S_ISREG(status.st_mode):
            return f"{path} is neither a file nor a folder nor a link", _exclude(path)
        if not os.access(source, os.R_OK):
            return f"{path} cannot be read by you", f"chmod u+r {path!r}"
        if self.matcher.reincluding(path):
            return None
        own_name = source.relative_to(self.project).as_posix()  # Behind a link it is another than *path*.
        if is_suspect_name(path) or is_suspect_name(own_name) or private_key_in(source):
            allow = f'Leave it out: exclude = ["{path}"]\nOr allow it: exclude = ["!{path}"]'
            return f"{path} looks like a secret, which would stay in the image", allow
        if self.largest is not None and status.st_size > self.largest:
            ways = f'Move it into the folder of `model`, or leave it out: exclude = ["{path}"]'
            limit = f"a file under code may have {self.largest / 1e6:,.0f} MB"
            return f"{path} has {status.st_size / 1e6:,.0f} MB, and {limit}", ways
        return None


def _undecodable(path: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in path)


def _up_to(root: Path, path: Path) -> Iterator[Path]:
    """*path* and the folders around it that are inside *root*."""
    while path != root:
        yield path
        path = path.parent


def _lexically(path: Path) -> Path:
    """*path* without those ".." that have a folder in front of them."""
    return Path(os.path.normpath(path))


def _exclude(path: str) -> str:
    return f'Leave it out: exclude = ["{path}"]'


def _link_fix(path: str) -> str:
    return f'Copy what it points at into the project, or leave it out: exclude = ["{path}"]'
