"""A run says which registries may get code and models; no file of a project can add one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config.allowed_registries import AllowedRegistries, read_allowed_registries
from azureml_tasks.errors import Problem
from azureml_tasks.state.records import Records
from tests.consumers import consumer, invoke, project

VARIABLE = "INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES"
TABLE = """\
registry = "evil.example"
shared-layers = "evil.example/layers"
"""
REFUSAL = (
    "evil.example is not one of the registries that this run may send code and models to: "
    "contoso.azurecr.io, fabrikam.azurecr.io\n"
    f"    Use one of these, or add it to {VARIABLE} where this run is set up.\n"
)
ALLOWED = {VARIABLE: "contoso.azurecr.io, fabrikam.azurecr.io"}


@pytest.mark.parametrize("task", ["check", "build", "push", "release", "smoke-test"])
def test_a_table_that_names_another_registry_is_refused(task: str, tmp_path: Path) -> None:
    """Where CI builds pull requests, a changed `registry` or `shared-layers` is exit 2 before anything else."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", TABLE))

    ended = invoke(folder, f"image.{task}", env=ALLOWED)

    expected = f"""\
pyproject.toml:7: tool.azureml-image.registry: {REFUSAL}
pyproject.toml:8: tool.azureml-image.shared-layers: {REFUSAL}
2 problems; nothing was """
    assert (2, expected) == (ended.code, ended.err.rpartition(" ")[0] + " ")


def test_a_flag_that_names_another_registry_is_refused(tmp_path: Path) -> None:
    """What the run allows holds for its own flags as well."""
    ended = invoke(consumer(tmp_path), "image.release", "--registry=evil.example", env=ALLOWED)

    expected = f"--registry: tool.azureml-image.registry: {REFUSAL}\n1 problem; nothing was built.\n"
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_a_record_that_names_another_registry_is_refused(tmp_path: Path) -> None:
    """The registry of the last build counts for a push, so a record must not bring another one in."""
    folder = consumer(tmp_path)
    image = BuiltImage(
        id=f"sha256:{'1' * 64}", names=("evil.example/demo:1.2.3",), engine="docker", context_sha256="2" * 64
    )
    Records(folder=folder / ".azureml-image").write_build(image)

    ended = invoke(folder, "image.push", env=ALLOWED)

    expected = f"the records in .azureml-image: {REFUSAL}\n1 problem; nothing was pushed.\n"
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_an_allowed_registry_and_no_list_at_all(tmp_path: Path) -> None:
    """A registry of the list passes, in any case of its letters, and without a list every registry does."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(
        project("demo", 'registry = "Contoso.azurecr.io"\nshared-layers = "fabrikam.azurecr.io/layers"\n')
    )

    listed = invoke(folder, "image.check", "--json", env=ALLOWED)
    unlisted = invoke(folder, "image.check", "--json", "--registry=evil.example")

    assert ["Contoso.azurecr.io/demo:1.2.3"] == json.loads(listed.out)["images"][0]["names"]
    assert ["evil.example/demo:1.2.3"] == json.loads(unlisted.out)["images"][0]["names"]


def test_a_base_may_come_from_any_registry(tmp_path: Path) -> None:
    """A pull sends neither code nor models, and docker gives its credentials to the host alone that they are for."""
    ended = invoke(consumer(tmp_path), "image.check", "--json", "--base=evil.example/base:1", env=ALLOWED)

    assert "evil.example/base:1" == json.loads(ended.out)["images"][0]["base"]


@pytest.mark.parametrize(
    ("base", "host"),
    [("evil.example/base:1", "evil.example"), ("evil/base:1", "docker.io"), ("base:1", "docker.io")],
)
def test_a_base_that_reads_secrets_comes_from_an_allowed_registry(
    base: str, host: str, tmp_path: Path
) -> None:
    """With secrets the base is trusted with them, so a pull request cannot name its own."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'pip = ["a"]\nsecrets = ["netrc"]\n'))

    ended = invoke(folder, "image.dockerfile", f"--base={base}", env=ALLOWED)
    unlisted = invoke(folder, "image.dockerfile", f"--base={base}")

    expected = f"""\
--base: tool.azureml-image.base is from {host}, and pip of the base image reads the secrets of this build
    Use a base of mcr.microsoft.com or of a registry in {VARIABLE}, or add {host} to it.

1 problem; nothing was done.
"""
    assert (2, expected, 0) == (ended.code, ended.err, unlisted.code)


@pytest.mark.parametrize(
    "base", ["contoso.azurecr.io/base:1", "minimal-py312-inference", "mcr.microsoft.com/a:1"]
)
def test_a_base_of_an_allowed_registry_or_of_microsofts_may_read_secrets(base: str, tmp_path: Path) -> None:
    """Nobody else can put an image there."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'pip = ["a"]\nsecrets = ["netrc"]\n'))

    assert 0 == invoke(folder, "image.dockerfile", f"--base={base}", env=ALLOWED).code


def test_no_file_of_the_project_says_what_is_allowed(tmp_path: Path) -> None:
    """Neither the table nor Invoke's configuration has a key for it."""
    folder = consumer(tmp_path)
    (folder / "pyproject.toml").write_text(project("demo", 'allowed-registries = ["evil.example"]\n'))
    (folder / "invoke.yaml").write_text("azureml_image:\n  allowed_registries: evil.example\n")

    configured = invoke(folder, "image.check")
    (folder / "invoke.yaml").unlink()
    written = invoke(folder, "image.check")

    assert (2, "Invoke's configuration, azureml_image.allowed_registries: is not known") == (
        configured.code,
        configured.err.splitlines()[0],
    )
    assert (2, 'pyproject.toml:7: unknown key "allowed-registries" in [tool.azureml-image]') == (
        written.code,
        written.err.splitlines()[0],
    )


@pytest.mark.parametrize(
    ("text", "host"), [("", ""), ("r.io,", ""), ("https://r.io", "https://r.io"), ("*", "*")]
)
def test_what_is_no_list_of_login_servers(text: str, host: str) -> None:
    """An empty name, an address or a pattern is refused, so that nobody takes it for a list that allows something."""
    problems: list[Problem] = []
    read_allowed_registries({VARIABLE: text}, problems)

    fix = f"export {VARIABLE}=contoso.azurecr.io,fabrikam.azurecr.io"
    assert [Problem(VARIABLE, 0, f'"{host}" is not a login server', fix)] == problems


def test_the_list() -> None:
    """Blanks around commas do not count, and a port is part of the name."""
    allowed = read_allowed_registries({VARIABLE: " r.io:5000 , R2.io"}, [])

    assert AllowedRegistries(hosts=frozenset({"r.io:5000", "r2.io"})) == allowed
    assert [True, True, False] == [
        allowed.refusal(host) == ("", "") for host in ("r.io:5000", "r2.IO", "r.io")
    ]
