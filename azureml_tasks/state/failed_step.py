"""The record of the step at which the last build failed, which `image.shell` starts from."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import clean
from azureml_tasks.state.record_forms import FAILED_STEP, FailedStepRecord
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.state.record_folder import RecordFolder

BEFORE_STEP = "failed-step.dockerfile"
_LARGEST_DOCKERFILE = 16 * 1024 * 1024  # bytes


class FailedStep(NamedTuple):
    """The step at which the last build failed.

    Args:
        engine: name of the engine that ran it.
        step: its instruction, on one line; for a remote build the sentence that says what failed.
        dockerfile: the Dockerfile up to the step; "" for a remote build, of whose steps nothing is on this machine.
        images: IDs of the images that *dockerfile* names by references of the failed build alone, by reference.
    """

    engine: str
    step: str
    dockerfile: str = ""
    images: Mapping[str, str] = MappingProxyType({})


def before_step_file(records: RecordFolder) -> Path:
    """Return the file that has the Dockerfile up to the step at which the last build failed."""
    return records.folder / BEFORE_STEP


def write_failure(records: RecordFolder, failed: FailedStep) -> None:
    """Record at which step a build failed, until a build starts or turns out to have nothing to do."""
    records.write_content(BEFORE_STEP, failed.dockerfile)
    record = {"engine": failed.engine, "step": clean(failed.step), "images": dict(failed.images)}
    records.write_record(FAILED_STEP, record)


def read_failure(records: RecordFolder) -> FailedStep | None:
    """Return the step at which the last build failed; None if it failed at none.

    Raises:
        BuildError: the record is damaged.
    """
    record = records.read_record(FAILED_STEP, FailedStepRecord)
    if record is None:
        return None
    file = before_step_file(records)
    try:
        dockerfile = read_text(file, largest=_LARGEST_DOCKERFILE)
    except FileNotFoundError as error:
        raise records.damaged(file, "it is gone") from error
    except UnreadableFile as error:
        raise records.unreadable(file, error) from error
    return FailedStep(record.engine, record.step, dockerfile, record.images)


def forget_failure(records: RecordFolder) -> None:
    """Forget the step at which an earlier build failed."""
    for name in (FAILED_STEP, BEFORE_STEP):
        (records.folder / name).unlink(missing_ok=True)
