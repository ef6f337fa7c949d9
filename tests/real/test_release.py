"""`invoke image.release` on a real engine and a real registry: all three steps, or those before the first failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from azureml_tasks.cli.json_shapes import output_schema
from tests.documentation import DOCS, blocks
from tests.real.pushed import digest_of, refusal
from tests.real.support import Consumer, consumer, copied_example, environment_of, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry


PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
registry = "{registry}"
{more}
"""

GOOD = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"
BROKEN = f"import no_such_module\n\n\n{GOOD}"


@pytest.fixture
def env(clients: Mapping[str, Client], tmp_path: Path, engine: str) -> Mapping[str, str]:
    """Return an environment with a docker client that has BuildKit built in."""
    del engine
    return environment_of(clients["20.10"], tmp_path)


@pytest.fixture
def name() -> str:
    """Return a project name that no other test uses."""
    return unique("release")


def write_project(
    folder: Path, env: Mapping[str, str], name: str, *, score: str = BROKEN, **values: str
) -> Consumer:
    """Write a project whose image cannot serve, unless *score* can."""
    text = PROJECT.format(name=name, **{"more": "", **values})
    return consumer(folder / name, {"pyproject.toml": text, "code/score.py": score}, env)


def test_example(
    env: Mapping[str, str],
    amlenv_base: str,
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """The example project, unchanged, is built and passes its smoke test."""
    settings = {"INVOKE_AZUREML_IMAGE_BASE": amlenv_base, "INVOKE_AZUREML_IMAGE_REGISTRY": registry.host}
    example = copied_example(tmp_path / "example_project", env)
    with removed_after(docker_client, f"{registry.host}/iris-classifier:1.0.0"):
        ended = example.invoke("image.build", "image.smoke-test", env=settings)

    assert ended.code == 0, ended.stderr
    smoke = example.record("smoke-test.json")["smoke"]
    assert [True, 200, 200, 400] == [smoke["passed"], *(each["status"] for each in smoke["latencies"])]


def test_release(
    env: Mapping[str, str],
    name: str,
    amlenv_base: str,
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """An image that passes is pushed with the registry's digest; `--json` prints what the page shows."""
    more = "[tool.azureml-image.smoke-test]\nrequests = [{ body = 1 }]\n"
    values = {"base": amlenv_base, "registry": registry.host, "more": more}
    project = write_project(tmp_path, env, name, score=GOOD, **values)
    tag = f"{registry.host}/{name}:1.0"
    with removed_after(docker_client, tag):
        ended = project.invoke("image.release", "--json")
        digest = digest_of(registry, name, "1.0")
        result = project.record("result.json")
        stored = docker_client.images.get(tag)

    assert ended.code == 0, ended.stderr
    value = json.loads(ended.stdout)
    assert [] == [error.message for error in Draft7Validator(output_schema()).iter_errors(value)]
    value["images"][0]["smoke_test"]["report"]["waits"] = []  # There may be none.
    shown = json.loads(blocks(DOCS / "json.md", "json")[0])
    assert keys(shown) == keys(value)
    (image,) = value["images"]
    steps = [image[step] for step in ("build", "smoke_test", "push")]
    assert ["built", "passed", "pushed"] == [step["status"] for step in steps]
    assert [stored.id] * 3 == [step["id"] for step in steps]
    assert [True] * 3 == [step["seconds"] > 0 for step in steps]
    assert ([tag], stored.attrs["Size"]) == (image["build"]["names"], image["build"]["bytes"])
    report, reference = image["smoke_test"]["report"], f"{registry.host}/{name}@{digest}"
    assert [200] == [each["status"] for each in report["latencies"]]
    assert 0 < report["started"] < image["smoke_test"]["seconds"]
    assert (digest, reference, ["1.0"]) == tuple(image["push"][key] for key in ("digest", "image", "tags"))
    assert [True, reference, ["1.0"]] == [result["smoke"]["passed"], result["image"], result["tags"]]


def keys(value: Any, place: str = "") -> set[str]:
    """Return the place of each key of a JSON document; the items of a list count as one."""
    if isinstance(value, dict):
        return {f"{place}.{name}" for name in value}.union(
            *(keys(part, f"{place}.{name}") for name, part in value.items())
        )
    parts = value if isinstance(value, list) else []
    return set().union(*(keys(part, f"{place}[]") for part in parts))


def test_the_build_fails(
    env: Mapping[str, str], name: str, tiny_base: str, registry: Registry, tmp_path: Path
) -> None:
    """A failed build step ends the release with exit code 4, and nothing is built."""
    project = write_project(
        tmp_path, env, name, base=tiny_base, registry=registry.host, more='run = [{ command = "exit 3" }]'
    )
    ended = project.invoke("image.release")

    state = "The whole log is in .azureml-image/build.log. Nothing was built."
    assert (4, "", state) == (ended.code, ended.stdout, ended.stderr.splitlines()[-1])
    assert project.records() == []


@pytest.fixture
def broken(
    env: Mapping[str, str],
    name: str,
    amlenv_base: str,
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> Iterator[Consumer]:
    """Write a project whose image builds but cannot serve."""
    with removed_after(docker_client, f"{registry.host}/{name}:1.0"):
        yield write_project(tmp_path, env, name, base=amlenv_base, registry=registry.host)


def test_the_smoke_test_fails(broken: Consumer, registry: Registry) -> None:
    """An image that cannot serve is built and not pushed: the exit code is 5, and the message says both.

    With --untested it is pushed anyway, with its report and a warning.
    """
    ended = broken.invoke("image.release")

    name = broken.folder.name
    image = f"{registry.host}/{name}:1.0"
    last = f"The image was built as {image}. It was not pushed."
    assert (5, f"{image}\n", last) == (ended.code, ended.stdout, ended.stderr.splitlines()[-1])
    assert broken.records() == [".gitignore", "build.json", "smoke-test.log"]

    ended = broken.invoke("image.release", "--untested")

    reference = f"{registry.host}/{name}@{digest_of(registry, name, '1.0')}"
    warning = f"warning: {image} has not passed its smoke test; it is pushed anyway, as --untested says"
    assert (0, f"{image}\n{reference}\n") == (ended.code, ended.stdout)
    assert [warning] == [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    assert "Failed: start-up" in ended.stderr.splitlines()
    assert broken.record("result.json")["smoke"] is None


def test_the_push_fails(
    env: Mapping[str, str],
    name: str,
    amlenv_base: str,
    login_registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """A refused push leaves the image on the engine: the exit code is 6, and the message says how to continue."""
    host = login_registry.host
    project = write_project(tmp_path, env, name, score=GOOD, base=amlenv_base, registry=host)
    with removed_after(docker_client, f"{host}/{name}:1.0"):
        ended = project.invoke("image.release")

    expected = """\
Registry HOST refused the push of HOST/NAME:1.0: you are not signed in (401).
    Sign in with: docker login HOST
    the registry said: no basic auth credentials
Nothing was pushed. The image is on the engine as HOST/NAME:1.0. Continue with: invoke image.push"""
    assert (6, f"{host}/{name}:1.0") == (ended.code, ended.stdout.splitlines()[0])
    assert expected == refusal(ended.stderr, project, host)


def test_no_registry(env: Mapping[str, str], name: str, tiny_base: str, tmp_path: Path) -> None:
    """Without a registry nothing is built: the exit code is 2."""
    project = write_project(tmp_path, env, name, base=tiny_base, registry="")
    text = (project.folder / "pyproject.toml").read_text(encoding="utf-8").replace('registry = ""\n', "")
    (project.folder / "pyproject.toml").write_text(text, encoding="utf-8")
    ended = project.invoke("image.release")

    expected = """\
pyproject.toml:5: [tool.azureml-image] names no registry to push to
    Write: registry = "contoso.azurecr.io"
    or: invoke image.release --registry contoso.azurecr.io

1 problem; nothing was built.
"""
    assert (2, "", expected) == (ended.code, ended.stdout, ended.stderr)
    assert not (project.folder / ".azureml-image").exists()


def test_requests_without_code_are_refused(
    env: Mapping[str, str], amlenv_base: str, docker_client: docker.DockerClient, tmp_path: Path, name: str
) -> None:
    """The base on the engine brings no entry script, so nothing is built; the message names the script to copy."""
    more = "[tool.azureml-image.smoke-test]\nrequests = [{ body = 1 }]\n"
    text = PROJECT.format(name=name, base=amlenv_base, registry="127.0.0.1:1", more=more)
    project = consumer(tmp_path / name, {"pyproject.toml": text, "src/score.py": BROKEN}, env)
    ended = project.invoke("image.release")

    problem = "tool.azureml-image.smoke-test.requests is set, and the image has no code that answers"
    assert ended.code == 2
    assert (
        f'{problem}\n    src/score.py defines init() and run(). Write: code = "src"\n\n1 problem; nothing was built.'
        in (ended.stderr)
    )
    assert docker_client.images.list(f"127.0.0.1:1/{name}") == []


def test_an_image_without_code(
    env: Mapping[str, str], curated_base: str, docker_client: docker.DockerClient, tmp_path: Path, name: str
) -> None:
    """An image of packages alone, as the documentation page's first one, is tested with the default entry script."""
    text = PROJECT.format(name=name, base=curated_base, registry="127.0.0.1:1", more="")
    project = consumer(tmp_path / name, {"pyproject.toml": text}, env)
    image = f"127.0.0.1:1/{name}:1.0"
    with removed_after(docker_client, image):
        built = project.invoke("image.build")
        tested = project.invoke("image.smoke-test")
        dry = project.invoke("--dry", "image.smoke-test")

    assert (0, 0, 0) == (built.code, tested.code, dry.code), built.stderr + tested.stderr
    record = project.record("smoke-test.json")["smoke"]
    assert [
        "the image has no code, so a default entry script showed that the server starts with its packages"
    ] == record["warnings"]
    assert [
        ("start-up", "passed"),
        ("swagger.json", "passed"),
        ("malformed body", "passed"),
    ] == [(check["name"], check["outcome"]) for check in record["checks"]]
    assert ["create", "cp", "start", "rm"] == [line.split()[1] for line in dry.stdout.splitlines()]
