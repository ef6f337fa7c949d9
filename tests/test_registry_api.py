"""The API of a registry, and the sign-in to it."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from urllib3.util import Retry

from azureml_tasks import signals
from azureml_tasks.engines.docker.docker_config import read_docker_config
from azureml_tasks.engines.docker.push import registry_api
from azureml_tasks.errors import RegistryError
from azureml_tasks.registry.api import Manifest, RegistryApi
from azureml_tasks.registry.auth import AzureCredentials, Challenge, Credentials, RegistryAuth
from azureml_tasks.registry.session import AnswerError, RegistrySession
from tests.fake_registry import Behaviour, Reply, json_reply, running_registry

DIGEST = "sha256:" + "5f" * 32
PATH = "/v2/team/train/manifests/1.0"
PING = ("GET", "/v2/", "")
LOGIN = Credentials(user="team", password="secret")  # noqa: S106 -- of a server in this module
REFRESH = Credentials(refresh_token="r")  # noqa: S106 -- likewise
BASIC = "Basic " + b64encode(b"team:secret").decode()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr(Retry, "get_backoff_time", lambda _: 0.0)


def api(host: str, credentials: Credentials = LOGIN) -> RegistryApi:
    """The API of the registry at *host*."""
    session = RegistrySession(login_server=host)
    auth = RegistryAuth(session=session, credentials=lambda _: credentials, sign_in="docker login")
    return RegistryApi(auth=auth, ask_for=lambda action: f"ask for {action}")


def jwt(payload: object) -> str:
    """A token that says *payload*."""
    text = b64encode(json.dumps(payload).encode()).decode().rstrip("=").replace("+", "-").replace("/", "_")
    return f"e30.{text}.c2ln"


FOUND = Reply(headers={"Docker-Content-Digest": DIGEST})


def test_a_registry_without_sign_in() -> None:
    """No credentials are sent to a registry that asks for none."""
    with running_registry(lambda *_: FOUND) as (host, requests):
        digest = api(host).digest("team/train", "1.0")

    assert (DIGEST, [PING, ("HEAD", PATH, "")]) == (digest, requests)


def test_a_registry_with_passwords() -> None:
    """A basic challenge is answered with user and password, which later requests repeat without another challenge."""

    def behave(_method: str, _path: str, authorization: str) -> Reply:
        challenge = {"WWW-Authenticate": 'Basic realm="here"'}
        return FOUND if authorization == BASIC else Reply(status=401, headers=challenge)

    with running_registry(behave) as (host, requests):
        client = api(host)
        digests = [client.digest("team/train", "1.0"), client.digest("team/train", "1.0")]

    assert ([DIGEST, DIGEST], [PING, *[("HEAD", PATH, BASIC)] * 2]) == (digests, requests)


def with_tokens(host: Callable[[], str], token: Callable[[str, str, str], Reply]) -> Behaviour:
    """A registry whose token server is *token*; what it issues is the token `t`."""

    def behave(method: str, path: str, authorization: str) -> Reply:
        if path.startswith("/token"):
            return token(method, path, authorization)
        if authorization == "Bearer t":
            return FOUND
        challenge = f'Bearer realm="http://{host()}/token",service="here"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    return behave


SCOPE = "/token?service=here&scope=repository%3Ateam%2Ftrain%3Apull"


@pytest.mark.parametrize("member", ["token", "access_token"])
@pytest.mark.parametrize(("credentials", "sent"), [(LOGIN, BASIC), (Credentials(), "")])
def test_a_registry_with_tokens(member: str, credentials: Credentials, sent: str) -> None:
    """A token is requested from the realm with the password, or anonymously without one."""
    with running_registry(with_tokens(lambda: host, lambda *_: json_reply({member: "t"}))) as (
        host,
        requests,
    ):
        digest = api(host, credentials).digest("team/train", "1.0")

    assert (DIGEST, [PING, ("GET", SCOPE, sent), ("HEAD", PATH, "Bearer t")]) == (digest, requests)


def test_a_refresh_token() -> None:
    """A refresh token, as `docker login` stores it for some registries, is posted to the realm."""
    with running_registry(with_tokens(lambda: host, lambda *_: json_reply({"access_token": "t"}))) as (
        host,
        requests,
    ):
        digest = api(host, REFRESH).digest("team/train", "1.0")

    assert (DIGEST, [PING, ("POST", "/token", ""), ("HEAD", PATH, "Bearer t")]) == (digest, requests)


def test_an_expired_token_is_replaced() -> None:
    """A request that is refused with a token is repeated once with a new one."""
    tokens = iter(["old", "t"])
    with running_registry(with_tokens(lambda: host, lambda *_: json_reply({"token": next(tokens)}))) as (
        host,
        requests,
    ):
        assert DIGEST == api(host).digest("team/train", "1.0")

    expected = ["GET /v2/", *["GET /token", "HEAD /v2/team/train/manifests/1.0"] * 2]
    assert expected == [f"{method} {path.partition('?')[0]}" for method, path, _ in requests]


@pytest.mark.parametrize("realm", ["http://elsewhere.invalid/token", "https://{host}/token", "", "/token"])
def test_a_token_server_at_another_address(realm: str) -> None:
    """Credentials are never sent to another host than the registry's, nor by another scheme."""

    def behave(*_: str) -> Reply:
        challenge = f'Bearer realm="{realm.format(host=host)}",service="here"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    with running_registry(behave) as (host, requests):
        with pytest.raises(RegistryError) as caught:
            api(host).digest("team/train", "1.0")

        expected = f"""\
Registry {host} names another address for sign-in: {realm.format(host=host) or "none"}.
    No credentials were sent. Check the network between this machine and the registry."""
        assert (expected, [PING]) == (str(caught.value), requests)


@dataclass(frozen=True, kw_only=True)
class ChallengingSession(RegistrySession):
    """A session with a registry that has TLS, whose challenge names *realm*; it notes what is sent."""

    realm: str
    sent: list[str] = field(default_factory=list)

    def send(self, method: str, url: str, *, redirects: bool = False, **options: object) -> object:  # type: ignore[override]  # of a response, only what is read
        """Answer with the challenge."""
        del redirects, options
        self.sent.append(f"{method} {url}")
        headers = {"WWW-Authenticate": f'Bearer realm="{self.realm}",service="here"'}
        return type("Response", (), {"status_code": 401, "headers": headers})


@pytest.mark.parametrize("credentials", ["password", "Azure"])
def test_a_realm_without_tls_for_a_registry_with_tls(credentials: str) -> None:
    """A registry with TLS whose realm has none gets no credentials: somebody on the way would read them."""
    session = ChallengingSession(
        login_server="contoso.azurecr.io", realm="http://contoso.azurecr.io/oauth2/token"
    )
    azure = AzureCredentials(
        session=session, azure_token=lambda: pytest.fail("a token was requested"), sign_in=""
    )
    auth = RegistryAuth(
        session=session, credentials=azure if credentials == "Azure" else lambda _: LOGIN, sign_in=""
    )

    with pytest.raises(RegistryError) as caught:
        auth.headers("repository:team/train:pull")

    message = "Registry contoso.azurecr.io names another address for sign-in: http://contoso.azurecr.io/oauth2/token."
    assert (message, ["GET https://contoso.azurecr.io/v2/"]) == (caught.value.what, session.sent)


@pytest.mark.parametrize(
    ("login_server", "url"),
    [
        ("contoso.azurecr.io", "https://contoso.azurecr.io"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.1.2.3", "http://127.1.2.3"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("localhost.contoso.com", "https://localhost.contoso.com"),
        ("127.0.0.1.contoso.com", "https://127.0.0.1.contoso.com"),
    ],
)
def test_only_this_machine_is_trusted_without_tls(login_server: str, url: str) -> None:
    """A registry is addressed by https, unless its host is a loopback address."""
    assert url == RegistrySession(login_server=login_server).url


# Azure's registries


@pytest.mark.parametrize(
    ("token", "tenant"),
    [(jwt({"tid": "5f-5f"}), ["5f-5f"]), (jwt({"tid": 5}), []), (jwt({}), []), ("of Entra", [])],
)
def test_the_tenant_of_a_token_is_sent_with_it(
    token: str, tenant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant that a token names is sent with it, as by `az acr login`."""
    sent: list[object] = []

    def send(_self: RegistrySession, _method: str, _url: str, **options: object) -> object:
        sent.append(options["data"])
        return SimpleNamespace(status_code=200, json=lambda: {"refresh_token": "r"})

    monkeypatch.setattr(RegistrySession, "send", send)
    session = RegistrySession(login_server="contoso.azurecr.io")
    azure = AzureCredentials(session=session, azure_token=lambda: token, sign_in="az acr login")

    azure(Challenge("bearer", "", "contoso.azurecr.io"))

    form = {"grant_type": "access_token", "service": "contoso.azurecr.io", "access_token": token}
    assert [{**form, **({"tenant": tenant[0]} if tenant else {})}] == sent


def azure_api(host: str) -> RegistryApi:
    """The API of an Azure container registry."""
    session = RegistrySession(login_server=host)
    azure = AzureCredentials(session=session, azure_token=lambda: "of Entra", sign_in="az acr login")
    return RegistryApi(
        auth=RegistryAuth(session=session, credentials=azure, sign_in="az acr login"),
        ask_for=lambda action: f"ask for {action}",
    )


def test_a_token_of_azure_is_exchanged() -> None:
    """The token of Microsoft Entra is exchanged for a refresh token, and that for a token of the registry."""

    def behave(method: str, path: str, authorization: str) -> Reply:
        if path == "/oauth2/exchange":
            return json_reply({"refresh_token": "r"})
        return with_tokens(lambda: host, lambda *_: json_reply({"access_token": "t"}))(
            method, path, authorization
        )

    with running_registry(behave) as (host, requests):
        client = azure_api(host)
        answers = client.auth.refresh_token(), client.digest("team/train", "1.0")

    exchange = ("POST", "/oauth2/exchange", "")
    expected = [PING, exchange, exchange, ("POST", "/token", ""), ("HEAD", PATH, "Bearer t")]
    assert (("r", DIGEST), expected) == (answers, requests)


def test_a_registry_that_is_not_of_azure() -> None:
    """A registry with passwords does not take a token of Azure."""
    with running_registry(lambda *_: Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})) as (
        host,
        _,
    ):
        with pytest.raises(RegistryError) as caught:
            azure_api(host).sign_in("team/train")

        expected = f"""\
Registry {host} does not accept a sign-in of Azure.
    Check registry: it must be an Azure container registry."""
        assert expected == str(caught.value)


REFUSED = "refused the sign-in"
NOT_JSON = """\
answered a sign-in with something that is not JSON.
    Check the network between this machine and the registry, and run the same command again."""


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(status=401, body=b"expired"),
            f"{REFUSED} (401).\n    az acr login\n    the registry said: expired",
        ),
        (
            Reply(status=307, headers={"Location": "http://elsewhere.invalid/"}),
            f"{REFUSED} (307).\n    az acr login",
        ),
        (Reply(body=b"<html>"), NOT_JSON),
    ],
)
def test_a_refused_sign_in(reply: Reply, message: str) -> None:
    """A token server that refuses, redirects or is not one is an error with the next step."""

    def behave(method: str, path: str, authorization: str) -> Reply:
        is_exchange = path == "/oauth2/exchange"
        return (
            reply if is_exchange else with_tokens(lambda: host, lambda *_: reply)(method, path, authorization)
        )

    with running_registry(behave) as (host, _):
        with pytest.raises(RegistryError) as caught:
            azure_api(host).sign_in("team/train")

        assert f"Registry {host} {message}" == str(caught.value)


# Credentials of docker login


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": b64encode(b"team:secret").decode()}, LOGIN),
        ({"identitytoken": "r"}, REFRESH),
        ({}, Credentials()),
    ],
)
def test_credentials_of_docker_login(
    entry: dict[str, str], expected: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials are those of the host in docker's configuration."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r.contoso.com:5000": entry}}))

    credentials = registry_api("r.contoso.com:5000", read_docker_config()).auth.credentials(
        Challenge("bearer", "", "")
    )

    assert expected == credentials


# Errors


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (307, "it answered 307.\n    Run the same command again later."),
        (401, "not allowed (401).\n    ask for pull"),
        (403, "not allowed (403).\n    ask for pull"),
        (404, "it does not exist (404).\n    Check the registry and the name of the repository."),
    ],
)
def test_a_refused_request(status: int, message: str) -> None:
    """The status decides what the error says; a redirect is not followed."""
    reply = Reply(status=status, headers={"Location": "http://elsewhere.invalid/"})
    with running_registry(lambda _, path, __: Reply() if path == "/v2/" else reply) as (host, requests):
        with pytest.raises(RegistryError) as caught:
            api(host).digest("team/train", "1.0")

        expected = f"Registry {host} refused to return the digest of {host}/team/train:1.0: {message}"
        assert (expected, [PING, ("HEAD", PATH, "")]) == (str(caught.value), requests)


def test_an_answer_without_a_digest() -> None:
    """An answer that names no digest is an error."""
    with running_registry(lambda *_: Reply()) as (host, _):
        with pytest.raises(RegistryError) as caught:
            api(host).digest("team/train", "1.0")

        assert f"Registry {host} returned no digest of {host}/team/train:1.0." == caught.value.what


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_temporary_error_is_retried(status: int) -> None:
    """A registry that is busy or broken for a moment is asked again."""
    replies = iter([Reply(status=status)] * 3)
    with running_registry(lambda *_: next(replies, FOUND)) as (host, requests):
        digest = api(host).digest("team/train", "1.0")

    assert (DIGEST, [*[PING] * 4, ("HEAD", PATH, "")]) == (digest, requests)


@pytest.mark.parametrize(("after", "seconds"), [("7", 7), ("86400", 30)])
def test_a_registry_says_when_to_retry(after: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the registry asks for passes before the retry, but not more than half a minute."""
    pauses: list[float] = []
    monkeypatch.setattr(signals, "wait", pauses.append)
    replies = iter([Reply(status=429, headers={"Retry-After": after})])
    with running_registry(lambda *_: next(replies, FOUND)) as (host, _):
        api(host).digest("team/train", "1.0")

    assert [seconds] == pauses


@pytest.mark.parametrize(
    ("after", "messages"),
    [("4", []), ("7", ["asks to wait for 7 s; trying again in 7 s"]), ("soon", [])],
    ids=["a moment", "longer", "neither seconds nor a date"],
)
def test_a_wait_for_a_registry_is_said(
    after: str, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait of more than a moment is said; what is neither seconds nor a date is as if the registry did not say."""
    monkeypatch.setattr(signals, "wait", lambda _: None)
    lines: list[str] = []
    replies = iter([Reply(status=429, headers={"Retry-After": after})])
    with running_registry(lambda *_: next(replies, FOUND)) as (host, _):
        RegistrySession(login_server=host, say=lines.append).send("GET", f"http://{host}/v2/")

        assert [f"registry {host} {line}" for line in messages] == lines


# Tags


def test_all_pages_of_the_tags() -> None:
    """The tags are those of every page that the header Link names."""
    first, second = "/v2/team/train/tags/list", "/v2/team/train/tags/list?last=b&n=2"
    pages = {
        first: json_reply({"tags": ["b", "a"]}, Link=f'<{second}>; rel="next"'),
        second: json_reply({"tags": ["c"]}),
    }
    with running_registry(lambda _, path, __: pages.get(path, Reply())) as (host, requests):
        tags = api(host).tags("team/train")

    assert (["a", "b", "c"], [PING, ("GET", first, ""), ("GET", second, "")]) == (tags, requests)


def test_pages_that_name_each_other() -> None:
    """A page is read once, so that a registry which goes round in circles is left."""
    reply = json_reply({"tags": ["a"]}, Link='</v2/team/train/tags/list>; rel="next"')
    with running_registry(lambda _, path, __: Reply() if path == "/v2/" else reply) as (host, requests):
        assert (["a"], 2) == (api(host).tags("team/train"), len(requests))


def test_a_page_of_tags_elsewhere() -> None:
    """A page on another host is not asked for: it would get the token."""
    reply = json_reply({"tags": ["a"]}, Link='<http://elsewhere.invalid/v2/x>; rel="next"')
    with running_registry(lambda _, path, __: Reply() if path == "/v2/" else reply) as (host, _):
        with pytest.raises(RegistryError) as caught:
            api(host).tags("team/train")

        expected = f"""\
Registry {host} continues its list of tags at another address, http://elsewhere.invalid/v2/x.
    No token was sent there. Check the network between this machine and the registry."""
        assert expected == str(caught.value)


# Permissions


def access(*actions: str, name: str = "team/train", kind: str = "repository") -> dict[str, object]:
    """An entry of what a token grants."""
    return {"type": kind, "name": name, "actions": list(actions)}


BOTH = frozenset({"pull", "push"})


@pytest.mark.parametrize(
    ("token", "granted"),
    [
        (jwt({"access": [access("pull", "push", "delete")]}), BOTH),
        (jwt({"access": [access("pull"), access("push")]}), BOTH),
        (jwt({"access": [access("pull"), access("push", name="team/other")]}), frozenset({"pull"})),
        (jwt({"access": [access("pull", kind="registry")]}), frozenset()),
        (jwt({"access": []}), frozenset()),
        (jwt({"access": None}), None),
        (jwt([]), None),
        ("opaque", None),
        ("a.b.c", None),
    ],
    ids=[
        "all",
        "two entries",
        "of another repository",
        "no repository",
        "nothing",
        "null",
        "list",
        "opaque",
        "bytes",
    ],
)
def test_what_a_token_grants(token: str, granted: frozenset[str] | None) -> None:
    """A token that says what it grants tells which actions are permitted; another tells nothing."""
    with running_registry(with_tokens(lambda: host, lambda *_: json_reply({"token": token}))) as (
        host,
        requests,
    ):
        assert granted == api(host).granted("team/train", BOTH)

    assert ["/v2/", "/token?service=here&scope=repository%3Ateam%2Ftrain%3Apull%2Cpush"] == [
        path for _, path, _ in requests
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused(status: int) -> None:
    """A registry that gives no token for a repository permits nothing in it."""
    with running_registry(with_tokens(lambda: host, lambda *_: Reply(status=status))) as (host, _):
        assert frozenset() == api(host).granted("team/train", BOTH)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_lasting_error_of_the_server(status: int) -> None:
    """After three retries the status and the registry's message are shown."""
    with running_registry(lambda *_: Reply(status=status, body=b"for a while")) as (host, requests):
        with pytest.raises(AnswerError) as caught:
            api(host).digest("team/train", "1.0")

        expected = f"""\
Registry {host} answers {status}, also after retries.
    Run the same command again later.
    the registry said: for a while"""
        assert (expected, [PING] * 4) == (str(caught.value), requests)


def test_an_answer_that_is_too_long() -> None:
    """A table names the registry, which may be any host: not all that it sends is kept, packed or not."""
    packed = gzip.compress(b"x" * 17 * 1024 * 1024)
    with (
        running_registry(lambda *_: Reply(body=packed, headers={"Content-Encoding": "gzip"})) as (host, _),
        pytest.raises(AnswerError, match="answers with more than 16 MiB"),
    ):
        RegistrySession(login_server=host).send("GET", f"http://{host}/v2/")


def test_a_redirect_that_is_too_long() -> None:
    """Likewise the body of a redirect, which nobody reads."""
    long = Reply(status=307, body=b"x" * 17 * 1024 * 1024, headers={"Location": "/there"})
    with (
        running_registry(lambda *_: long) as (host, _),
        pytest.raises(AnswerError, match="answers with more than 16 MiB"),
    ):
        RegistrySession(login_server=host).send("GET", f"http://{host}/v2/", redirects=True)


def test_nobody_answers() -> None:
    """A registry that cannot be connected to is an error with the system's reason."""
    with running_registry(lambda *_: FOUND) as (host, _):
        pass
    with pytest.raises(AnswerError) as caught:
        api(host).digest("team/train", "1.0")

    assert f"Registry {host} does not answer." == caught.value.what
    assert caught.value.said == "the connection failed: Connection refused"


def test_a_name_that_is_not_resolved() -> None:
    """It is told from a registry that does not answer by the type of the error; nobody says that there is none."""
    with pytest.raises(AnswerError) as caught:
        api("contoso.invalid").digest("team/train", "1.0")

    message = "Registry contoso.invalid cannot be reached: the name contoso.invalid cannot be resolved."
    assert message == caught.value.what
    assert "Check the name, then this machine's DNS and network." == caught.value.next_step


def test_a_storage_whose_name_is_not_resolved() -> None:
    """A registry may lead to its storage: the name that is not resolved is the one that is said."""
    reply = Reply(status=307, headers={"Location": "http://storage.invalid/blob"})
    with running_registry(lambda _, path, __: Reply() if path == "/v2/" else reply) as (host, _):
        with pytest.raises(AnswerError) as caught:
            api(host).manifest("team/train", "1.0")

        message = f"Registry {host} cannot be reached: the name storage.invalid cannot be resolved."
        assert message == caught.value.what


# Manifests and tags

CONFIG = json.dumps({"created": "2026-01-01T00:00:00Z", "config": {"User": "dockeruser"}}).encode()
CONFIG_DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
LAYER = {"digest": "sha256:1", "size": 100}
IMAGE = Manifest(
    content=json.dumps({"config": {"digest": CONFIG_DIGEST, "size": 10}, "layers": [LAYER, LAYER]}).encode(),
    media_type="application/vnd.oci.image.manifest.v1+json",
)
INDEX = Manifest(content=b'{"manifests": []}', media_type="application/vnd.oci.image.index.v1+json")


def test_what_a_manifest_says() -> None:
    """Its digest is that of its bytes; an index of platforms has neither config nor layers."""
    facts = [(manifest.blobs, manifest.size, manifest.config) for manifest in (IMAGE, INDEX)]

    assert [((CONFIG_DIGEST, "sha256:1"), 210, CONFIG_DIGEST), ((), 0, "")] == facts
    assert f"sha256:{hashlib.sha256(IMAGE.content).hexdigest()}" == IMAGE.digest


def stored(method: str, path: str, _: str) -> Reply:
    """A registry that has one image."""
    replies = {
        f"GET /v2/a/manifests/{IMAGE.digest}": Reply(
            headers={"Content-Type": IMAGE.media_type}, body=IMAGE.content
        ),
        f"GET /v2/a/blobs/{CONFIG_DIGEST}": Reply(body=CONFIG),
        "GET /v2/a/tags/list": json_reply({"tags": ["2", "1"]}),
        "GET /v2/b/tags/list": json_reply({"tags": None}),
        "POST /v2/b/blobs/uploads/?mount=sha256:1&from=a": Reply(status=201),
        f"POST /v2/b/blobs/uploads/?mount={CONFIG_DIGEST}&from=a": Reply(status=201),
        "PUT /v2/b/manifests/1": Reply(status=201, headers={"Docker-Content-Digest": IMAGE.digest}),
        "PUT /v2/c/manifests/1": Reply(status=201, headers={"Docker-Content-Digest": DIGEST}),
        f"DELETE /v2/a/manifests/{IMAGE.digest}": Reply(status=202),
        "GET /v2/": Reply(),
    }
    return replies.get(f"{method} {path}", Reply(status=404))


def test_an_image_is_read() -> None:
    """Manifest, config, time of creation and tags are read; what does not exist is None or empty."""
    with running_registry(stored) as (host, _):
        client = api(host)
        manifest = client.manifest("a", IMAGE.digest)
        answers = (
            manifest,
            client.manifest("a", "none"),
            client.config("a", IMAGE),
            client.config("a", INDEX),
            client.created("a", IMAGE),
            [client.tags(name) for name in ("a", "b", "none")],
        )

    expected: object = (IMAGE, None, {"User": "dockeruser"}, {}, "2026-01-01T00:00:00Z", [["1", "2"], [], []])
    assert expected == answers


def test_another_answer_than_the_digest_names() -> None:
    """Bytes that do not have the requested digest are not those of the registry."""
    with running_registry(lambda *_: Reply(body=b"<html>")) as (host, _):
        with pytest.raises(RegistryError) as caught:
            api(host).manifest("a", IMAGE.digest)

        expected = f"""\
Registry {host} returned sha256:{hashlib.sha256(b"<html>").hexdigest()} for a@{IMAGE.digest}.
    Check the network between this machine and the registry, and run the same command again."""
        assert expected == str(caught.value)


def test_an_image_is_copied_and_deleted() -> None:
    """A copy mounts each blob and puts the manifest; a manifest that does not exist is deleted already."""
    with running_registry(stored) as (host, requests):
        client = api(host)
        digest = client.copy(IMAGE, "a", "b", "1")
        client.delete("a", IMAGE.digest)
        client.delete("a", DIGEST)

    expected = [
        "GET /v2/",
        f"POST /v2/b/blobs/uploads/?mount={CONFIG_DIGEST}&from=a",
        "POST /v2/b/blobs/uploads/?mount=sha256:1&from=a",
        "PUT /v2/b/manifests/1",
        f"DELETE /v2/a/manifests/{IMAGE.digest}",
        f"DELETE /v2/a/manifests/{DIGEST}",
    ]
    assert (IMAGE.digest, expected) == (digest, [f"{method} {path}" for method, path, _ in requests])


def test_a_copy_with_another_digest() -> None:
    """A registry that stores another digest than was sent has not stored the image."""
    with running_registry(stored) as (host, _):
        with pytest.raises(RegistryError) as caught:
            api(host).copy(IMAGE, "c", "c", "1")

        assert f"Registry {host} stored {IMAGE.digest} as another digest, {DIGEST}." == str(caught.value)
