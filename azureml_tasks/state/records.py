"""What one command leaves for the next, in `.azureml-image/` of the project, which git ignores, or elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config import image_tables
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import BuildError
from azureml_tasks.image_reference import parse
from azureml_tasks.state.record_forms import (
    BUILD,
    FILES,
    PASS,
    PROBE_EVENTS,
    RESULT,
    RUNS,
    read_json,
    wrong_keys,
)

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext

FOLDER = ".azureml-image"
_HASHES = "hashes.json"
_MOST_REPLACED = 100
"""Images of earlier builds that are remembered, to remove them."""
NOTES = frozenset({"builder.json", "engine.json", "files.json", "hashes.json", "staged", "users.json"})
"""Entries of the folder that only save time and can be removed at any time."""


class StartedRun(NamedTuple):
    """A remote build that was started here, and whose image has not been taken over yet.

    Args:
        run: its ID.
        registry: login server.
        names: that its image is to get, `login-server/repository:tag`.
        installed_at: when the cached layers that it is based on were built, seconds since 1970; 0 for none.
    """

    run: str
    registry: str
    names: tuple[str, ...]
    installed_at: int = 0


class Records(NamedTuple):
    """The records of one project, or of one of its images.

    Args:
        folder: the project's `.azureml-image`, or what takes its place; for an image its folder in that.
        image: which of the table's images; "" if the table itself is the image.
    """

    folder: Path
    image: str = ""

    @property
    def home(self) -> Path:
        """The project's `.azureml-image`, or what takes its place."""
        return self.folder.parent if self.image else self.folder

    @property
    def name(self) -> str:
        """The folder as messages call it: its name in the project, or its path elsewhere."""
        if self.home.name != FOLDER:
            return str(self.folder)
        return f"{FOLDER}/{self.image}" if self.image else FOLDER

    def file_hashes(self, *, is_shared: bool = False) -> FileHashes:
        """Return the hashes of the project's files that earlier commands have saved.

        Args:
            is_shared: whether other images of the table use them, too, whose files stay in them.
        """
        return FileHashes.read(self.home / _HASHES, is_shared=is_shared)

    def write_build(self, image: BuiltImage) -> None:
        """Record an image that was built; forget the smoke test and the push of the image before it."""
        self.forget_pass()
        (self.folder / RESULT).unlink(missing_ok=True)
        self._write_image(image)

    def rename_build(self, image: BuiltImage) -> None:
        """Record new names of the image that was built last; its smoke test still counts."""
        if image != self.read_build():
            self._write_image(image)

    def _write_image(self, image: BuiltImage) -> None:
        waiting = [candidate for candidate in self.waiting_candidates() if candidate != image.candidate]
        in_a_registry = {"candidate": image.candidate, "run": image.run, "waiting": waiting}
        replaced = [each for each in self._earlier_images() if each != image.id][-_MOST_REPLACED:]
        inputs = {"fingerprint_parts": dict(image.fingerprint_parts), "installed_at": image.installed_at}
        self._write(BUILD, {
            "engine": image.engine,
            "id": image.id,
            "names": list(image.names),
            "tags": [name.rpartition(":")[2] for name in image.names],
            "context_sha256": image.context_sha256,
            "user": image.user,
            **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
            **(inputs if image.fingerprint_parts else {}),
            **({"requirements": list(image.requirements)} if image.requirements else {}),
            **({"version": image.version} if image.version else {}),
            **(in_a_registry if image.candidate or waiting else {}),
            **({"replaced": replaced} if replaced else {}),
        })  # fmt: skip

    def read_build(self) -> BuiltImage:
        """Return the image that was built last.

        Raises:
            BuildError: there is none, or the record is damaged.
        """
        record = self._read(BUILD)
        if record is None:
            what = f"The image {self.image} is not built yet." if self.image else "Nothing is built here yet."
            raise BuildError(what, next_step="invoke image.build")
        return BuiltImage(
            id=record["id"],
            names=tuple(record["names"]),
            engine=record["engine"],
            context_sha256=record["context_sha256"],
            user=record["user"],
            candidate=record.get("candidate", ""),
            run=record.get("run", ""),
            cached_layers=tuple(record.get("cached_layers", ())),
            fingerprint_parts=record.get("fingerprint_parts", {}),
            installed_at=record.get("installed_at", 0),
            requirements=tuple(record.get("requirements", ())),
            version=record.get("version", ""),
        )

    def has_build(self) -> bool:
        """Return whether anything was built here."""
        return (self.folder / BUILD).exists()

    def read_all_names(self) -> BuiltImage:
        """Return the image that was built last with the names that build and push gave it."""
        image = self.read_build()
        pushed = self._read(RESULT) or {"image": "", "tags": []}
        repository = pushed["image"].rpartition("@")[0]
        names = (*image.names, *(f"{repository}:{tag}" for tag in pushed["tags"]))
        return image._replace(names=tuple(dict.fromkeys(names)))

    def write_files(self, context: BuildContext) -> None:
        """Record the members of *context* and their contents when it was built."""
        # Thousands of lines: with indentation it takes ten times as long.
        self._write_text(
            FILES, json.dumps({"context_sha256": context.sha256, "files": dict(context.contents)})
        )

    def read_files(self, image: BuiltImage) -> dict[str, str]:
        """Return what each member of the context of *image* was, by name; empty if that is not known."""
        try:
            record = self._read(FILES) or {}
        except BuildError:  # It only explains what is rebuilt, and the next build writes it again.
            return {}
        is_of_image = record.get("context_sha256") == image.context_sha256
        return dict(record["files"]) if is_of_image else {}

    def waiting_candidates(self) -> list[str]:
        """Return the candidates of this project that wait in a registry, `login-server/repository@sha256:…`."""
        record = self._read(BUILD) or {}
        return [*record.get("waiting", []), *([record["candidate"]] if record.get("candidate") else [])]

    def replaced_images(self) -> list[str]:
        """Return the IDs of the images that this project has built on an engine before its last one, oldest first."""
        record = self._read(BUILD) or {}
        return list(record.get("replaced", []))

    def _earlier_images(self) -> list[str]:
        record = self._read(BUILD) or {"engine": ""}
        return [*record.get("replaced", []), *([record["id"]] if record["engine"] == "docker" else [])]

    def forget_candidate(self, image: BuiltImage) -> None:
        """Record that *image* waits in no registry any more."""
        if record := self._read(BUILD):
            waiting = [candidate for candidate in record.get("waiting", []) if candidate != image.candidate]
            last = "" if record.get("candidate") == image.candidate else record.get("candidate", "")
            self._write(BUILD, {**record, "candidate": last, "waiting": waiting})

    def write_run(self, run: StartedRun) -> None:
        """Record a remote build, until its image is taken over or is gone."""
        self._write_runs([*(other for other in self.started_runs() if other.run != run.run), run])

    def started_runs(self) -> list[StartedRun]:
        """Return the remote builds that were started here and are not finished here yet, the last one last."""
        records = (self._read(RUNS) or {}).get("runs", [])
        return [
            StartedRun(
                run=record["run"],
                registry=record["registry"],
                names=tuple(record["names"]),
                installed_at=record["installed_at"],
            )
            for record in records
        ]

    def read_run(self, run: str) -> StartedRun | None:
        """Return the remote build with this ID; None if it was not started here."""
        return next((started for started in self.started_runs() if started.run == run), None)

    def forget_run(self, run: str) -> None:
        """Record that nothing more has to be done about a remote build."""
        runs = self.started_runs()
        left = [started for started in runs if started.run != run]
        if left:
            self._write_runs(left)
        else:
            (self.folder / RUNS).unlink(missing_ok=True)

    def _write_runs(self, runs: list[StartedRun]) -> None:
        self._write(RUNS, {"runs": [{**run._asdict(), "names": list(run.names)} for run in runs]})

    def build_registry(self, engine: str) -> str:
        """Return the login server that the last build is for; "" if it is for none.

        Args:
            engine: the engine of this command; a remote build that has not finished counts for any but docker.
        """
        if engine != "docker" and (runs := self.started_runs()):
            return runs[-1].registry
        build = self._read(BUILD)
        reference = parse(build["names"][0]) if build else None
        return reference.host if reference else ""

    def write_probe_events(
        self, image: BuiltImage, smoke_test_sha256: str, events: list[dict[str, Any]]
    ) -> None:
        """Record the probe's events from the smoke test of *image* in the cloud."""
        self._write(PROBE_EVENTS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "events": events})

    def read_probe_events(self, image: BuiltImage, smoke_test_sha256: str) -> list[dict[str, Any]]:
        """Return the probe's events from the smoke test with this hash of *image*; empty if there are none."""
        record = self._read(PROBE_EVENTS) or {}
        matches = (record.get("id"), record.get("smoke_test_sha256")) == (image.id, smoke_test_sha256)
        return list(record["events"]) if matches else []

    def write_pass(self, image: BuiltImage, smoke_test_sha256: str, summary: dict[str, Any]) -> None:
        """Record that *image* passed the smoke test with this hash."""
        self._write(PASS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "smoke": summary})

    def read_pass(self) -> dict[str, Any] | None:
        """Return the last pass, with `id`, `smoke_test_sha256` and `smoke`; None if there is none."""
        return self._read(PASS)

    def forget_pass(self) -> None:
        """Forget the last pass: an image whose smoke test runs has not passed until it ends."""
        (self.folder / PASS).unlink(missing_ok=True)

    def write_result(self, result: dict[str, Any]) -> Path:
        """Record what was pushed, and return the path of the record."""
        return self._write(RESULT, result)

    def read_result(self) -> dict[str, Any] | None:
        """Return what was pushed since the last build; None if nothing was."""
        return self._read(RESULT)

    def of_images(self) -> list[Records]:
        """Return the records of images, also of those that the table does not have any more, sorted by name."""
        try:
            entries = sorted(
                entry.name for entry in self.home.iterdir() if entry.is_dir() and not entry.is_symlink()
            )
        except FileNotFoundError:
            return []
        names = [name for name in entries if not image_tables.NAME.error(name)]
        return [Records(folder=self.home / name, image=name) for name in names]

    def remove(self) -> None:
        """Remove the folder with all records, if there is one.

        Raises:
            OSError: something in it cannot be removed.
        """
        if os.path.lexists(self.folder):
            shutil.rmtree(self.folder)

    def _read(self, name: str) -> dict[str, Any] | None:
        """Return the record of this *name*; None if it does not exist.

        Raises:
            BuildError: it is damaged, or another version of this package has written it.
        """
        path = self.folder / name
        try:
            record = read_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except IsADirectoryError as error:
            raise self._damaged(path, "it is a folder") from error
        except ValueError as error:
            raise self._damaged(path, str(error)) from error
        if not isinstance(record, dict):
            raise self._damaged(path, "it is not an object")
        if wrong := wrong_keys(name, record):
            raise self._damaged(path, f"missing or not valid: {', '.join(wrong)}")
        return record

    def _write(self, name: str, record: dict[str, Any]) -> Path:
        return self._write_text(name, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def _write_text(self, name: str, text: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), (self.home / ".gitignore").open("x") as ignore:
            ignore.write("*\n")
        write_atomically(self.folder / name, text)
        return self.folder / name

    def _damaged(self, path: Path, why: str) -> BuildError:
        what = f"The record {self.name}/{path.name} cannot be read: {why}."
        return BuildError(what, next_step=f"rm -r {shlex.quote(self.name)}\nthen: invoke image.build")
