"""What one command leaves for the next: `.azureml-image/`, a folder of the project that git does not see."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.context.file_hashes import FileHashes
from azureml_tasks.errors import BuildError
from azureml_tasks.image_reference import parse
from azureml_tasks.state.record_file import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext

__all__ = ["FOLDER", "NOTES", "Records"]

FOLDER = ".azureml-image"
_BUILD, _PASS, _RESULT, _RUN = "build.json", "smoke-test.json", "result.json", "run.json"
_PROBE_EVENTS, _HASHES, _FILES = "probe-events.json", "hashes.json", "files.json"
NOTES = frozenset({"builder.json", "engine.json", "files.json", "hashes.json", "staged", "users.json"})
"""What saves time alone, and may go at any time."""
_NEEDED = {
    _BUILD: ("id", "names", "engine", "context_sha256", "user"),
    _PASS: ("id", "smoke_test_sha256", "smoke"),
    _RESULT: ("image", "tags"),
    _RUN: ("run", "registry"),
    _PROBE_EVENTS: ("id", "smoke_test_sha256", "events"),
    _FILES: ("context_sha256", "files"),
}
"""What a record says at least."""


class Records(NamedTuple):
    """The records of one project; *folder* is `.azureml-image` there."""

    folder: Path

    def file_hashes(self) -> FileHashes:
        """The hashes of the project's files that are known from earlier commands."""
        return FileHashes.read(self.folder / _HASHES)

    def write_build(self, image: BuiltImage) -> None:
        """Record what was built; what an earlier image passed or was pushed as no longer counts."""
        self.forget_pass()
        (self.folder / _RESULT).unlink(missing_ok=True)
        self._write_image(image)

    def rename_build(self, image: BuiltImage) -> None:
        """Record that the image that was built last has these names now; what it passed still counts."""
        if image != self.read_build():
            self._write_image(image)

    def _write_image(self, image: BuiltImage) -> None:
        waiting = [candidate for candidate in self.waiting() if candidate != image.candidate]
        in_a_registry = {"candidate": image.candidate, "run": image.run, "waiting": waiting}
        inputs = {"fingerprint_parts": dict(image.fingerprint_parts), "installed_at": image.installed_at}
        self._write(_BUILD, {
            "engine": image.engine,
            "id": image.id,
            "names": list(image.names),
            "tags": [name.rpartition(":")[2] for name in image.names],
            "context_sha256": image.context_sha256,
            "user": image.user,
            **({"cached_layers": list(image.cached_layers)} if image.cached_layers else {}),
            **(inputs if image.fingerprint_parts else {}),
            **({"requirements": list(image.requirements)} if image.requirements else {}),
            **(in_a_registry if image.candidate or waiting else {}),
        })  # fmt: skip

    def read_build(self) -> BuiltImage:
        """The image that was built last.

        Raises:
            BuildError: there is none.
        """
        found = self._read(_BUILD)
        if found is None:
            raise BuildError("Nothing is built here yet.", next_step="invoke image.build")
        return BuiltImage(
            id=found["id"],
            names=tuple(found["names"]),
            engine=found["engine"],
            context_sha256=found["context_sha256"],
            user=found["user"],
            candidate=found.get("candidate", ""),
            run=found.get("run", ""),
            cached_layers=tuple(found.get("cached_layers", ())),
            fingerprint_parts=found.get("fingerprint_parts", {}),
            installed_at=found.get("installed_at", 0),
            requirements=tuple(found.get("requirements", ())),
        )

    def write_files(self, context: BuildContext) -> None:
        """Record what each member of *context* was when it was built."""
        record = {"context_sha256": context.sha256, "files": dict(context.contents)}
        self._write_text(
            _FILES, json.dumps(record)
        )  # Thousands of lines: indentation takes ten times as long.

    def read_files(self, image: BuiltImage) -> dict[str, str]:
        """Return what each member of the context of *image* was, by name; empty if that was not recorded."""
        record = self._read(_FILES) or {}
        is_of_image = record.get("context_sha256") == image.context_sha256
        return dict(record["files"]) if is_of_image else {}

    def has_build(self) -> bool:
        """Whether anything was built here."""
        return (self.folder / _BUILD).exists()

    def read_all_names(self) -> BuiltImage:
        """The image that was built last, with the names that push gave it too."""
        image = self.read_build()
        pushed = self._read(_RESULT) or {"image": "", "tags": []}
        repository = pushed["image"].rpartition("@")[0]
        names = (*image.names, *(f"{repository}:{tag}" for tag in pushed["tags"]))
        return image._replace(names=tuple(dict.fromkeys(names)))

    def waiting(self) -> list[str]:
        """The candidates of this project that wait in a registry, `login-server/repository@sha256:…`."""
        found = self._read(_BUILD) or {}
        return [*found.get("waiting", []), *([found["candidate"]] if found.get("candidate") else [])]

    def candidate_is_gone(self, image: BuiltImage) -> None:
        """Record that the image waits no more."""
        if found := self._read(_BUILD):
            left = [candidate for candidate in found.get("waiting", []) if candidate != image.candidate]
            now = "" if found.get("candidate") == image.candidate else found.get("candidate", "")
            self._write(_BUILD, {**found, "candidate": now, "waiting": left})

    def write_run(self, run: str, registry: str) -> None:
        """Record the run that builds at the login server *registry*, until its end is known."""
        self._write(_RUN, {"run": run, "registry": registry})

    def build_registry(self, engine: str) -> str:
        """Return the login server that the last build is for; "" if it is for none.

        Args:
            engine: the engine of this command; a remote build that has not finished counts for any but docker.
        """
        if engine != "docker" and (run := self._read(_RUN)):
            return str(run["registry"])
        build = self._read(_BUILD)
        reference = parse(build["names"][0]) if build else None
        return reference.host if reference else ""

    def read_run(self) -> str:
        """The id of the run whose end is not known yet; "" where there is none."""
        return str((self._read(_RUN) or {}).get("run", ""))

    def forget_run(self) -> None:
        """The end of the run is known."""
        (self.folder / _RUN).unlink(missing_ok=True)

    def write_probe_events(
        self, image: BuiltImage, smoke_test_sha256: str, events: list[dict[str, Any]]
    ) -> None:
        """Record the probe's events from the smoke test of *image* in the cloud."""
        self._write(_PROBE_EVENTS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "events": events})

    def read_probe_events(self, image: BuiltImage, smoke_test_sha256: str) -> list[dict[str, Any]]:
        """Return the probe's events from the smoke test with this hash of *image*; empty if there are none."""
        record = self._read(_PROBE_EVENTS) or {}
        matches = (record.get("id"), record.get("smoke_test_sha256")) == (image.id, smoke_test_sha256)
        return list(record["events"]) if matches else []

    def write_pass(self, image: BuiltImage, smoke_test_sha256: str, summary: dict[str, Any]) -> None:
        """Record that *image* passed the smoke test of this hash, and no other."""
        self._write(_PASS, {"id": image.id, "smoke_test_sha256": smoke_test_sha256, "smoke": summary})

    def forget_pass(self) -> None:
        """An image that is being smoke-tested has not passed until it passes again."""
        (self.folder / _PASS).unlink(missing_ok=True)

    def read_pass(self) -> dict[str, Any] | None:
        """The last pass: `id`, `smoke_test_sha256`, `smoke`; None where there is none."""
        return self._read(_PASS)

    def write_result(self, result: dict[str, Any]) -> Path:
        """Record what was pushed."""
        return self._write(_RESULT, result)

    def read_result(self) -> dict[str, Any] | None:
        """What was pushed, as it was recorded; None where nothing was since the last build."""
        return self._read(_RESULT)

    def remove(self) -> None:
        """Remove the folder with all records."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> dict[str, Any] | None:
        return read_record(self.folder / name, _NEEDED.get(name, ()))

    def _write(self, name: str, record: dict[str, Any]) -> Path:
        return self._write_text(name, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def _write_text(self, name: str, text: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), (self.folder / ".gitignore").open("x") as ignore:
            ignore.write("*\n")
        write_atomically(self.folder / name, text)
        return self.folder / name
