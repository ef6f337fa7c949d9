"""Make a folder of Python packages in a container of the base, by the base's own Python."""

from __future__ import annotations

import json
import shutil
import tarfile
from functools import partial
from typing import TYPE_CHECKING

from azureml_tasks.context.tar_archive import end_of_archive, member
from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.container import printed_blocks
from azureml_tasks.engines.docker.leftovers import LABEL, container_name
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.engines.log_lines import lines_of
from azureml_tasks.engines.step_error import packages_error
from azureml_tasks.errors import BuildError, MachineError
from azureml_tasks.plain_text import clean
from azureml_tasks.project.mounted_delivery import MARK
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.runs import Run

_IN_CONTAINER = "/tmp"  # noqa: S108 -- a folder of the container, which is thrown away
_COMMAND = [
    "/bin/sh",
    "-c",
    (
        'exec "${AZUREML_CONDA_ENVIRONMENT_PATH:?the base sets no such variable}/bin/python" '
        f"{_IN_CONTAINER}/python/collect_packages.py"
    ),
]
_LONGEST_LINE = 64 * 1024  # bytes
_SILENCE = 600  # seconds


def make_packages_folder(
    client: EngineClient,
    base: BuiltImage,
    files: Sequence[ContextFile],
    target: Path,
    *,
    made_from: str,
    reporter: Reporter,
    run: Run,
) -> None:
    """Install the packages in a container of the base, and replace the folder *target* by those that are new.

    Under --dry the commands that do the same are announced.

    Args:
        client: the engine.
        base: as an image to run.
        files: members of the build context below `python/`.
        target: the folder, which is not there or has our mark.
        made_from: what decides the folder's content, for its mark.
        reporter: shows what pip prints.
        run: notes the container and a temporary folder.

    Raises:
        BuildError: the packages cannot be installed.
        MachineError: this Python cannot unpack an archive safely.
    """
    name, mark = container_name(run), json.dumps({"made_from": made_from}) + "\n"
    if not _announced(client, base.names[0], name, target, mark, reporter):
        return
    run.records.mkdir(parents=True, exist_ok=True)
    run.note(Thing("container", name))
    create = partial(
        client.sdk.containers.create,
        base.id,
        command=_COMMAND,
        entrypoint=[],
        user="root",
        name=name,
        labels={LABEL: run.id},
        environment=client.proxies,
        use_config_proxy=False,
    )
    archive = b"".join(block for file in files for block in member(file)) + end_of_archive()
    with reading_answers():
        container = finish_call(create)
        container.put_archive(_IN_CONTAINER, archive)
        container.start()
        lines: list[str] = []
        printed = printed_blocks(client, str(container.id), _SILENCE, stderr=True)
        for line in lines_of(printed, _LONGEST_LINE):
            lines = [*lines[-19:], clean(line.decode(errors="replace"))]
            reporter.output(lines[-1])
        code = container.wait()["StatusCode"]
    if code:
        what = f"The packages cannot be installed in the base {base.names[0]} (exit code {code})."
        raise packages_error(what, lines) or BuildError(what, said="\n".join(lines), said_is_log=True)
    with run.folder() as folder:
        with reading_answers():
            blocks, _ = container.get_archive(f"{_IN_CONTAINER}/python/packages")
            _unpack(blocks, folder)
        (folder / "packages" / MARK).write_text(mark, encoding="utf-8", newline="")
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "packages", target)


def _announced(
    client: EngineClient, base: str, name: str, target: Path, mark: str, reporter: Reporter
) -> bool:
    """Announce the commands that do the same. Return False if they must not be carried out."""
    create = ["create", "--name", name, "--user", "root", "--entrypoint", _COMMAND[0], base, *_COMMAND[1:]]
    reporter.effect(client.docker_command(*create))
    unpack = client.docker_command("cp", "-", f"{name}:{_IN_CONTAINER}")
    reporter.effect(unpack, before="invoke image.context | ")
    reporter.effect(client.docker_command("start", "--attach", name))
    if target.exists():
        reporter.effect(["rm", "-r", str(target)])
    elif not target.parent.exists():
        reporter.effect(["mkdir", "--parents", str(target.parent)])
    reporter.effect(client.docker_command("cp", f"{name}:{_IN_CONTAINER}/python/packages", str(target)))
    reporter.effect(["tee", str(target / MARK)], file=mark)
    return reporter.effect(client.docker_command("rm", "--force", "--volumes", name))


def _unpack(blocks: Iterable[bytes], folder: Path) -> None:
    """Unpack an archive that a container made, whose names and links may be anything.

    https://docs.python.org/3/library/tarfile.html#tarfile.data_filter
    """
    if not hasattr(tarfile, "data_filter"):
        raise MachineError(
            "This Python cannot unpack an archive without trusting it.",
            next_step="Use Python 3.10.12, 3.11.4, 3.12 or a later one.",
        )
    archive = folder / "packages.tar"
    with archive.open("wb") as stream:
        stream.writelines(blocks)
    try:
        with tarfile.open(archive, mode="r:") as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        what = f"The folder of packages cannot be unpacked: {clean(str(error))}."
        raise BuildError(what, next_step="Leave out the package that makes such a file.") from error
