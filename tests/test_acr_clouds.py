"""The endpoints of Azure's clouds, which only environment variables override."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.acr.clouds import Cloud, get_cloud
from azureml_tasks.errors import SettingsError

AUDIENCE = "INVOKE_AZUREML_IMAGE_ACR_AUDIENCE"
AUTHORITY, MANAGER = "AZURE_AUTHORITY_HOST", "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"
CLOUDS = {
    "AzureCloud": Cloud(
        authority="https://login.microsoftonline.com",
        resource_manager="https://management.azure.com",
        portal="https://portal.azure.com",
    ),
    "AzureChinaCloud": Cloud(
        authority="https://login.chinacloudapi.cn",
        resource_manager="https://management.chinacloudapi.cn",
        portal="https://portal.azure.cn",
    ),
    "AzureUSGovernment": Cloud(
        authority="https://login.microsoftonline.us",
        resource_manager="https://management.usgovcloudapi.net",
        portal="https://portal.azure.us",
    ),
}


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("environment", [{}, {AUTHORITY: "", MANAGER: "", AUDIENCE: ""}])
def test_each_cloud(name: str, environment: dict[str, str]) -> None:
    """Without variables, or with empty ones, a cloud has its own endpoints."""
    assert CLOUDS[name] == get_cloud(name, environment)


@pytest.mark.parametrize(
    ("environment", "authority", "manager", "known"),
    [
        ({AUTHORITY: "https://login.local:8443"}, "https://login.local:8443", "", False),
        ({AUTHORITY: "login.local"}, "https://login.local", "", False),
        ({AUTHORITY: "login.local:8443/"}, "https://login.local:8443", "", False),
        ({AUTHORITY: "login.microsoftonline.us"}, "https://login.microsoftonline.us", "", True),
        ({MANAGER: "https://127.0.0.1:8443/"}, "", "https://127.0.0.1:8443", True),
        ({MANAGER: "https://[::1]:8443"}, "", "https://[::1]:8443", True),
        ({AUTHORITY: "https://a", MANAGER: "https://b"}, "https://a", "https://b", False),
    ],
)
def test_variables_override_endpoints(
    environment: dict[str, str], authority: str, manager: str, known: bool
) -> None:
    """A variable is a URL or a host; the result says whether Microsoft's libraries know the authority."""
    default = CLOUDS["AzureCloud"]

    expected = Cloud(
        authority=authority or default.authority,
        resource_manager=manager or default.resource_manager,
        portal=default.portal,
        known_authority=known,
    )
    assert expected == get_cloud("AzureCloud", {**environment, "UNRELATED": "http://x"})


@pytest.mark.parametrize(
    "audience", ["https://management.local", "https://management.local/", "https://acr.local:8443/5f-5f/b"]
)
def test_another_audience(audience: str) -> None:
    """The audience of registries' tokens is the same in every cloud, and a variable gives another, as it stands."""
    assert "https://containerregistry.azure.net" == get_cloud("AzureChinaCloud", {}).registry_audience
    assert audience == get_cloud("AzureChinaCloud", {AUDIENCE: audience}).registry_audience


@pytest.mark.parametrize(
    "audience",
    ["acr.local", "http://acr.local", "https://acr.local?a=b", "https://me@acr.local", "https://a b"],
)
def test_an_invalid_audience(audience: str) -> None:
    """An audience is an https URL without user or query."""
    with pytest.raises(SettingsError) as caught:
        get_cloud("AzureCloud", {AUDIENCE: audience})

    expected = f"""\
{AUDIENCE}: "{audience}" is not an https URL
    unset {AUDIENCE}

1 problem; nothing was done."""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (
            "https://login.local/adfs",
            f"Write for AD FS: {AUTHORITY}=https://login.local\n    and: AZURE_TENANT_ID=adfs",
        ),
        (
            "login.local:8443/contoso.com/",
            f"Write: {AUTHORITY}=https://login.local:8443\n    and: AZURE_TENANT_ID=contoso.com",
        ),
        ("https://login.local/a/b", f"unset {AUTHORITY}"),
    ],
)
def test_a_tenant_in_the_authority(value: str, fix: str) -> None:
    """An authority with a tenant in its path is refused with the two variables to write instead."""
    with pytest.raises(SettingsError) as caught:
        get_cloud("AzureCloud", {AUTHORITY: value})

    expected = f"""\
{AUTHORITY}: "{value}" is not an https URL of a host
    {fix}

1 problem; nothing was done."""
    assert expected == str(caught.value)


@pytest.mark.parametrize("variable", [AUTHORITY, MANAGER])
@pytest.mark.parametrize(
    "value",
    [
        "http://login.local",
        "ftp://login.local",
        "https://",
        "https://me@login.local",
        "https://me:secret@login.local",
        "https://login.local/a/tenant",
        "https://login.local?a=b",
        "https://login.local#a",
        "https://login.local\\@other.local",
        "https://login local",
        "https://login.local:port",
        "https://[::1",
        "a\nb",
    ],
)
def test_invalid_urls(variable: str, value: str) -> None:
    """Only https and a host are allowed: no user, path, query or fragment."""
    with pytest.raises(SettingsError) as caught:
        get_cloud("AzureCloud", {variable: value})

    shown = value.replace("\n", r"\n")
    expected = f"""\
{variable}: "{shown}" is not an https URL of a host
    unset {variable}

1 problem; nothing was done."""
    assert expected == str(caught.value)


def test_both_variables_are_checked() -> None:
    """Every invalid variable is reported at once."""
    with pytest.raises(SettingsError) as caught:
        get_cloud("AzureChinaCloud", {AUTHORITY: "http://a", MANAGER: "https://b/c"})

    expected = """\
AZURE_AUTHORITY_HOST: "http://a" is not an https URL of a host
    unset AZURE_AUTHORITY_HOST

INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER: "https://b/c" is not an https URL of a host
    unset INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER

2 problems; nothing was done."""
    assert expected == str(caught.value)
