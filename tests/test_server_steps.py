"""The step that makes the runtime user of a base without an inference server, run in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.planning.server_steps import user_steps
from tests.cases import lay_out
from tests.plans import plan

if TYPE_CHECKING:
    from pathlib import Path

USERS = "root:x:0:0:root:/root:/bin/sh\n"
GROUPS = "root:x:0:\n"
OTHER_USER = "ubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n"
OTHER_GROUP = "docker:x:1001:\n"
PROGRAMS = {
    "bin/id": "#!/bin/sh\nexit 1\n",
    "bin/chown": '#!/bin/sh\necho "chown $*"\n',
}


@pytest.mark.parametrize(
    ("users", "groups", "number"),
    [
        (USERS, GROUPS, 1000),
        (USERS + OTHER_USER, GROUPS, 1001),
        (USERS + OTHER_USER, GROUPS + OTHER_GROUP, 1002),
    ],
    ids=["1000 is free", "a user has it", "a group has the next one"],
)
def test_the_runtime_user_gets_the_id_1000_or_the_next_free_one(
    users: str, groups: str, number: int, tmp_path: Path
) -> None:
    """A number that a user or a group of the base has is passed over."""
    lay_out({**PROGRAMS, "etc/passwd": users, "etc/group": groups}, tmp_path)
    for name in ("grep", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    for name in PROGRAMS:
        (tmp_path / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    ((_, *lines),) = user_steps(plan(adds_server=True, user="server"))
    command = "\n".join(lines).removeprefix("RUN ")
    for folder in ("/etc/", "/home/"):
        command = command.replace(folder, f"{tmp_path}{folder}")

    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )

    files = {
        name: (tmp_path / "etc" / name).read_text().replace(str(tmp_path), "") for name in ("passwd", "group")
    }
    assert {
        "passwd": f"{users}server:x:{number}:{number}::/home/server:/bin/sh\n",
        "group": f"{groups}server:x:{number}:\n",
    } == files
    assert f"chown {number}:{number} {tmp_path}/home/server\n" == ended.stdout
    assert (tmp_path / "home" / "server").is_dir()
