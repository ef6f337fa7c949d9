"""The plan that was made of the project as it still stands: reading the whole of it anew takes longest of all.

A plan is remembered with everything that was looked at for it. Where all of that is as it was, the plan is too,
but for the contents of the files that it copies: those are looked at one by one, as they are at first.
"""

from __future__ import annotations

import json
import os
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.git import Revision
from azureml_tasks.plan_text import UnspeakableError, decoded, encoded
from azureml_tasks.record_file import write_whole
from azureml_tasks.stamps import stamp_of
from azureml_tasks.unchanged import unchanged
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azureml_tasks.context_file import ContextFile
    from azureml_tasks.file_hashes import FileHashes
    from azureml_tasks.found import Override
    from azureml_tasks.git import NoRevision
    from azureml_tasks.planning import Plan
    from azureml_tasks.witness import Witness

__all__ = ["Memory", "asked"]

_VARIABLES = ("HOME", "SOURCE_DATE_EPOCH")
"""What reading a project takes from the environment."""


def asked(overrides: Mapping[str, Override]) -> dict[str, Any]:
    """Everything beside the project's folder and its revision that a plan follows from, as JSON has it."""
    return {
        "version": VERSION,
        "code": _ourselves(),
        "overrides": {name: [given.value, given.source] for name, given in sorted(overrides.items())},
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
        "today": datetime.now(timezone.utc).date().isoformat(),
    }


def _ourselves() -> list[int]:
    """Our own files by the sum of their stamps: whoever works on them wants their plan, not yesterday's."""
    package = Path(__file__).parent
    stamps = [
        stamp_of(entry.stat())
        for folder in (package, package / "inside")
        for entry in os.scandir(folder)
        if entry.name.endswith(".py")
    ]
    return [sum(column) for column in zip(*stamps, strict=True)]


class Memory(NamedTuple):
    """What is remembered in *file*."""

    file: Path

    @property
    def _project(self) -> str:
        """The project's folder: what a copy of it remembers are the files of the first."""
        return os.path.realpath(self.file.parents[1])

    def recall(
        self,
        question: Mapping[str, Any],
        revision: Callable[[Revision | None], Revision | NoRevision],
        hashes: FileHashes,
    ) -> Plan | None:
        """The plan for *question* (see `asked`), its files as they are now; None where reading may find another.

        Git is at work meanwhile: its answer, *revision*, is waited for last.
        """
        try:
            found = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return None  # It is not there, or was not written to its end: all is found out again.
        # Whoever wrote it with this very code wrote it as this code reads it.
        if (
            not isinstance(found, dict)
            or found.get("asked") != question
            or found.get("project") != self._project
            or not unchanged(found["seen"], hashes)
        ):
            return None
        plan: Plan = decoded(found["plan"])
        files = tuple(file for file in (_now(file, plan, hashes) for file in plan.files) if file)
        if len(files) != len(plan.files) or found["revision"] != _words(
            revision(_revision(found["revision"]))
        ):
            return None
        return plan._replace(files=files)

    def keep(
        self, question: Mapping[str, Any], revision: Revision | NoRevision, plan: Plan, witness: Witness
    ) -> None:
        """Write the plan down for the next command, where the folder of records is there."""
        if not self.file.parent.is_dir():
            return
        try:
            found = {
                "asked": question,
                "revision": _words(revision),
                "project": self._project,
                "seen": witness.text(),
                "plan": encoded(plan),
            }
            text = json.dumps(found)
        except (UnspeakableError, TypeError):
            return  # A date in the table, say; the next command reads the project anew.
        write_whole(self.file, text)


def _revision(words: list[Any]) -> Revision | None:
    return Revision(*words[1:]) if words[0] == Revision.__name__ else None


def _words(revision: Revision | NoRevision) -> list[Any]:
    return [type(revision).__name__, *revision]


def _now(file: ContextFile, plan: Plan, hashes: FileHashes) -> ContextFile | None:
    """*file* as it is now; None where there is something to say of it that only a new reading can."""
    if file.source is None or not file.name.startswith(("code/", "model/")):
        return file  # What pip is given decides more than its content; it is among what was seen.
    try:
        status = os.stat(file.source)  # noqa: PTH116 -- thousands of files; Path's own takes twice the time
        known = hashes.known.get(str(file.source))
        executable = bool(status.st_mode & stat.S_IXUSR)
        if (
            (status.st_size, executable) == (file.size, file.executable)
            and known
            and known[0] == stamp_of(status)
        ):
            return file
        if not stat.S_ISREG(status.st_mode) or _is_bad(file, status, plan):
            return None
    except OSError:
        return None
    return file._replace(size=status.st_size, executable=executable)


def _is_bad(file: ContextFile, status: os.stat_result, plan: Plan) -> bool:
    """Whether a file that has changed may be one that a new reading refuses."""
    from azureml_tasks.suspects import LARGE, private_key_in

    if file.source and private_key_in(file.source):
        return True
    if not file.name.startswith("code/"):
        return False
    entry = plan.env.get("AZUREML_ENTRY_SCRIPT", "")
    return status.st_size > LARGE or (file.name == f"code/{entry}" and not _serves(file))


def _serves(file: ContextFile) -> bool:
    from azureml_tasks.entry_script import missing_functions

    try:
        return file.source is not None and not missing_functions(file.source.read_bytes(), file.name)
    except SyntaxError:
        return False
