"""An environment of Azure ML: its image, its packages, its build context and its routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.migration.deployment.environment_yaml import read_environment
from tests.readings import lines_of, outline, read, values_of

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.migration.reading import Reading

MCR = "mcr.microsoft.com/azureml/"
ROUTES = """\
inference_config:
  liveness_route: {{port: {port}, path: {live}}}
  readiness_route: {{port: {port}, path: {ready}}}
  scoring_route: {{port: {port}, path: {score}}}
"""


def environment(folder: Path, text: str, **files: str) -> Reading:
    """Read an environment."""
    return read(read_environment, folder, "environment.yml", text, **files)


@pytest.mark.parametrize(
    ("image", "python", "expected"),
    [
        (
            f"{MCR}minimal-py312-inference:20260316.v1",
            "3.12",
            {"base": "minimal-py312-inference:20260316.v1"},
        ),
        (f"{MCR}minimal-py312-inference", "3.11", {"base": "curated/minimal-py311-inference"}),
        (f"{MCR}minimal-py312-inference", "3.10", {"base": "python:3.10-slim", "server": "azmlinfsrv"}),
        (
            f"{MCR}openmpi4.1.0-ubuntu22.04",
            "3.10",
            {"base": f"{MCR}openmpi4.1.0-ubuntu22.04", "server": "azmlinfsrv"},
        ),
        (f"{MCR}openmpi4.1.0-ubuntu22.04", "3.12", {"base": "minimal-py312-inference"}),
        ("python:3.11-slim", "3.11", {"base": "python:3.11-slim", "server": "azmlinfsrv"}),
        (
            "contoso.azurecr.io/serving:4",
            "3.11",
            {"base": "contoso.azurecr.io/serving:4", "server": "azmlinfsrv"},
        ),
        ("contoso.azurecr.io/churn-inference", "3.11", {"base": "contoso.azurecr.io/churn-inference"}),
    ],
)
def test_the_base_has_the_python_of_the_conda_file(
    tmp_path: Path, image: str, python: str, expected: dict[str, str]
) -> None:
    """The image is the base if its Python is the one that is wanted, or is not known."""
    text = f"image: {image}\nconda_file: conda.yml\n"

    reading = environment(tmp_path, text, conda_yml=f"dependencies: [python={python}]")

    assert values_of(reading) == expected


@pytest.mark.parametrize(
    ("image", "python", "expected"),
    [
        (
            f"{MCR}minimal-py312-inference",
            "3.10",
            (
                '1 changed: base = "python:3.10-slim"; server = "azmlinfsrv", since it starts no inference server; '
                "the image runs as dockeruser; "
                "conda.yml wants python=3.10, and minimal-py312-inference has Python 3.12, so another image is taken"
            ),
        ),
        (
            f"{MCR}minimal-py312-inference",
            "3.8",
            "2 left-over: conda.yml wants python=3.8, and the inference server needs Python 3.9 or later: change it",
        ),
        (
            "contoso.azurecr.io/base",
            "3.10",
            "2 changed: its lines follow: conda.yml; conda.yml wants python=3.10: the build fails with another Python",
        ),
    ],
)
def test_a_python_that_the_base_may_not_have(tmp_path: Path, image: str, python: str, expected: str) -> None:
    """The difference is named."""
    reading = environment(
        tmp_path, f"image: {image}\nconda_file: conda.yml\n", conda_yml=f"dependencies: [python={python}]"
    )

    assert expected in outline(reading)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("azureml/minimal-py312-inference", "is on Docker Hub, where Azure ML has no images"),
        ("Not An Image", '"Not An Image" is no image reference'),
        ("<IMAGE>", "a placeholder: name the image with --base"),
        ("{{ACR}}.azurecr.io/serving:1", "a placeholder: name the image with --base"),
    ],
)
def test_an_image_that_is_left_over(tmp_path: Path, image: str, expected: str) -> None:
    """The reason says what to do."""
    (is_open,) = outline(environment(tmp_path, f"image: {image}\n"))

    assert expected in is_open


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", ["1 changed"]),
        (ROUTES.format(port=5001, live="/", ready="/", score="/score"), []),
        ("conda_file: {dependencies: [pip: [joblib]]}", ["1 changed"]),
    ],
)
def test_an_image_that_may_have_the_server(tmp_path: Path, rest: str, expected: list[str]) -> None:
    """Only its routes tell how it starts. A server that is added is a difference."""
    reading = environment(tmp_path, f"image: contoso.azurecr.io/churn:4\n{rest}\n")

    assert [line.split(":")[0] for line in outline(reading)] == expected


def test_conda_inline(tmp_path: Path) -> None:
    """Each package becomes a requirement, and each line that pip cannot follow is left over."""
    text = f"""\
image: {MCR}minimal-py312-inference
conda_file:
  name: serving
  channels:
    - conda-forge
  dependencies:
    - python=3.12
    - numpy=2.1
    - r-base
    - pip
    - pip:
        - joblib==1.4.2
        - --index-url https://contoso.example/simple
  variables:
    LEVEL: info
"""
    reading = environment(tmp_path, text)

    assert values_of(reading) == {
        "base": "minimal-py312-inference",
        "pip": ["numpy==2.1.*", "joblib==1.4.2"],
        "env": {"LEVEL": "info"},
    }
    assert [line for line in lines_of(reading)[1:] if "left-over" not in line] == [
        "2-3 not-needed: it names the environment",
        "4-5 not-needed: pip takes the packages from PyPI",
        "6-7 not-needed: the base has this Python",
        '8 key: pip = ["numpy==2.1.*"]',
        "10 not-needed: the base has pip",
        '11-12 key: pip = ["joblib==1.4.2"]',
        '14-15 key: env.LEVEL = "info"',
    ]
    assert [line.split(":")[0] for line in outline(reading)] == ["9 left-over", "13 left-over"]


def test_conda_inline_on_one_line(tmp_path: Path) -> None:
    """What converts is taken, also beside what does not."""
    text = f"image: {MCR}minimal-py312-inference\nconda_file: {{dependencies: [numpy=2.1, r-base, pip: [joblib]]}}\n"

    reading = environment(tmp_path, text)

    assert values_of(reading)["pip"] == ["numpy==2.1.*", "joblib"]
    assert [line.split(":")[0] for line in outline(reading)] == ["2 left-over"]


def test_an_environment_without_an_image(tmp_path: Path) -> None:
    """It says nothing of the image, so it is not whole."""
    assert "left-over: it names neither" in "".join(outline(environment(tmp_path, "<<: \n")))
    assert outline(environment(tmp_path, "name: serving\nversion: 1\n")) == [
        "1 left-over: it names neither an image nor a build context: name the image with --base"
    ]


def test_a_build_context(tmp_path: Path) -> None:
    """Its Dockerfile is read too."""
    files = {"context__Dockerfile": "FROM x", "context__docker__Serving": "FROM x"}

    assert outline(environment(tmp_path, "build:\n  path: context\n", **files)) == [
        "dockerfile context/Dockerfile:2"
    ]
    assert outline(
        environment(tmp_path, "build:\n  path: context\n  dockerfile_path: docker/Serving\n", **files)
    ) == ["dockerfile context/docker/Serving:3"]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("{path: missing}", "missing does not exist"),
        ("{path: https://github.com/a/b}", "it is not a folder here: download it, and name the copy"),
        ("{path: context}", "context/Dockerfile does not exist"),
        ("{dockerfile_path: Dockerfile}", "it names no folder"),
    ],
)
def test_a_build_context_that_is_not_here(tmp_path: Path, build: str, expected: str) -> None:
    """The reason says what is missing."""
    reading = environment(tmp_path, f"build: {build}\n", context__a="")

    assert f"1 left-over: {expected}" in outline(reading)
    assert not reading.references


@pytest.mark.parametrize(
    ("routes", "values", "expected"),
    [
        ((5001, "/", "/", "/score"), {}, "2-5 not-needed: image.environment writes these routes"),
        (
            (5001, "/live", "/live", "/score"),
            {"smoke-test.health": "/live"},
            '2-5 key: smoke-test.health = "/live"',
        ),
        (
            (5001, "/live", "/ready", "/score"),
            {"smoke-test.health": "/live"},
            '2-5 changed: smoke-test.health = "/live"; image.environment writes one route for liveness and readiness',
        ),
        ((31311, "/", "/", "/score"), {}, "2-5 changed: the image answers on port 5001"),
    ],
)
def test_the_routes_of_the_server(
    tmp_path: Path, routes: tuple[int, str, str, str], values: dict[str, str], expected: str
) -> None:
    """Those of an inference image are the default, and others become keys of the smoke test."""
    port, live, ready, score = routes
    text = f"image: contoso.azurecr.io/a:1\n{ROUTES.format(port=port, live=live, ready=ready, score=score)}"

    reading = environment(tmp_path, text)

    assert {key: value for key, value in values_of(reading).items() if "." in key} == values
    assert lines_of(reading)[1] == expected


def test_an_image_with_another_server(tmp_path: Path) -> None:
    """The table has no use for it."""
    routes = ROUTES.format(port=8501, live="/v1", ready="/v1", score="/v1:p")
    text = f"image: docker.io/tensorflow/serving:latest\n{routes}"

    reading = environment(tmp_path, text)

    assert values_of(reading) == {}
    assert [line.split(":")[0] for line in outline(reading)] == ["1 left-over", "2-5 left-over"]


def test_a_dockerfile_with_another_server(tmp_path: Path) -> None:
    """The smoke test asks it where it answers."""
    text = f"build: {{path: .}}\n{ROUTES.format(port=8080, live='/health', ready='/health', score='/score')}"

    reading = environment(tmp_path, text, Dockerfile="FROM x")

    assert values_of(reading) == {"smoke-test.port": 8080, "smoke-test.health": "/health"}


def test_what_is_unknown_is_left_over(tmp_path: Path) -> None:
    """A key that the schema does not have, and Windows."""
    reading = environment(tmp_path, "image: python:3.12\nos_type: Windows\ndependencies: []\n")

    assert [line.split(":")[0] for line in outline(reading)] == ["1 changed", "2 left-over", "3 left-over"]
