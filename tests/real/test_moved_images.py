"""Images of a team's own Dockerfile, and of the table that `image.init` writes for it: both are built and compared."""

from __future__ import annotations

import functools
import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline
from azureml_tasks.commands.run_context import RunContext
from tests.init_cases import command, laid_out, named
from tests.init_command import run_init
from tests.real.image_content import File, ImageContent, content_of
from tests.real.offering import packed
from tests.real.support import project_removed_after, removed_after, unique
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import docker

REGISTRY = "mcr.microsoft.com"
BASE = "azureml/minimal-py312-inference"
TAGS = ("latest", "20260316.v1")
WITH_PACKAGES = (
    "dockerfile-with-packages-and-code",
    "dockerfile-with-pip-of-every-form",
    "dockerfile-with-apt-of-every-form",
)
"""Cases that install packages, on a base with an index of its own."""
WITHOUT_PACKAGES = (
    "dockerfile-with-every-form-of-variables",
    "dockerfile-with-a-user-of-its-own",
    "dockerfile-with-commands-of-every-form",
    "dockerfile-with-code-and-an-ignore-file",
    "dockerfile-with-a-model",
    "dockerfile-of-which-the-order-counts",
    "dockerfile-with-labels",
    "trap-arg-in-from",
    "trap-env-that-extends-path",
)
"""Cases on a base of a few MB."""
WHEELS = {"numpy": "2.1.3", "joblib": "1.4.2", "scipy": "1.14.1", "threadpoolctl": "3.5.0"}
DEBS = {"libgomp1": "12.2.0-14", "libxrender1": "1:0.9.10-1.1", "libsm6": "2:1.2.3-1"}
INDEX = """\
FROM {base}
USER root
COPY index /index
COPY debs /debs
COPY pip.conf /etc/pip.conf
RUN cd /debs && for name in *; do dpkg-deb --build "$name" > /dev/null && dpkg-deb -f "$name.deb" \\
    && echo "Filename: ./$name.deb" && echo "Size: $(stat -c %s "$name.deb")" \\
    && echo "SHA256: $(sha256sum "$name.deb" | cut -d' ' -f1)" && echo; done > /tmp/Packages \\
    && mv /tmp/Packages . && rm -rf /etc/apt/sources.list.d/* \\
    && echo "deb [trusted=yes] file:/debs ./" > /etc/apt/sources.list
USER dockeruser
"""
"""A base on which apt and pip find what the cases install, and nothing else."""
SMALL = """\
FROM {base}
ENV LD_LIBRARY_PATH=/opt/base/lib
CMD ["runsvdir", "/var/runit"]
"""
"""A base with a command and a variable of the inference images, on which nothing is installed."""
NOT_COMPARED = re.compile(
    r"/(proc|sys|dev|tmp|run|var/log|var/cache|var/lib/apt|var/lib/dpkg|root|home/dockeruser/\.cache)(/.*)?"
    r"|.*/__pycache__(/.*)?"
    r"|.*\.dist-info/(RECORD|REQUESTED|INSTALLER|direct_url\.json)"
    r"|/(etc/(hosts|hostname|resolv\.conf|mtab)|\.dockerenv|var/azureml-app|var/azureml-app/azureml-models)"
)
"""Paths that the engine, apt or pip writes, and folders that only one of the two images needs."""

PACKAGES = re.compile("/site-packages/")
"""Where the owner is not compared: root installs the packages here, and the runtime user in some of the Dockerfiles."""


@pytest.fixture(scope="module")
def registry_host() -> str:
    """A name for a registry that no other test uses; its images are on the engine alone."""
    return f"{unique('moved')}.localhost:5000"


@pytest.fixture(scope="module")
def bases(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    tiny_base: str,
    registry_host: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[str, str]]:
    """For each of the two kinds of cases the registry that has their base."""
    folder = tmp_path_factory.mktemp("index")
    wheels = [wheel(folder, name, version) for name, version in WHEELS.items()]
    control = "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: of the tests\n"
    files = {
        "Dockerfile": INDEX.format(base=amlenv_base).encode(),
        "pip.conf": b"[global]\nno-index = true\nfind-links = /index\n",
        **{f"index/{path.name}": path.read_bytes() for path in wheels},
        **{
            f"debs/{name}/DEBIAN/control": control.format(name, version).encode()
            for name, version in DEBS.items()
        },
    }
    small = {"Dockerfile": SMALL.format(base=tiny_base).encode()}
    hosts = {"with": f"with-{registry_host}", "without": f"without-{registry_host}"}
    with ExitStack() as after:
        for host, context in zip(hosts.values(), (files, small), strict=True):
            names = [f"{host}/{BASE}:{tag}" for tag in TAGS]
            after.enter_context(removed_after(docker_client, *names))
            image, _ = docker_client.images.build(
                fileobj=io.BytesIO(packed(context)), custom_context=True, tag=names[0], rm=True, nocache=True
            )
            for name in names[1:]:
                image.tag(name)
        yield hosts


@pytest.mark.parametrize("name", [*WITH_PACKAGES, *WITHOUT_PACKAGES])
def test_both_images_are_the_same(
    name: str,
    bases: Mapping[str, str],
    docker_client: docker.DockerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their files, Python packages, Debian packages, variables, users and commands are; ours has labels of its own."""
    case, folder, same = named(name), tmp_path / unique("team"), tmp_path / "same"
    for each in (folder, same):
        each.mkdir()
        laid_out(case, each, (REGISTRY, bases["with" if name in WITH_PACKAGES else "without"]))
    own, generated = f"{folder.name}:own", f"{folder.name}:0.1.0"
    monkeypatch.chdir(folder)
    assert run_init(folder, command(case)).error == ""
    with project_removed_after(docker_client, folder.name), ThreadPoolExecutor() as beside:
        build = beside.submit(docker_client.images.build, path=str(same), tag=own, rm=True)
        pipeline.build(RunContext(folder=folder, reporter=Console()), no_cache=False, pull=False)
        build.result()
        contents = beside.map(functools.partial(content_of, docker_client), (own, generated))
        expected, actual = map(compared, contents)

    labels = {key: actual.labels[key] for key in expected.labels if key in actual.labels}
    assert expected._replace(files={}) == actual._replace(files={}, labels=labels)
    assert files_that_differ(expected, actual) == {}


def compared(content: ImageContent) -> ImageContent:
    """Return *content* without the files that tell nothing of it."""
    files = {path: file for path, file in content.files.items() if not NOT_COMPARED.fullmatch(path)}
    for path in filter(PACKAGES.search, files):
        files[path] = files[path]._replace(owner="")
    return content._replace(files=files)


def files_that_differ(
    first: ImageContent, second: ImageContent
) -> dict[str, tuple[File | None, File | None]]:
    """Return each path at which two images differ."""
    pairs = {
        path: (first.files.get(path), second.files.get(path)) for path in {**first.files, **second.files}
    }
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}
