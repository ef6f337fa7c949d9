"""Which files of the project the image is made of, each looked at before it is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.entry_script import missing_functions
from azureml_tasks.errors import Problem
from azureml_tasks.files import LARGE, ContextFile, Walk
from azureml_tasks.ignore import IllegalPattern, Matcher, Rule, parse_ignore_file
from azureml_tasks.reader import FILE, Found, Place, spell
from azureml_tasks.requirements import RequirementsTree, read_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.settings import Settings

__all__ = ["DEFAULTS", "Inventory", "existing"]

DEFAULTS = (
    *("**/.git", "**/.hg", "**/.svn", "**/.bzr"),  # version control
    *(
        "**/.venv",
        "**/venv",
        "**/.direnv",
    ),  # virtual environments; one by another name is known by its pyvenv.cfg
    *("**/__pycache__", "**/*.pyc", "**/*.pyo"),  # bytecode
    *("**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.tox", "**/.nox", "**/.ipynb_checkpoints"),
    *("**/.DS_Store", ".azureml-image"),
)
_SERVER_CONFIGURATION = ("config.json", "logging.json")
"""Read as its own by azureml-inference-server-http 1.5.1 (server/config.py) where they lie beside the entry script."""


def existing(root: Path, found: Found, place: Place, value: str, kind: str) -> str:
    """Normalise the project-relative path *value* of the key at *place*; "" where it is no *kind*, which is noted.

    Args:
        root: the project's folder, resolved.
        found: takes what is wrong.
        place: of the key.
        value: as written, without "..".
        kind: "file", "folder" or "file or folder".
    """
    path = root / value
    spelled = spell(place)
    if not path.exists():
        what = f'{spelled} is "{value}", which does not exist'
        found.problem(place, what, "Paths are relative to the folder of pyproject.toml.")
    elif not path.resolve().is_relative_to(root):
        found.problem(
            place, f'{spelled} is "{value}", a link that leaves the project', "Copy it into the project."
        )
    elif (kind == "file" and not path.is_file()) or (kind == "folder" and not path.is_dir()):
        found.problem(
            place, f'{spelled} is "{value}", which is a {"folder" if path.is_dir() else "file"}, not a {kind}'
        )
    else:
        return Path(value).as_posix()
    return ""


@dataclass(kw_only=True)
class Inventory:
    """The project's files, as far as the table names them.

    Args:
        root: the project's folder, resolved.
        settings: the table.
        found: takes what is wrong.
    """

    root: Path
    settings: Settings
    found: Found
    code: str = ""
    entry_script: str = ""
    warnings: list[str] = field(default_factory=list)
    matcher: Matcher = field(init=False)

    def look(self) -> None:
        """Find the code and its entry script."""
        self.matcher = self._matcher()
        if "code" not in self.found.bad:
            default = "code" if (self.root / "code").is_dir() else ""
            given = self.settings.code
            self.code = existing(self.root, self.found, ("code",), given, "folder") if given else default
        if self.code and "entry-script" not in self.found.bad:
            self._look_at_entry_script()
        elif self.settings.entry_script and not self.found.bad & {"code", "entry-script"}:
            self.found.problem(
                ("entry-script",),
                "tool.azureml-image.entry-script has no code folder to be in",
                'Write: code = "code"',
            )

    def _matcher(self) -> Matcher:
        rules = [Rule(pattern=pattern, file="built-in default", line=0) for pattern in DEFAULTS]
        ignore = self.root / ".dockerignore"
        if ignore.is_file():
            rules += parse_ignore_file(ignore.read_text(encoding="utf-8", errors="replace"), ".dockerignore")
        for index, pattern in enumerate(self.settings.exclude):
            rules.append(Rule(pattern=pattern, file=FILE, line=self.found.line(("exclude", index))))
        while True:
            try:
                return Matcher(rules)
            except IllegalPattern as error:
                what = f'"{error.rule.pattern}" is no pattern: {error.why}'
                self.found.problems.append(
                    Problem(
                        error.rule.file,
                        error.rule.line,
                        what,
                        "See https://docs.docker.com/build/concepts/context/#dockerignore-files",
                    )
                )
                rules.remove(error.rule)

    def _look_at_entry_script(self) -> None:
        given = self.settings.entry_script
        folder = "" if self.code == "." else f"{self.code}/"
        if not given and not (self.root / self.code / "score.py").is_file():
            self.warnings.append(
                f"{self.code} has no score.py, and no entry-script is set: the server will look for main.py"
            )
            return
        path = folder + Path(given or "score.py").as_posix()
        if not (self.root / path).is_file():
            what = f'tool.azureml-image.entry-script is "{given}", but {path} {"is a folder" if (self.root / path).is_dir() else "does not exist"}'
            self.found.problem(("entry-script",), what, "It is relative to the code folder.")
            return
        self.entry_script = Path(given or "score.py").as_posix()
        self._refuse_excluded(path, "the entry script")
        self._refuse_server_configuration(path)
        self._parse(path)

    def _parse(self, path: str) -> None:
        try:
            missing = missing_functions((self.root / path).read_bytes(), path)
        except SyntaxError as error:
            self.found.problems.append(
                Problem(
                    path,
                    error.lineno or 1,
                    f"is no Python that can be read: {error.msg}",
                    "Mend it: the server imports this file.",
                )
            )
            return
        if missing:
            names = " and ".join(f"{name}()" for name in missing)
            stub = {"init": "def init() -> None: ...", "run": "def run(data: str) -> object: ..."}
            self.found.problems.append(
                Problem(
                    path,
                    1,
                    f"the entry script does not define {names}",
                    "Add:\n" + "\n".join(stub[name] for name in missing),
                )
            )

    def _refuse_server_configuration(self, path: str) -> None:
        for folder in dict.fromkeys((Path(path).parent, Path(self.code))):
            for name in _SERVER_CONFIGURATION:
                taken = (folder / name).as_posix()
                if (
                    not (self.root / taken).is_file()
                    or self.matcher.excluding(taken)
                    or self.matcher.reincluding(taken)
                ):
                    continue
                what = f"{taken} lies where the inference server takes it for its own configuration"
                fix = f'Rename it or move it into a subfolder, or leave it out: exclude = ["{taken}"]\nOr, where it is the server\'s: exclude = ["!{taken}"]'
                self.found.problem(("entry-script",) if self.settings.entry_script else ("code",), what, fix)

    def _refuse_excluded(self, path: str, what: str) -> bool:
        rule = self.matcher.excluding(path)
        if rule:
            file = rule.file if rule.line else FILE
            line = rule.line or self.found.line(())
            name = f'the pattern "{rule.pattern}"' if rule.line else f'the default pattern "{rule.pattern}"'
            fix = f'Remove the pattern, or add: exclude = ["!{path}"]'
            self.found.problems.append(Problem(file, line, f"{name} removes {what}, {path}", fix))
        return rule is not None

    def requirements(self) -> list[RequirementsTree]:
        """The requirements files with all that they include."""
        trees = []
        for index, path in enumerate(self.settings.requirements):
            place: Place = (
                ("requirements", index) if self.found.has(("requirements", index)) else ("requirements",)
            )
            if "requirements" in self.found.bad or not existing(self.root, self.found, place, path, "file"):
                continue
            tree, problems = read_tree(Path(path).as_posix(), self._text)
            self.found.problems += problems
            for file in (*tree.files, *tree.wheels):
                if (
                    not self._refuse_excluded(file, "a requirements file")
                    and file in tree.wheels
                    and not (self.root / file).is_file()
                ):
                    self.found.problem(
                        place,
                        f"{path} names the wheel {file}, which does not exist",
                        "pip build --wheel makes one.",
                    )
            trees.append(tree)
        return trees

    def _text(self, path: str) -> str | None:
        file = self.root / path
        if not file.is_file() or not file.resolve().is_relative_to(self.root):
            return None
        return file.read_text(encoding="utf-8", errors="replace")

    def carried(self, path: str) -> ContextFile:
        """The member of the context for a requirements file or a wheel."""
        file = self.root / path
        size = file.stat().st_size if file.is_file() else 0
        return ContextFile(name=f"python/project/{path}", source=file, size=size)

    def files(self) -> tuple[ContextFile, ...]:
        """Everything of code and model."""
        found: list[ContextFile] = []
        if self.code:
            claimed = [self.settings.model] if self.settings.model else []
            if self.code == ".":
                claimed += [".azureml-image", FILE, "tasks.py"]
            left_out = frozenset(Path(path).as_posix() for path in claimed)
            found += self._walk("code", self.code, left_out, LARGE)
        if (
            self.settings.model
            and "model" not in self.found.bad
            and (model := existing(self.root, self.found, ("model",), self.settings.model, "file or folder"))
        ):
            found += self._model(model)
        return tuple(sorted(found, key=lambda file: file.name))

    def _model(self, model: str) -> Sequence[ContextFile]:
        members = self._walk("model", model, frozenset(), None)
        if not any(not member.name.endswith("/") for member in members) and "model" not in self.found.bad:
            first = next(
                (
                    path.relative_to(self.root).as_posix()
                    for path in sorted((self.root / model).rglob("*"))
                    if path.is_file()
                ),
                model,
            )
            if not self._refuse_excluded(first, "all of the model"):
                self.found.problem(
                    ("model",),
                    f"tool.azureml-image.model: {model} holds no file",
                    "Leave the key out where Azure ML mounts the model.",
                )
        elif (self.root / model).is_file() and self._refuse_excluded(model, "all of the model"):
            return []
        return members

    def _walk(self, key: str, top: str, left_out: frozenset[str], largest: int | None) -> list[ContextFile]:
        def problem(what: str, fix: str) -> None:
            self.found.problem((key,), what, fix)

        walk = Walk(
            project=self.root,
            top=top,
            into=key,
            matcher=self.matcher,
            left_out=left_out,
            problem=problem,
            largest=largest,
        )
        members = list(walk.files())
        folders = (
            [ContextFile(name=f"{key}/")] if not any(member.name == f"{key}/" for member in members) else []
        )
        return [*folders, *members]
