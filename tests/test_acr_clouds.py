"""Azure's clouds, and the addresses that the environment alone may put in their place."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.acr.clouds import Cloud, cloud
from azureml_tasks.errors import SettingsError

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
@pytest.mark.parametrize("environment", [{}, {AUTHORITY: "", MANAGER: ""}])
def test_each_cloud(name: str, environment: dict[str, str]) -> None:
    """Without a word of the environment a cloud has its own addresses; an empty variable is none."""
    assert CLOUDS[name] == cloud(name, environment)


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
def test_the_environment_stands_above_the_table(
    environment: dict[str, str], authority: str, manager: str, known: bool
) -> None:
    """An address of the environment is taken, whole or as a bare host; whether Microsoft knows it is told."""
    own = CLOUDS["AzureCloud"]

    expected = Cloud(
        authority=authority or own.authority,
        resource_manager=manager or own.resource_manager,
        portal=own.portal,
        known=known,
    )
    assert expected == cloud("AzureCloud", {**environment, "UNRELATED": "http://x"})


@pytest.mark.parametrize("variable", [AUTHORITY, MANAGER])
@pytest.mark.parametrize(
    "value",
    [
        "http://login.local",
        "ftp://login.local",
        "https://",
        "https://me@login.local",
        "https://me:secret@login.local",
        "https://login.local/tenant",
        "https://login.local?a=b",
        "https://login.local#a",
        "https://login.local\\@other.local",
        "https://login local",
        "https://login.local:port",
        "https://[::1",
        "a\nb",
    ],
)
def test_what_is_no_address(variable: str, value: str) -> None:
    """A token goes over https, to a host, and with nothing else that an address could carry."""
    with pytest.raises(SettingsError) as caught:
        cloud("AzureCloud", {variable: value})

    expected = f"""\
{variable}: "{value}" is no https address
    unset {variable}

1 problem; nothing was done."""
    assert expected == str(caught.value)


def test_both_at_once() -> None:
    """Both variables are looked at, so that one run tells of all that is wrong."""
    with pytest.raises(SettingsError) as caught:
        cloud("AzureChinaCloud", {AUTHORITY: "http://a", MANAGER: "https://b/c"})

    expected = """\
AZURE_AUTHORITY_HOST: "http://a" is no https address
    unset AZURE_AUTHORITY_HOST

INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER: "https://b/c" is no https address
    unset INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER

2 problems; nothing was done."""
    assert expected == str(caught.value)
