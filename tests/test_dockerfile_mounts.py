"""The Dockerfile for BuildKit: an equal image, with downloads in BuildKit's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azureml_tasks
from azureml_tasks.planning.dockerfile import render, render_stages, stages
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

TABLE = """\
apt = ["curl"]
pip = ["joblib==1.5.2"]
env = { LEVEL = "1" }
"""
SYSTEM = """\
# System packages change least often, so they come first and stay cached longest.
RUN --mount=type=cache,id=azureml-image-apt,target=/var/cache/apt,sharing=locked \\
    mkdir -p /var/cache/apt/azureml-image/archives/partial /var/cache/apt/azureml-image/lists/partial \\
    && apt-get -o Dir::Cache::Archives=/var/cache/apt/azureml-image/archives \
-o Dir::State::Lists=/var/cache/apt/azureml-image/lists update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -o Dir::Cache::Archives=/var/cache/apt/azureml-image/archives \
-o Dir::State::Lists=/var/cache/apt/azureml-image/lists install --yes --no-install-recommends curl \\
    && apt-get clean \\
    && rm -rf /var/lib/apt/lists/*
"""
PYTHON = """\
# Python packages come before the model and the code, so only new requirements install them again. The script
# runs pip with the environment's own Python, keeps the server's version, and looks for conflicts.
RUN --mount=type=bind,rw,source=python,target=/tmp/azureml-image \\
    --mount=type=cache,id=azureml-image-pip,target=/tmp/azureml-image/cache \\
    PIP_CACHE_DIR=/tmp/azureml-image/cache \\
    "${AZUREML_CONDA_ENVIRONMENT_PATH:?the base sets no AZUREML_CONDA_ENVIRONMENT_PATH}/bin/python" \
/tmp/azureml-image/install.py
"""
DOWNLOAD = """\
# Packages of a private index are downloaded in a stage of their own, on the base alone. The secrets are mounted
# for this one command, in which no code of the project and of its packages runs. Only BuildKit can do this.
FROM {base} AS packages

# Root alone can read the secrets. Nothing of this stage is in the image.
# hadolint ignore=DL3002
USER root

# The script and the requirements. pip takes wheels alone, and can start no program.
COPY python/ /tmp/azureml-image/
RUN --mount=type=cache,id=azureml-image-pip-download,target=/tmp/azureml-image/cache \\
    --mount=type=secret,id=netrc,target=/tmp/azureml-image/netrc,required=true \\
    NETRC=/tmp/azureml-image/netrc \\
    PIP_CACHE_DIR=/tmp/azureml-image/cache \\
    "${{AZUREML_CONDA_ENVIRONMENT_PATH:?the base sets no AZUREML_CONDA_ENVIRONMENT_PATH}}/bin/python" \
/tmp/azureml-image/download.py
"""
DOWNLOADED = """\
# Python packages come before the model and the code, so only new requirements install them again. They were
# downloaded in the stage above; the script keeps the server's version, and looks for conflicts.
RUN --mount=type=bind,from=packages,source=/tmp/azureml-image,target=/tmp/azureml-image \\
    "${AZUREML_CONDA_ENVIRONMENT_PATH:?the base sets no AZUREML_CONDA_ENVIRONMENT_PATH}/bin/python" \
/tmp/azureml-image/install.py
"""
SOURCE_BUILDS = """\
# The secrets for a private index are mounted for this command only. Packages may be built from source in it, so
# their code can read the secrets: --allow-source-builds. Only BuildKit can do this.
RUN --mount=type=bind,rw,source=python,target=/tmp/azureml-image \\
    --mount=type=cache,id=azureml-image-pip,target=/tmp/azureml-image/cache \\
    --mount=type=secret,id=netrc,target=/tmp/azureml-image/netrc,required=true \\
    NETRC=/tmp/azureml-image/netrc \\
"""
FROM = """\
# The base image. A new one rebuilds everything below.
FROM {base}

# Installing needs root. The last step returns to the runtime user.
USER root
"""
VARIABLES = """\
# Variables are quick to set, so they come after the files that they refer to.
ENV \\
    AZUREML_ENTRY_SCRIPT="score.py" \\
    LEVEL="1"
"""
USER = """\
# The server runs as this user, which can read the copied files. Root owns them.
USER dockeruser
"""
CODE = """\
# The code changes most often, so nothing slow comes after it.
COPY code/ /var/azureml-app/
"""
LABELS = """\
# Labels change with every commit, so they come last.
LABEL \\
    "org.opencontainers.image.title"="demo" \\
    "org.opencontainers.image.version"="1.2.3" \\
    "org.opencontainers.image.base.name"="mcr.microsoft.com/azureml/minimal-py312-inference:latest" \\
    "azureml-tasks.context-sha256"="1234"
"""


def plan(folder: Path, more: str = "") -> Plan:
    """Return the plan of a project with system packages and Python packages."""
    files = {
        "pyproject.toml": project("demo", TABLE + more),
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
    }
    return azureml_tasks.plan(azureml_tasks.load(lay_out(files, folder)))


def test_the_script_is_mounted_and_downloads_are_cached(tmp_path: Path) -> None:
    """Pip and apt keep their archives in BuildKit's cache, and the script is in no layer."""
    planned = plan(tmp_path)
    names = ("system", "python")

    expected = "\n".join([FROM.format(base=planned.base), SYSTEM, PYTHON])
    assert expected == render_stages(planned, str(planned.base), names, mounts=True)


def test_each_project_has_caches_of_its_own(tmp_path: Path) -> None:
    """What one project leaves in a cache of pip or apt is not what another one installs."""
    planned, key = plan(tmp_path), "0123456789abcdef" * 2
    expected = "\n".join([FROM.format(base=planned.base), SYSTEM, PYTHON])
    for name in ("apt", "pip"):
        expected = expected.replace(f"id=azureml-image-{name},", f"id=azureml-image-{name}-{key},")

    owned = planned._replace(project_key=key)

    assert expected == render_stages(owned, str(planned.base), ("system", "python"), mounts=True)
    assert (render(planned), stages(planned)) == (render(owned), stages(owned))


def test_with_secrets_packages_are_downloaded_on_the_base_alone(tmp_path: Path) -> None:
    """Secrets are mounted in a stage of their own, also if the packages are installed on cached layers."""
    planned = plan(tmp_path, 'secrets = ["netrc"]\n')
    download = DOWNLOAD.format(base=planned.base)
    layers = "# Cached layers of an earlier build. Their user is root.\nFROM demo/layers:1\n"

    whole = "\n".join([download, FROM.format(base=planned.base), SYSTEM, DOWNLOADED])
    after_system = f"{download}\n{layers}\n{DOWNLOADED}"
    assert (whole, after_system) == (
        render_stages(planned, str(planned.base), ("system", "python"), mounts=True),
        render_stages(planned, "demo/layers:1", ("python",), mounts=True),
    )
    assert "type=secret" not in render_stages(
        planned, "demo/layers:1", ("model", "code", "labels"), mounts=True
    )


def test_a_run_that_allows_source_builds_mounts_secrets_while_packages_are_installed(tmp_path: Path) -> None:
    """Then the code of a package can read them, which the comment says."""
    planned = plan(tmp_path, 'secrets = ["netrc"]\n')._replace(source_builds=True)

    first = "\n".join(PYTHON.splitlines()[:2]) + "\n"
    command = "".join(PYTHON.splitlines(keepends=True)[4:])
    expected = "\n".join([FROM.format(base=planned.base), SYSTEM, first + SOURCE_BUILDS + command])
    assert expected == render_stages(planned, str(planned.base), ("system", "python"), mounts=True)


def test_the_other_steps_are_the_same(tmp_path: Path) -> None:
    """After the packages no line differs from the Dockerfile for every builder."""
    planned = plan(tmp_path)
    mark = "# The code changes"

    assert render(planned).partition(mark)[2] == render(planned, mounts=True).partition(mark)[2]


def test_on_cached_layers_variables_and_user_come_first(tmp_path: Path) -> None:
    """They come before the code, which changes more often; the context's hash is in the text."""
    planned = plan(tmp_path)
    prefix = "# Cached layers of an earlier build. Their user is root.\nFROM demo/layers:1\n"

    expected = f"{prefix}\n{VARIABLES}\n{USER}\n{CODE}\n{LABELS}"
    assert expected == render_stages(planned, "demo/layers:1", ("model", "code", "labels"), sha256="1234")


def test_with_a_command_after_the_code_the_order_stays(tmp_path: Path) -> None:
    """A shell command after the code may need the code, so no step is moved."""
    planned = plan(tmp_path)
    table = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    run = '\n[[tool.azureml-image.run]]\ncommand = "true"\nafter = "code"\n'
    (tmp_path / "pyproject.toml").write_text(table + run, encoding="utf-8")
    planned = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    text = render_stages(planned, "demo/layers:1", ("model", "code", "labels"))
    words = [line.split(" ")[0] for line in text.splitlines() if line and line[0] not in "# "]
    assert ["FROM", "COPY", "ENV", "RUN", "ARG", "LABEL", "USER"] == words


def test_a_server_that_is_added(tmp_path: Path) -> None:
    """The script that makes its environment is mounted, in both stages that need the environment."""
    table = 'server = "azmlinfsrv"\nsecrets = ["netrc"]\n'
    text = project("demo", table).replace(
        "minimal-py312-inference", "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04"
    )
    lay_out({"pyproject.toml": text, "code/score.py": "init = run = print\n"}, tmp_path)

    lines = render(azureml_tasks.plan(azureml_tasks.load(tmp_path)), mounts=True).splitlines()

    making = [
        "RUN --mount=type=bind,source=python,target=/tmp/azureml-image \\",
        "    /bin/sh /tmp/azureml-image/server_environment.sh /opt/azureml-env",
        'ENV AZUREML_CONDA_ENVIRONMENT_PATH="/opt/azureml-env"',
    ]
    places = [number for number, line in enumerate(lines) if line == making[0]]
    assert [making, making] == [lines[place : place + 3] for place in places]
