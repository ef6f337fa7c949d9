"""What `image.doctor` says of Azure: up to the first thing that keeps the next from being asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.config.allowed_registries import AllowedRegistries
from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import doctor_azure
from azureml_tasks.engines.acr.doctor_azure import azure_findings
from azureml_tasks.engines.acr.registry_lookup import Registry
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.errors import AzuremlTasksError, EngineError, RegistryError
from azureml_tasks.planning.plan import Plan
from tests.acr_plans import plan

NEEDED = "Builds in Azure Container Registry, --engine acr, need it."
HOST = "contoso.azurecr.io"
STEPS = ["Azure libraries", "Azure sign-in", "Azure registry", "roles", "ACR Tasks"]
REFUSED = RegistryError("It is refused.", next_step="Ask for it.", said="Azure said: no")


def fail(error: AzuremlTasksError) -> Any:
    """Return what raises *error* for any arguments."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def azure(
    monkeypatch: pytest.MonkeyPatch, *, granted: frozenset[str] = frozenset({"pull", "push", "delete"})
) -> Any:
    """An account that may do everything in one registry; returns its session."""
    repositories = SimpleNamespace(
        auth=SimpleNamespace(refresh_token=lambda: "r"),
        granted=lambda _name, actions: actions & granted,
    )
    tasks = SimpleNamespace(refuse_dual_stack=lambda: None, upload_target=lambda: None)
    registry = Registry(id="/subscriptions/1/registries/contoso", name="contoso", login_server=HOST)
    session = SimpleNamespace(registry=registry, repositories=repositories, tasks=tasks)
    monkeypatch.setattr(doctor_azure, "sign_in", lambda *_: object())
    monkeypatch.setattr(doctor_azure, "session_of", lambda *_: session)
    return session


def look(
    acr: Acr | None = None, registry: str = HOST, planned: Plan | None = None, allowed: str = HOST
) -> list[Finding]:
    """Return the findings for *registry*."""
    return azure_findings(
        acr, registry, lambda: planned, AllowedRegistries(hosts=frozenset([allowed])).refusal
    )


def test_everything_is_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has its finding."""
    azure(monkeypatch)

    assert [
        Finding("Azure libraries", Status.OK, "the extra acr is installed"),
        Finding("Azure sign-in", Status.OK, "signed in at https://login.microsoftonline.com"),
        Finding("Azure registry", Status.OK, f"{HOST}, /subscriptions/1/registries/contoso"),
        Finding("roles", Status.OK, "you may build and push team/scoring"),
        Finding("ACR Tasks", Status.OK, f"permitted in {HOST}"),
    ] == look(planned=plan())


@pytest.mark.parametrize(("function", "step"), [("require_libraries", 0), ("sign_in", 1), ("session_of", 2)])
def test_the_first_that_fails_is_the_last(function: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the next cannot be asked."""
    azure(monkeypatch)
    monkeypatch.setattr(doctor_azure, function, fail(REFUSED))

    findings = look(planned=plan())

    assert STEPS[: step + 1] == [each.name for each in findings]
    what = "It is refused. Azure said: no"
    assert Finding(STEPS[step], Status.BLOCKS, what, NEEDED, "Ask for it.") == findings[-1]


def test_without_a_registry_only_the_sign_in_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace names one, too."""
    azure(monkeypatch)

    assert STEPS[:2] == [each.name for each in look(registry="")]
    assert STEPS == [each.name for each in look(Acr(workspace="w", resource_group="g"), registry="")]


def test_the_registry_of_a_workspace_gets_no_token_unless_the_run_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table names the workspace, and so the registry."""
    session = azure(monkeypatch)
    session.repositories.auth.refresh_token = fail(RegistryError("A token was sent.", next_step=""))

    findings = look(Acr(workspace="w", resource_group="g"), "", plan(), allowed="other.azurecr.io")

    assert STEPS[:3] == [each.name for each in findings]
    assert (Status.WARNING, "It was not asked.") == (findings[-1].status, findings[-1].why)
    assert findings[-1].what.startswith(f"{HOST} is not one of the registries")


def test_missing_roles_and_tasks_that_are_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are reported."""
    session = azure(monkeypatch, granted=frozenset({"pull"}))
    session.tasks.upload_target = fail(EngineError("Azure refused.", next_step="Build here."))

    roles, tasks = look(planned=plan())[-2:]

    what = f"You may not push to team/scoring in registry {HOST}."
    assert Finding("roles", Status.BLOCKS, what, NEEDED, "Ask for the role AcrPush on the registry") == roles
    assert Finding("ACR Tasks", Status.BLOCKS, "Azure refused.", NEEDED, "Build here.") == tasks


def test_a_project_that_cannot_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows which repositories the roles must cover."""
    azure(monkeypatch)

    why = "The table says which repositories the roles must cover."
    what = "not looked at: the image cannot be planned"
    assert Finding("roles", Status.UNKNOWN, what, why, "invoke image.check") == look()[3]


def test_a_role_that_nothing_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it candidates stay, which is worth knowing."""
    azure(monkeypatch, granted=frozenset({"pull", "push"}))

    what = (
        "you may build and push team/scoring; "
        "you may not delete images of team/scoring/candidate: the candidate will stay there"
    )
    assert Finding("roles", Status.NOTE, what) == look(planned=plan())[3]
