"""A changed line of much code: what has not changed for a while is an image of its own, below what is copied again."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import docker
import pytest

from tests.machine.clients import Client
from tests.real.fast import Built, built_once
from tests.real.support import environment_for

COUNT = 80
FILES: dict[str, str | bytes] = {f"code/package/m{at:02}.py": f"x = {at}\n" for at in range(COUNT)}


@dataclass(kw_only=True)
class Code:
    """A project with much code, which is built once.

    Args:
        built: the project.
        client: of the engine.
    """

    built: Built
    client: docker.DockerClient

    def step(self, *words: str) -> list[str]:
        """Build; what is said, but for names that differ from run to run."""
        said = "\n".join(self.built.said("image.build", *words))
        for name, tag in (("TAG", ""), ("CODE", "code-")):
            said = re.sub(f"prefix:{tag}[0-9a-f]{{32}}", f"prefix:{name}", said)
        wanted = r"as before, .*|kept .*|removed .*|\d+ files to copy, .*"
        return [line for line in said.splitlines() if re.fullmatch(wanted, line)]

    def kept(self) -> set[str]:
        """The names of the images with code alone."""
        images = self.client.images.list(name=f"{self.built.name}/prefix")
        return {tag for image in images for tag in image.tags if ":code-" in tag}

    def shown(self, command: str) -> str:
        """What a command prints in the image."""
        found = self.client.containers.run(f"{self.built.name}:1", ["/bin/sh", "-c", command], remove=True)
        return bytes(found).decode()

    def layers(self) -> list[dict[str, str]]:
        """The code's files and their contents by layer, the lowest first, of layers that have any."""
        saved = b"".join(self.client.images.get(f"{self.built.name}:1").save())
        found = []
        with tarfile.open(fileobj=io.BytesIO(saved)) as whole:
            manifest = whole.extractfile("manifest.json")
            assert manifest is not None
            for name in re.findall(
                r'"([^"]+/layer\.tar|blobs/sha256/[0-9a-f]{64})"', manifest.read().decode()
            ):
                layer = whole.extractfile(name)
                assert layer is not None
                found.append(code_in(layer.read()))
        return [files for files in found if files]


def code_in(layer: bytes) -> dict[str, str]:
    """Each file of the package in a layer, and its content."""
    try:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            files = [member for member in archive if "/package/m" in member.name]
            contents = {member.name.rpartition("/")[2]: archive.extractfile(member) for member in files}
            return {name: content.read().decode() for name, content in contents.items() if content}
    except tarfile.ReadError:
        return {}  # the configuration


@pytest.fixture(scope="module", params=["26.1-buildx", "none"])
def code(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Code]:
    """A project with much code, by BuildKit and by the legacy builder."""
    scratch, client = tmp_path_factory.mktemp("code"), str(request.param)
    env = environment_for(client, clients, scratch)
    with built_once(docker_client, tiny_base, env, scratch, files=FILES) as built:
        yield Code(built=built, client=docker_client)


HERE, OLD, FEW = (
    "as before, and here: NAME/prefix:TAG",
    [
        f"{COUNT + 2 - 8} files to copy, by the engine's own BuildKit",
        "kept for the next build: NAME/prefix:CODE",
    ],
    "8 files to copy, by the engine's own BuildKit",
)


def test_a_file_is_changed_again_and_again(code: Code) -> None:
    """At first it leaves what is kept; from then on it is among the few that are copied, and the rest stays."""
    said, kept = [], []
    for text in ("first", "second", "third"):
        code.built.write("code/package/m07.py", f"x = {text!r}\n")
        said.append(code.step())
        kept.append(code.kept())

    assert [[HERE, *OLD, FEW], [HERE, FEW], [HERE, FEW]] == said
    assert (1, kept[0], kept[0]) == (len(kept[0]), kept[1], kept[2])
    assert "x = 'third'\n" == code.shown("cat /var/azureml-app/package/m07.py")
    assert COUNT == len(code.shown("ls /var/azureml-app/package").split())


def test_nothing_of_before_is_in_a_layer(code: Code) -> None:
    """What a file held before it was changed, a password say, is nowhere in the image; each file is there once."""
    code.built.write("code/package/m30.py", "password = 'hunter2'\n")
    code.step()
    code.built.write("code/package/m30.py", "import os\n")
    code.step()

    layers = code.layers()

    found = [name for files in layers for name in files]
    assert (COUNT, COUNT, 2) == (len(found), len(set(found)), len(layers))
    assert "import os\n" == layers[1]["m30.py"]
    assert not [text for files in layers for text in files.values() if "hunter2" in text]


def test_what_goes_is_gone(code: Code) -> None:
    """A file that is removed is removed from what is below too; one that moves is where it is now."""
    folder = code.built.there.folder / "code/package"
    (folder / "m50.py").unlink()
    (folder / "m51.py").rename(folder / "n51.py")

    code.step()

    assert "m52.py\nn51.py\n" == code.shown(
        "cd /var/azureml-app/package; ls m50.py m51.py m52.py n51.py 2>/dev/null; true"
    )
    (folder / "n51.py").rename(folder / "m51.py")
    code.built.write("code/package/m50.py", "x = 50\n")
    code.step()
    assert COUNT == len(code.shown("ls /var/azureml-app/package").split())


def test_links_and_modes_are_kept(code: Code) -> None:
    """What one file after the other cannot say, a link, comes as an archive, which the engine unpacks."""
    folder = code.built.there.folder / "code"
    (folder / "package/link").symlink_to("m00.py")
    (folder / "package/m60.py").chmod(0o755)

    code.step()

    look = "cd /var/azureml-app/package; ls -l link m60.py m61.py"
    lines = [line.split() for line in code.shown(look).splitlines()]
    assert [
        ["lrwxrwxrwx", "root", "link", "->", "m00.py"],
        ["-rwxr-xr-x", "root", "m60.py"],
        ["-rw-r--r--", "root", "m61.py"],
    ] == [[words[0], words[2], *words[8:]] for words in lines]
    (folder / "package/link").unlink()


def test_it_is_listed_and_put_away(code: Code) -> None:
    """What the project as it is has a use for stays where others are put away; `--no-cache` makes it anew."""
    code.step()
    (name,) = code.kept()
    code.built.there.invoke("image.cache", "--prune")

    listed = code.built.there.invoke("image.cache").stdout

    assert ({name}, 2) == (code.kept(), listed.count(", used by the project as it is now\n"))
    assert [*OLD, FEW] == code.step("--no-cache")[-3:]
    assert (1, False) == (len(code.kept()), name in code.kept())  # What it stands on is new too.
    assert code.built.there.invoke("image.clean").code == 0
    assert set() == code.kept()
