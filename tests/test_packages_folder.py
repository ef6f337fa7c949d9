"""The folder of packages for mounted code, made in a container of the base."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker import packages_folder
from azureml_tasks.errors import BuildError
from azureml_tasks.state.runs import Run

NO_SUCH_PACKAGE = """\
pip could not install the requirements:
    requirements.txt:2: wines==9
    pip said: No matching distribution found for wines==9
The image was not built.
"""
UNKNOWN = "Segmentation fault\n"


@pytest.mark.parametrize(
    ("printed", "place"), [(NO_SUCH_PACKAGE, ("requirements.txt", 2)), (UNKNOWN, ("", 0))]
)
def test_a_package_that_cannot_be_installed_is_named_with_its_place(
    printed: str, place: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CI system shows the error at the line of the file that requires it, as for an image."""
    monkeypatch.setattr(packages_folder, "printed_blocks", lambda *_, **__: [printed.encode()])
    container = SimpleNamespace(
        id="c1", put_archive=lambda *_: True, start=lambda: None, wait=lambda: {"StatusCode": 1}
    )
    client: Any = SimpleNamespace(
        docker_command=lambda *words: ["docker", *words],
        proxies={},
        sdk=SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: container)),
    )
    base = BuiltImage(id="sha256:1", names=("base:1",), engine="docker", context_sha256="")
    run = Run(tmp_path, "host")

    with pytest.raises(BuildError) as caught:
        packages_folder.make_packages_folder(
            client, base, [], tmp_path / "packages", made_from="", reporter=Console(), run=run
        )
    run.close()

    assert (place, True) == ((caught.value.file, caught.value.line), caught.value.log_says_why)
