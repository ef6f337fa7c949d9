"""What is read of the image that a Dockerfile makes, so far: its variables, user, folder, copied files and commands."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.migration.dockerfile.words import expanded, is_plain, plain
from azureml_tasks.migration.reading import Outcome, Reference, Value
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.reading import Kind, Source
    from azureml_tasks.migration.surroundings import Located, Surroundings
    from azureml_tasks.project.dockerfile_facts import DockerfileFacts

RUNTIME_USER = "dockeruser"
"""The user of Azure ML's inference images, and the default of the key `user`."""
APT, PIP, FILES = 1, 2, 3
"""The steps of a generated Dockerfile, in their order: system packages, Python packages, model and code."""
_OF_MLFLOW = "/var/mlflow_resources"
"""AML_APP_ROOT of the images with a script of their own: Azure/azureml-assets,
assets/inference/environments/mlflow-py312-inference/context/Dockerfile."""


_MOST_REASONS = 20


class Copied(NamedTuple):
    """A file or a folder that an instruction copies.

    Args:
        line: of the instruction.
        source: where it is; the content of a folder is copied.
        target: its path in the image.
        note: what the copy in the image has and a key does not give it, such as another owner; "" for nothing.
    """

    line: int
    source: Located
    target: str
    note: str = ""


class Shell(NamedTuple):
    """A shell text that becomes one of `run`.

    Args:
        line: of its instruction.
        text: for `/bin/sh -c`.
        user: that runs it.
        folder: that it runs in; "" for that of the base.
        variables: of ENV and ARG at this place.
        programs: that it runs; empty if that is not known.
        phase: the last installation before it.
        uses_files: whether it may use files that were copied.
        installs: whether it only installs Python packages, which root can do for everybody.
    """

    line: int
    text: str
    user: str
    folder: str
    variables: Mapping[str, str]
    programs: frozenset[str]
    phase: int
    uses_files: bool = False
    installs: bool = False


class Stage:
    """An image so far.

    Args:
        source: the Dockerfile.
        surroundings: of the project.
        context: of the build, relative to the project's folder.
        facts: what the Dockerfile says as a whole.
        last_user: of the last USER, as it is written; "" for none.
    """

    def __init__(
        self, source: Source, surroundings: Surroundings, context: str, facts: DockerfileFacts, last_user: str
    ) -> None:
        self.source, self.surroundings, self.context = source, surroundings, context
        self.facts, self.escape = facts, facts.escape
        self.last_user = last_user
        self.outcomes: dict[int, dict[tuple[Outcome, str], None]] = {}
        self.values: list[Value] = []
        self.references: list[Reference] = []
        self.keeps: list[str] = []
        self.base, self.base_line = "", 0
        self.serves: bool | None = None
        self.serves_otherwise, self.brings_script = False, False
        self.makes_environment = False
        """Whether the Dockerfile makes the environment of the server, which the base does not have."""
        self.user, self.folder = "", ""
        self.shell: tuple[str, ...] = ("/bin/sh", "-c")
        self.users: list[tuple[int, str]] = []
        """Line and text of each USER."""
        self.folder_lines: list[tuple[int, str]] = []
        """Line and folder of each WORKDIR."""
        self.env: dict[str, str] = {}
        self.env_lines: dict[str, int] = {}
        self.arguments: dict[str, str] = {}
        self.argument_lines: dict[str, int] = {}
        self.unset: set[str] = set()
        """Arguments without a default, which no command gets."""
        self.configures_pip = 0
        """Line of a command that tells pip where to look."""
        self.path_lines: list[int] = []
        """Lines that change PATH before a command."""
        self.replaced: set[str] = set()
        """Environments of conda that the Dockerfile makes by a file, for which the base's own serves."""
        self.copied: list[Copied] = []
        self.absent: list[str] = []
        """Paths that an instruction would copy to, and that an image of the table does not have."""
        self.not_here: list[str] = []
        """The same for files that do not exist here, without which the Dockerfile cannot be built either."""
        self.installed: set[Copied] = set()
        """What is only installed from."""
        self.removed: set[Copied] = set()
        """What a later command removes."""
        self.conda_files: list[str] = []
        self.labels: dict[str, tuple[str, int]] = {}
        self.shells: list[Shell] = []
        self.pips: list[tuple[int, str, tuple[str, ...]]] = []
        """Line and text of each requirement, and what differs."""
        self.steps: list[tuple[int, int]] = []
        """Phase and line of each package installation that a key says."""
        self.command: dict[str, tuple[int, list[str]]] = {}
        """CMD and ENTRYPOINT → line and words of the last one."""
        self.ports: dict[int, list[str]] = {}

    def note(self, line: int, outcome: Outcome, why: str) -> None:
        """Say what became of a part of an instruction."""
        self.outcomes.setdefault(line, {})[outcome, why] = None

    def left_over(self, line: int, why: str) -> None:
        """Say that the table does not say a part of an instruction."""
        self.note(line, Outcome.LEFT_OVER, why)

    def keep(self, line: int, why: str) -> None:
        """Say that only the Dockerfile itself makes such an image."""
        self.left_over(line, why)
        if len(self.keeps) < _MOST_REASONS:
            self.keeps.append(f"line {line}: {why}")

    def set(self, place: Place, value: Any, line: int) -> None:
        """Add a value of the table."""
        self.values.append(Value(place, value, self.source.name, line))

    def refer(self, kind: Kind, line: int, name: str) -> None:
        """Name another source, once."""
        if not any(each.name == name for each in self.references):
            self.references.append(Reference(kind, line, name))

    @property
    def phase(self) -> int:
        """The last step that installs packages so far."""
        return max((phase for phase, _ in self.steps), default=0)

    @property
    def app_root(self) -> str:
        """The folder to which the key `code` copies, see `project.variables.app_root`."""
        is_of_base = self.brings_script and self.env.get("AML_APP_ROOT") != APP_ROOT
        return _OF_MLFLOW if is_of_base else APP_ROOT

    @property
    def given_arguments(self) -> dict[str, str]:
        """The arguments that commands get as variables."""
        return {name: value for name, value in self.arguments.items() if name not in self.unset}

    def value_of(self, name: str) -> str | None:
        """Return the value of a variable, as `config.variable_references` writes it; None for one of the base."""
        return self.env.get(name, self.arguments.get(name))

    def text_of(self, word: str) -> str:
        """Return the value of a word; a variable of the base stays as a shell writes it.

        Raises:
            UnknownValueError: it has none.
        """
        return plain(expanded(word, self.value_of, self.escape))

    def shell_value(self, name: str) -> str | None:
        """Return the value of a variable in a shell; None if only the shell knows it."""
        value = self.value_of(name)
        return plain(value) if value is not None and is_plain(value) else None

    def path(self, word: str) -> str:
        """Return a path in the image, absolute or beginning with a variable of the base.

        Raises:
            UnknownValueError: it has no value.
        """
        return self.absolute(self.text_of(word))

    def absolute(self, path: str) -> str:
        """Return the path in the image that *path* means at this place."""
        name, _, rest = path.removeprefix("$").partition("/")
        places = {"AML_APP_ROOT": self.app_root, "AZUREML_MODEL_DIR": MODEL_DIR}
        if path.startswith("$") and name in places:
            path = f"{places[name]}/{rest}"
        if path.startswith("$"):
            return posixpath.normpath(path)
        return posixpath.normpath(posixpath.join(self.folder or "/", path))

    def locate(self, path: str) -> Located:
        """Return where a path of the build context leads."""
        return self.surroundings.locate(posixpath.join(self.context, path.lstrip("/") or "."))

    def source_of(self, path: str) -> tuple[Copied, Located] | None:
        """Return what was copied to *path* of the image last, and where that is; None for nothing."""
        for each in reversed(self.copied):
            if each.target == path and each.source.kind == "file":
                return each, each.source
            below = path.removeprefix(each.target.rstrip("/") + "/")
            if each.source.kind == "folder" and below != path:
                located = self.surroundings.locate(posixpath.join(each.source.name, below))
                if located.kind == "file":
                    return each, located
        return None

    def has_folder(self, path: str) -> bool:
        """Return whether a folder of the project was copied to *path* of the image."""
        for each in self.copied:
            below = f"{path}/".removeprefix(each.target.rstrip("/") + "/")
            if each.source.kind == "folder" and below != f"{path}/":
                located = self.surroundings.locate(posixpath.join(each.source.name, below))
                if located.kind == "folder":
                    return True
        return False
