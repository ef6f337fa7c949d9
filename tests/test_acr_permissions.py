"""What the signed-in identity may do is looked at before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.acr.permissions import Permissions
from azureml_tasks.engines.acr.registry_lookup import Registry
from azureml_tasks.engines.acr.session import Session
from azureml_tasks.engines.acr.tasks_api import TasksApi
from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError
from tests.acr_plans import plan

ALL = frozenset({"pull", "push", "delete"})
NAME, CANDIDATES, LAYERS = "team/scoring", "team/scoring/candidate", "team/scoring/layers"


@dataclass
class FakeRepositories:
    """A registry's repositories that permit what *granted* says; `asked` lists the questions."""

    granted_actions: Mapping[str, frozenset[str] | None]
    asked: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    auth: Any = field(default_factory=lambda: SimpleNamespace(refresh_token=lambda: "r"))

    def granted(self, repository: str, actions: frozenset[str]) -> frozenset[str] | None:
        """Return what is permitted of *actions*."""
        self.asked.append((repository, actions))
        granted = self.granted_actions.get(repository, ALL)
        return None if granted is None else granted & actions


def permissions(
    granted: Mapping[str, frozenset[str] | None], *, abac: bool
) -> tuple[Permissions, FakeRepositories]:
    """Return the permissions of an identity, and the registry that is asked."""
    repositories = FakeRepositories(granted)
    registry = Registry(id="/r", name="contoso", login_server="contoso.azurecr.io", abac=abac)
    session = cast("Session", SimpleNamespace(registry=registry, repositories=repositories))
    return Permissions(session=session, plan=plan(), say=Console().say), repositories


@pytest.mark.parametrize(
    ("abac", "with_layers", "asked"),
    [
        (False, True, [(CANDIDATES, frozenset({"pull", "delete"}))]),
        (True, False, [(CANDIDATES, ALL)]),
        (True, True, [(CANDIDATES, ALL), (LAYERS, frozenset({"pull", "push"}))]),
    ],
)
def test_what_a_build_needs(abac: bool, with_layers: bool, asked: list[Any]) -> None:
    """A build reads its candidate; in a registry with permissions by repository its run also pushes as the caller."""
    checked, repositories = permissions({}, abac=abac)

    checked.check_build(with_layers=with_layers)

    assert asked == repositories.asked


def test_what_a_push_needs() -> None:
    """A push reads and writes the final repository."""
    checked, repositories = permissions({}, abac=False)

    checked.check_push()

    assert [(NAME, frozenset({"pull", "push"}))] == repositories.asked


PULL = frozenset({"pull"})


@pytest.mark.parametrize(
    ("abac", "granted", "expected"),
    [
        (
            False,
            {CANDIDATES: frozenset()},
            """\
You may not pull from team/scoring/candidate in registry contoso.azurecr.io.
    Ask for the role AcrPull on the registry""",
        ),
        (
            True,
            {CANDIDATES: PULL | {"delete"}},
            """\
You may not push to team/scoring/candidate in registry contoso.azurecr.io.
    Ask for the role "Container Registry Repository Writer" on the registry. If it has a condition, that must cover
    team/scoring, team/scoring/candidate and team/scoring/layers""",
        ),
        (
            True,
            {CANDIDATES: frozenset({"delete"}), LAYERS: PULL},
            """\
You may not pull from team/scoring/candidate, push to team/scoring/candidate, push to team/scoring/layers in registry \
contoso.azurecr.io.
    Ask for the role "Container Registry Repository Writer" on the registry. If it has a condition, that must cover
    team/scoring, team/scoring/candidate and team/scoring/layers""",
        ),
        (
            True,
            {LAYERS: frozenset({"push"})},
            """\
You may not pull from team/scoring/layers in registry contoso.azurecr.io.
    Ask for the role "Container Registry Repository Reader" on the registry. If it has a condition, that must cover
    team/scoring, team/scoring/candidate and team/scoring/layers""",
        ),
    ],
)
def test_a_missing_permission(abac: bool, granted: Mapping[str, frozenset[str]], expected: str) -> None:
    """The refusal names what is missing and where, and the role that has it in a registry of this mode."""
    checked, _ = permissions(granted, abac=abac)

    with pytest.raises(RegistryError) as caught:
        checked.check_build(with_layers=True)

    assert expected == str(caught.value)


def test_a_missing_permission_to_push() -> None:
    """Before a release builds anything, it is known whether its image may be pushed."""
    checked, _ = permissions({NAME: PULL}, abac=False)

    with pytest.raises(RegistryError) as caught:
        checked.check_push()

    expected = """\
You may not push to team/scoring in registry contoso.azurecr.io.
    Ask for the role AcrPush on the registry"""
    assert expected == str(caught.value)


def test_who_may_not_delete_builds_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the permission to delete, a build says that candidates stay."""
    checked, _ = permissions({CANDIDATES: frozenset({"pull", "push"})}, abac=False)

    checked.check_build(with_layers=False)

    stderr = "you may not delete images of team/scoring/candidate: the candidate will stay there\n"
    assert ("", stderr) == capsys.readouterr()


def test_a_token_that_tells_nothing_refuses_nothing() -> None:
    """A registry whose tokens do not say what they grant is believed when it answers."""
    checked, _ = permissions({CANDIDATES: None, LAYERS: None}, abac=True)

    checked.check_build(with_layers=True)


# Registries that run no tasks


def tasks_of(answer: Mapping[str, Any] | AzuremlTasksError) -> TasksApi:
    """Return the tasks of a registry that Azure describes so."""

    def get(path: str, version: str, action: str) -> Mapping[str, Any]:
        assert ("/r", "2026-11-01", "look up the registry's endpoint protocol") == (path, version, action)
        if isinstance(answer, AzuremlTasksError):
            raise answer
        return answer

    registry = Registry(id="/r", name="contoso", login_server="contoso.azurecr.io")
    return TasksApi(arm=cast("Any", SimpleNamespace(get=get)), registry=registry)


@pytest.mark.parametrize(
    "answer",
    [
        {"properties": {"endpointProtocol": "IPv4"}},
        {"properties": {}},
        {"properties": None},
        {},
        RemoteBuildError("Azure refused to look up the registry's endpoint protocol: HTTP 400."),
    ],
)
def test_registries_that_run_tasks(answer: Mapping[str, Any] | AzuremlTasksError) -> None:
    """A registry is refused only if Azure says that it has both protocols."""
    tasks_of(answer).refuse_dual_stack()


def test_a_registry_that_runs_no_tasks() -> None:
    """A registry with IPv6 endpoints is refused, with the command that takes them away."""
    with pytest.raises(RegistryError) as caught:
        tasks_of({"properties": {"endpointProtocol": "IPv4AndIPv6"}}).refuse_dual_stack()

    expected = """\
Registry contoso.azurecr.io has IPv6 dual stack endpoints and runs no ACR Tasks.
    az acr update --name contoso --endpoint-protocol IPv4
    or build on a Docker engine: --engine docker"""
    assert expected == str(caught.value)
