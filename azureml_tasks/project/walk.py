"""Walk a folder of the project: return the files that are copied, and report those that must not be."""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.toml_messages import exclude_line
from azureml_tasks.context.context_file import ContextFile, changed
from azureml_tasks.context.secret_files import is_secret_path
from azureml_tasks.requirements.kinds import is_lock_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.config.problems import Place
    from azureml_tasks.context.file_hashes import FileContent, FileHashes
    from azureml_tasks.project.ignore import IgnoreRules
    from azureml_tasks.project.paths import ProjectReader

LARGE = 100 * 1000 * 1000
"""Bytes: a larger file outside of the model is refused, unless a pattern allows it: it may be there by mistake."""
_OUTSIDE = "which leaves the project"
_CIRCLE = "which leads in a circle"
_DEEPEST = 100
"""Folders inside each other; Python calls no more than a thousand functions inside each other."""


@dataclass(kw_only=True)
class Walk:
    """The walk through one folder, or the look at one file.

    Paths are strings here, relative to the root, with "/": with many files that takes half the time of `Path`.

    Args:
        root: the folder that all files must be in, resolved.
        top: the folder or file, relative to the root; "." for the root itself.
        into: its folder in the context.
        matcher: the ignore rules.
        hashes: return the content of files.
        left_out: paths that other keys claim, relative to the root.
        spell: returns how messages name a path.
        problem: receives each problem and its fix.
        largest: bytes that a file may have; None for no limit.
        tools_folder: folder whose lock files are left out, and what our commands have written in any folder; None to
            copy both.
        pointers: paths of the pointers of Git LFS that `files` came across.
    """

    root: Path
    top: str
    into: str
    matcher: IgnoreRules
    hashes: FileHashes
    left_out: frozenset[str]
    spell: Callable[[str], str]
    problem: Callable[[str, str], None]
    largest: int | None = None
    tools_folder: str | None = None
    pointers: list[str] = field(init=False, default_factory=list)
    _top: Path = field(init=False)
    _members: list[ContextFile] = field(init=False, default_factory=list)

    def files(self) -> list[ContextFile]:
        """Return everything below `top` that is not excluded, each folder before its content."""
        self._top = (self.root / self.top).resolve()
        if self._top.is_dir():
            path = "" if self.top == "." else self.top
            self._folder(str(self._top), path, self.into, (self._top,))
        else:
            self._linked_file(self._top, self.top, f"{self.into}/{Path(self.top).name}")
        return self._members

    def _folder(self, folder: str, path: str, name: str, above: tuple[Path, ...]) -> None:
        """Add a folder and its content.

        Args:
            folder: absolute path.
            path: the same, relative to the root; below a link, as the link's path continues.
            name: in the context.
            above: the folders that links have led to on the way here, resolved.
        """
        if path.count("/") > _DEEPEST:
            spelled = self.spell(path)
            self.problem(f"{spelled} is nested more than {_DEEPEST} folders deep", _exclude(spelled))
            return
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except PermissionError:
            self.problem(f"{self.spell(path)} cannot be read by you", f"chmod u+rx {self.spell(path)!r}")
            return
        if any(entry.name == "pyvenv.cfg" for entry in entries) and not self.matcher.reincluding(f"{path}/"):
            return  # A virtual environment, under any name.
        self._members.append(ContextFile(name=f"{name}/"))
        prefix = f"{path}/" if path else ""
        for entry in entries:
            self._entry(entry, prefix + entry.name, f"{name}/{entry.name}", above)

    def _entry(self, entry: os.DirEntry[str], path: str, name: str, above: tuple[Path, ...]) -> None:
        if path in self.left_out:
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        rule, stays = self.matcher.decision(f"{path}/" if is_folder else path)
        if stays and not _is_utf_8(path):
            self.problem(f"{self.spell(path)!r} has a name that is not UTF-8", "Rename it.")
        elif is_folder:
            if stays:
                self._folder(entry.path, path, name, above)
            elif self.matcher.may_descend(path):
                count = len(self._members)
                self._folder(entry.path, path, name, above)
                if len(self._members) == count + 1:  # The folder alone: all of its content is excluded.
                    self._members.pop()
        elif not stays:
            pass
        elif entry.is_symlink():
            self._link(Path(entry.path), path, name, above)
        else:
            is_linked, status = len(above) > 1, entry.stat(follow_symlinks=False)
            self._file(entry.path, path, name, status, is_allowed=rule is not None, is_linked=is_linked)

    def _link(self, link: Path, path: str, name: str, above: tuple[Path, ...]) -> None:
        """Keep a link whose target is copied with it; copy the target of any other in its place."""
        target = self._target(link, path)
        if not target:
            return
        if target.is_relative_to(self._top) and not self._is_left_out(self._path_of(target)):
            self._inner_link(link, target, path, name)
        elif not target.is_dir():
            self._linked_file(target, path, name)
        elif any(folder.is_relative_to(target) for folder in (*above, link)):
            self._refuse_link(link, path, _CIRCLE)
        else:
            self._folder(str(target), path, name, (*above, target))

    def _target(self, link: Path, path: str) -> Path | None:
        """Return the resolved target of a link; None if there is none in the project, which is reported."""
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # Python before 3.13 raises RuntimeError for links in a circle.
            exists = os.path.lexists(link.parent / link.readlink())
            self._refuse_link(link, path, _CIRCLE if exists else "which does not exist")
            return None
        if not target.is_relative_to(self.root):
            self._refuse_link(link, path, _OUTSIDE)
            return None
        return target

    def _refuse_link(self, link: Path, path: str, why: str) -> None:
        name = self.spell(path)
        self.problem(f"{name} is a link to {link.readlink()}, {why}", _link_fix(name))

    def _inner_link(self, link: Path, target: Path, path: str, name: str) -> None:
        inside, spelled = self._path_of(target), self.spell(path)
        if rule := self.matcher.excluding(f"{inside}/" if target.is_dir() else inside):
            why = f'which "{rule.pattern}" ({rule.file}{f":{rule.line}" if rule.line else ""}) excludes'
            self.problem(f"{spelled} is a link to {self.spell(inside)}, {why}", _link_fix(spelled))
            return
        if self._is_unneeded_target(target, inside):
            what = f"{spelled} is a link to {self.spell(inside)}, which is left out"
            self.problem(what, f"{_exclude(spelled)}\nor copy both: {exclude_line(f'!{self.spell(inside)}')}")
            return
        if any((folder / "pyvenv.cfg").is_file() for folder in _up_to(self._top, target)):
            what = f"{spelled} is a link to {self.spell(inside)}, into a virtual environment"
            self.problem(what, _link_fix(spelled))
            return
        text = link.readlink()
        # The copied folder has another name in the context, and so has a folder that was reached by a link: the
        # text of a link that leads through either would point nowhere there.
        is_moved = not link.is_relative_to(self._top)
        climbs = not is_moved and ".." in _normalized(link.parent.relative_to(self._top) / text).parts
        if is_moved or climbs or text.is_absolute():
            target_name = f"{self.into}/{target.relative_to(self._top).as_posix()}"
            text = Path(os.path.relpath(target_name, Path(name).parent))
        if not _is_utf_8(str(text)):
            self.problem(f"{spelled} is a link to {str(text)!r}, a name that is not UTF-8", "Rename it.")
            return
        self._members.append(ContextFile(name=name, link=text.as_posix()))

    def _is_unneeded(self, path: str, content: FileContent) -> bool:
        """Return whether a file is only for tools: a lock file of the project, or what our commands have written."""
        if self.tools_folder is None:
            return False
        is_in_project = (posixpath.dirname(path) or ".") == self.tools_folder
        return content.is_own_output or (is_in_project and is_lock_file(path))

    def _is_unneeded_target(self, target: Path, path: str) -> bool:
        """Return the same of what a link leads to."""
        if self.tools_folder is None or not target.is_file() or self.matcher.reincluding(path):
            return False
        try:
            content = self.hashes.glance(str(target), target.stat())
        except PermissionError:  # It is reported where the walk meets it.
            return False
        return content is not None and self._is_unneeded(path, content)

    def _path_of(self, target: Path) -> str:
        """Return the path, relative to the root, by which the walk reaches *target*: `top` itself may be a link."""
        return (Path(self.top) / target.relative_to(self._top)).as_posix()

    def _is_left_out(self, path: str) -> bool:
        return any(path == claimed or path.startswith(f"{claimed}/") for claimed in self.left_out)

    def _linked_file(self, target: Path, path: str, name: str) -> None:
        is_allowed = self.matcher.reincluding(path) is not None
        self._file(str(target), path, name, target.stat(), is_allowed=is_allowed, is_linked=True)

    def _refuse_large(self, path: str, size: int, largest: int) -> None:
        what = f"{path} has {size / 1e6:,.0f} MB; the limit for a file"
        limit = f"{largest / 1e6:,.0f} MB"
        if self.into.partition("/")[0] == "code":
            fix = f"Move it into the folder of `model`, or leave it out: {exclude_line(path)}"
            self.problem(f"{what} under code is {limit}", fix)
        else:
            fix = f"Leave it out: {exclude_line(path)}\nOr allow it: {exclude_line(f'!{path}')}"
            self.problem(f"{what} of the build context is {limit}", fix)

    def _file(
        self,
        source: str,
        path: str,
        name: str,
        status: os.stat_result,
        *,
        is_allowed: bool,
        is_linked: bool,
    ) -> None:
        """Add one file, unless it must not be copied.

        Args:
            source: absolute path, not a link.
            path: by which the walk reached it, relative to the root.
            name: in the context.
            status: of the file.
            is_allowed: whether an ignore rule brings it back, which also allows a secret, a large file, a pointer, and
                what only tools need.
            is_linked: whether a link has led here, so that its own path may be another one.

        Raises:
            BuildError: the file is being changed or has gone.
        """
        if not stat.S_ISREG(status.st_mode):
            spelled = self.spell(path)
            self.problem(f"{spelled} is neither a file nor a folder nor a link", _exclude(spelled))
            return
        try:
            content = self.hashes.glance(source, status)
        except PermissionError:
            self.problem(f"{self.spell(path)} cannot be read by you", f"chmod u+r {self.spell(path)!r}")
            return
        except FileNotFoundError as error:
            raise changed(source) from error
        if content is None:
            raise changed(source)
        if not is_allowed:
            if self._is_unneeded(path, content):
                return
            is_secret = content.has_private_key or is_secret_path(path)
            if is_secret or (is_linked and is_secret_path(Path(source).relative_to(self.root).as_posix())):
                spelled = self.spell(path)
                allow = f"Leave it out: {exclude_line(spelled)}\nOr allow it: {exclude_line(f'!{spelled}')}"
                self.problem(f"{spelled} looks like a secret, which would stay in the image", allow)
                return
            if self.largest is not None and status.st_size > self.largest:
                self._refuse_large(self.spell(path), status.st_size, self.largest)
                return
            if content.is_lfs_pointer:
                self.pointers.append(path)
                return
        self._members.append(
            ContextFile(
                name=name,
                source=source,
                size=status.st_size,
                executable=bool(status.st_mode & stat.S_IXUSR),
                sha256=content.sha256,
            )
        )


def walked(
    reader: ProjectReader,
    place: Place,
    top: str,
    into: str,
    *,
    left_out: frozenset[str] = frozenset(),
    largest: int | None = None,
    tools_folder: str | None = None,
) -> list[ContextFile]:
    """Return the members of the context for a folder or file, and report at *place* those that must not be copied.

    Args:
        reader: of the project.
        place: of the key that names it.
        top: the folder or file, relative to the root; "." for the root itself.
        into: its folder in the context, which is always a member.
        left_out: paths that other keys claim, relative to the root.
        largest: bytes that a file may have; None for no limit.
        tools_folder: see `Walk`.
    """
    walk = Walk(
        root=reader.root,
        top=top,
        into=into,
        matcher=reader.matcher,
        hashes=reader.hashes,
        left_out=left_out,
        spell=reader.name,
        problem=lambda what, fix: reader.problems.add(place, what, fix),
        largest=largest,
        tools_folder=tools_folder,
    )
    members = walk.files()
    if walk.pointers:
        reader.refuse_lfs_pointers(place, walk.pointers)
    return members if members and members[0].name == f"{into}/" else [ContextFile(name=f"{into}/"), *members]


def _is_utf_8(path: str) -> bool:
    """Return whether *path* can be encoded: bytes that are not UTF-8 are surrogates in it."""
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _up_to(root: Path, path: Path) -> Iterator[Path]:
    """Yield *path* and the folders around it that are inside *root*."""
    while path != root:
        yield path
        path = path.parent


def _normalized(path: Path) -> Path:
    """Return *path* without each ".." that follows a folder."""
    return Path(os.path.normpath(path))


def _exclude(path: str) -> str:
    return f"Leave it out: {exclude_line(path)}"


def _link_fix(path: str) -> str:
    return f"Copy what it points at into the project, or leave it out: {exclude_line(path)}"
