"""What a push does with the messages of an engine, and when it asks the registry itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError
from urllib3.util import Retry

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.push import push_image, push_tag
from azureml_tasks.errors import AzuremlTasksError, RegistryError
from tests.fake_registry import Reply, running_registry

DIGEST = f"sha256:{'1' * 64}"
LOCKED = "unknown: the repository is locked"


class ScriptedClient(EngineClient):
    """An engine whose pushes fail with these messages, one after the other, and then succeed."""

    def script(
        self,
        *messages: str,
        stored: str = DIGEST,
        sent: str = DIGEST,
        answers: Sequence[str | Exception] = (),
    ) -> list[str]:
        """Set what the engine says; return the list that notes each push.

        Args:
            messages: of its refusals, one for each push.
            stored: the digest that the registry has.
            sent: the digest that the engine says it sent.
            answers: to the first questions for the digest, in place of *stored*.
        """
        pushes: list[str] = []
        left, replies = iter(messages), iter(answers)

        def push(repository: str, tag: str, **_: Any) -> Iterator[dict[str, Any]]:
            pushes.append(f"{repository}:{tag}")
            yield {"id": "layer", "status": "Pushed"}
            message = next(left, "")
            yield {"error": message} if message else {"aux": {"Digest": sent}}

        def get_registry_data(*_: Any, **__: Any) -> SimpleNamespace:
            answer = next(replies, stored)
            if isinstance(answer, Exception):
                raise answer
            return SimpleNamespace(id=answer)

        images = SimpleNamespace(get_registry_data=get_registry_data)
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
    ("status", "message", "tries"),
    [
        (401, "refused the push of NAME: you are not signed in (401).", 1),
        (403, "refused the push of NAME: not allowed (403).", 1),
        (503, "did not accept the push of NAME in 3 tries.", 3),
        (404, "refused the push of NAME.", 1),
        (200, "refused the push of NAME.", 1),
    ],
)
def test_an_unknown_message(status: int, message: str, tries: int) -> None:
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
    expected = (f"Registry {host} {message.replace('NAME', name)}", said, [name] * tries)
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


def test_each_tag_has_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name is above them, and a tag that never moves and is there already has neither."""
    client = scripted()
    client.script()

    for tag in ("1", "2"):
        push_tag(client, "sha256:2", f"contoso.azurecr.io/demo:{tag}", Console(), never_moves=False)
    push_tag(client, "sha256:2", "contoso.azurecr.io/demo:kept-1", Console(), never_moves=True)

    expected = """\
pushing contoso.azurecr.io/demo:1
  layer layer: pushed
pushing contoso.azurecr.io/demo:2
  layer layer: pushed
"""
    assert expected == capsys.readouterr().err


NAME = "contoso.azurecr.io/demo:1"
BUSY = APIError("x", explanation="received unexpected HTTP status: 503 Service Unavailable")
GONE = APIError("x", explanation="manifest unknown: manifest unknown")
DEAD = requests.ConnectionError("the engine is gone")


@pytest.mark.parametrize("fault", [BUSY, GONE, DEAD])
def test_the_question_for_the_digest_is_repeated(
    fault: Exception, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with the answer, the registry is asked three times, and the image is pushed once."""
    client = scripted()
    pushes = client.script(answers=[fault, fault])

    digest = push_image(client, "sha256:2", NAME, Console())

    assert (DIGEST, [NAME], [1.0, 2.0]) == (digest, pushes, pauses)
    lines = "".join(f"asking again for the digest of {NAME} in {seconds} s\n" for seconds in (1, 2))
    assert lines in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (BUSY, "Registry contoso.azurecr.io did not accept to return the digest of NAME."),
        (GONE, "It has no tag NAME."),
        (DEAD, "The engine at unix:///x stopped answering."),
    ],
)
def test_the_digest_that_was_sent_counts(
    fault: Exception, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If nobody confirms the digest, the push has succeeded all the same, with that of the engine and a warning."""
    client = scripted()
    client.script(answers=[fault] * 3)

    digest = push_image(client, "sha256:2", NAME, Console())

    warning = f"warning: NAME was pushed as {DIGEST}, which the registry did not confirm. {why}"
    assert (DIGEST, warning.replace("NAME", NAME)) == (digest, capsys.readouterr().err.splitlines()[-1])


def test_a_push_of_which_nobody_knows_the_digest() -> None:
    """If the engine does not tell it either, the error says that the image is pushed."""
    client = scripted()
    client.script(answers=[BUSY] * 3, sent="")

    with pytest.raises(RegistryError) as caught:
        push_image(client, "sha256:2", NAME, Console())

    assert f"{NAME} was pushed, and its digest is not known." == caught.value.state


OTHER = f"sha256:{'3' * 64}"


@pytest.mark.parametrize(
    ("answers", "before", "state"),
    [
        ([GONE], "", ""),
        ([OTHER], OTHER, ""),
        ([OTHER], "", f"{NAME} names {OTHER} now, and named nothing before: the push may have arrived."),
        (
            [OTHER],
            None,
            f"{NAME} names {OTHER} now: the push may have arrived.",
        ),
        ([BUSY], "", f"Whether {NAME} was pushed is not known."),
    ],
)
def test_what_a_push_without_an_answer_has_left(
    answers: list[str | Exception], before: str | None, state: str
) -> None:
    """After a push whose answers were lost, the registry is asked what it has."""
    client = scripted()
    client.script(*["received unexpected HTTP status: 503 Unavailable"] * 3, answers=answers)

    with pytest.raises(RegistryError) as caught:
        push_image(client, "sha256:2", NAME, Console(), before=before)

    assert state == caught.value.state


def test_an_engine_that_dies_during_a_push() -> None:
    """If the engine ends after a layer arrived, nobody knows whether the image did."""
    client = scripted()
    client.script()

    def push(*_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        yield {"id": "layer", "status": "Pushed"}
        raise DEAD

    client.sdk.api.push = push  # type: ignore[method-assign]
    with pytest.raises(AzuremlTasksError) as caught:
        push_image(client, "sha256:2", NAME, Console())

    assert (3, f"Whether {NAME} was pushed is not known.") == (caught.value.exit_code, caught.value.state)
