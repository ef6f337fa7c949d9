"""The ignore rules of a project: the defaults, those of its ignore file, and `exclude`, of which the last counts."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from azureml_tasks.config.problems import FILE
from azureml_tasks.notice import Notice
from azureml_tasks.project.git_ignore import GitRules, LayeredRules, parse_git_ignore
from azureml_tasks.project.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file
from azureml_tasks.project.paths import kind_of, leaves, path_in_root, relative
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from azureml_tasks.config.problems import Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.project.ignore import IgnoreRules

_RulesT = TypeVar("_RulesT", Matcher, GitRules)

DEFAULTS = (
    *("**/.git", "**/.hg", "**/.svn", "**/.bzr"),  # version control
    *("**/.venv", "**/venv", "**/.direnv"),  # virtual environments; others are known by their pyvenv.cfg
    *("**/__pycache__", "**/*.pyc", "**/*.pyo"),  # bytecode
    *("**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.tox", "**/.nox", "**/.ipynb_checkpoints"),
    *("**/.#*", "**/#*#", "**/*~", "**/.*.swp", "**/.*.swo"),  # lock files, backups and swap files of editors
    *("**/.idea", "**/.vscode", "**/.vs"),  # settings of editors
    *("**/.nfs*", "**/.fuse_hidden*"),  # files that were removed while a program had them open
    *("**/.DS_Store", "**/.azureml-image"),
)
"""The patterns that come before those of the project."""
_DOCKER = ".dockerignore"
_AZURE_ML = ".amlignore"
_HELP = {
    _DOCKER: "See https://docs.docker.com/build/concepts/context/#dockerignore-files",
    _AZURE_ML: "See https://git-scm.com/docs/gitignore#_pattern_format",
}


class IgnoreFiles(NamedTuple):
    """What the ignore files of a project say.

    Args:
        rules: all of them.
        warnings: for the user.
    """

    rules: IgnoreRules
    warnings: tuple[Notice, ...] = ()


def read_ignore_files(
    root: Path,
    folder: str,
    copied: Sequence[str],
    exclude: Sequence[str],
    problems: Problems,
    *,
    dockerfile: str = "",
) -> IgnoreFiles:
    """Read the ignore files: the root's `.dockerignore`, or `.amlignore` of the root and of each copied folder.

    As with BuildKit, a file beside the project's own Dockerfile counts instead, if it has its name and `.dockerignore`.

    Azure ML looks for `.amlignore` in the folder that it uploads (azure-ai-ml 1.35.2, `_utils/_asset_utils.py`,
    `get_ignore_file`); there it replaces `.gitignore`, which is not read here.

    Args:
        root: folder that the image is made from, resolved.
        folder: of pyproject.toml, relative to the root; "." for the root itself.
        copied: folders of code and model, relative to the root.
        exclude: the key of the table.
        problems: receives each problem.
        dockerfile: of the project's own, relative to the root; "" for none.
    """
    reading = _Reading(root, folder, problems)
    defaults = [Rule(pattern=pattern, file="built-in default", line=0) for pattern in DEFAULTS]
    own = [
        Rule(
            pattern=pattern,
            file=FILE,
            line=problems.line_of(("exclude", index)),
            folder="" if folder == "." else folder,
        )
        for index, pattern in enumerate(exclude)
    ]
    beside = f"{dockerfile}{_DOCKER}" if dockerfile else ""
    docker = reading.docker_rules(beside if beside and os.path.lexists(root / beside) else _DOCKER)
    of_azure_ml = list(dict.fromkeys(path for top in (".", *copied) if (path := reading.azure_ml_file(top))))
    warnings = []
    if docker is not None and of_azure_ml:
        what = f"{reading.name(of_azure_ml[0])} is not used: {reading.name(_DOCKER)} counts"
        warnings.append(Notice("ignore-file-unused", what))
    if folder != "." and (root / folder / _DOCKER).is_file():
        what = f"{_DOCKER} is not used: the one in the folder of `root` counts"
        warnings.append(Notice("ignore-file-unused", what))
    git = [] if docker is not None else [rules for path in of_azure_ml if (rules := reading.git_rules(path))]
    if not git:
        return IgnoreFiles(reading.matcher([*defaults, *(docker or ()), *own]), tuple(warnings))
    layers: list[IgnoreRules] = [reading.matcher(defaults), *git, reading.matcher(own)]
    return IgnoreFiles(LayeredRules(layers), tuple(warnings))


class _Reading(NamedTuple):
    root: Path
    folder: str
    problems: Problems

    def name(self, path: str) -> str:
        """Return the path of a file relative to the folder of pyproject.toml."""
        return relative(path, self.folder)

    def docker_rules(self, path: str) -> list[Rule] | None:
        """Return the rules of a file as Docker reads it; None if there is none."""
        text = self.text(path)
        return None if text is None else parse_ignore_file(text, self.name(path))

    def azure_ml_file(self, top: str) -> str:
        """Return the path of `.amlignore` in a folder, relative to the root; "" if there is none."""
        path = posixpath.normpath(f"{top}/{_AZURE_ML}")
        return path if kind_of(self.root / path) == "file" else ""

    def git_rules(self, path: str) -> GitRules | None:
        text = self.text(path)
        rules = parse_git_ignore(text or "", self.name(path), posixpath.dirname(path))
        return self.valid(GitRules, rules) if rules else None

    def matcher(self, rules: list[Rule]) -> Matcher:
        return self.valid(Matcher, rules)

    def valid(self, parse: Callable[[list[Rule]], _RulesT], rules: list[Rule]) -> _RulesT:
        """Parse *rules* without those that cannot be read, which are reported.

        Each is parsed alone first: the parser stops at the first one that it cannot read.
        """
        readable = []
        for rule in rules:
            try:
                parse([rule])
            except IllegalPattern as error:
                what = f'"{rule.pattern}" is not a valid pattern: {error.why}'
                kind = _AZURE_ML if rule.file.endswith(_AZURE_ML) else _DOCKER
                self.problems.add_in_file(rule.file, rule.line, what, _HELP[kind])
            else:
                readable.append(rule)
        return parse(readable)

    def text(self, path: str) -> str | None:
        """Return the text of an ignore file; None if there is none, or if it cannot be read, which is reported."""
        name = self.name(path)
        try:
            if leaves(self.root, self.root / path):
                self.problems.add_in_file(
                    name, 0, "is a link that leaves the project", "Copy it into the project."
                )
                return None
            return read_text(self.root / path)
        except FileNotFoundError:
            return None
        except UnreadableFile as error:
            self.problems.add_in_file(name, 0, error.why, error.fix)
            return None


def copied_folders(project: Path, folder: str, settings: Settings) -> list[str]:
    """Return the folders of code and model that the table names, relative to the root.

    Args:
        project: folder of pyproject.toml.
        folder: the same, relative to the root.
        settings: the table.
    """
    code = settings.code or (("code",) if (project / "code").is_dir() else ())
    named = [value for value in (*code, settings.model) if value]
    return [path for value in named if (path := path_in_root(value, folder))]
