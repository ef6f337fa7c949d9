"""Which builder is chosen, and what a failed build shows of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.docker import builder_choice
from azureml_tasks.engines.docker.builder_choice import Builder, choose_builder
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.process import Finished, MissingProgram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CLIENTS = [
    pytest.param(
        "20.10.24+dfsg1",
        False,
        Builder(kind="buildkit", why="the docker client 20.10.24+dfsg1 on PATH has it built in"),
        id="the last series with it built in, as Debian names it",
    ),
    pytest.param(
        "18.09.1",
        False,
        Builder(kind="buildkit", why="the docker client 18.09.1 on PATH has it built in"),
        id="the first series with it built in",
    ),
    pytest.param(
        "20.10.24",
        True,
        Builder(kind="buildx", why="the docker client 20.10.24 on PATH has buildx"),
        id="an old client with the plug-in",
    ),
    pytest.param(
        "23.0.0",
        False,
        Builder(kind="legacy", why="the docker client 23.0.0 on PATH has no buildx"),
        id="the first without it",
    ),
    pytest.param(
        "28.2.2",
        True,
        Builder(kind="buildx", why="the docker client 28.2.2 on PATH has buildx"),
        id="a new client with the plug-in",
    ),
    pytest.param(
        "",
        False,
        Builder(kind="legacy", why="the docker client of unknown version on PATH has no buildx"),
        id="something else of that name",
    ),
]


@pytest.mark.parametrize(("version", "buildx", "expected"), CLIENTS)
def test_chooses_by_the_client(
    version: str, buildx: bool, expected: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buildx where the client has it, else its own BuildKit where it is old enough, else the legacy builder."""
    monkeypatch.setattr(builder_choice, "capture", answers(version, buildx=buildx))

    assert expected == choose_builder(engine_client())


def test_without_a_client_the_legacy_builder_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing client costs BuildKit alone."""

    def missing(argv: Sequence[str]) -> Finished:
        raise MissingProgram(argv[0])

    monkeypatch.setattr(builder_choice, "capture", missing)

    assert Builder(kind="legacy", why="there is no docker client on PATH") == choose_builder(engine_client())


def test_podman_builds_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman has no BuildKit, whatever docker's client has."""
    monkeypatch.setattr(builder_choice, "capture", answers("28.2.2", buildx=True))

    expected = Builder(kind="legacy", why="Podman builds through its own API")
    assert expected == choose_builder(engine_client(is_podman=True))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("buildx", "BuildKit by docker buildx (why)"),
        ("buildkit", "BuildKit by docker build (why)"),
        ("legacy", "the legacy builder (why)"),
    ],
)
def test_reads_as_a_clause(kind: str, expected: str) -> None:
    """A builder reads as the name that people know, with the reason behind it."""
    assert expected == str(Builder(kind=kind, why="why"))


BUILDKIT = """\
#0 building with "default" instance using docker driver

#4 [internal] load metadata for docker.io/library/base:1
#4 DONE 0.0s

#5 [2/4] COPY model/ /var/azureml-app/
#5 sha256:864ba83a65f799734215a96f814bcaa8f228b4de926e4adc1599d99174bad593
#5 ...

#6 [3/4] RUN ["/bin/sh", "-c", "make"]
#6 0.184 ERROR: this is only what it prints
#6 0.185 #5 ERROR: so is this
#5 DONE 0.1s
#6 0.190
#6 0.191 DONE with that
#6 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
#7 [4/4] COPY code/ /var/azureml-app/
#7 CANCELED
------
 > [3/4] RUN ["/bin/sh", "-c", "make"]:
0.184 ERROR: this is only what it prints
------
ERROR: failed to solve: exit code: 2
"""


def test_shows_the_failed_step_of_buildkit() -> None:
    """Of steps that speak in turns, the one that failed is shown with its own lines."""
    steps = taken(BUILDKIT, lambda steps: steps.add_buildkit_line)

    said = """\
ERROR: this is only what it prints
#5 ERROR: so is this
DONE with that
ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2"""
    assert ('RUN ["/bin/sh", "-c", "make"]', said) == (steps.instruction, steps.last_lines)


def test_shows_what_no_step_of_buildkit_says() -> None:
    """Where BuildKit gives up before any step, its own words are shown."""
    text = "#1 [internal] load remote build context\n#1 DONE 0.0s\nERROR: failed to solve: no such frontend\n"

    steps = taken(text, lambda steps: steps.add_buildkit_line)

    assert ("", "ERROR: failed to solve: no such frontend") == (steps.instruction, steps.last_lines)


LEGACY = """\
Step 1/3 : FROM base:1
 ---> 4421dcd7ed90
Step 2/3 : RUN ["/bin/sh", "-c", "echo first"]
 ---> Running in f3608ef42530
first
Removing intermediate container f3608ef42530
 ---> 0123456789ab
Step 3/3 : RUN ["/bin/sh", "-c", "make"]
 ---> Running in a3608ef42530
making

Removing intermediate container a3608ef42530
"""


def test_shows_the_failed_step_of_the_legacy_builder() -> None:
    """The step under way is the one that failed, and what the builder says of itself is left out."""
    steps = taken(LEGACY, lambda steps: steps.add_legacy_line)
    steps.add_error("The command '/bin/sh -c make' returned a non-zero code: 2")

    said = "making\nThe command '/bin/sh -c make' returned a non-zero code: 2"
    assert ('RUN ["/bin/sh", "-c", "make"]', said) == (steps.instruction, steps.last_lines)


def test_shows_the_last_twenty_lines() -> None:
    """A step that prints much is shown by its end."""
    text = "Step 1/1 : RUN make\n" + "".join(f"line {number}\n" for number in range(100))

    steps = taken(text, lambda steps: steps.add_legacy_line)

    assert [f"line {number}" for number in range(80, 100)] == steps.last_lines.splitlines()


def test_a_step_of_a_numbered_stage_has_a_name() -> None:
    """Where a step lends a folder of the context, BuildKit counts in stages, and names them before the number."""
    steps = taken(
        "#5 [stage-0 2/3] RUN false\n#5 0.2 no\n#5 ERROR: exit code: 1\n", lambda s: s.add_buildkit_line
    )

    assert ("RUN false", "no\nERROR: exit code: 1") == (steps.instruction, steps.last_lines)


def taken(text: str, how: Callable[[BuildLog], Callable[[str], None]]) -> BuildLog:
    """The steps after all lines of *text*."""
    steps = BuildLog()
    for line in text.splitlines():
        how(steps)(line)
    return steps


def answers(version: str, *, buildx: bool) -> Callable[[Sequence[str]], Finished]:
    """A docker client of that version, in place of the one that this machine may have."""

    def capture(argv: Sequence[str]) -> Finished:
        if list(argv) == ["docker", "version", "--format", "{{.Client.Version}}"]:
            return Finished(code=0, stdout=f"{version}\n", stderr="")
        assert ["docker", "buildx", "version"] == list(argv)
        return Finished(code=0 if buildx else 1, stdout="", stderr="")

    return capture


def engine_client(*, is_podman: bool = False) -> EngineClient:
    """An engine that is only named."""
    return EngineClient(context="default", host="unix:///x", version="1", api="1.41", is_podman=is_podman)
