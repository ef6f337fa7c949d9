"""What a remote build cannot do is refused before anything is sent."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.acr.preflight import check_repository, check_secrets, check_smoke_test
from azureml_tasks.errors import EngineError, SettingsError
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import SmokeTestPlan
from tests.acr_agent import LONGEST_LINE, expected_arguments, server_arguments
from tests.acr_plans import plan


def plan_with_variable(text: str) -> Plan:
    """Return a plan whose smoke test sets one variable to *text*."""
    return plan(user="1000", smoke_test=SmokeTestPlan(env={"A": text}))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * (LONGEST_LINE - len('      - "A="')), True),
        ("x" * (LONGEST_LINE - len('      - "A="') + 1), False),
        ("$" * 16_000, True),
        ("$" * 17_000, False),
    ],
    ids=["longest", "longer", "longest when it is escaped", "longer when it is escaped"],
)
def test_the_longest_variables(text: str, fits: bool) -> None:
    """The longest variable that the agent reads reaches the server; a longer one is refused."""
    if fits:
        check_smoke_test(plan_with_variable(text))
        assert expected_arguments(f"A={text}") == server_arguments(plan_with_variable(text))
        return
    with pytest.raises(EngineError) as caught:
        check_smoke_test(plan_with_variable(text))

    expected = """\
A smoke test in the cloud cannot set 64 KiB of variables (smoke-test.env).
    Run it on a Docker engine, or shorten smoke-test.env"""
    assert expected == str(caught.value)


def test_all_variables_together() -> None:
    """All variables together are limited: they are one argument of the agent's shell."""
    half = {"A": "x" * 32_000, "B": "x" * 32_000}
    check_smoke_test(plan(smoke_test=SmokeTestPlan(env=half)))

    with pytest.raises(EngineError, match="cannot set 64 KiB of variables"):
        check_smoke_test(plan(smoke_test=SmokeTestPlan(env={**half, "C": "x" * 2_000})))


def test_mounted_models_memory_limits_and_gpus() -> None:
    """A mounted model, a memory limit and GPUs are refused together."""
    with pytest.raises(EngineError) as caught:
        check_smoke_test(plan(smoke_test=SmokeTestPlan(model="/home/me/model", memory="4g", gpus="all")))

    expected = """\
A smoke test in the cloud cannot mount a model (smoke-test.model) or limit memory (smoke-test.memory) or \
use GPUs (smoke-test.gpus).
    Run it on a Docker engine, or bake the model in: model = "…", and remove smoke-test.memory, \
and remove smoke-test.gpus"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("team/candidate", 'ends with "/candidate", which is reserved for candidate images'),
        ("a" * 246, 'is longer than 245 characters, which leaves no room for "/candidate"'),
    ],
)
def test_refused_names(name: str, why: str) -> None:
    """A name that is reserved for candidates, or too long for theirs, is refused."""
    with pytest.raises(SettingsError) as caught:
        check_repository(plan(repository=name))

    expected = f"""\
pyproject.toml: the name "{name}" {why}
    Write: name = "scoring"

1 problem; nothing was done."""
    assert expected == str(caught.value)


def test_refused_secrets() -> None:
    """A secret that is too long for an argument of a shell, or contains a NUL byte, is refused."""
    with pytest.raises(SettingsError) as caught:
        check_secrets({"pip-conf": b"x" * (64 * 1024 + 1), "netrc": b"machine a\0"})

    expected = """\
pyproject.toml: the secret pip-conf is longer than 64 KiB, which ACR Tasks does not support
    Remove what pip does not need, or build on a Docker engine: --engine docker

pyproject.toml: the secret netrc contains a NUL byte, which ACR Tasks does not support
    Remove what pip does not need, or build on a Docker engine: --engine docker

2 problems; nothing was done."""
    assert expected == str(caught.value)
    check_secrets({"pip-conf": b"x" * 64 * 1024, "netrc": b"machine a\n"})


@pytest.mark.parametrize("name", ["candidate", "team/candidates", "a" * 245])
def test_accepted_names(name: str) -> None:
    """Other names are accepted, up to the longest."""
    check_repository(plan(repository=name))
