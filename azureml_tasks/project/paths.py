"""The project's folder under the eyes of its table: which paths are there, and which are left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.project.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.file_hashes import FileHashes

__all__ = ["DEFAULTS", "ProjectPaths", "matcher"]

DEFAULTS = (
    *("**/.git", "**/.hg", "**/.svn", "**/.bzr"),  # version control
    *("**/.venv", "**/venv", "**/.direnv"),  # virtual environments; others are known by their pyvenv.cfg
    *("**/__pycache__", "**/*.pyc", "**/*.pyo"),  # bytecode
    *("**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.tox", "**/.nox", "**/.ipynb_checkpoints"),
    *("**/.DS_Store", ".azureml-image"),
)
_RELATIVE = "Paths are relative to the folder of pyproject.toml."
_PATTERNS = "See https://docs.docker.com/build/concepts/context/#dockerignore-files"


def matcher(root: Path, settings: Settings, problems: Problems) -> Matcher:
    """What is left out: the defaults, then the project's `.dockerignore`, then `exclude`; the last word counts."""
    rules = [Rule(pattern=pattern, file="built-in default", line=0) for pattern in DEFAULTS]
    ignore = root / ".dockerignore"
    if ignore.is_file():
        rules += parse_ignore_file(ignore.read_text(encoding="utf-8", errors="replace"), ".dockerignore")
    rules += [
        Rule(pattern=pattern, file=FILE, line=problems.line_of(("exclude", index)))
        for index, pattern in enumerate(settings.exclude)
    ]
    while True:
        try:
            return Matcher(rules)
        except IllegalPattern as error:
            rule = error.rule
            what = f'"{rule.pattern}" is no pattern: {error.why}'
            problems.add_in_file(rule.file, rule.line, what, _PATTERNS)
            rules.remove(rule)


@dataclass(frozen=True, kw_only=True)
class ProjectPaths:
    """What it takes to look at a path.

    Args:
        root: the project's folder, resolved.
        settings: the table.
        problems: takes what is wrong.
        matcher: what is left out.
        hashes: of files that have not changed since they were read.
    """

    root: Path
    settings: Settings
    problems: Problems
    matcher: Matcher
    hashes: FileHashes

    def existing(self, place: Place, value: str, kind: str) -> str:
        """Normalise the path *value* of the key at *place*; "" where it is no *kind*, which is noted.

        Args:
            place: of the key.
            value: as written, without "..".
            kind: "file", "folder" or "file or folder".
        """
        path = self.root / value
        said = f'{spell(place)} is "{value}", '
        if not path.exists():
            self.problems.add(place, f"{said}which does not exist", _RELATIVE)
        elif not path.resolve().is_relative_to(self.root):
            self.problems.add(place, f"{said}a link that leaves the project", "Copy it into the project.")
        elif (kind == "file" and not path.is_file()) or (kind == "folder" and not path.is_dir()):
            is_now = "folder" if path.is_dir() else "file"
            self.problems.add(place, f"{said}which is a {is_now}, not a {kind}", f"Name a {kind}.")
        else:
            return Path(value).as_posix()
        return ""

    def refuse_excluded(self, path: str, what: str) -> bool:
        """Note that a pattern leaves *path* out although it is *what* the image needs; whether one does."""
        rule = self.matcher.excluding(path)
        if rule is None:
            return False
        said = f'the {"" if rule.line else "default "}pattern "{rule.pattern}" removes {what}, {path}'
        fix = f'Remove the pattern, or add: exclude = ["!{path}"]'
        file, line = (rule.file, rule.line) if rule.line else (FILE, self.problems.line_of(()))
        self.problems.add_in_file(file, line, said, fix)
        return True
