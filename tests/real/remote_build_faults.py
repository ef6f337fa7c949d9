"""Faults between this machine and Azure, and the messages about them."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.machine.acr.faults import Reply
from tests.real.in_process import InProcess, Outcome
from tests.real.remote_output import SECONDS

CANDIDATE = "REGISTRY/NAME/candidate@sha256:ID"


BUILT = Outcome(code=0, message=f"{CANDIDATE}\n", runs=("Succeeded",))


PUSHED = Outcome(code=0, message="REGISTRY/NAME@sha256:ID\n", tags=("1.0", "KEPT"))


LATER = "    Run the same command again later.\n"


WAITS = f"The image is still in the registry as {CANDIDATE}. Continue with: invoke image.push --engine acr"


ENDED = "\nRun ID: RUN {} after Ns\n"
"""The last line of each log."""


FOLLOW = "invoke image.resume --run RUN --engine acr"


def broken(status: int) -> Reply:
    """Return an error of the server that is to be retried at once."""
    error = {"error": {"code": "Broken", "message": "for a while"}}
    return Reply(status=status, json=error, headers={"retry-after-ms": "1"})


def refused(status: int, code: str, message: str = "Azure's own words") -> Reply:
    """Return a refusal of Azure Resource Manager."""
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
"""Each request of a push that is not also one of a build."""


def in_blocks(in_process: InProcess, call: str) -> None:
    """Make the build context larger than one block if *call* is about blocks."""
    if call.startswith("block"):
        (in_process.project.folder / "code" / "model.bin").write_bytes(os.urandom(5_000_000))


AZURE_BROKEN = "Azure refused to {}: HTTP {{status}}.\n" + LATER + "    Azure said: Broken: for a while\n"


REGISTRY_BROKEN = (
    "Registry REGISTRY answers {status}, also after retries.\n"
    + LATER
    + '    the registry said: {{"error": {{"code": "Broken", "message": "for a while"}}}}\n'
)


NOTHING = "Nothing was built."


UNKNOWN = "A run may have been started; to check: az acr task list-runs --registry loopbackregistry --top 3"


HAS_BUILT = f"Run RUN has built the image. To finish: {FOLLOW}"


CUT = "Remote end closed connection without response"


NO_ANSWER = (
    "Azure did not answer the request to {}.\n    Check the network connection, and run the same command again.\n"
    f"    the connection failed: {CUT}\n"
)


NO_REGISTRY = f"Registry REGISTRY does not answer.\n{LATER}    the connection failed: {CUT}\n"


REMOVED = "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID\n"


CHANGED = "warning: files have changed since REGISTRY/NAME:1.0 was built; this command uses what was built\n"


ROLE = 'Ask for the role "Container Registry Tasks Contributor" on the registry'


CHECK = "Check registry and [tool.azureml-image.acr]"


STEP = """\
2026/01/01 00:00:00 Executing step ID: build. Timeout(sec): 28800, Working directory: '', Network: ''
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


def ending(in_process: InProcess, release: Callable[[], None]) -> Callable[[], None]:
    """Return a function that lets a waiting run end."""

    def to_its_end() -> None:
        release()
        assert in_process.acr.runs[-1].done.wait(SECONDS)

    return to_its_end
