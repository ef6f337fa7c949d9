"""The docker command of a build, as `--dry` prints it, and what each builder can."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.docker.api_build import takes_archives
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.buildx_command import build_command, image_file_option, read_image_id
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.engine import DockerEngine
from azureml_tasks.planning.plan import BUILDKIT, SECRET_MOUNTS
from azureml_tasks.project.build_secrets import SecretSource, with_sources
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

BUILDX = ["buildx", "build", "--builder", "default", "--load", "--provenance=false", "--sbom=false"]


def engine_client() -> EngineClient:
    """Return a client of an engine that does not exist."""
    return EngineClient(context="default", host="unix:///x", version="1", api="1.41")


def plan_with(folder: Path, **sources: str) -> Plan:
    """Return the plan of a project that installs a package with secrets from *sources*."""
    table = 'pip = ["contoso-features"]\nsecrets = ["pip-conf", "netrc"]\n'
    plan = azureml_tasks.plan(azureml_tasks.load(lay_out({"pyproject.toml": project("demo", table)}, folder)))
    sources_by_id = {
        name.replace("_", "-"): SecretSource(source=source, option="--secret")
        for name, source in sources.items()
    }
    secrets = [secret for secret in plan.secrets if secret.id in sources_by_id]
    return plan._replace(secrets=with_sources(secrets, sources_by_id))


@pytest.mark.parametrize(("kind", "start"), [("buildx", BUILDX), ("buildkit", ["build"])])
def test_the_command_has_no_values_of_secrets(
    kind: str, start: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the name of a variable or the path of a file."""
    monkeypatch.setenv("CONTOSO_PIP_CONF", "hunter2")
    monkeypatch.setenv("HOME", "/home/alice")
    plan = plan_with(tmp_path, pip_conf="env:CONTOSO_PIP_CONF", netrc="~/.netrc")

    argv = build_command(
        engine_client(),
        Builder(kind=kind, why=""),
        plan,
        BuildContext(files=(), dockerfile='ARG CONTEXT_SHA256=""', sha256="0"),
        no_cache=True,
        names=plan.names,
    )

    secrets = ["--secret", "id=pip-conf,env=CONTOSO_PIP_CONF", "--secret", "id=netrc,src=/home/alice/.netrc"]
    options = ["--platform", "linux/amd64", "--build-arg", "CONTEXT_SHA256=0", "--tag", "demo:1.2.3"]
    assert ["docker", *start, *options, *secrets, "--no-cache", "-"] == argv


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("/a b/netrc", "id=netrc,src=/a b/netrc"),
        ("/a,b/netrc", 'id=netrc,"src=/a,b/netrc"'),
        ('/a"b/netrc', 'id=netrc,"src=/a""b/netrc"'),
    ],
)
def test_any_path_of_a_secret_is_quoted(path: str, option: str, tmp_path: Path) -> None:
    """Docker reads the option as CSV."""
    plan = plan_with(tmp_path, netrc=path)

    argv = build_command(
        engine_client(),
        Builder(kind="buildx", why=""),
        plan,
        BuildContext(files=(), dockerfile="", sha256="0"),
        no_cache=False,
    )

    assert option == argv[argv.index("--secret") + 1]


OWN = f"sha256:{'1' * 64}"
BUILDX_METADATA = {
    "an engine that keeps images itself": {
        "buildx.build.ref": "default/default/c",
        "containerimage.digest": OWN,
    },
    "an engine that keeps them in containerd": {
        "containerimage.config.digest": f"sha256:{'2' * 64}",
        "containerimage.descriptor": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": OWN,
        },
        "containerimage.digest": OWN,
        "image.name": f"moby-dangling@{OWN}",
    },
}


@pytest.mark.parametrize("engine", BUILDX_METADATA)
def test_the_image_id_is_read_from_the_metadata_of_buildx(engine: str) -> None:
    """It is the digest of the image, which is not that of its configuration on every engine."""
    buildx = Builder(kind="buildx", why="")

    assert ("--metadata-file", OWN) == (
        image_file_option(buildx),
        read_image_id(json.dumps(BUILDX_METADATA[engine]), buildx),
    )


def test_the_image_id_is_read_from_the_file_of_built_in_buildkit() -> None:
    """It is all that the file has."""
    built_in = Builder(kind="buildkit", why="")

    assert ("--iidfile", OWN) == (image_file_option(built_in), read_image_id(f"{OWN}\n", built_in))


@pytest.mark.parametrize(
    ("driver", "has_buildkit", "expected"),
    [("overlay2", True, True), ("overlay2", False, False), ("overlayfs", True, False), ("", True, False)],
)
def test_an_engine_with_images_in_containerd_takes_no_archives(
    driver: str, has_buildkit: bool, expected: bool
) -> None:
    """Its BuildKit would look for the archive on the network."""
    assert expected == takes_archives(replace(engine_client(), has_buildkit=has_buildkit), driver)


@pytest.mark.parametrize(
    ("kind", "is_podman", "features"),
    [
        ("buildx", False, {SECRET_MOUNTS, BUILDKIT}),
        ("buildkit", False, {SECRET_MOUNTS, BUILDKIT}),
        ("legacy", False, set()),
        ("legacy", True, {BUILDKIT}),
    ],
)
def test_buildkit_alone_mounts_secrets(
    kind: str, features: set[str], tmp_path: Path, *, is_podman: bool
) -> None:
    """Only an engine whose builder is BuildKit can mount secrets; Podman's reads what BuildKit reads."""
    engine = DockerEngine(
        client=replace(engine_client(), is_podman=is_podman),
        builder=Builder(kind=kind, why=""),
        reporter=Console(),
        folder=tmp_path,
        project=tmp_path,
    )

    assert features == engine.features
