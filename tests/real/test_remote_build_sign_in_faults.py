"""Failed sign-ins, and refusals of Azure Resource Manager."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.machine.acr.faults import Reply
from tests.real.in_process import REGISTRY, Clock, InProcess, Outcome
from tests.real.remote_build_faults import (
    BUILT,
    CALLS,
    CHECK,
    ENDED,
    FOLLOW,
    LATER,
    ROLE,
    STEP,
    STEP_FAILED,
    broken,
    ending,
    refused,
)

SAID = "azure-identity said:\n"


SIGN_IN = f"""\
You are not signed in to Azure.
    az login
    or, in CI: set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or use a federated credential
    {SAID}{{}}
Nothing was built."""


def identity(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """Return *outcome* without the message of azure-identity, and the lines about one credential from it."""
    head, _, rest = outcome.message.partition(SAID)
    if not rest:
        return outcome, []
    lines = rest.splitlines()
    kept = [line.strip() for line in lines if "EnvironmentCredential:" in line]
    return Outcome(code=outcome.code, message=f"{head}{SAID}{{}}\n{lines[-1]}", runs=outcome.runs), kept


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"AZURE_CLIENT_SECRET": None}, r"EnvironmentCredential: .* not fully configured.*"),
        (
            {"AZURE_CLIENT_SECRET": "not-the-secret"},
            r"EnvironmentCredential: .*AADSTS7000215: Invalid client secret.*",
        ),
        (
            {"AZURE_TENANT_ID": "66666666-ffff-4fff-8fff-666666666666"},
            r"EnvironmentCredential: .*Unable to get authority configuration.*",
        ),
    ],
)
def test_no_valid_sign_in(
    in_process: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str | None],
    told: str,
) -> None:
    """Without a valid sign-in: exit code 6, with the message of azure-identity and without secrets."""
    for name, text in variables.items():
        if text is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, text)
    outcome, lines = identity(in_process.build())

    assert Outcome(code=6, message=SIGN_IN) == outcome
    assert [True] == [re.fullmatch(told, line) is not None for line in lines]
    assert "not-the-secret" not in "".join(in_process.output)


@pytest.mark.parametrize("status", [500, 503])
def test_failures_of_entra_id(in_process: InProcess, status: int) -> None:
    """If Microsoft Entra ID fails, the sign-in fails: exit code 6, with its status."""
    in_process.fail(CALLS["token"], broken(status), times=None)
    outcome, lines = identity(in_process.build())

    told = [f"EnvironmentCredential: Authentication failed: HTTP Error: {status}"]
    assert (Outcome(code=6, message=SIGN_IN), told) == (outcome, lines)


def test_azure_tokens_expire(in_process: InProcess) -> None:
    """A token that expires during a run is replaced."""
    in_process.acr.settings.token_seconds = 60
    script = in_process.acr.next_run(silent=True, status="Succeeded", log="a line\n")
    outcome = in_process.followed(
        Clock(
            [in_process.acr.expire_tokens, in_process.acr.expire_tokens, ending(in_process, script.release)]
        )
    )

    expected = Outcome(code=0, message="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, REGISTRY + "a line\n" + ENDED.format("was successful")) == (
        outcome,
        in_process.progress,
    )


def test_a_token_is_revoked(in_process: InProcess) -> None:
    """A sign-in that becomes invalid during a run: exit code 6; the run continues."""
    script = in_process.acr.next_run(silent=True, status="Succeeded")
    outcome = in_process.followed(Clock([script.reached.wait, in_process.acr.expire_tokens]))

    expected = f"""\
Azure refused to give the status of run RUN: the token has expired (401).
    az login
    Azure said: ExpiredAuthenticationToken: The access token expiry UTC time is earlier than current UTC time.
Run RUN continues in ACR. To follow it again: {FOLLOW}"""
    assert Outcome(code=6, message=expected, runs=("Running",)) == outcome


FREE = "Ask Azure support to allow ACR Tasks in the subscription\n    or build on a Docker engine: --engine docker"


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "why", "fix"),
    [
        (401, "InvalidAuthenticationToken", 6, "the token was rejected (401)", "az login"),
        (
            404,
            "AgentPoolNotFound",
            7,
            "the agent pool does not exist",
            "Check agent-pool in [tool.azureml-image.acr]",
        ),
        (429, "NeverHeardOf", 7, "too many requests (429)", LATER.strip()),
    ],
)
def test_refusals_of_azure(
    in_process: InProcess, status: int, code: str, exit_code: int, why: str, fix: str
) -> None:
    """A known refusal has its own message and next step, any other those of its status; see `test_acr_azure_errors`."""
    in_process.fail(
        CALLS["schedule"],
        Reply(
            status=status,
            json={"error": {"code": code, "message": "in Azure's words"}},
            headers={"retry-after-ms": "1"},
        ),
        times=None,
    )

    refused_run = (
        f"Azure refused to start the run: {why}.\n    {fix}\n    Azure said: {code}: in Azure's words"
    )
    message = f"{refused_run}\nNothing was built."
    assert Outcome(code=exit_code, message=message) == in_process.build()


def test_a_missing_permission(in_process: InProcess) -> None:
    """A missing permission is reported with its action before anything is uploaded."""
    in_process.acr.settings.denied = {
        "Microsoft.ContainerRegistry/registries/listBuildSourceUploadUrl/action"
    }
    outcome = in_process.build()

    expected = f"""\
Azure refused to give an upload URL for the build context: your identity lacks the permission (403).
    {ROLE}
    Azure said: AuthorizationFailed: The client 'GUID' with object id 'GUID' does not have authorization to \
perform action 'Microsoft.ContainerRegistry/registries/listBuildSourceUploadUrl/action' over scope \
'/subscriptions/GUID/resourceGroups/ml-team/providers/Microsoft.ContainerRegistry/registries/loopbackregistry' \
or the scope is invalid. If access was recently granted, please refresh your credentials.
Nothing was built."""
    assert Outcome(code=6, message=expected) == outcome
    assert [] == [request for request in in_process.acr.requests if request.endpoint == "storage"]


def test_a_subscription_without_tasks(in_process: InProcess) -> None:
    """A subscription without ACR Tasks is told to build on a Docker engine."""
    in_process.acr.settings.tasks_allowed = False

    expected = f"""\
Azure refused to give an upload URL for the build context: the subscription may not use ACR Tasks, \
for example because it runs on free credits (403).
    {FREE}
    Azure said: TasksOperationsNotAllowed: ACR Tasks requests for the registry loopbackregistry and GUID are not \
permitted. Please file an Azure support request at https://aka.ms/azuresupport for assistance.
Nothing was built."""
    assert Outcome(code=6, message=expected) == in_process.build()


NOT_KNOWN = """\
Azure refused to list the registries of subscription GUID: the subscription does not exist (404).
    az account list --output table
    Azure said: SubscriptionNotFound: The subscription 'GUID' could not be found.
Nothing was built."""


NOT_LISTED = """\
No registry in {} has the login server {}.
    Check registry; to list the login servers: az acr list --query [].loginServer
    or ask for the role Reader on the registry, without which it is not listed
    or sign in to its subscription: az login; subscription = "…" in [tool.azureml-image.acr]
Nothing was built."""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('registry = "', 'registry = "x', NOT_LISTED.format("2 subscriptions", "xREGISTRY")),
        (
            "[tool.azureml-image]\n",
            '[tool.azureml-image]\nacr = { subscription = "66666666-ffff-4fff-8fff-666666666666" }\n',
            NOT_KNOWN,
        ),
        (
            "[tool.azureml-image]\n",
            '[tool.azureml-image]\nacr = { resource-group = "nobody" }\n',
            NOT_LISTED.format("2 subscriptions", "REGISTRY"),
        ),
    ],
)
def test_an_unknown_registry(in_process: InProcess, old: str, new: str, message: str) -> None:
    """An unknown registry, subscription or resource group: exit code 6."""
    table = in_process.project.folder / "pyproject.toml"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    assert Outcome(code=6, message=message) == in_process.build()


def test_subscriptions_cannot_be_listed(in_process: InProcess) -> None:
    """If subscriptions cannot be listed, as on a host that is not Azure's: exit code 6."""
    in_process.fail(CALLS["subscriptions"], refused(404, "NotFound"), times=None)

    message = f"""\
Azure refused to list your subscriptions: not found (404).
    {CHECK}
    Azure said: NotFound: Azure's own words
Nothing was built."""
    assert Outcome(code=6, message=message) == in_process.build()


@pytest.mark.parametrize("missing", ["azure.core", "azure.identity", "azure.storage.blob"])
def test_missing_libraries(
    in_process: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    """A missing library of Microsoft's: exit code 3, with the command that installs it."""
    monkeypatch.setitem(sys.modules, missing, None)

    message = f"""\
--engine acr needs a library that is not installed: {missing}.
    pip install azure-core azure-identity azure-storage-blob
Nothing was built."""
    assert Outcome(code=3, message=message) == in_process.build()


AUDIENCE = "https://containerregistry.azure.net"


def test_registries_get_tokens_of_their_own_audience(in_process: InProcess) -> None:
    """The token that is exchanged at a registry is for registries; one for Resource Manager goes nowhere else."""
    in_process.succeeding()

    assert BUILT == in_process.build()
    by_endpoint = {
        request.endpoint: request.audience for request in in_process.acr.requests if request.audience
    }
    assert in_process.acr.resource_manager == by_endpoint["arm"]


def test_a_cloud_that_does_not_know_the_audience(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody gives tokens for registries, the message names the variable that asks for another audience."""
    acr = in_process.acr
    acr.settings.unknown_audiences = frozenset({AUDIENCE})
    acr.settings.registry_audiences = frozenset({acr.resource_manager})
    in_process.succeeding()
    refused = in_process.build()
    monkeypatch.setenv("INVOKE_AZUREML_IMAGE_ACR_AUDIENCE", acr.resource_manager)
    outcome = in_process.build()

    hint = "INVOKE_AZUREML_IMAGE_ACR_AUDIENCE=AUDIENCE, for example https://127.0.0.1:PORT"
    assert (6, BUILT) == (refused.code, outcome)
    assert f"    or, where {AUDIENCE} is not known, as on Azure Local: {hint}\n" in refused.message


def test_a_condition_that_leaves_out_the_candidates(in_process: InProcess) -> None:
    """A role whose condition covers the final repository alone is refused before anything is uploaded: exit code 6."""
    settings = in_process.acr.settings
    settings.role_assignment_mode = "AbacRepositoryPermissions"
    settings.caller_actions = {in_process.name: frozenset({"pull", "push", "delete"})}
    outcome = in_process.build()

    message = """\
You may not pull from NAME/candidate, push to NAME/candidate in registry REGISTRY.
    Ask for the role "Container Registry Repository Writer" on the registry. If it has a condition, that must cover
    NAME, NAME/candidate and NAME/layers
Nothing was built."""
    assert Outcome(code=6, message=message) == outcome
    assert not [request for request in in_process.acr.requests if request.endpoint == "storage"]


def test_a_registry_that_runs_no_tasks(in_process: InProcess) -> None:
    """A registry with IPv6 endpoints is refused before anything is uploaded: exit code 6."""
    in_process.acr.settings.endpoint_protocol = "IPv4AndIPv6"
    outcome = in_process.build()

    message = """\
Registry REGISTRY has IPv6 dual stack endpoints and runs no ACR Tasks.
    az acr update --name loopbackregistry --endpoint-protocol IPv4
    or build on a Docker engine: --engine docker
Nothing was built."""
    assert Outcome(code=6, message=message) == outcome
    assert not [request for request in in_process.acr.requests if request.endpoint == "storage"]


@pytest.mark.parametrize("variable", ["AZURE_AUTHORITY_HOST", "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"])
@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9", "https://me@contoso.example", "https://contoso.example/a/path"]
)
def test_an_invalid_url(
    in_process: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
) -> None:
    """A variable that is not an https URL: exit code 2, without any request."""
    monkeypatch.setenv(variable, text)
    outcome = in_process.build()

    assert (2, []) == (outcome.code, in_process.acr.requests)
    message = (
        f'{variable}: "{text}" is not an https URL of a host\n    unset {variable}\n\n'
        "1 problem; nothing was built."
    )
    assert in_process.normal(message) == outcome.message


def hidden(folder: Path) -> str:
    """Return a folder for PYTHONPATH that hides Microsoft's libraries."""
    (folder / "azure").mkdir()
    (folder / "azure" / "__init__.py").write_text("", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("code", [2, 3, 4, 6, 7])
def test_exit_codes_of_invoke(in_process: InProcess, tmp_path: Path, code: int) -> None:
    """`invoke` ends with the exit code and message of each kind of error, without traceback or result."""
    variables = {
        2: {"INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER": "http://127.0.0.1:9"},
        3: {"PYTHONPATH": hidden(tmp_path)},
        6: {"AZURE_CLIENT_SECRET": "not-the-secret"},
    }
    if code == 4:
        in_process.acr.next_run(status="Failed", log=STEP)
    if code == 7:
        in_process.fail(CALLS["schedule"], broken(429), times=None)
    outcome, _ = identity(in_process.invoke("image.build", "--engine", "acr", env=variables.get(code)))

    messages = {
        2: 'INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER: "http://127.0.0.1:PORT" is not an https URL of a host\n'
        "    unset INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER\n\n1 problem; nothing was built.",
        3: "--engine acr needs a library that is not installed: azure.core.\n"
        "    pip install azure-core azure-identity azure-storage-blob\nNothing was built.",
        4: f"{STEP_FAILED}\nThe whole log is in .azureml-image/build.log. Nothing was built.",
        6: SIGN_IN,
        7: "Azure refused to start the run: too many requests (429).\n"
        f"{LATER}    Azure said: Broken: for a while\nNothing was built.",
    }
    assert Outcome(code=code, message=messages[code], runs=("Failed",) if code == 4 else ()) == outcome
    assert "not-the-secret" not in "".join(in_process.output)
