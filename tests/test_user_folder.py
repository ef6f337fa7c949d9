"""Where the state of a user and the records of a project are, if there is no home folder or a checkout is read-only."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.errors import MachineError
from azureml_tasks.state.user_folder import user_folder
from tests.consumers import consumer, invoke

STATE = "INVOKE_AZUREML_IMAGE_STATE"


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take this user's home folder away; return the folder for temporary files."""

    def no_entry(_: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_user_without_a_home_folder(homeless: Path) -> None:
    """The state is below the folder for temporary files, and nobody else may read or write it."""
    folder = user_folder()

    assert homeless / f"azureml-tasks-{os.getuid()}" == folder == user_folder()
    assert 0o700 == folder.stat().st_mode & 0o777


@pytest.mark.parametrize("how", ["a link", "a file that is no folder", "others may write"])
def test_a_folder_that_somebody_else_may_have_filled(how: str, homeless: Path) -> None:
    """A folder for temporary files is everybody's, so what is not this user's alone is not used."""
    folder = homeless / f"azureml-tasks-{os.getuid()}"
    if how == "a link":
        (homeless / "elsewhere").mkdir()
        folder.symlink_to(homeless / "elsewhere")
    elif how == "others may write":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.write_text("")

    with pytest.raises(MachineError, match="is not a folder of this user alone"):
        user_folder()


def test_records_elsewhere(tmp_path: Path) -> None:
    """With a folder for records, each project has its own in it, and runs of another scope another one."""
    run = RunContext(folder=tmp_path / "a", reporter=Console(), state=tmp_path / "state")
    folders = {
        each.records.folder
        for each in (
            run,
            run._replace(folder=tmp_path / "b"),
            run._replace(cache_scope="main"),
            run._replace(reporter=Console(dry=True)),
        )
    }

    assert [tmp_path / "state"] * 3 == [folder.parent for folder in folders]
    assert tmp_path / "a" / ".azureml-image" == run._replace(state=None).records.folder


def test_the_variable_names_a_folder(tmp_path: Path) -> None:
    """The folder need not exist yet; what is no folder is exit 2, and so is a key of a file with that name."""
    folder = consumer(tmp_path / "project")
    (tmp_path / "file").write_text("")
    unused = invoke(folder, "image.clean", env={STATE: str(tmp_path / "state")})
    empty = invoke(folder, "image.clean", env={STATE: ""})
    file = invoke(folder, "image.clean", env={STATE: str(tmp_path / "file")})
    (folder / "invoke.yaml").write_text("azureml_image:\n  state: elsewhere\n")
    configured = invoke(folder, "image.clean")

    fix = f"    Name a folder that this user may write, or: unset {STATE}\n\n1 problem; nothing was done.\n"
    assert (0, f"nothing to remove: there is no {tmp_path}/state/") == (
        unused.code,
        unused.err.replace("FOLDER", str(folder))[: len(f"nothing to remove: there is no {tmp_path}/state/")],
    )
    assert (2, f"{STATE}: is empty\n{fix}") == (empty.code, empty.err)
    assert (2, f'{STATE}: is "{tmp_path}/file", which is not a folder\n{fix}') == (file.code, file.err)
    assert (2, "Invoke's configuration, azureml_image.state: is not known") == (
        configured.code,
        configured.err.splitlines()[0],
    )
    assert not (tmp_path / "state").exists()
