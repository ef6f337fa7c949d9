"""What a push does with the messages of an engine, and when it asks the registry itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3.util import Retry

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.errors import RegistryError
from tests.fake_registry import Reply, running_registry

DIGEST = f"sha256:{'1' * 64}"
LOCKED = "unknown: the repository is locked"


class ScriptedClient(EngineClient):
    """An engine whose pushes fail with these messages, one after the other, and then succeed."""

    def script(self, *messages: str, stored: str = DIGEST) -> list[str]:
        """Set the messages and the digest that the registry then has; return the list that notes each push."""
        pushes: list[str] = []
        left = iter(messages)

        def push(repository: str, tag: str, **_: Any) -> Iterator[dict[str, Any]]:
            pushes.append(f"{repository}:{tag}")
            message = next(left, "")
            yield {"error": message} if message else {"aux": {"Digest": DIGEST}}

        images = SimpleNamespace(get_registry_data=lambda *_, **__: SimpleNamespace(id=stored))
        self.__dict__["sdk"] = SimpleNamespace(api=SimpleNamespace(push=push), images=images)
        return pushes

    def tag_image(self, image_id: str, reference: str) -> None:
        """Tag nothing."""

    def confirm_alive(self) -> None:
        """Be alive."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between the tries, which do not pass."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(Retry, "get_backoff_time", lambda _: 0.0)
    return seconds


def scripted() -> ScriptedClient:
    """An engine that is not asked for anything else."""
    return ScriptedClient(context="default", host="unix:///x", version="1", api="1.41")


def test_a_temporary_error_is_retried(pauses: list[float]) -> None:
    """A busy registry is tried three times, whatever the repository is called."""
    client = scripted()
    pushes = client.script(
        "toomanyrequests: denied: resnet-404", "received unexpected HTTP status: 503 Unavailable"
    )

    digest = push_image(client, "sha256:2", "contoso.azurecr.io/gpt-403:1", Console())

    assert (DIGEST, ["contoso.azurecr.io/gpt-403:1"] * 3, [1.0, 2.0]) == (digest, pushes, pauses)


@pytest.mark.parametrize(
    ("status", "what", "tries"),
    [
        (401, "refused the push of NAME: you are not signed in (401).", 1),
        (403, "refused the push of NAME: not allowed (403).", 1),
        (503, "did not accept the push of NAME in 3 tries.", 3),
        (404, "refused the push of NAME.", 1),
        (200, "refused the push of NAME.", 1),
    ],
)
def test_an_unknown_message(status: int, what: str, tries: int) -> None:
    """If the engine's message does not tell why, the status of the registry's own answer does, if it can."""
    client = scripted()
    pushes = client.script(*[LOCKED] * 3)
    with running_registry(lambda *_: Reply(status=status, headers={"Docker-Content-Digest": DIGEST})) as (
        host,
        _,
    ):
        name = f"{host}/team/train:1.0"
        with pytest.raises(RegistryError) as caught:
            push_image(client, "sha256:2", name, Console())

    said = f"the registry said: {LOCKED}"
    expected = (f"Registry {host} {what.replace('NAME', name)}", said, [name] * tries)
    assert expected == (caught.value.what, caught.value.said, pushes)


def test_an_unknown_message_of_a_registry_out_of_reach() -> None:
    """A registry that only the engine reaches is not retried for an unknown message."""
    client = scripted()
    with running_registry(lambda *_: Reply()) as (host, _):
        pass
    pushes = client.script(LOCKED, LOCKED)

    with pytest.raises(RegistryError, match="refused the push of"):
        push_image(client, "sha256:2", f"{host}/team/train:1.0", Console())

    assert [f"{host}/team/train:1.0"] == pushes


def test_another_push_of_the_same_tag() -> None:
    """If the registry has another digest than was sent, no digest is returned."""
    client = scripted()
    client.script(stored="sha256:other")

    with pytest.raises(RegistryError) as caught:
        push_image(client, "sha256:2", "contoso.azurecr.io/demo:1", Console())

    expected = f"""\
Registry contoso.azurecr.io has sha256:other as contoso.azurecr.io/demo:1, not {DIGEST}: \
somebody else pushed that tag meanwhile.
    Push again, or give the image a tag of its own: --tag
The image was pushed as {DIGEST}, and that tag names another one now."""
    assert expected == str(caught.value)
