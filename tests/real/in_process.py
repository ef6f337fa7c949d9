"""A project whose remote build runs in this process, so that a test sees its error and never waits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.pipeline.transport import HttpTransport
from urllib3.util import Retry

from azureml_tasks import signals
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline
from azureml_tasks.commands.resume import resume
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.settings import Acr as Table
from azureml_tasks.engines.acr.run_follower import RunFollower
from azureml_tasks.engines.acr.session import open_session
from azureml_tasks.engines.acr.tasks_api import Run, RunRequest
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.project.load import load
from azureml_tasks.smoke.event_lines import EventCollector
from tests.machine.acr.azure_state import SECRET
from tests.machine.acr.faults import Effect, Fault, Hold
from tests.machine.acr.loopback import Acr
from tests.real.remote_output import SECONDS
from tests.real.remote_projects import RemoteProjects
from tests.real.support import Consumer, Ended, normal

__all__ = [
    "ENGINE",
    "REGISTRY",
    "Clock",
    "InProcess",
    "Meanwhile",
    "Outcome",
    "in_process_fixture",
    "pauses",
    "put_image",
]

ENGINE = "Azure Container Registry REGISTRY (AzureCloud); smoke test on the local engine at ENGINE\n"
"""The first line of every command."""
REGISTRY = (
    "registry REGISTRY: /subscriptions/GUID/resourceGroups/ml-team/providers"
    "/Microsoft.ContainerRegistry/registries/loopbackregistry\n"
)
"""The line about the registry."""
_UNSTABLE = (
    (r"\bca\d+\b", "RUN"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\d+ s running", "N s running"),
    (r"after \d+s\b", "after Ns"),
    (r"\bkept-[0-9a-f]{16}\b", "KEPT"),
)
_SECRETS = rf"eyJ[\w-]+\.[\w.-]+|sig=[^&\s]+|{SECRET}"
"""Tokens, signatures of Azure Storage, and the client secret."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended.

    Args:
        code: its exit code; 0 where it did what it shall.
        message: its whole message, or else its results.
        tags: of the image's final repository.
        runs: how the runs are that it asked for.
    """

    code: int
    message: str
    tags: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


class UntilEnded(Hold):
    """Delays an answer until the last run has ended, so that nothing polls twice."""

    def __init__(self, acr: Acr) -> None:
        super().__init__()
        self._acr = acr

    def wait(self) -> None:
        """Wait."""
        self._acr.runs[-1].done.wait(SECONDS)


class Meanwhile(Hold):
    """Does something before the answer."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def wait(self) -> None:
        """Do it."""
        self._then()


@dataclass
class Clock:
    """Seconds that pass only while somebody sleeps.

    Args:
        then: what happens meanwhile, one after the other; nothing more after the last.
    """

    then: list[Callable[[], object]] = field(default_factory=list)
    now: float = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds
        if self.then:
            self.then.pop(0)()


@dataclass(kw_only=True)
class InProcess:
    """One project and its way to the loopback and back.

    Args:
        acr: the loopback.
        project: the project that it builds.
        capsys: what is printed.
        before: how many runs there were before the test.
        pauses: the seconds that Microsoft's libraries would have waited.
        output: everything that was printed.
        progress: what the last command said meanwhile.
    """

    acr: Acr
    project: Consumer
    capsys: pytest.CaptureFixture[str]
    before: int
    pauses: list[float]
    output: list[str] = field(default_factory=list)
    progress: str = ""

    @property
    def name(self) -> str:
        """Name of the repository."""
        return self.project.folder.name

    @property
    def candidates(self) -> str:
        """The repository of its candidates."""
        return f"{self.name}/candidate"

    @property
    def job(self) -> RunContext:
        """The context of a command."""
        return RunContext(folder=self.project.folder, overrides={}, engine="acr", reporter=Console())

    @property
    def config(self) -> bytes:
        """The config of the image that `put` pushes."""
        return json.dumps({"config": {"User": "dockeruser"}, "of": self.candidates}).encode()

    def fail(self, where: str, effect: Effect, *, times: int | None = 1) -> Fault:
        """Inject a fault; see `Faults.add`."""
        return self.acr.faults.add(where, effect, times=times)

    def build(self) -> Outcome:
        """Run `image.build`."""
        return self.ended(lambda: pipeline.build(self.job, no_cache=False, pull=False)[0].candidate)

    def resume(self) -> Outcome:
        """Run `image.resume`."""
        return self.ended(lambda: resume(self.job, "")[0].candidate)

    def push(self) -> Outcome:
        """Run `image.push`."""
        return self.ended(lambda: pipeline.push(self.job, untested=False)[0].image)

    def ended(self, command: Callable[[], str]) -> Outcome:
        """Run *command*, which returns its result, to its end."""
        self.acr.faults.add(r"GET .*/runs/[^/]+", UntilEnded(self.acr), times=None)
        return self._outcome(command)

    def _outcome(self, command: Callable[[], str]) -> Outcome:
        code = 0
        try:
            message = command() + "\n"
        except AzuremlTasksError as error:
            code, message = error.exit_code, str(error)
        printed = self.capsys.readouterr()
        self.output += [message, printed.out, printed.err]
        self.progress = self.normal(printed.err)
        return self._now(code, message)

    def invoke(self, *arguments: str, env: dict[str, str] | None = None) -> Outcome:
        """Run `invoke` as a process; the message of a failure is the last paragraph of stderr."""
        ended: Ended = self.project.invoke(*arguments, env=env)
        self.output += [ended.stdout, ended.stderr]
        self.progress = self.normal(ended.stderr)
        lines = ended.stderr.splitlines(keepends=True)
        heads = [at for at, line in enumerate(lines) if line[0] not in " \n" and at < len(lines) - 1]
        message = "".join(lines[heads[-1] if heads else 0 :]).removesuffix("\n")
        return self._now(ended.code, message if ended.code else ended.stdout)

    def _now(self, code: int, message: str) -> Outcome:
        tags = tuple(self.normal(tag) for tag in sorted(self.acr.tags(self.name)))
        return Outcome(code=code, message=self.normal(message), tags=tags, runs=self.runs())

    def runs(self) -> tuple[str, ...]:
        """The statuses of the runs of this test."""
        return tuple(run.status for run in self.acr.runs[self.before :])

    def normal(self, text: str) -> str:
        """Return *text* without what differs from run to run."""
        names = {
            self.acr.login_server: "REGISTRY",
            self.project.env["DOCKER_HOST"]: "ENGINE",
            self.name: "NAME",
        }
        text = normal(text, names)
        for pattern, word in _UNSTABLE:
            text = re.sub(pattern, word, text)
        return text

    def put(self, tag: str = "ca0", config: bytes = b"") -> str:
        """Push a candidate, as a run does, and return its digest; *config* is by default `config`."""
        return put_image(self.acr, self.candidates, tag, config or self.config)

    def succeeding(self, digest: str = "") -> str:
        """Let the next run report that it pushed *digest*; by default that of a candidate in the registry."""
        digest = digest or self.put()
        named = {"registry": self.acr.login_server, "repository": self.candidates, "tag": "ca0"}
        self.acr.next_run(status="Succeeded", output_images=[{**named, "digest": digest}])
        return digest

    def passed(self, *tags: str) -> None:
        """Write the records of a successful build and smoke test."""
        digest, records = self.put(), self.job.records
        plan = load(self.project.folder, {}).facts
        image = BuiltImage(
            id=digest,
            names=tuple(f"{self.acr.login_server}/{self.name}:{tag}" for tag in tags or ("1.0",)),
            engine="acr",
            context_sha256="0" * 64,  # of other files
            candidate=f"{self.acr.login_server}/{self.candidates}@{digest}",
            run="ca0",
        )
        records.write_build(image)
        records.write_pass(image, plan.smoke_test.sha256, {"passed": True})

    def followed(self, clock: Clock, *, timeout: float = 3600) -> Outcome:
        """Start a run and follow it; the result is its status and whether its log is complete."""

        def follow() -> str:
            follower, run = self._started(clock, timeout)
            run, log = follower.follow(run, EventCollector())
            return f"{run.status}, {'complete' if log.complete else 'incomplete'}"

        return self._outcome(follow)

    def cancelled(self, clock: Clock) -> Outcome:
        """Start a run and cancel it when it is running; the result is its status."""

        def cancel() -> str:
            follower, run = self._started(clock, 3600)
            assert self.acr.runs[-1].script.reached.wait(SECONDS)
            return follower.cancel(run).status

        return self._outcome(cancel)

    def _started(self, clock: Clock, timeout: float) -> tuple[RunFollower, Run]:
        """Start a run; return its follower and its state."""
        reporter = self.job.reporter
        tasks = open_session(Table(), self.acr.login_server, reporter).tasks
        request = RunRequest(acr=Table(), platform="linux/amd64", source="nowhere", abac=False)
        run = tasks.start(request.quick_build(f"{self.candidates}:1", "0", no_cache=False))
        return RunFollower(
            tasks=tasks, reporter=reporter, timeout=timeout, clock=clock, sleep=clock.sleep
        ), run


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that Microsoft's libraries would have waited before a retry; nothing waits."""
    waits: list[float] = []
    monkeypatch.setattr(Retry, "get_backoff_time", lambda _: 0.0)
    monkeypatch.setattr(HttpTransport, "sleep", lambda _self, seconds: waits.append(round(seconds, 1)))
    monkeypatch.setattr(signals, "wait", lambda seconds: waits.append(round(seconds, 1)))
    return waits


@pytest.fixture(name="in_process")
def in_process_fixture(
    remote_projects: RemoteProjects,
    tiny_base: str,
    capsys: pytest.CaptureFixture[str],
    pauses: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[InProcess]:
    """Return a project on the tiny base; afterwards no secret may be in its output or records."""
    acr = remote_projects.acr
    for name, text in {**acr.environment(), **_authority(acr, tmp_path)}.items():
        monkeypatch.setenv(name, text)
    project = remote_projects(tiny_base)
    in_process = InProcess(acr=acr, project=project, capsys=capsys, before=len(acr.runs), pauses=pauses)
    yield in_process
    records = [path.read_text(encoding="utf-8") for path in in_process.job.records.folder.glob("*")]
    assert [] == re.findall(_SECRETS, "\n".join([*in_process.output, *records]))


def _authority(acr: Acr, folder: Path) -> dict[str, str]:
    """Write only the loopback's certificate authority: reading all public ones takes a third of each test's time."""
    mark = "-----END CERTIFICATE-----\n"
    file = folder / "authority.pem"
    file.write_text(acr.bundle.read_text(encoding="utf-8").partition(mark)[0] + mark, encoding="utf-8")
    return {"REQUESTS_CA_BUNDLE": str(file), "SSL_CERT_FILE": str(file)}


def put_image(acr: Acr, repository: str, tag: str, config: bytes) -> str:
    """Push a minimal image to *repository*, regardless of faults and permissions."""
    access = [{"type": "repository", "name": repository, "actions": ["pull", "push"]}]
    token = acr.contents.plane.access_token("loopback", access, seconds=300)
    url = f"http://{acr.contents.plane.upstream}/v2/{repository}"
    kind = "application/vnd.oci.image."
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"

        def blob(media_type: str, content: bytes) -> dict[str, Any]:
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            where = session.post(f"{url}/blobs/uploads/").headers["Location"]
            session.put(f"{where}&digest={digest}", data=content).raise_for_status()
            return {"mediaType": f"{kind}{media_type}", "digest": digest, "size": len(content)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}manifest.v1+json",
            "config": blob("config.v1+json", config),
            "layers": [blob("layer.v1.tar", b"which nobody unpacks")],
        }
        response = session.put(
            f"{url}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": f"{kind}manifest.v1+json"},
        )
        response.raise_for_status()
    return str(response.headers["Docker-Content-Digest"])
