"""How the registry is found, and who signs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from azureml_tasks.commands.publishing import kept_tag
from tests.machine.acr.faults import Reply
from tests.real.remote_output import ACR, ENGINE, FOUND, HERE, SMOKE_TEST, body, quick_build
from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import Consumer

LISTS = "/providers/Microsoft.ContainerRegistry/registries"


MAIN, OTHER = (
    "/subscriptions/44444444-dddd-4ddd-8ddd-444444444444",
    "/subscriptions/55555555-eeee-4eee-8eee-555555555555",
)


IN_GROUP = f"{MAIN}/resourceGroups/ml-team"


WAYS: Mapping[str, tuple[str, Mapping[str, str], list[str]]] = {
    "by its login server": (
        "",
        {},
        ["/subscriptions", "/subscriptions", f"{OTHER}{LISTS}", *[f"{MAIN}{LISTS}"] * 2],
    ),
    "by the variable": ("", {"AZURE_SUBSCRIPTION_ID": MAIN.rpartition("/")[2]}, [f"{MAIN}{LISTS}"] * 2),
    "by the subscription": (f'subscription = "{MAIN.rpartition("/")[2]}"', {}, [f"{MAIN}{LISTS}"] * 2),
    "by the resource group": (
        'resource-group = "ml-team"',
        {},
        ["/subscriptions", "/subscriptions", f"{OTHER}/resourceGroups/ml-team{LISTS}", f"{IN_GROUP}{LISTS}"],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_registry_is_found(way: str, remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Only what the table and the environment leave open is requested, page by page."""
    more, env, expected = WAYS[way]
    remote_projects.acr.next_run(queued=True)
    project = remote_projects(tiny_base, f"[tool.azureml-image.acr]\n{more}")
    result = run_command(remote_projects.acr, project, "image.build", *ACR, "--no-wait", env=env)

    asked = [
        request.path for request in result.requests if (request.endpoint, request.method) == ("arm", "GET")
    ]
    # The last one tells whether the registry runs tasks.
    expected = [*expected, remote_projects.acr.registry.id]
    assert (0, [ENGINE, FOUND], expected) == (result.ended.code, result.messages[:2], asked), (
        result.ended.stderr
    )


def of_workspace(remote_projects: RemoteProjects, base: str) -> Consumer:
    """Return a project with a workspace instead of a registry."""
    more = f'[tool.azureml-image.acr]\nworkspace = "{remote_projects.acr.workspace}"\nresource-group = "ml-team"\n'
    project = remote_projects(base, more)
    table = project.folder / "pyproject.toml"
    table.write_text(re.sub(r"(?m)^registry = .*\n", "", table.read_text("utf-8")), encoding="utf-8")
    return project


AT_WORKSPACE = (
    f"Azure Container Registry the registry of workspace loopback-workspace (AzureCloud); {SMOKE_TEST[HERE]}"
)


def test_the_registry_of_a_workspace(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """The registry of a workspace is used from the build to the digest."""
    acr = remote_projects.acr
    acr.settings.workspace_registry = acr.registry.id
    project = of_workspace(remote_projects, tiny_base)
    built = run_command(acr, project, "image.build", *ACR)
    pushed = run_command(acr, project, "image.push", *ACR, "--untested")

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n", AT_WORKSPACE) == (*built.out, built.messages[0]), (
        built.ended.stderr
    )
    assert [f"{acr.login_server}/{project.folder.name}:1.0"] == built.records["build.json"]["names"]
    assert (0, "REGISTRY/NAME@sha256:ID\n") == pushed.out, pushed.ended.stderr
    digest = built.records["build.json"]["id"]
    assert dict.fromkeys(("1.0", kept_tag(digest)), digest) == pushed.tags


def test_the_registry_of_a_workspace_that_is_not_allowed(
    remote_projects: RemoteProjects, tiny_base: str
) -> None:
    """A workspace whose registry the run does not allow is refused before anything is sent: exit code 2."""
    acr = remote_projects.acr
    acr.settings.workspace_registry = acr.registry.id
    allowed = {"INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES": "contoso.azurecr.io"}
    result = run_command(acr, of_workspace(remote_projects, tiny_base), "image.build", *ACR, env=allowed)

    refusal = (
        "pyproject.toml: REGISTRY is not one of the registries that this run may send code and models to: "
        "contoso.azurecr.io"
    )
    assert (2, "", True) == (*result.out, refusal in result.messages), result.ended.stderr
    assert [] == [call for call in result.requests if call.method != "GET" and "/oauth2" not in call.path]


def test_a_workspace_without_a_registry(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """A workspace has no registry before its first image: exit code 6."""
    result = run_command(remote_projects.acr, of_workspace(remote_projects, tiny_base), "image.build", *ACR)

    expected = [
        AT_WORKSPACE,
        "The workspace loopback-workspace has no container registry yet.",
        (
            "    az ml workspace update --name loopback-workspace --resource-group ml-team "
            "--container-registry REGISTRY-ID --update-dependent-resources"
        ),
        '    or name a registry: registry = "contoso.azurecr.io"',
        "Nothing was built.",
    ]
    told = [line for line in result.messages if not line.startswith("build context: ")]
    assert (6, "", expected, {}) == (*result.out, told, result.records)


def test_no_registry_has_that_login_server(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """An unknown login server is an error: exit code 6."""
    result = run_command(
        remote_projects.acr,
        remote_projects(tiny_base),
        "image.build",
        *ACR,
        "--registry",
        "contoso.azurecr.io",
    )

    expected = [
        "No registry in 2 subscriptions has the login server contoso.azurecr.io.",
        "    Check registry; to list the login servers: az acr list --query [].loginServer",
        "    or ask for the role Reader on the registry, without which it is not listed",
        '    or sign in to its subscription: az login; subscription = "…" in [tool.azureml-image.acr]',
        "Nothing was built.",
    ]
    assert (6, "", expected, {}) == (*result.out, result.messages[-5:], result.records)


def test_two_registries_have_that_login_server(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Two registries with the same login server are an error that lists both: exit code 6."""
    acr = remote_projects.acr
    second = {"id": f"{OTHER}/second", "name": "second", "properties": {"loginServer": acr.login_server}}
    acr.faults.add(f"GET {OTHER}/providers", Reply(status=200, json={"value": [second]}))
    result = run_command(acr, remote_projects(tiny_base), "image.build", *ACR)

    expected = [
        "2 registries have the login server REGISTRY.",
        "    Set subscription and resource-group in [tool.azureml-image.acr]",
        "    Azure lists:",
        f"    {OTHER}/second",
        "    RESOURCE",
        "Nothing was built.",
    ]
    assert (6, "", expected, {}) == (*result.out, result.messages[-6:], result.records)


def test_a_managed_identity(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """A managed identity signs in without a secret."""
    acr, project = remote_projects.acr, remote_projects(tiny_base)
    acr.next_run(queued=True)
    env = {name: text for name, text in project.env.items() if name not in acr.environment()}
    own = replace(project, env={**env, **acr.managed_identity()})
    result = run_command(acr, own, "image.build", *ACR, "--no-wait")

    assert (0, "RUN\n") == result.out, result.ended.stderr
    assert {"identity", "arm", "registry", "storage"} == {request.endpoint for request in result.requests}


def test_a_registry_with_permissions_by_repository(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """In a registry with permissions by repository, the request lets the run push as its caller."""
    remote_projects.acr.settings.role_assignment_mode = "AbacRepositoryPermissions"
    result = run_command(remote_projects.acr, remote_projects(tiny_base), "image.build", *ACR)

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == result.out, result.ended.stderr
    caller = {"credentials": {"sourceRegistry": {"identity": "[caller]"}}}
    context = result.records["build.json"]["context_sha256"]
    assert {**quick_build(result.project.folder.name, context), **caller} == body(result)


def test_a_pool_and_a_timeout(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """The request contains the agent pool and timeout of the table."""
    remote_projects.acr.next_run(queued=True)
    more = '[tool.azureml-image.acr]\nagent-pool = "large"\ntimeout = 7200\n'
    result = run_command(
        remote_projects.acr, remote_projects(tiny_base, more), "image.build", *ACR, "--no-wait", "--no-cache"
    )

    request = body(result)
    context = request["arguments"][0]["value"]
    own = {"agentPoolName": "large", "timeout": 7200, "noCache": True}
    assert {**quick_build(result.project.folder.name, context), **own} == request


def test_a_challenge_that_names_another_host(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """A challenge that names another host gets no token: exit code 6."""
    acr = remote_projects.acr
    challenge = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:9/oauth2/token",service="elsewhere"'}
    acr.faults.add("GET /v2/$", Reply(status=401, headers=challenge), times=None)
    result = run_command(acr, remote_projects(tiny_base), "image.build", *ACR)

    expected = [
        "Registry REGISTRY names another address for sign-in: http://127.0.0.1:PORT/oauth2/token.",
        "    No credentials were sent. Check the network between this machine and the registry.",
        "Nothing was built.",
    ]
    assert (6, "", expected) == (*result.out, result.messages[-3:])
    asked = {
        (request.method, request.path, request.bearer, request.basic)
        for request in result.requests
        if request.endpoint == "registry"
    }
    assert {("GET", "/v2/", False, False)} == asked
