"""Whatever goes wrong between here and Azure has its own words and exit code, and leaves nothing wrong behind."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings

import azureml_tasks
from azureml_tasks.errors import SettingsError
from tests.cases import GOOD, sections
from tests.machine.acr.faults import CutAnswer, CutRequest, Garble, Reply
from tests.machine.acr.scan import build_words, scan
from tests.machine.acr.world import Settings
from tests.real.bench import ENGINE, REGISTRY, Bench, Clock, Meanwhile, Outcome
from tests.test_dockerfile import ONE_HOSTILE, Table

CANDIDATE = "REGISTRY/NAME/candidate@sha256:ID"
BUILT = Outcome(code=0, said=f"{CANDIDATE}\n", runs=("Succeeded",))
PUSHED = Outcome(code=0, said="REGISTRY/NAME@sha256:ID\n", tags=("1.0",))
LATER = "    Run the same command again later.\n"
WAITS = f"The image is still in the registry as {CANDIDATE}. Continue with: invoke image.push --engine acr"
REMOVED = "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID\n"
CHANGED = "warning: files have changed since REGISTRY/NAME:1.0 was built; this command uses what was built\n"
ENDED = "\nRun ID: RUN {} after Ns\n"
"""What the agent says at the end of each log."""
FOLLOW = "invoke image.resume --run RUN --engine acr"


def broken(status: int) -> Reply:
    """An answer that is an error of the server's own, to be asked for again at once."""
    error = {"error": {"code": "Broken", "message": "for a while"}}
    return Reply(status=status, json=error, headers={"retry-after-ms": "1"})


def refused(status: int, code: str, message: str = "Azure's own words") -> Reply:
    """An answer that refuses, as Azure Resource Manager puts it."""
    return Reply(status=status, json={"error": {"code": code, "message": message}})


CALLS = {
    "token": r"POST .*/oauth2/v2.0/token",
    "subscriptions": r"GET /subscriptions\?",
    "registries": r"GET /subscriptions/[^/]+/providers/Microsoft.ContainerRegistry/registries",
    "challenge": r"GET /v2/$",
    "exchange": r"POST /oauth2/exchange",
    "registry token": r"POST /oauth2/token",
    "address": r"POST .*/listBuildSourceUploadUrl",
    "upload": r"PUT /acrtasks/",
    "block": r"PUT /acrtasks/.*comp=block&",
    "block list": r"PUT /acrtasks/.*comp=blocklist",
    "schedule": r"POST .*/scheduleRun",
    "run": r"GET .*/runs/",
    "log address": r"POST .*/listLogSasUrl",
    "log's length": r"HEAD /acrtasks/",
    "log": r"GET /acrtasks/",
    "manifest": r"GET /v2/.*/manifests/",
    "config": r"GET /v2/.*/blobs/",
}
"""Each request of a build."""
PUBLISHING = {
    "candidate": r"GET /v2/.*/candidate/manifests/",
    "mount": r"POST /v2/.*/blobs/uploads/",
    "manifest": r"PUT /v2/.*/manifests/",
    "confirmation": r"GET /v2/[^/]+/manifests/",
    "delete": r"DELETE /v2/.*/manifests/",
}
"""Each request of a push, beside those that a build makes too."""


def in_blocks(bench: Bench, call: str) -> None:
    """Where *call* is about blocks, let the build context be too large for one."""
    if call.startswith("block"):
        (bench.project.folder / "code" / "model.bin").write_bytes(os.urandom(5_000_000))


@pytest.mark.parametrize("call", [call for call in CALLS if call != "schedule"])
def test_a_build_asks_again(bench: Bench, call: str) -> None:
    """Whatever a build asks may fail three times in a row, each time in another way, and costs nothing but time."""
    bench.succeeding()
    in_blocks(bench, call)
    found = [bench.fail(CALLS[call], what) for what in (broken(500), broken(503), CutRequest())]

    assert (BUILT, [1, 1, 1]) == (bench.build(), [fault.hits for fault in found])


@pytest.mark.parametrize("call", PUBLISHING)
def test_a_push_asks_again(bench: Bench, call: str) -> None:
    """Whatever a push asks may fail three times in a row, each time in another way, and costs nothing but time."""
    bench.passed()
    found = [bench.fail(PUBLISHING[call], what) for what in (broken(500), broken(503), CutRequest())]

    expected = (PUSHED, [1, 1, 1], ENGINE + REGISTRY + CHANGED + REMOVED)
    assert expected == (bench.push(), [fault.hits for fault in found], bench.progress)


@pytest.mark.parametrize("status", [429, 503])
def test_a_run_that_was_not_queued_is_asked_for_again(bench: Bench, status: int) -> None:
    """What says that nothing was done lets us ask for the run again; one run is started."""
    bench.succeeding()
    fault = bench.fail(CALLS["schedule"], broken(status), times=3)

    assert (BUILT, 3) == (bench.build(), fault.hits)


AZURE_BROKEN = "Azure refused to {}: HTTP {{status}}.\n" + LATER + "    Azure said: Broken: for a while\n"
REGISTRY_BROKEN = (
    "Registry REGISTRY answers {status}, also after retries.\n"
    + LATER
    + '    the registry said: {{"error": {{"code": "Broken", "message": "for a while"}}}}\n'
)
UPLOAD = """\
The build context could not be uploaded.
    Check the network: the build context is uploaded to a storage account of ACR,
    127.0.0.1:PORT; then run the same command again
    Azure Storage said: {}
Nothing was built."""
NOTHING = "Nothing was built."
UNKNOWN = "A run may have been started; to check: az acr task list-runs --registry loopbackregistry --top 3"
HAS_BUILT = f"Run RUN has built the image. To finish: {FOLLOW}"
FOR_GOOD = {
    "subscriptions": AZURE_BROKEN.format("list your subscriptions") + NOTHING,
    "registries": AZURE_BROKEN.format("list the registries of subscription GUID") + NOTHING,
    "challenge": REGISTRY_BROKEN + NOTHING,
    "exchange": REGISTRY_BROKEN + NOTHING,
    "registry token": REGISTRY_BROKEN + NOTHING,
    "address": AZURE_BROKEN.format("give an upload URL for the build context") + NOTHING,
    "upload": UPLOAD.format("(Broken) for a while"),
    "block": UPLOAD.format("(Broken) for a while"),
    "block list": UPLOAD.format("(Broken) for a while"),
    "schedule": AZURE_BROKEN.format("start the run") + UNKNOWN,
    "manifest": REGISTRY_BROKEN + HAS_BUILT,
    "config": REGISTRY_BROKEN + HAS_BUILT,
}
"""What a build says where a request fails for good."""


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("call", FOR_GOOD)
def test_a_build_gives_up(bench: Bench, call: str, status: int) -> None:
    """A request that fails for good ends a build: exit code 6 if it was to the registry, 7 if it was to Azure."""
    bench.succeeding()
    in_blocks(bench, call)
    bench.fail(CALLS[call], broken(status), times=None)

    runs = ("Succeeded",) if call in {"manifest", "config"} else ()
    code = 6 if FOR_GOOD[call].startswith(REGISTRY_BROKEN) else 7
    assert Outcome(code=code, said=FOR_GOOD[call].format(status=status), runs=runs) == bench.build()


def test_a_run_that_may_have_been_started_is_not_asked_for_again(bench: Bench) -> None:
    """Where the answer was lost, or Azure says no more than that it is broken, a second run might be one too many."""
    fault = bench.fail(CALLS["schedule"], broken(500), times=None)
    bench.build()

    assert 1 == fault.hits


@pytest.mark.parametrize("call", ["manifest", "config"])
def test_what_a_run_has_built_is_taken_up_again(bench: Bench, call: str) -> None:
    """A run that succeeded while its registry did not answer is found again by `image.resume`, and none is started."""
    bench.succeeding()
    bench.fail(CALLS[call], broken(503), times=None)
    failed = bench.build()
    bench.acr.faults.clear()

    assert (6, BUILT) == (failed.code, bench.resume())


STAYS = """\
warning: the candidate image NAME/candidate@sha256:ID was not deleted: Registry REGISTRY answers {status}, \
also after retries.
    az acr repository delete --name loopbackregistry --image NAME/candidate@sha256:ID
"""
NOT_PUSHED = REGISTRY_BROKEN + f"Nothing was pushed. {WAITS}"
UNCONFIRMED = (
    REGISTRY_BROKEN
    + "REGISTRY/NAME:1.0 was pushed, but not confirmed. Continue with: invoke image.push --engine acr"
)
PUSH_FOR_GOOD = {
    "candidate": (6, REGISTRY_BROKEN + "Nothing was pushed.", ()),
    "mount": (6, NOT_PUSHED, ()),
    "manifest": (6, NOT_PUSHED, ()),
    "confirmation": (6, UNCONFIRMED, ("1.0",)),
    "delete": (0, PUSHED.said, ("1.0",)),
}
"""How a push ends where a request fails for good: exit code, message, tags."""


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("call", PUSH_FOR_GOOD)
def test_a_push_gives_up_and_is_continued(bench: Bench, call: str, status: int) -> None:
    """What fails for good says how far a push came, and the next one finishes it; a candidate that stays is named."""
    bench.passed()
    bench.fail(PUBLISHING[call], broken(status), times=None)
    code, said, tags = PUSH_FOR_GOOD[call]
    first, progress = bench.push(), bench.progress
    bench.acr.faults.clear()

    stays = STAYS.format(status=status) if call == "delete" else ""
    expected = Outcome(code=code, said=said.format(status=status), tags=tags)
    assert (expected, ENGINE + REGISTRY + (CHANGED + stays if call != "candidate" else "")) == (
        first,
        progress,
    )
    assert PUSHED == bench.push()


CUT = "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))"
NO_ANSWER = (
    "Azure did not answer the request to {}.\n    Check the network connection, and run the same command again.\n"
    f"    the connection failed: {CUT}\n"
)
NO_REGISTRY = f"Registry REGISTRY does not answer.\n{LATER}    the connection failed: {CUT}\n"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("registries", NO_ANSWER.format("list the registries of subscription GUID") + NOTHING),
        ("address", NO_ANSWER.format("give an upload URL for the build context") + NOTHING),
        ("schedule", NO_ANSWER.format("start the run") + UNKNOWN),
        ("exchange", NO_REGISTRY + NOTHING),
        ("upload", UPLOAD.format(CUT)),
    ],
)
def test_a_connection_is_cut_for_good(bench: Bench, call: str, said: str) -> None:
    """A connection that is cut each time ends a build: exit code 6 if it was to the registry, 7 if it was to Azure."""
    bench.fail(CALLS[call], CutRequest(), times=None)

    assert Outcome(code=6 if call == "exchange" else 7, said=said) == bench.build()


def test_the_storage_account_is_out_of_reach(bench: Bench) -> None:
    """Where storage's host is closed to us, it is named, and the signature of the upload's address is not shown."""
    url = "http://127.0.0.1:9/acrtasks/source.tar.gz?sv=1&sig=c2lnbmF0dXJl"
    bench.fail(CALLS["address"], Reply(status=200, json={"uploadUrl": url, "relativePath": "source"}))
    found = bench.build()

    said = (
        "HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection: "
        "[Errno 111] Connection refused"
    )
    assert Outcome(code=7, said=UPLOAD.format(said)) == found


def test_the_address_of_an_upload_has_expired(bench: Bench) -> None:
    """An upload that storage refuses ends a build with exit code 7, and with storage's words."""
    bench.acr.settings.upload_seconds = -1

    said = (
        "Server failed to authenticate the request. Make sure the value of the Authorization header is formed "
        "correctly including the signature."
    )
    assert Outcome(code=7, said=UPLOAD.format(said)) == bench.build()


@pytest.mark.parametrize("call", ["upload", "block"])
def test_a_bit_of_the_upload_is_turned_over(bench: Bench, call: str) -> None:
    """Storage notices what arrives otherwise than it was sent, also where no TLS would; nothing is built of it."""
    in_blocks(bench, call)
    bench.fail(CALLS[call], Garble(), times=None)

    said = "The MD5 value specified in the request did not match with the MD5 value calculated by the server."
    assert Outcome(code=7, said=UPLOAD.format(said)) == bench.build()


@pytest.mark.parametrize("call", ["upload", "block"])
def test_a_machine_without_md5(bench: Bench, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine in FIPS mode refuses MD5, as OpenSSL does there, the build context is sent all the same."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    bench.succeeding()
    in_blocks(bench, call)
    monkeypatch.setattr(hashlib, "md5", refuse)

    assert BUILT == bench.build()


def test_each_block_is_sent_again(bench: Bench) -> None:
    """Where the connection of every block is cut once, the archive arrives whole all the same."""
    content = os.urandom(9_000_000)
    (bench.project.folder / "code" / "model.bin").write_bytes(content)
    fault = bench.fail(CALLS["block"], CutRequest(after=1_000_000), times=3)
    found = bench.build()

    archive = bench.acr.runs[-1].archive
    assert archive is not None
    assert (BUILT, 3, True) == (found, fault.hits, content in gzip.decompress(archive))


SAID = "azure-identity said:\n"
SIGN_IN = f"""\
You are not signed in to Azure.
    az login
    or, in CI: set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or use a federated credential
    {SAID}{{}}
Nothing was built."""


def identity(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """*outcome* without what azure-identity said, and of that the lines that tell of the one credential."""
    head, _, rest = outcome.said.partition(SAID)
    if not rest:
        return outcome, []
    lines = rest.splitlines()
    kept = [line.strip() for line in lines if "EnvironmentCredential:" in line]
    return Outcome(code=outcome.code, said=f"{head}{SAID}{{}}\n{lines[-1]}", runs=outcome.runs), kept


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
def test_nobody_is_signed_in(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str | None],
    told: str,
) -> None:
    """Without a sign-in that holds, exit code 6 says how to sign in; Azure's own words follow, and no secret."""
    for name, text in variables.items():
        if text is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, text)
    found, lines = identity(bench.build())

    assert Outcome(code=6, said=SIGN_IN) == found
    assert [True] == [re.fullmatch(told, line) is not None for line in lines]
    assert "not-the-secret" not in "".join(bench.seen)


@pytest.mark.parametrize("status", [500, 503])
def test_the_directory_is_broken(bench: Bench, status: int) -> None:
    """Where nobody gives a token, nobody is signed in either: exit code 6, and the directory's status is said."""
    bench.fail(CALLS["token"], broken(status), times=None)
    found, lines = identity(bench.build())

    told = [f"EnvironmentCredential: Authentication failed: HTTP Error: {status}"]
    assert (Outcome(code=6, said=SIGN_IN), told) == (found, lines)


def test_tokens_are_short_lived(bench: Bench) -> None:
    """A token that expires while a run goes on is replaced, and nobody hears of it."""
    bench.acr.settings.token_seconds = 60
    script = bench.acr.next_run(silent=True, status="Succeeded", log="a line\n")
    found = bench.followed(
        Clock([bench.acr.expire_tokens, bench.acr.expire_tokens, ending(bench, script.release)])
    )

    expected = Outcome(code=0, said="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, REGISTRY + "a line\n" + ENDED.format("was successful")) == (found, bench.progress)


def test_a_token_is_revoked(bench: Bench) -> None:
    """A sign-in that holds no more while a run goes on is exit code 6; the run goes on, and how to go on is said."""
    script = bench.acr.next_run(silent=True, status="Succeeded")
    found = bench.followed(Clock([script.reached.wait, bench.acr.expire_tokens]))

    expected = f"""\
Azure refused to give the status of run RUN: the token has expired (401).
    az login
    Azure said: ExpiredAuthenticationToken: The access token expiry UTC time is earlier than current UTC time.
Run RUN continues in ACR. To follow it again: {FOLLOW}"""
    assert Outcome(code=6, said=expected, runs=("Running",)) == found


ROLE = 'Ask for the role "Container Registry Tasks Contributor" on the registry'
CHECK = "Check registry and [tool.azureml-image.acr]"
FREE = "Ask Azure support to allow ACR Tasks in the subscription\n    or build on a Docker engine: --engine docker"


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "why", "fix"),
    [
        (401, "InvalidAuthenticationToken", 6, "the token was rejected (401)", "az login"),
        (
            401,
            "InvalidAuthenticationTokenTenant",
            6,
            "the token is from another tenant (401)",
            "az login --tenant TENANT",
        ),
        (401, "ExpiredAuthenticationToken", 6, "the token has expired (401)", "az login"),
        (401, "AuthenticationFailed", 6, "you are not signed in (401)", "az login"),
        (403, "AuthorizationFailed", 6, "your identity lacks the permission (403)", ROLE),
        (
            403,
            "LinkedAuthorizationFailed",
            6,
            "your identity lacks a permission on a linked resource (403)",
            ROLE,
        ),
        (
            403,
            "TasksOperationsNotAllowed",
            6,
            "the subscription may not use ACR Tasks, for example because it runs on free credits (403)",
            FREE,
        ),
        (403, "RequestDisallowedByPolicy", 6, "not permitted (403)", ROLE),
        (
            404,
            "SubscriptionNotFound",
            6,
            "the subscription does not exist (404)",
            "az account list --output table",
        ),
        (
            404,
            "ResourceGroupNotFound",
            6,
            "the resource group does not exist (404)",
            "Check resource-group in [tool.azureml-image.acr]",
        ),
        (404, "ResourceNotFound", 6, "not found (404)", CHECK),
        (404, "NotFound", 6, "not found (404)", CHECK),
        (
            404,
            "AgentPoolNotFound",
            7,
            "the agent pool does not exist",
            "Check agent-pool in [tool.azureml-image.acr]",
        ),
        (409, "Conflict", 7, "another operation is in progress (409)", LATER.strip()),
        (409, "RegistryBusy", 7, "another operation is in progress (409)", LATER.strip()),
        (429, "TooManyRequests", 7, "too many requests (429)", LATER.strip()),
        (400, "InvalidRequest", 7, "HTTP 400", LATER.strip()),
    ],
)
def test_azure_refuses(bench: Bench, status: int, code: str, exit_code: int, why: str, fix: str) -> None:
    """Each refusal that is known has its own words and next step, and any other those of its status."""
    bench.fail(
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
    said = f"{refused_run}\nNothing was built."
    assert Outcome(code=exit_code, said=said) == bench.build()


def test_what_the_caller_may_not_do(bench: Bench) -> None:
    """A role that lacks an action is told apart by that action, before anything is sent."""
    bench.acr.settings.denied = {"Microsoft.ContainerRegistry/registries/listBuildSourceUploadUrl/action"}
    found = bench.build()

    expected = f"""\
Azure refused to give an upload URL for the build context: your identity lacks the permission (403).
    {ROLE}
    Azure said: AuthorizationFailed: The client 'GUID' with object id 'GUID' does not have authorization to \
perform action 'Microsoft.ContainerRegistry/registries/listBuildSourceUploadUrl/action' over scope \
'/subscriptions/GUID/resourceGroups/ml-team/providers/Microsoft.ContainerRegistry/registries/loopbackregistry' \
or the scope is invalid. If access was recently granted, please refresh your credentials.
Nothing was built."""
    assert Outcome(code=6, said=expected) == found
    assert [] == [one for one in bench.acr.requests if one.front == "storage"]


def test_free_subscriptions_may_not_run_tasks(bench: Bench) -> None:
    """A subscription without tasks is told the way that is left: to build here."""
    bench.acr.settings.tasks_allowed = False

    expected = f"""\
Azure refused to give an upload URL for the build context: the subscription may not use ACR Tasks, \
for example because it runs on free credits (403).
    {FREE}
    Azure said: TasksOperationsNotAllowed: ACR Tasks requests for the registry loopbackregistry and GUID are not \
permitted. Please file an Azure support request at https://aka.ms/azuresupport for assistance.
Nothing was built."""
    assert Outcome(code=6, said=expected) == bench.build()


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
    ("old", "new", "said"),
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
def test_the_registry_is_not_there(bench: Bench, old: str, new: str, said: str) -> None:
    """A registry, a subscription or a resource group that Azure does not know is exit code 6."""
    table = bench.project.folder / "pyproject.toml"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    assert Outcome(code=6, said=said) == bench.build()


def test_nothing_is_listed_at_all(bench: Bench) -> None:
    """Where not even subscriptions can be listed, as at a host that is none of Azure's, exit code 6 says so."""
    bench.fail(CALLS["subscriptions"], refused(404, "NotFound"), times=None)

    said = f"""\
Azure refused to list your subscriptions: not found (404).
    {CHECK}
    Azure said: NotFound: Azure's own words
Nothing was built."""
    assert Outcome(code=6, said=said) == bench.build()


@pytest.mark.parametrize("call", ["registries", "address", "run", "manifest", "schedule"])
def test_azure_says_when_to_ask_again(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """After a 429 with Retry-After we wait for just as long, and ask again."""
    bench.succeeding()
    monkeypatch.setattr(time, "sleep", bench.pauses.append)
    bench.fail(CALLS[call], Reply(status=429, headers={"Retry-After": "7"}))

    assert (BUILT, [7.0]) == (bench.build(), bench.pauses)


def ending(bench: Bench, release: Callable[[], None]) -> Callable[[], None]:
    """What lets a run that waits go on to its end."""

    def to_its_end() -> None:
        release()
        bench.acr.runs[-1].done.wait()

    return to_its_end


def test_nobody_says_how_a_run_is(bench: Bench) -> None:
    """Where Azure says for five minutes not how a run is, exit code 7 says how to come back to it; it goes on."""
    script = bench.acr.next_run(silent=True, status="Succeeded")
    bench.fail(CALLS["run"], broken(500), times=None)
    clock = Clock([script.reached.wait])
    found = bench.followed(clock)

    said = (
        AZURE_BROKEN.format("give the status of run RUN").format(status=500)
        + f"Run RUN continues in ACR. To follow it again: {FOLLOW}"
    )
    assert (Outcome(code=7, said=said, runs=("Running",)), True) == (found, 300 <= clock.now < 310)
    again = "Azure refused to give the status of run RUN: HTTP 500. The run continues; retrying."
    assert {again} == set(bench.progress.removeprefix(REGISTRY).splitlines())


FAULT = "cannot read the log, retrying: {}\n"


def test_a_log_that_is_cut_is_read_on(bench: Bench) -> None:
    """Where a log's connection is cut again and again, no line is lost and none comes twice."""
    lines = "".join(f"line {number}\n" for number in range(20_000))
    script = bench.acr.next_run(silent=True, status="Succeeded", log=lines)
    faults = [bench.fail(CALLS["log"], CutAnswer(after=after)) for after in (1, 1_000, 100_000)]
    found = bench.followed(Clock([ending(bench, script.release)]))

    expected = Outcome(code=0, said="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, [1, 1, 1]) == (found, [fault.hits for fault in faults])
    shown = re.sub(rf"(?m)^{re.escape(FAULT.partition('{')[0])}.*\n", "", bench.progress)
    assert REGISTRY + lines + ENDED.format("was successful") == shown


def test_the_address_of_a_log_expires(bench: Bench) -> None:
    """A log whose address has expired is read on by a fresh one."""
    bench.acr.settings.log_seconds = -1
    script = bench.acr.next_run(silent=True, status="Succeeded", log="a line\n")

    def renew() -> None:
        script.reached.wait()
        bench.acr.settings.log_seconds = 3600

    found = bench.followed(Clock([script.reached.wait, renew, ending(bench, script.release)]))

    said = "Operation returned an invalid status 'Forbidden'"
    assert Outcome(code=0, said="Succeeded, complete\n", runs=("Succeeded",)) == found
    assert REGISTRY + FAULT.format(said) + "a line\n" + ENDED.format("was successful") == bench.progress


def test_a_log_that_is_silent_for_long(bench: Bench) -> None:
    """A run that says nothing for longer than it may wait in the queue is waited for as long as it goes on."""
    script = bench.acr.next_run(silent=True, status="Succeeded", log="at last\n")
    clock = Clock([script.reached.wait])
    clock.then += [lambda: clock.sleep(4_000), lambda: None, lambda: None, ending(bench, script.release)]
    found = bench.followed(clock, timeout=300)

    expected = Outcome(code=0, said="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, REGISTRY + "at last\n" + ENDED.format("was successful")) == (found, bench.progress)


def test_a_log_that_cannot_be_read(bench: Bench) -> None:
    """Where a log is never given, a run's status is what counts, and a warning says so."""
    script = bench.acr.next_run(silent=True, status="Failed", log="never seen\n")
    bench.fail(CALLS["log's length"], broken(503), times=None)
    found = bench.followed(Clock([script.reached.wait, ending(bench, script.release)]))

    warning = "warning: the end of the log of run RUN could not be read; the result follows from its status\n"
    expected = Outcome(code=0, said="Failed, incomplete\n", runs=("Failed",))
    assert (expected, REGISTRY + FAULT.format("Service Unavailable") + warning) == (found, bench.progress)


def test_a_run_that_stays_in_the_queue(bench: Bench) -> None:
    """A run that no agent takes within `timeout` is cancelled: exit code 7."""
    bench.acr.next_run(queued=True)
    clock = Clock()
    clock.then = [lambda: clock.sleep(301)]
    found = bench.followed(clock, timeout=300)

    said = """\
Run RUN stayed in the queue for 300 s and was cancelled.
    Run the same command again later, or increase timeout in [tool.azureml-image.acr]
    or use a dedicated agent pool: agent-pool = "…" in [tool.azureml-image.acr]"""
    assert Outcome(code=7, said=said, runs=("Canceled",)) == found
    assert REGISTRY + "cancelling run RUN\nrun RUN ended: Canceled\n" == bench.progress


@pytest.mark.parametrize(
    ("times", "status", "said"),
    [
        (3, "Canceled", "run RUN ended: Canceled"),
        (None, "Running", "run RUN was cancelled, but has not ended yet"),
    ],
)
def test_the_end_of_a_run_is_asked_for_again(
    bench: Bench,
    times: int | None,
    status: str,
    said: str,
) -> None:
    """A run that a person stops ends, also where Azure is broken for a moment; where it stays so, that is said."""
    bench.acr.next_run(silent=True, status="Succeeded")
    bench.fail(r"POST .*/cancel", broken(500), times=times)
    found = bench.cancelled(Clock())

    expected = Outcome(code=0, said=f"{status}\n", runs=(status,))
    assert (expected, f"{REGISTRY}cancelling run RUN\n{said}\n") == (found, bench.progress)


STEP = """\
2026/01/01 00:00:00 Launching container with name: build
Step 1/2 : FROM azureml-stand-in/tiny:1
 ---> a8401af9bef5
Step 2/2 : RUN ["/bin/sh","-c","exit 3"]
 ---> Running in c45958d236b5
what the step printed
The command '/bin/sh -c exit 3' returned a non-zero code: 3
2026/01/01 00:00:00 Container failed during run: build. No retries remaining.
failed to run step ID: build: exit status 3
"""
STEP_FAILED = """\
A build step failed in run RUN: RUN ["/bin/sh","-c","exit 3"]
    Its last lines say why:
    what the step printed
    The command '/bin/sh -c exit 3' returned a non-zero code: 3"""
DENIED = "denied: requested access to the resource is denied"
NETWORK = (
    "failed to login, ran out of retries: failed to set docker credentials: Error response from daemon: Get "
    "\"https://contoso.azurecr.io/v2/\": denied: client with IP '20.0.0.1' is not allowed access."
)
REGISTRY_RULE = """\
Run RUN failed: the agents of ACR Tasks are outside the registry's network.
    Use a dedicated agent pool inside it: agent-pool = "…"
    or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry
    its log says: """
CREDENTIAL = "when specifying push, at least one credential is required"
MAY_NOT_PUSH = f"""\
Run RUN failed: the run may not push.
    Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"
    its log says: {DENIED}"""


WHY, AFTER = "    Its last lines say why:\n", "    \n    Run ID: RUN failed after Ns"
ENDS = {
    "canceled": (
        "Canceled",
        None,
        "",
        7,
        "Run RUN was cancelled by someone else.\n    Run the same command again.",
    ),
    "timeout": (
        "Timeout",
        "timed out",
        "",
        7,
        """\
Run RUN exceeded its timeout.
    Increase timeout in [tool.azureml-image.acr], for example: timeout = 7200
    ACR said: timed out""",
    ),
    "error": (
        "Error",
        "no agent",
        "",
        7,
        "Run RUN ended with an internal error of ACR.\n    Run the same command again.\n    ACR said: no agent",
    ),
    "step": ("Failed", None, STEP, 4, STEP_FAILED),
    "network": ("Failed", None, f"{NETWORK}\n", 6, REGISTRY_RULE + NETWORK),
    "credential": (
        "Failed",
        None,
        f"{CREDENTIAL}\n",
        6,
        f"""\
Run RUN failed: the registry grants permissions by repository, and the run pushes as you.
    Ask for the role "Container Registry Repository Writer" on the registry
    its log says: {CREDENTIAL}""",
    ),
    "denied": ("Failed", None, f"{DENIED}\n", 6, MAY_NOT_PUSH),
    "source": (
        "Failed",
        None,
        "failed to download source: 403\n",
        7,
        """\
Run RUN failed: the agent could not unpack the build context.
    Run the same command again.
    its log says: failed to download source: 403""",
    ),
    "disk": (
        "Failed",
        None,
        "write /var: no space left on device\n",
        7,
        """\
Run RUN failed: the agent's disk is full.
    Use a dedicated agent pool with a larger disk: agent-pool = "…"
    its log says: write /var: no space left on device""",
    ),
    "scan": (
        "Failed",
        None,
        "unable to understand line from x\n",
        4,
        f"ACR rejects the Dockerfile (run RUN).\n{WHY}    unable to understand line from x\n{AFTER}",
    ),
    "unknown": (
        "Failed",
        "of no known kind",
        "what nobody knows\n",
        7,
        f"Run RUN failed.\n{WHY}    what nobody knows\n{AFTER}. Error: of no known kind",
    ),
}
"""How runs end: status, error, log, and what becomes of it: exit code, message."""


@pytest.mark.parametrize("end", ENDS)
def test_a_run_ends_badly(bench: Bench, end: str) -> None:
    """Each way in which a run can end without an image has its own words, and exit code 4, 6 or 7."""
    status, error, log, code, said = ENDS[end]
    bench.acr.next_run(status=status, error=error, log=log)

    assert Outcome(code=code, said=f"{said}\nNothing was built.", runs=(status,)) == bench.build()
    assert [".gitignore"] == bench.project.records()


def test_a_run_succeeds_without_an_image(bench: Bench) -> None:
    """A run that names no image is no success: exit code 7."""
    bench.acr.next_run(status="Succeeded")

    said = """\
Run RUN succeeded, but ACR names no image that it pushed to NAME/candidate.
    Run the same command again.
Nothing was built."""
    assert Outcome(code=7, said=said, runs=("Succeeded",)) == bench.build()


def test_a_run_names_an_image_that_is_not_there(bench: Bench) -> None:
    """An image that the registry does not have is no success, whatever the run says: exit code 4."""
    bench.succeeding(f"sha256:{'0' * 64}")

    said = """\
Run RUN reports that it pushed sha256:ID, but the registry does not have it.
    invoke image.build --engine acr
Nothing was built."""
    assert Outcome(code=4, said=said, runs=("Succeeded",)) == bench.build()


def test_a_run_may_not_push(bench: Bench) -> None:
    """A run whose registry does not let it push is exit code 6, in the words of its log."""
    bench.acr.settings.run_actions = {"*": frozenset({"pull"})}

    assert Outcome(code=6, said=f"{MAY_NOT_PUSH}\nNothing was built.", runs=("Failed",)) == bench.build()


def test_a_candidate_of_that_run_is_there_already(bench: Bench) -> None:
    """Where a registry counts its runs anew, an older candidate has the run's tag; what the run built counts."""
    run = len(bench.acr.runs) + 1
    older = bench.put(f"ca{run}")
    found = bench.build()

    assert BUILT == found
    assert [True, False] == [
        bench.project.record("build.json")["id"] == digest
        for digest in (bench.acr.tags(bench.candidates)[f"ca{run}"], older)
    ]


def test_publishing_is_refused(bench: Bench) -> None:
    """Who may not push gets exit code 6, and the way to go on from the candidate, which then works."""
    bench.passed()
    bench.acr.settings.caller_actions = {"*": frozenset({"pull", "delete"})}
    found = bench.push()
    bench.acr.settings.set_to(Settings())

    said = f"""\
Registry REGISTRY refused to mount a layer of NAME/candidate in NAME: not allowed (401).
    Ask for the role AcrPush, or "Container Registry Repository Writer", on the registry
    the registry said: …
Nothing was pushed. {WAITS}"""
    shown = re.sub(r"(the registry said: ).*", r"\1…", found.said)
    assert (Outcome(code=6, said=said), PUSHED) == (
        Outcome(code=found.code, said=shown, tags=found.tags),
        bench.push(),
    )


def test_the_second_tag_fails(bench: Bench) -> None:
    """Which tags were pushed and which were not is said, and the next push goes on from there."""
    bench.passed("1.0", "latest")
    bench.fail(r"PUT /v2/.*/manifests/latest", broken(503), times=None)
    found = bench.push()
    bench.acr.faults.clear()

    said = REGISTRY_BROKEN.format(status=503) + f"Pushed: 1.0. {WAITS}"
    assert Outcome(code=6, said=said, tags=("1.0",)) == found
    assert Outcome(code=0, said=PUSHED.said, tags=("1.0", "latest")) == bench.push()


def test_tokens_of_the_registry_expire(bench: Bench) -> None:
    """A token of the registry's that expires in the middle of a push is replaced."""
    bench.passed("1.0", "latest")
    bench.acr.settings.token_seconds = 60
    fault = bench.fail(r"PUT /v2/.*/manifests/1.0", Meanwhile(bench.acr.expire_tokens))

    expected = Outcome(code=0, said=PUSHED.said, tags=("1.0", "latest"))
    assert (expected, 1) == (bench.push(), fault.hits)
    names = [one.path.rpartition("/")[2] for one in bench.acr.requests if one.method == "PUT"]
    assert ["1.0", "1.0", "latest"] == names


def test_somebody_else_takes_the_tag(bench: Bench) -> None:
    """A tag that names another image right after our push is no success: exit code 6."""
    bench.passed()
    bench.fail(PUBLISHING["confirmation"], Reply(status=200, body=b"{}"))

    said = """\
REGISTRY/NAME:1.0 is sha256:ID, not sha256:ID: someone else pushed this tag at the same time.
    Push again, or use another tag: --tag
The image is in the registry as NAME@sha256:ID; the tag names another one."""
    assert Outcome(code=6, said=said, tags=("1.0",)) == bench.push()


def test_a_list_goes_on_at_another_host(bench: Bench) -> None:
    """The next page of a list is asked for at Azure's own host and at no other."""
    link = f"{bench.acr.directory}/subscriptions"
    bench.fail(CALLS["subscriptions"], Reply(status=200, json={"value": [], "nextLink": link}))

    said = """\
Azure's answer to the request to list your subscriptions continues on another host.
    No token was sent there. Check the network between this machine and Azure.
    its next page is on 127.0.0.1:PORT, not on 127.0.0.1:PORT
Nothing was built."""
    assert Outcome(code=7, said=said) == bench.build()
    assert [] == [one for one in bench.acr.requests if one.front == "aad" and one.path == "/subscriptions"]


def test_a_challenge_names_another_host(bench: Bench) -> None:
    """Where a registry wants tokens to be sent elsewhere, none is sent at all."""
    elsewhere = 'Bearer realm="http://127.0.0.1:9/oauth2/token",service="REGISTRY"'
    bench.fail(CALLS["challenge"], Reply(status=401, headers={"WWW-Authenticate": elsewhere}))

    said = """\
Registry REGISTRY names another address for sign-in: http://127.0.0.1:PORT/oauth2/token.
    No credentials were sent. Check the network between this machine and the registry.
Nothing was built."""
    assert Outcome(code=6, said=said) == bench.build()
    assert [("GET", "/v2/", False)] == [
        (one.method, one.path, one.bearer) for one in bench.acr.requests if one.front == "registry"
    ]


def test_a_registry_that_is_none_of_azures(bench: Bench) -> None:
    """A registry that wants a name and a password is no Azure container registry: exit code 6."""
    bench.fail(CALLS["challenge"], Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}))

    said = """\
Registry REGISTRY does not accept a sign-in of Azure.
    Check registry: it must be an Azure container registry.
Nothing was built."""
    assert Outcome(code=6, said=said) == bench.build()


def test_a_blob_is_elsewhere(bench: Bench) -> None:
    """A blob is followed to the host that the registry names for it, and the token stays behind."""
    bench.succeeding()
    bench.fail(CALLS["config"], Reply(status=307, headers={"Location": f"{bench.acr.identity}/elsewhere"}))
    bench.fail(r"GET /elsewhere$", Reply(status=200, body=bench.config))

    assert BUILT == bench.build()
    assert [("/elsewhere", False)] == [
        (one.path, one.bearer) for one in bench.acr.requests if one.front == "identity"
    ]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_azure_is_elsewhere(bench: Bench, status: int) -> None:
    """What is sent to Azure is sent to no other host, whatever its answer says."""
    where = f"{bench.acr.directory}/elsewhere"
    bench.fail(CALLS["schedule"], Reply(status=status, headers={"Location": where}), times=None)

    said = f"Azure refused to start the run: HTTP {status}.\n{LATER}Nothing was built."
    assert Outcome(code=7, said=said) == bench.build()
    assert [] == [one for one in bench.acr.requests if one.path == "/elsewhere"]


@pytest.mark.parametrize("call", ["exchange", "registry token"])
def test_a_sign_in_is_elsewhere(bench: Bench, call: str) -> None:
    """What signs in to a registry is sent to no other host, whatever its answer says."""
    bench.fail(CALLS[call], Reply(status=307, headers={"Location": f"{bench.acr.identity}/elsewhere"}))

    said = f"""\
Registry REGISTRY refused the sign-in (307).
    az acr login --name {bench.acr.name}
    It needs the role AcrPull or AcrPush, or a repository role, on the registry.
Nothing was built."""
    assert Outcome(code=6, said=said) == bench.build()
    assert [] == [one for one in bench.acr.requests if one.path == "/elsewhere"]


HTML = Reply(status=200, body=b"<html>sign in to this network</html>", headers={"Content-Type": "text/html"})
NO_JSON = NO_ANSWER.replace(CUT, "Expecting value: line 1 column 1 (char 0)")


BETWEEN = "    Check the network between this machine and the registry, and run the same command again.\n"
NOT_JSON = {
    "subscriptions": NO_JSON.format("list your subscriptions") + NOTHING,
    "address": NO_JSON.format("give an upload URL for the build context") + NOTHING,
    "schedule": NO_JSON.format("start the run") + UNKNOWN,
    "exchange": f"Registry REGISTRY answered a sign-in with something that is not JSON.\n{BETWEEN}{NOTHING}",
    "manifest": f"Registry REGISTRY returned sha256:ID for NAME/candidate@sha256:ID.\n{BETWEEN}{HAS_BUILT}",
    "config": f"Registry REGISTRY returned sha256:ID for the config of NAME/candidate.\n{BETWEEN}{HAS_BUILT}",
}
"""What a build says where a request is answered by something else."""


@pytest.mark.parametrize("call", NOT_JSON)
def test_something_else_answers(bench: Bench, call: str) -> None:
    """A page of a proxy is not taken for an answer: exit code 6 if it is for the registry, 7 if it is for Azure."""
    bench.succeeding()
    bench.fail(CALLS[call], HTML, times=None)
    runs = ("Succeeded",) if call in {"manifest", "config"} else ()

    code = 6 if call in {"exchange", "manifest", "config"} else 7
    assert Outcome(code=code, said=NOT_JSON[call], runs=runs) == bench.build()


def test_an_answer_that_says_nothing(bench: Bench) -> None:
    """An answer without what was asked for is none."""
    bench.fail(CALLS["address"], Reply(status=200, json=["nothing"]))

    said = "Azure gave no upload URL for the build context.\nNothing was built."
    assert Outcome(code=7, said=said) == bench.build()


@pytest.mark.parametrize("missing", ["azure.core", "azure.identity", "azure.storage.blob"])
def test_the_libraries_are_not_installed(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    """Where one of Microsoft's libraries is missing, exit code 3 gives the line that installs them."""
    monkeypatch.setitem(sys.modules, missing, None)

    said = f"""\
--engine acr needs a library that is not installed: {missing}.
    pip install azure-core azure-identity azure-storage-blob
Nothing was built."""
    assert Outcome(code=3, said=said) == bench.build()


@pytest.mark.parametrize("variable", ["AZURE_AUTHORITY_HOST", "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"])
@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9", "https://me@contoso.example", "https://contoso.example/path"]
)
def test_an_address_that_is_none(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
) -> None:
    """A variable that names no https address is exit code 2, and nobody is asked for anything."""
    monkeypatch.setenv(variable, text)
    found = bench.build()

    assert (2, []) == (found.code, bench.acr.requests)
    said = f'{variable}: "{text}" is not an https URL of a host\n    unset {variable}\n\n1 problem; nothing was built.'
    assert bench.normal(said) == found.said


def hidden(folder: Path) -> str:
    """A folder in which Python finds, before all others, that nothing of Microsoft's is installed."""
    (folder / "azure").mkdir()
    (folder / "azure" / "__init__.py").write_text("", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("code", [2, 3, 4, 6, 7])
def test_as_a_person_runs_it(bench: Bench, tmp_path: Path, code: int) -> None:
    """`invoke` ends with the exit code of each kind of fault, and with its words; no traceback, no result."""
    variables = {
        2: {"INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER": "http://127.0.0.1:9"},
        3: {"PYTHONPATH": hidden(tmp_path)},
        6: {"AZURE_CLIENT_SECRET": "not-the-secret"},
    }
    if code == 4:
        bench.acr.next_run(status="Failed", log=STEP)
    if code == 7:
        bench.fail(CALLS["schedule"], broken(429), times=None)
    found, _ = identity(bench.invoke("image.build", "--engine", "acr", env=variables.get(code)))

    said = {
        2: 'INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER: "http://127.0.0.1:PORT" is not an https URL of a host\n'
        "    unset INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER\n\n1 problem; nothing was built.",
        3: "--engine acr needs a library that is not installed: azure.core.\n"
        "    pip install azure-core azure-identity azure-storage-blob\nNothing was built.",
        4: f"{STEP_FAILED}\nNothing was built.",
        6: SIGN_IN,
        7: "Azure refused to start the run: too many requests (429).\n"
        f"{LATER}    Azure said: Broken: for a while\nNothing was built.",
    }
    assert Outcome(code=code, said=said[code], runs=("Failed",) if code == 4 else ()) == found
    assert "not-the-secret" not in "".join(bench.seen)


WORDS = build_words("-f Dockerfile -t REGISTRY/NAME:1 --platform linux/amd64 --build-arg CONTEXT_SHA256=0 .")


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_the_cases_pass_the_agents_scan(case: Path) -> None:
    """What is rendered passes the look that ACR's agent takes at it before any build, so that none is refused there."""
    text = sections(case)["Dockerfile"]

    assert [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")] == scan(text, WORDS)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=ONE_HOSTILE)
def test_no_value_is_refused_by_the_agents_scan(table: Table, code_project: Path) -> None:
    """Whatever is in a table that we take, ACR's agent understands the Dockerfile, and sees our base and no other."""
    (code_project / "pyproject.toml").write_text(table.toml(), encoding="utf-8", newline="")
    try:
        loaded = azureml_tasks.load(code_project)
    except SettingsError:
        reject()

    found = scan(azureml_tasks.render(azureml_tasks.plan(loaded)), WORDS)
    assert [str(loaded.facts.base)] == found
