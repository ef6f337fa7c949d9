"""A Dockerfile of the project's own: its text, what it says, and the build context that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.notice import Notice
from azureml_tasks.project.dockerfile_facts import DockerfileFacts, read_facts
from azureml_tasks.project.walk import LARGE, walked
from azureml_tasks.text_file import UnreadableFile, decode, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.paths import ProjectReader

_PLACE = ("dockerfile",)
_CONTEXT = "context"
_LARGEST = 1_000_000
"""Bytes of a Dockerfile."""


class OwnDockerfile(NamedTuple):
    """The Dockerfile that the key `dockerfile` names.

    Args:
        path: relative to the build context.
        name: as messages name it, relative to the folder of pyproject.toml.
        text: of the file.
        facts: what it says.
    """

    path: str
    name: str
    text: str
    facts: DockerfileFacts = DockerfileFacts()

    @property
    def base(self) -> Reference | None:
        """The image that its last stage starts from; None if that is `scratch` or not known."""
        return self.facts.base

    @property
    def warnings(self) -> list[Notice]:
        """What a user should know before a build."""
        mounts = "RUN --mount of a secret or an SSH agent gets nothing: this build passes none"
        return [Notice("secret-unused", mounts, self.name, line) for line in self.facts.secret_mounts]


def read_own_dockerfile(reader: ProjectReader) -> OwnDockerfile | None:
    """Read the project's own Dockerfile, and report what is wrong with it; None if the table names none."""
    value = reader.settings.dockerfile
    if not value:
        return None
    path = reader.check_path(_PLACE, value, "file")
    text = _text(reader, path) if path else ""
    if not text:
        return OwnDockerfile(path=path or value, name=value, text="")
    facts = read_facts(text, reader.settings.platform)
    own = OwnDockerfile(path=path, name=reader.name(path), text=text, facts=facts)
    for problem in own.facts.problems:
        reader.problems.add_in_file(own.name, problem.line, problem.what, problem.fix)
    return own


def _text(reader: ProjectReader, path: str) -> str:
    try:
        text = decode(read_bytes(reader.root / path, _LARGEST))
    except UnreadableFile as error:
        reader.problems.add_in_file(reader.name(path), 0, error.why, error.fix)
        return ""
    if not text.strip():
        fix = "Write: FROM, with the image to start from"
        reader.problems.add_in_file(reader.name(path), 0, "is empty", fix)
    return text


def whole_project(reader: ProjectReader) -> tuple[ContextFile, ...]:
    """Return the files of the project that its ignore rules leave, by name, and report those that must not stay."""
    files = walked(reader, _PLACE, ".", _CONTEXT, largest=LARGE)
    names = ((file, file.name.removeprefix(f"{_CONTEXT}/")) for file in files)
    return tuple(sorted(file._replace(name=name) for file, name in names if name))
