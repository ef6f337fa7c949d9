"""What one command leaves for the next, in `.azureml-image/` of the project, which git ignores, or elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config import image_tables
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import BuildError
from azureml_tasks.image_reference import parse
from azureml_tasks.state.failed_step import forget_failure
from azureml_tasks.state.record_folder import RecordFolder
from azureml_tasks.state.record_forms import (
    BUILD,
    FILES,
    PASS,
    PROBE_EVENTS,
    PUSHED,
    RESULT,
    RUNS,
    BuildRecord,
    FilesRecord,
    PassRecord,
    ProbeEventsRecord,
    PushedRecord,
    ResultRecord,
    RunsRecord,
    StartedRun,
)
from azureml_tasks.text_file import UnreadableFile, read_text
from azureml_tasks.typed_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext

_LOG = "smoke-test.log"
_REQUEST = "first-request"
_LARGEST_LOG = 16 * 1024 * 1024
"""Bytes: an excerpt has 1.25 MiB of the log (`smoke/log_excerpt.py`), and what replaces a byte of it has three."""
_HASHES = "hashes.json"
_MOST_REPLACED = 100
"""Images of earlier builds that are remembered, to remove them."""
REPORT = "report.html"
"""The page of `image.report`, unless the user names another file."""
BUILD_LOG = "build.log"
"""What the last build printed."""


class Records(RecordFolder):
    """The records of one project, or of one of its images."""

    def file_hashes(self, *, is_shared: bool = False) -> FileHashes:
        """Return the hashes of the project's files that earlier commands have saved.

        Args:
            is_shared: whether other images of the table use them, too, whose files stay in them.
        """
        return FileHashes.read(self.home / _HASHES, is_shared=is_shared)

    def write_build(self, image: BuiltImage) -> None:
        """Record an image that was built; forget the smoke test and the push of the image before it."""
        forget_failure(self)
        self.forget_pass()
        (self.folder / RESULT).unlink(missing_ok=True)
        self._write_image(image)

    def rename_build(self, image: BuiltImage) -> None:
        """Record new names of the image that was built last; its smoke test still counts.

        If another command has recorded another image meanwhile, that stays.
        """
        forget_failure(self)
        before = self.read_build()
        if image != before and (image.engine, image.id) == (before.engine, before.id):
            self._write_image(image)

    def _write_image(self, image: BuiltImage) -> None:
        waiting = [candidate for candidate in self.waiting_candidates() if candidate != image.candidate]
        replaced = [each for each in self._earlier_images() if each != image.id][-_MOST_REPLACED:]
        record = BuildRecord(
            engine="acr" if image.engine == "acr" else "docker",
            id=image.id,
            names=image.names,
            context_sha256=image.context_sha256,
            user=image.user,
            candidate=image.candidate,
            run=image.run,
            waiting=tuple(waiting),
            cached_layers=image.cached_layers,
            fingerprint_parts=image.fingerprint_parts,
            installed_at=image.installed_at if image.fingerprint_parts else 0,
            requirements=image.requirements,
            version=image.version,
            replaced=tuple(replaced),
        )
        self._write_build(record)

    def _write_build(self, record: BuildRecord) -> None:
        tags = [name.rpartition(":")[2] for name in record.names]
        in_a_registry = {"candidate": record.candidate, "run": record.run, "waiting": list(record.waiting)}
        has_registry = record.engine == "acr" or record.waiting
        known = {**encode(record, omit_defaults=True), **(in_a_registry if has_registry else {})}
        self.write_record(BUILD, {**known, "tags": tags})

    def read_build(self) -> BuiltImage:
        """Return the image that was built last.

        Raises:
            BuildError: there is none, or the record is damaged.
        """
        record = self.read_record(BUILD, BuildRecord)
        if record is None:
            what = f"The image {self.image} is not built yet." if self.image else "Nothing is built here yet."
            raise BuildError(what, next_step="invoke image.build")
        return BuiltImage(
            id=record.id,
            names=record.names,
            engine=record.engine,
            context_sha256=record.context_sha256,
            user=record.user,
            candidate=record.candidate,
            run=record.run,
            cached_layers=record.cached_layers,
            fingerprint_parts=record.fingerprint_parts,
            installed_at=record.installed_at,
            requirements=record.requirements,
            version=record.version,
        )

    def has_build(self) -> bool:
        """Return whether anything was built here."""
        return (self.folder / BUILD).exists()

    def read_all_names(self) -> BuiltImage:
        """Return the image that was built last with the names that build and push gave it."""
        image = self.read_build()
        pushed = self.read_result()
        repository = pushed.image.rpartition("@")[0] if pushed else ""
        names = (*image.names, *(f"{repository}:{tag}" for tag in (pushed.tags if pushed else ())))
        return image._replace(names=tuple(dict.fromkeys(names)))

    def write_files(self, context: BuildContext) -> None:
        """Record the members of *context* and their contents when it was built."""
        # Thousands of lines: with indentation it takes ten times as long.
        self.write_content(
            FILES, json.dumps({"context_sha256": context.sha256, "files": dict(context.contents)})
        )

    def read_files(self, image: BuiltImage) -> dict[str, str]:
        """Return what each member of the context of *image* was, by name; empty if that is not known."""
        try:
            record = self.read_record(FILES, FilesRecord)
        except BuildError:  # It only explains what is rebuilt, and the next build writes it again.
            return {}
        return dict(record.files) if record and record.context_sha256 == image.context_sha256 else {}

    def waiting_candidates(self) -> list[str]:
        """Return the candidates of this project that wait in a registry, `login-server/repository@sha256:…`."""
        record = self.read_record(BUILD, BuildRecord)
        return [*record.waiting, *([record.candidate] if record.candidate else [])] if record else []

    def replaced_images(self) -> list[str]:
        """Return the IDs of the images that this project has built on an engine before its last one, oldest first."""
        record = self.read_record(BUILD, BuildRecord)
        return list(record.replaced) if record else []

    def _earlier_images(self) -> list[str]:
        record = self.read_record(BUILD, BuildRecord)
        return [*record.replaced, *([record.id] if record.engine == "docker" else [])] if record else []

    def forget_candidate(self, image: BuiltImage) -> None:
        """Record that *image* waits in no registry any more."""
        if record := self.read_record(BUILD, BuildRecord):
            waiting = tuple(candidate for candidate in record.waiting if candidate != image.candidate)
            last = "" if record.candidate == image.candidate else record.candidate
            self._write_build(replace(record, candidate=last, waiting=waiting))

    def write_run(self, run: StartedRun) -> None:
        """Record a remote build, until its image is taken over or is gone."""
        self._write_runs([*(other for other in self.started_runs() if other.run != run.run), run])

    def started_runs(self) -> list[StartedRun]:
        """Return the remote builds that were started here and are not finished here yet, the last one last."""
        record = self.read_record(RUNS, RunsRecord)
        return list(record.runs) if record else []

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
        self.write_record(RUNS, encode(RunsRecord(runs=tuple(runs)), omit_defaults=True))

    def build_registry(self, engine: str) -> str:
        """Return the login server that the last build is for; "" if it is for none.

        Args:
            engine: the engine of this command; a remote build that has not finished counts for any but docker.
        """
        if engine != "docker" and (runs := self.started_runs()):
            return runs[-1].registry
        build = self.read_record(BUILD, BuildRecord)
        reference = parse(build.names[0]) if build else None
        return reference.host if reference else ""

    def write_probe_events(
        self, image: BuiltImage, smoke_test_sha256: str, events: list[dict[str, Any]]
    ) -> None:
        """Record the probe's events from the smoke test of *image* in the cloud."""
        self.write_record(
            PROBE_EVENTS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "events": events}
        )

    def read_probe_events(self, image: BuiltImage, smoke_test_sha256: str) -> list[dict[str, Any]]:
        """Return the probe's events from the smoke test with this hash of *image*; empty if there are none."""
        record = self.read_record(PROBE_EVENTS, ProbeEventsRecord)
        if not record or (record.id, record.smoke_test_sha256) != (image.id, smoke_test_sha256):
            return []
        return list(record.events)

    def write_pass(self, image: BuiltImage, smoke_test_sha256: str, summary: dict[str, Any]) -> None:
        """Record that *image* passed the smoke test with this hash."""
        self.write_record(PASS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "smoke": summary})

    def read_pass(self) -> PassRecord | None:
        """Return the last pass; None if there is none."""
        return self.read_record(PASS, PassRecord)

    def forget_pass(self) -> None:
        """Forget the last pass: an image whose smoke test runs has not passed until it ends."""
        (self.folder / PASS).unlink(missing_ok=True)

    @property
    def log_name(self) -> str:
        """The file of `write_log` as messages call it."""
        return f"{self.name}/{_LOG}"

    def write_log(self, text: str) -> None:
        """Record what the container of the smoke test printed, which is safe to print."""
        self.write_content(_LOG, text)

    def read_log(self) -> str | None:
        """Return what the container of the last smoke test printed; None if there is no log.

        Raises:
            BuildError: it cannot be read.
        """
        try:
            return read_text(self.folder / _LOG, largest=_LARGEST_LOG)
        except FileNotFoundError:
            return None
        except UnreadableFile as error:
            raise self.unreadable(self.folder / _LOG, error) from error

    def forget_log(self) -> None:
        """Forget what the container of an earlier smoke test printed."""
        (self.folder / _LOG).unlink(missing_ok=True)

    def write_request(self, body: bytes) -> Path:
        """Write the body of a request for a command to send, and return its path."""
        return self.write_content(_REQUEST, body)

    def write_result(self, result: dict[str, Any]) -> Path:
        """Record what was pushed, and return the path of the record."""
        return self.write_record(RESULT, result)

    def read_result(self) -> ResultRecord | None:
        """Return what was pushed since the last build; None if nothing was."""
        return self.read_record(RESULT, ResultRecord)

    def write_pushed(self, result: Mapping[str, Any], image: BuiltImage, seconds: float) -> None:
        """Record a push for the report of later builds.

        Args:
            result: what was pushed, see `write_result`.
            image: that was pushed.
            seconds: when, since 1970.
        """
        pushed = {name: result[name] for name in ("image", "id", "tags")}
        # With all files of the image, indentation takes long; see `write_files`.
        record = {**pushed, "pushed_at": int(seconds), "files": self.read_files(image)}
        self.write_content(PUSHED, json.dumps(record, ensure_ascii=False))

    def read_pushed(self) -> PushedRecord | None:
        """Return the last push, also of an earlier build.

        None if no push is known; a damaged record stops nothing, because it only informs.
        """
        try:
            return self.read_record(PUSHED, PushedRecord)
        except BuildError:
            return None

    def write_report(self, page: str) -> Path:
        """Write the page of `image.report`, and return its path."""
        return self.write_content(REPORT, page)

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
