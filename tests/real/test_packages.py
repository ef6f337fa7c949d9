"""Python packages that are installed: every way to name them, and conflicts with the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.real.offering import installed
from tests.real.support import (
    Consumer,
    Ended,
    consumer,
    environment_without_docker,
    output_of,
    removed_after,
    unique,
)
from tests.wheels import wheel

if TYPE_CHECKING:
    from pathlib import Path

    import docker

WITH_SERVER = "Installing requirements. pip must keep azureml-inference-server-http==1.5.1 of the base image."


def write_project(
    folder: Path, name: str, text: str, files: dict[str, str | bytes] | None = None
) -> Consumer:
    """Return a project of version 1 with some code, in an environment where the legacy builder builds."""
    head = f'[project]\nname = "{name}"\nversion = "1"\n'
    code = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}
    return consumer(
        folder / "project",
        {**code, **(files or {}), "pyproject.toml": head + text},
        environment_without_docker(folder),
    )


def error(ended: Ended) -> str:
    """Return the error at the end of the output, without the paths of pip's wheels."""
    text = ended.stderr[ended.stderr.index("The Python packages cannot be installed") :]
    return re.sub(r"(?m)^ *(Looking in links|Processing|ERROR: ResolutionImpossible).*\n", "", text)


def test_every_way_to_name_a_package_installs_it(
    offering_base: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """Files with and without hashes, local wheels, the table, groups, extras and dependencies.

    What has hashes keeps its version, though a newer one is on offer and wanted by another package.
    """
    name = unique("packages")
    text = f"""\
dependencies = ["gamma"]
optional-dependencies.all = ["{name}[some]"]
optional-dependencies.some = ["delta"]

[dependency-groups]
serve = [{{ include-group = "more" }}]
more = ["beta"]

[tool.azureml-image]
base = "{offering_base}"
pip = ["gamma>=1"]
requirements = ["locks/hashed.txt", "requirements.txt"]
dependency-groups = ["serve"]
extras = ["all"]
project-dependencies = true
"""
    local = wheel(tmp_path / "made", "local", "3.0")
    digest = sha256_of("alpha-1.0-py3-none-any.whl", docker_client, offering_base)
    project = write_project(
        tmp_path,
        name,
        text,
        {
            "locks/hashed.txt": f"alpha==1.0 \\\n    --hash=sha256:{digest}\n",
            "requirements.txt": "-r more/included.txt\n",
            "more/included.txt": f"./vendor/{local.name}\n",
            f"vendor/{local.name}": local.read_bytes(),
        },
    )
    before = installed(docker_client, offering_base)

    with removed_after(docker_client, f"{name}:1"):
        ended = project.invoke("image.build")

        assert ended.code == 0, ended.stderr
        after = installed(docker_client, f"{name}:1")
    lines = [
        line
        for line in ended.stderr.splitlines()
        if line.startswith(("Installing the", "Installing requirements"))
    ]
    new = {"alpha": "1.0", "beta": "1.0", "gamma": "1.0", "delta": "1.0", "local": "3.0"}
    hashes = (
        "Installing the requirements with hashes on their own: pip needs hashes for all of a run or for none."
    )
    assert ({**before, **new}, [hashes, WITH_SERVER]) == (after, lines)


def test_a_conflict_with_the_server_fails_the_build(offering_base: str, tmp_path: Path) -> None:
    """Pip refuses a requirement that the server cannot run with, and names both."""
    text = f'[tool.azureml-image]\nbase = "{offering_base}"\npip = ["flask==2.3.3"]\n'
    project = write_project(tmp_path, unique("clash"), text)

    ended = project.invoke("image.build")

    expected = """\
The Python packages cannot be installed.
    Look at the image before that step: invoke image.shell
    pip could not install the requirements:
        pyproject.toml:6: flask==2.3.3
        pip said: Cannot install azureml-inference-server-http==1.5.1 and flask==2.3.3 because these package \
versions have conflicting dependencies.
        If versions conflict, require other versions, or leave out packages that the base image has.
The whole log is in .azureml-image/build.log. Nothing was built.
"""
    assert (4, "", expected, []) == (ended.code, ended.stdout, error(ended), project.records())


def test_a_package_that_breaks_the_base_is_named_with_its_line(
    offering_base: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """`pip check` fails the build and names the requirement."""
    digest = sha256_of("flask-2.3.3-py3-none-any.whl", docker_client, offering_base)
    text = f'[tool.azureml-image]\nbase = "{offering_base}"\nrequirements = "lock.txt"\n'
    lock = f"# made by a tool\nFlask==2.3.3 --hash=sha256:{digest}\n"
    project = write_project(tmp_path, unique("culprit"), text, {"lock.txt": lock})

    ended = project.invoke("image.build")

    message = error(ended)
    start = message.index("    pip check reports")
    expected = """\
    pip check reports conflicts that are not in the base image:
        azureml-inference-server-http 1.5.1 needs flask~=3.1.0, and flask 2.3.3 is installed
            flask 3.1.3 -> 2.3.3, required by lock.txt:2: Flask==2.3.3
        If versions conflict, require other versions, or leave out packages that the base image has.
The whole log is in .azureml-image/build.log. Nothing was built.
"""
    before = installed(docker_client, offering_base)["Flask"]
    assert (4, expected.replace("3.1.3", before), []) == (ended.code, message[start:], project.records())


def sha256_of(name: str, client: docker.DockerClient, base: str) -> str:
    """Return the hash of a wheel in the index of the base."""
    out: bytes = output_of(client, base, ["sha256sum", f"/index/{name}"])
    return out.decode().split()[0]
