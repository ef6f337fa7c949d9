"""The paths of a project: which of them exist, and which are excluded."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.project.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.file_hashes import FileHashes

DEFAULTS = (
    *("**/.git", "**/.hg", "**/.svn", "**/.bzr"),  # version control
    *("**/.venv", "**/venv", "**/.direnv"),  # virtual environments; others are known by their pyvenv.cfg
    *("**/__pycache__", "**/*.pyc", "**/*.pyo"),  # bytecode
    *("**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.tox", "**/.nox", "**/.ipynb_checkpoints"),
    *("**/.#*", "**/#*#", "**/*~", "**/.*.swp", "**/.*.swo"),  # lock files, backups and swap files of editors
    *("**/.idea", "**/.vscode", "**/.vs"),  # settings of editors
    *("**/.nfs*", "**/.fuse_hidden*"),  # files that were removed while a program had them open
    *("**/.DS_Store", ".azureml-image"),
)
"""The patterns that come before those of the project."""
_IGNORE = ".dockerignore"
_RELATIVE = "Paths are relative to the folder of pyproject.toml."
_PATTERNS = "See https://docs.docker.com/build/concepts/context/#dockerignore-files"


def kind_of(path: Path) -> str:
    """Return "file", "folder", or "file of a kind that cannot be copied"; "" if there is nothing that can be named so.

    A link counts as what it leads to. A name may be too long for any file, or hold a NUL character.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return "file" if stat.S_ISREG(mode) else "folder"
    return "file of a kind that cannot be copied"


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below *folder*, those of one folder sorted and before its folders; links to folders are left out.

    A loop: folders may be nested deeper than Python calls.
    """
    waiting = [folder]
    while waiting:
        entries = sorted(waiting.pop().iterdir())
        yield from (entry for entry in entries if entry.is_file())
        waiting += [entry for entry in reversed(entries) if entry.is_dir() and not entry.is_symlink()]


def read_ignore_rules(root: Path, settings: Settings, problems: Problems) -> Matcher:
    """Return the ignore rules: the defaults, the project's `.dockerignore`, and `exclude`, of which the last counts."""
    rules = [Rule(pattern=pattern, file="built-in default", line=0) for pattern in DEFAULTS]
    try:
        if leaves(root, root / _IGNORE):
            problems.add_in_file(_IGNORE, 0, "is a link that leaves the project", "Copy it into the project.")
        else:
            rules += parse_ignore_file(read_text(root / _IGNORE), _IGNORE)
    except FileNotFoundError:
        pass
    except UnreadableFile as error:
        problems.add_in_file(_IGNORE, 0, error.why, error.fix)
    rules += [
        Rule(pattern=pattern, file=FILE, line=problems.line_of(("exclude", index)))
        for index, pattern in enumerate(settings.exclude)
    ]
    while True:
        try:
            return Matcher(rules)
        except IllegalPattern as error:
            rule = error.rule
            what = f'"{rule.pattern}" is not a valid pattern: {error.why}'
            problems.add_in_file(rule.file, rule.line, what, _PATTERNS)
            rules.remove(rule)


def leaves(root: Path, path: Path) -> bool:
    """Return whether *path* leads out of the project by a link: a message about its content would show it.

    Args:
        root: the project's folder, resolved.
        path: of a file that is read.
    """
    return not path.resolve().is_relative_to(root)


@dataclass(frozen=True, kw_only=True)
class ProjectReader:
    """Reads the files that the table names, and reports what is wrong with them.

    Args:
        root: the project's folder, resolved.
        settings: the table.
        problems: receives each problem.
        matcher: the ignore rules.
        hashes: return the contents of files that have not changed.
    """

    root: Path
    settings: Settings
    problems: Problems
    matcher: Matcher
    hashes: FileHashes

    def check_path(self, place: Place, value: str, kind: str) -> str:
        """Return the path *value* normalised; "" if it is not a *kind* in the project, which is reported.

        Args:
            place: of its key.
            value: as written, without "..".
            kind: "file", "folder" or "file or folder".
        """
        path = self.root / value
        key = f'{spell(place)} is "{value}"'
        actual = kind_of(path)
        if not actual:
            self.problems.add(place, f"{key}, which does not exist", _RELATIVE)
        elif not path.resolve().is_relative_to(self.root):
            self.problems.add(place, f"{key}, a link that leaves the project", "Copy it into the project.")
        elif actual not in kind.split(" or "):
            self.problems.add(place, f"{key}, which is a {actual}, not a {kind}", f"Name a {kind}.")
        else:
            return Path(value).as_posix()
        return ""

    def refuse_lfs_pointers(self, place: Place, paths: Sequence[str]) -> None:
        """Report files that Git LFS has and that were not pulled.

        Args:
            place: of the key that names them.
            paths: relative to the project, at least one.
        """
        what = f"{paths[0]} is a Git LFS pointer, not the file itself"
        if len(paths) > 1:
            what = f"{paths[0]} and {len(paths) - 1:,} more are Git LFS pointers, not the files themselves"
        self.problems.add(place, what, "git lfs pull")

    def refuse_excluded(self, path: str, what: str) -> bool:
        """Report a pattern that excludes *path*, and return whether there is one.

        Args:
            path: a file that the image needs, relative to the project.
            what: what it is, such as "the entry script".
        """
        rule = self.matcher.excluding(path)
        if rule is None:
            return False
        pattern = f'the {"" if rule.line else "default "}pattern "{rule.pattern}"'
        fix = f'Remove the pattern, or add: exclude = ["!{path}"]'
        file, line = (rule.file, rule.line) if rule.line else (FILE, self.problems.line_of(()))
        self.problems.add_in_file(file, line, f"{pattern} removes {what}, {path}", fix)
        return True
