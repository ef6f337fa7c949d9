"""What an unexpected error of the operating system means, and what it says."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest
import requests
from urllib3.exceptions import ProtocolError

from azureml_tasks.errors import BuildError, MachineError, connection_failure, machine_error, stating
from tests.consumers import consumer, invoke

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk of this machine is full.\n    df -h",
            id="a full disk",
        ),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "a/b"),
            "The disk of this machine is full: a/b.\n    df -h",
            id="a full disk, with the file",
        ),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", ".azureml-image/build.json"),
            ".azureml-image/build.json cannot be read or written by you.\n    ls -ld .azureml-image/build.json\n"
            "    or keep the records elsewhere: export INVOKE_AZUREML_IMAGE_STATE=FOLDER",
            id="permission",
        ),
        pytest.param(
            OSError(errno.EROFS, "Read-only file system", "x"),
            "x cannot be read or written by you.\n    ls -ld x",
            id="a read-only file system",
        ),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", "/a b\n"),
            "/a b\\n cannot be read or written by you.\n    ls -ld $'/a b\\x0a'",
            id="a name that a shell would take apart",
        ),
        pytest.param(
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "This machine reported an error: Connection reset by peer.",
            id="the network",
        ),
        pytest.param(
            OSError(errno.EIO, "Input/output error", "x"),
            "This machine reported an error: x: Input/output error.",
            id="a broken disk",
        ),
    ],
)
def test_each_kind_of_os_error_has_its_own_sentence(error: OSError, expected: str) -> None:
    """It is exit 3, never the project's fault, and names the file if there is one."""
    described = machine_error(error)

    assert (3, expected) == (described.exit_code, str(described))


def test_what_did_not_happen_is_said_of_an_os_error_too() -> None:
    """A block that states what did not happen adds it to an unexpected error."""
    with pytest.raises(MachineError) as caught, stating("Nothing was built."):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "The disk of this machine is full.\n    df -h\nNothing was built." == str(caught.value)


def test_the_first_statement_counts() -> None:
    """An error that says already what happened keeps that."""
    with pytest.raises(BuildError) as caught, stating("outer"), stating("inner"):
        raise BuildError("It failed.")

    assert "inner" == caught.value.state


def test_a_reader_that_went_away_is_no_error_of_this_machine() -> None:
    """A broken pipe passes through, and ends the command with 141."""
    with pytest.raises(BrokenPipeError), stating("Nothing was built."):
        raise BrokenPipeError


def test_a_file_in_the_place_of_the_records_is_exit_2(tmp_path: Path) -> None:
    """A file in the place of the folder of records stops a command that writes there, with its name."""
    folder = consumer(tmp_path)
    (folder / ".azureml-image").write_text("")

    ended = invoke(folder, "image.smoke-test")

    expected = """\
.azureml-image: is not a folder, and the records need its name
    mv FOLDER/.azureml-image FOLDER/.azureml-image.old

1 problem; nothing was tested.
"""
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_a_file_of_a_flag_that_cannot_be_written_is_exit_2(tmp_path: Path) -> None:
    """The flag is named, since its value is at fault."""
    folder = consumer(tmp_path)
    (folder / "file").write_text("")

    ended = invoke(folder, "image.dockerfile", "--output=file/Dockerfile")

    expected = '--output: is "file/Dockerfile", but file is not a folder\n\n1 problem; nothing was done.\n'
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [({}, "Connection refused"), ({"http": "http://127.0.0.1:PORT"}, "at the proxy: Connection refused")],
    ids=["direct", "through a proxy"],
)
def test_a_refused_connection(proxies: dict[str, str], expected: str) -> None:
    """Of an error of requests, with all that it was raised for, the system's reason is shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    through = {scheme: url.replace("PORT", port) for scheme, url in proxies.items()}

    session = requests.Session()
    session.trust_env = False

    with session, pytest.raises(requests.ConnectionError) as caught:
        session.get(f"http://127.0.0.1:{port}/", proxies=through)

    assert expected == connection_failure(caught.value)


def test_an_error_that_was_never_raised() -> None:
    """Its cause is among its arguments."""
    error = requests.ConnectionError("a chain of words")
    error.__cause__ = ProtocolError(
        "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
    )

    assert connection_failure(error) == "Connection reset by peer"


def test_an_error_with_an_answer() -> None:
    """It has words of its own, which say more than what it was raised for."""
    error = requests.HTTPError("refused, and why", response=requests.Response())
    error.__cause__ = OSError("refused")

    assert connection_failure(error) == "refused, and why"
