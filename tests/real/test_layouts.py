"""Projects of a monorepo, code in several folders, and variables that extend those of the base, on a real engine."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.leftovers import tracked_run
from azureml_tasks.errors import BuildError
from tests.cases import lay_out
from tests.git_command import git
from tests.machine import clients as docker_clients
from tests.real.built_project import derived
from tests.real.small_project import small_table
from tests.real.support import consumer, environment_of, removed_after, unique
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

BUILDERS = {"legacy": "26.1", "buildkit": "20.10"}
"""Each builder with the client that has it."""
TABLE = """\
root = "../.."
code = ["deploy", "../../libraries/src"]
entry-script = "deploy/score.py"
python-path = ["src"]
requirements = "../../requirements/common.txt"
exclude = ["../../libraries/src/**/*.md"]

[tool.azureml-image.env]
PATH = "$TOOLS:$PATH"
TOOLS = "/opt/tools"
SERVES = "$AZUREML_ENTRY_SCRIPT for $$1"

[[tool.azureml-image.smoke-test.requests]]
body = 0
expect = { features = "clean", own = "1", tools = true, serves = "deploy/score.py for $1", notes = [] }
"""
SCORE = """\
import os
import pathlib

import features.clean
import own_package


def init(): ...


def run(data):
    folders = os.environ["PATH"].split(":")
    return {
        "features": features.clean.NAME,
        "own": own_package.VERSION,
        "tools": folders[0] == "/opt/tools" and len(folders) > 1,
        "serves": os.environ["SERVES"],
        "notes": [
            path.name for path in pathlib.Path("/var/azureml-app").rglob("*") if path.suffix in (".md", ".ipynb")
        ],
    }
"""


def test_a_project_of_a_monorepo_is_built_and_serves(
    clients: Mapping[str, Client], amlenv_base: str, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """Code, a wheel and requirements come from three folders, without what .amlignore names; variables add up."""
    name, repository = unique("monorepo"), tmp_path / "repository"
    lay_out(
        {
            "requirements/common.txt": "./wheels/own_package-1-py3-none-any.whl\n",
            "libraries/src/features/clean.py": "NAME = 'clean'\n",
            "libraries/src/features/notes.md": "",
            "libraries/src/features/try.ipynb": "",
            ".amlignore": "*.ipynb\n",
        },
        repository,
    )
    project = consumer(
        repository / "services/scoring",
        {
            "pyproject.toml": small_table(name, amlenv_base, TABLE),
            "deploy/score.py": SCORE,
        },
        environment_of(clients["20.10"], tmp_path),
    )
    wheel(project.folder / "wheels", "own_package", "1", files={"own_package.py": "VERSION = '1'\n"})
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")

    with removed_after(docker_client, f"{name}:1"):
        built = project.invoke("image.build")
        tested = project.invoke("image.smoke-test")
        cleaned = project.invoke("image.clean")  # The cached layers, too.

    output = built.stderr + tested.stderr + tested.stdout + cleaned.stderr
    assert (0, 0, 0) == (built.code, tested.code, cleaned.code), output


@pytest.fixture(params=list(BUILDERS))
def build(
    request: pytest.FixtureRequest, clients: Mapping[str, Client], tmp_path: Path
) -> Iterator[Callable[[Path, str], str]]:
    """Yield a function that builds a project under a name with one of the builders, and returns the image's ID."""
    client = clients[BUILDERS[request.param]]
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in docker_clients.environment(client, tmp_path / "config").items():
            patch.setenv(variable, value)
        connected = connect()
        with closing(connected.sdk), tracked_run(connected, tmp_path, Console()) as run:

            def built(folder: Path, name: str) -> str:
                plan = azureml_tasks.plan(azureml_tasks.load(folder))._replace(repository=name)
                context = BuildContext(
                    files=plan.files, dockerfile=azureml_tasks.render(plan), sha256="0" * 64
                )
                builder = Builder(kind=request.param, why="asked for")
                build = Build(client=connected, builder=builder, reporter=Console(), tracked=run)
                return build.run(plan, context, no_cache=True)

            yield built


def test_variables_of_the_base_are_extended_and_must_be_set(
    build: Callable[[Path, str], str], docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """What the base sets comes behind; PYTHONPATH need not be set; of any other variable the build fails."""
    name, base = unique("extended"), f"{unique('base')}:1"
    table = (
        '[project]\nname = "x"\nversion = "1"\n[tool.azureml-image]\nbase = "BASE"\ntags = ["TAG"]\n'
        'code = ["a", "b"]\npython-path = ["b"]\nenv = { A = "/a:$PATH MORE", B = "$A$$" }\n'
        'run = [{ command = "true" }]\n'
    )
    score = {"a/score.py": "def init(): ...\ndef run(data): ...\n", "b/m.py": ""}

    def project(base: str, tag: str, more: str = "") -> Path:
        text = table.replace("BASE", base).replace("TAG", tag).replace("MORE", more)
        return lay_out({"pyproject.toml": text, **score}, tmp_path / tag)

    with removed_after(docker_client, base), ExitStack() as images:
        derived(docker_client, base, f"FROM {tiny_base}\nENV PYTHONPATH=/base\n")
        variables = []
        for extended, tag in ((base, "with"), (tiny_base, "without")):
            image = build(project(extended, tag), name)
            images.enter_context(removed_after(docker_client, image))
            entries = docker_client.images.get(image).attrs["Config"]["Env"]
            variables.append(dict(entry.split("=", 1) for entry in entries))
        with pytest.raises(BuildError) as failed:
            build(project(tiny_base, "failed", "$NOT_SET_BY_ANYONE"), name)

    path = variables[0]["PATH"]
    assert [f"/a:{path} "] * 2 == [values["A"] for values in variables]
    assert [f"/a:{path} $"] * 2 == [values["B"] for values in variables]
    assert ["/var/azureml-app/b:/base", "/var/azureml-app/b"] == [
        values["PYTHONPATH"] for values in variables
    ]
    assert "the base sets no NOT_SET_BY_ANYONE" in str(failed.value)
