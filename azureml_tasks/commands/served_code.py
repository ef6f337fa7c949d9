"""The code in a container that serves: what it has, and how it gets what it should have."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.incremental.code_changes import CODE, CodeChanges, code_changes, code_of, half_changed
from azureml_tasks.planning.plan import APP_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.served_container import ServedContainer
    from azureml_tasks.planning.plan import Plan

_ROOT_VARIABLE = "AML_APP_ROOT"


class ServedCode(NamedTuple):
    """The code that a container has.

    Args:
        folder: of the code in the container, an absolute path.
        contents: members of the build context that it has there, and their contents.
        put_at: when files were put into it last, seconds since 1970.
    """

    folder: str
    contents: Mapping[str, str]
    put_at: int = 0

    def changes(self, context: BuildContext) -> CodeChanges:
        """Return how the code of *context* differs."""
        return code_changes(self.contents, context.contents)

    @property
    def sets_up_gunicorn(self) -> bool:
        """Whether gunicorn reads settings from the code, by which it may load code before its workers do."""
        return f"{CODE}gunicorn.conf.py" in self.contents

    def half_put(self, context: BuildContext) -> ServedCode:
        """Return what is known of the code while that of *context* is put, and after that has failed."""
        # Python compiles a module again if its time differs by a second, or its size.
        put_at = max(int(time.time()), self.put_at + 1)
        return self._replace(contents=half_changed(self.contents, context.contents), put_at=put_at)

    def put_into(self, container: ServedContainer, plan: Plan, context: BuildContext) -> ServedCode:
        """Put the members that differ into the container, remove those that are gone, and return what it has then.

        After an error it has what `half_put` returns.

        Raises:
            BuildError: a file is being changed or has gone.
            EngineError: the container does not take them.
        """
        changes = self.changes(context)
        put_at = self.half_put(context).put_at
        members = {file.name: file for file in plan.files}
        files = [members.get(name) or ContextFile(name=name) for name in changes.put]
        # A file in place of a folder, or the reverse, needs the place; else the new comes first, because it may fail.
        places = {name.rstrip("/") for name in changes.put}
        container.remove([self._path(name) for name in changes.removed if name in places])
        container.put([file._replace(name=self._path(file.name).lstrip("/")) for file in files], put_at)
        container.remove([self._path(name) for name in changes.removed if name not in places])
        return self._replace(contents=code_of(context.contents), put_at=put_at)

    def scripts(self, plan: Plan) -> dict[str, str]:
        """Return the path of each Python file of the project, and its path in the container, as far as it is known."""
        if plan.own_dockerfile:
            return {}
        return {
            file.source: self._path(file.name)
            for file in plan.files
            if file.source and file.name.startswith(CODE) and file.name.endswith(".py")
        }

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name.removeprefix(CODE)}"


def gone_folders(plan: Plan) -> list[str]:
    """Return the folders, by their paths, that the code of *plan* was in and that do not exist any more."""
    sources = (
        (file.source, file.name.removeprefix(CODE)) for file in plan.files if file.name.startswith(CODE)
    )
    folders = {source[: -len(name) - 1] for source, name in sources if source.endswith(f"/{name}")}
    return [folder for folder in sorted(folders) if not os.path.lexists(folder)]


def code_in_image(
    plan: Plan, context: BuildContext, built_of: Mapping[str, str], variables: Mapping[str, str]
) -> ServedCode:
    """Return the code of a container before anything is put into it.

    Args:
        plan: of the image.
        context: the project's files now.
        built_of: members of the context that the image was built of, and their contents; empty if that is not known.
        variables: of the image.
    """
    if plan.own_dockerfile:  # It alone says where files go, so that none is put.
        return ServedCode("", code_of(context.contents))
    root = variables.get(_ROOT_VARIABLE) or APP_ROOT if plan.app_root.startswith("$") else plan.app_root
    mounted = plan.smoke_test.mounted
    return ServedCode(f"{APP_ROOT}/{mounted.name}" if mounted else root.rstrip("/"), code_of(built_of))
