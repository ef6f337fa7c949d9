"""A conda file on a real engine: its packages are in the image, and its Python is compared with the base's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.support import consumer, environment_without_docker, removed_after, unique
from tests.wheels import wheel

if TYPE_CHECKING:
    from pathlib import Path

    import docker

CONDA = """\
name: scoring
channels: [conda-forge]
dependencies:
  - python>=3.8
  - pip=23.0
  - six=1.16=pyhd3eb1b0_1
  - pip:
      - ./wheels/local-3.0-py3-none-any.whl
      - beta
      - -r extra.txt
"""
SCORE = """\
from importlib.metadata import version
def init(): ...
def run(data): return {name: version(name) for name in ("six", "beta", "gamma", "local")}
"""
WARNINGS = (
    "environment/conda.yml:6: pip knows no builds, so they are left out: six=1.16=pyhd3eb1b0_1",
    "environment/conda.yml:5: the base's own pip installs the packages, so this version is left out: pip=23.0",
)


def test_a_conda_file_becomes_the_packages_of_the_image(
    offering_base: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """Packages of conda, a wheel beside the conda file, a name, and an included file are installed and answer.

    Another Python than the base's is an error of the conda file's line.
    """
    name = unique("conda")
    table = f"""\
[project]
name = "{name}"
version = "1"

[tool.azureml-image]
base = "{offering_base}"
conda = "environment/conda.yml"

[[tool.azureml-image.smoke-test.requests]]
body = 1
expect = {{ six = "1.16", beta = "1.0", gamma = "1.0", local = "3.0" }}
"""
    local = wheel(tmp_path / "made", "local", "3.0")
    project = consumer(
        tmp_path / "project",
        {
            "pyproject.toml": table,
            "environment/conda.yml": CONDA,
            "environment/extra.txt": "gamma==1.0\n",
            f"environment/wheels/{local.name}": local.read_bytes(),
            "code/score.py": SCORE,
        },
        environment_without_docker(tmp_path),
    )

    with removed_after(docker_client, f"{name}:1"):
        built = project.invoke("image.build")

        assert built.code == 0, built.stderr
        tested = project.invoke("image.smoke-test")
    assert tested.code == 0, tested.stderr
    assert all(warning in built.stderr for warning in WARNINGS)
    assert "was not compared" not in built.stderr

    (project.folder / "environment" / "conda.yml").write_text(CONDA.replace("python>=3.8", "python=3.7"))
    refused = project.invoke("image.check")

    problem = f'"python=3.7" is not the Python of the base {offering_base}, which has 3.'
    assert (2, True) == (refused.code, f"environment/conda.yml:4: {problem}" in refused.stderr), (
        refused.stderr
    )
