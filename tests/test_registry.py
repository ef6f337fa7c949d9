"""The question for a digest that Podman's engine cannot ask, put to a small registry."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_tasks.errors import RegistryError
from azureml_tasks.registry.digest import manifest_digest

DIGEST = "sha256:" + "5f" * 32
BASIC = "Basic " + b64encode(b"team:secret").decode()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a registry answers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Behaviour = Callable[[str, str, str], Reply]
"""(method, path with query, Authorization or "") -> the answer."""


@contextmanager
def registry(behaviour: Behaviour) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A server on a free port; gives its host and what it was asked."""
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            reply = behaviour(*asked[-1])
            self.send_response_only(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_HEAD

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def api(login: Mapping[str, str] | None = None) -> Any:
    """As much of the SDK's client as is asked: the login for a host."""
    return SimpleNamespace(_auth_configs=SimpleNamespace(resolve_authconfig=lambda _: login))


LOGIN = {"Username": "team", "Password": "secret"}
FOUND = Reply(status=200, headers={"Docker-Content-Digest": DIGEST})
PATH = "/v2/team/train/manifests/1.0"


def test_no_login() -> None:
    """A registry without login is asked once, and no credentials are sent to it."""
    with registry(lambda *_: FOUND) as (host, asked):
        digest = manifest_digest(f"{host}/team/train:1.0", api(LOGIN))

    assert digest == DIGEST
    assert asked == [("HEAD", PATH, "")]


def test_login() -> None:
    """A registry that wants a login gets that of the host."""

    def behave(_method: str, _path: str, authorization: str) -> Reply:
        wants = {"WWW-Authenticate": 'Basic realm="here"'}
        return FOUND if authorization == BASIC else Reply(status=401, headers=wants)

    with registry(behave) as (host, asked):
        digest = manifest_digest(f"{host}/team/train:1.0", api(LOGIN))

    assert digest == DIGEST
    assert asked == [("HEAD", PATH, ""), ("HEAD", PATH, BASIC)]


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_token(name: str) -> None:
    """A registry that wants a token names where it is had, and it is asked for with the login."""

    def behave(_method: str, path: str, authorization: str) -> Reply:
        if path.startswith("/token"):
            return Reply(status=200, body=f'{{"{name}": "t"}}'.encode())
        if authorization == "Bearer t":
            return FOUND
        realm = f'Bearer realm="http://{host}/token",service="here"'
        return Reply(status=401, headers={"WWW-Authenticate": realm})

    with registry(behave) as (host, asked):
        digest = manifest_digest(f"{host}/team/train:1.0", api(LOGIN))

    assert digest == DIGEST
    scope = "/token?service=here&scope=repository%3Ateam%2Ftrain%3Apull"
    assert asked == [("HEAD", PATH, ""), ("GET", scope, BASIC), ("HEAD", PATH, "Bearer t")]


def test_token_from_another_host() -> None:
    """Credentials never go to another host than the registry's."""
    wants = {"WWW-Authenticate": 'Bearer realm="http://elsewhere.invalid/token",service="here"'}
    with registry(lambda *_: Reply(status=401, headers=wants)) as (host, asked):
        with pytest.raises(RegistryError) as caught:
            manifest_digest(f"{host}/team/train:1.0", api(LOGIN))

        expected = f"""\
Registry {host} sends sign-in to another host, http://elsewhere.invalid/token.
    Use Docker's engine for the push."""
        assert expected == str(caught.value)
        assert asked == [("HEAD", PATH, "")]


@pytest.mark.parametrize("status", [307, 401, 403, 404, 500])
def test_no_digest(status: int) -> None:
    """Whatever is no answer is an error with the registry's status; a redirect is not followed."""
    reply = Reply(status=status, headers={"Location": "http://elsewhere.invalid/"})
    with registry(lambda *_: reply) as (host, _):
        with pytest.raises(RegistryError) as caught:
            manifest_digest(f"{host}/team/train:1.0", api())

        expected = f"""\
Registry {host} did not say which digest {host}/team/train:1.0 has: it answered {status}.
    docker login {host}"""
        assert expected == str(caught.value)


def test_an_answer_without_digest() -> None:
    """An answer that names no digest is none."""
    with registry(lambda *_: Reply(status=200)) as (host, _), pytest.raises(RegistryError):
        manifest_digest(f"{host}/team/train:1.0", api())


def test_nobody_answers() -> None:
    """Where nobody answers, that is said as an error of the registry."""
    with registry(lambda *_: FOUND) as (host, _):
        pass
    with pytest.raises(RegistryError) as caught:
        manifest_digest(f"{host}/team/train:1.0", api())

    assert caught.value.what == f"Registry {host} did not say which digest {host}/team/train:1.0 has."
