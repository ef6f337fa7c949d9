"""Remote builds of images that fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from azureml_tasks.commands.publishing import kept_tag
from tests.real.remote_output import ACR, CLOUD, HERE, PLACE, PLACES, REQUEST
from tests.real.remote_projects import CommandResult, RemoteProjects, run_command

RAISES = "def init():\n    raise ValueError('no model here')\n\n\ndef run(data):\n    return data\n"


REFUSES = "def init():\n    pass\n\n\ndef run(data):\n    raise ValueError('no answer here')\n"


DIES = """\
import os, signal, threading


def init():
    os.kill(1, signal.SIGHUP)
    threading.Event().wait()  # An init() that returned would let the server answer until the container has ended.


def run(data):
    return data
"""


DIFFERS = "def init():\n    pass\n\n\ndef run(data):\n    return {'a': 2}\n"


PACKAGE = "/opt/miniconda/envs/amlenv/lib/python3.11/site-packages/azureml_inference_server_http/server/user_script.py"


WHOLE_LOG = "The whole log is in .azureml-image/build.log."
LOOK = "Look inside: invoke image.build --engine docker (a candidate image that fails is deleted)"
END = [
    LOOK,
    "Failed: start-up",
    "    the container exited with code 111",
    "    GET / did not answer 200",
    "    last try: …",
]


NOT_RUN = "Not run: swagger.json, request 1, malformed body"


BROKEN: Mapping[str, tuple[str, str, list[str]]] = {
    "init() raises": (
        RAISES,
        "",
        [
            NOT_RUN,
            *END,
            "In the container's log:",
            "    Traceback (most recent call last):",
            f'      File "{PACKAGE}", line 119, in invoke_init',
            "        self._user_init()",
            '      File "/var/azureml-app/score.py", line 2, in init',
            "        raise ValueError('no model here')",
            "    ValueError: no model here",
        ],
    ),
    "another answer": (
        DIFFERS,
        "expect = { a = 1 }\n",
        [
            "    ready after N s",
            "    peak memory N MiB",
            LOOK,
            "Failed: request 1",
            "    $.a: expected 1, got 2",
            "    request: POST /score, 8 bytes",
            '        {"a": 1}',
            "    answer: 200 OK, 8 bytes",
            '        {"a": 2}',
            "    expected: status 200, and in the answer (numbers within 1e-06)",
            '        {"a": 1}',
        ],
    ),
    "another status": (
        REFUSES,
        "",
        [
            "    ready after N s",
            "    peak memory N MiB",
            "Not run: malformed body",
            LOOK,
            "Failed: request 1",
            "    expected status 200, got 500 Internal Server Error",
            "    run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback",
            "    request: POST /score, 8 bytes",
            '        {"a": 1}',
            "    answer: 500 Internal Server Error, 92 bytes",
            '        {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}',
            "    expected: status 200",
            "In the container's log:",
            "    Traceback (most recent call last):",
            f'      File "{PACKAGE}", line 132, in invoke_run',
            "        run_output = self._wrapped_user_run(**run_parameters, request_headers=dict(request.headers))",
            f'      File "{PACKAGE}", line 156, in <lambda>',
            "        self._wrapped_user_run = lambda request_headers, **kwargs: self._user_run(**kwargs)",
            '      File "/var/azureml-app/score.py", line 6, in run',
            "        raise ValueError('no answer here')",
            "    ValueError: no answer here",
        ],
    ),
    "the container ends": (DIES, "", [NOT_RUN, *END]),
}
FAILURES = [*((CLOUD, case) for case in BROKEN), (HERE, "another status")]
"""With a local engine the report is that of a build by this engine, with any other failure as well."""


@pytest.fixture(scope="module")
def failures(
    shared_remote_projects: RemoteProjects, amlenv_base: str
) -> Mapping[tuple[str, str], CommandResult]:
    """Release each project; in the cloud one by one, as all servers have one container name."""

    def all_in(where: str) -> dict[tuple[str, str], CommandResult]:
        return {
            (place, case): run_command(
                shared_remote_projects.acr,
                shared_remote_projects(
                    amlenv_base,
                    REQUEST + BROKEN[case][1],
                    local=place == HERE,
                    files={"code/score.py": BROKEN[case][0]},
                ),
                "image.release",
                *ACR,
            )
            for place, case in FAILURES
            if place == where
        }

    with ThreadPoolExecutor() as lanes:
        here, cloud = lanes.map(all_in, (HERE, CLOUD))
    return {**here, **cloud}


def report_of(result: CommandResult) -> list[str]:
    """Return the report in an error, and what follows it, without the container's log."""
    lines = [re.sub(r"last try: .*", "last try: …", line) for line in result.messages]
    start = next(index for index, line in enumerate(lines) if "failed its smoke test" in line)
    end = next(
        index for index, line in enumerate(lines) if index > start and re.match(r"The (whole|image)", line)
    )
    log = (index for index, line in enumerate(lines) if re.match(r"The last 40 of the \d+ lines", line))
    report = lines[start : next(log, end)]
    return [line for line in report if line and not re.fullmatch(r"\s*[~^]+", line)] + lines[end:]


@pytest.mark.parametrize(("place", "case"), FAILURES)
def test_a_failing_image(place: str, case: str, failures: Mapping[tuple[str, str], CommandResult]) -> None:
    """The report is the same in both places, with exit code 5; neither tag nor candidate is left."""
    result = failures[place, case]

    pushed = place == HERE or case == "another answer"
    where = f"sha256:ID, {PLACES[place]}" if pushed else PLACES[place]
    expected = [f"REGISTRY/NAME:1.0 failed its smoke test ({where}).", *BROKEN[case][2]]
    if place == HERE:
        expected.insert(expected.index(LOOK) + 1, "The container's log is in .azureml-image/smoke-test.log")
    state = {
        HERE: "The image was built by run RUN. It was not pushed.",
        CLOUD: f"{WHOLE_LOG} Nothing was published." if pushed else f"{WHOLE_LOG} Nothing was pushed.",
    }
    assert [*expected, state[place]] == report_of(result)
    assert (5, {}, frozenset()) == (result.ended.code, result.tags, result.candidates)
    out = "REGISTRY/NAME/candidate@sha256:ID\n" if place == HERE else ""
    assert out == result.out[1]
    assert (["build.json"] if place == HERE else []) == list(result.records)
    assert not result.records or "" == result.records["build.json"]["candidate"]


def test_a_failing_image_can_be_published(remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """With --untested the smoke test is a run of its own, and its failure does not stop the release."""
    more = f"{REQUEST}expect = {{ a = 1 }}\n"
    project = remote_projects(amlenv_base, more, local=False, files={"code/score.py": DIFFERS})
    result = run_command(remote_projects.acr, project, "image.release", *ACR, "--untested")

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\nREGISTRY/NAME@sha256:ID\n") == result.out, (
        result.ended.stderr
    )
    assert ["DockerBuildRequest", "EncodedTaskRunRequest"] == [
        run.request["type"] for run in remote_projects.acr.runs[-2:]
    ]
    failed = f"REGISTRY/NAME:1.0 failed its smoke test (sha256:ID, {PLACES[CLOUD]})."
    warning = (
        "warning: REGISTRY/NAME:1.0 has not passed its smoke test; it is pushed anyway, as --untested says"
    )
    removed = "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID"
    assert [failed, warning, removed] == [
        line for line in result.messages if line in {failed, warning, removed}
    ]
    digest = result.records["build.json"]["id"]
    assert (dict.fromkeys(("1.0", kept_tag(digest)), digest), frozenset()) == (result.tags, result.candidates)
    assert (["build.json", "result.json"], None) == (
        list(result.records),
        result.records["result.json"]["smoke"],
    )


@PLACE
def test_a_build_step_fails(place: str, remote_projects: RemoteProjects, tiny_base: str) -> None:
    """The error shows the step and its last lines: exit code 4; nothing is left."""
    project = remote_projects(tiny_base, 'run = [{ command = "echo no; exit 3" }]', local=place == HERE)
    result = run_command(remote_projects.acr, project, "image.release", *ACR)

    error = [
        'A build step failed in run RUN (pyproject.toml:8): RUN ["/bin/sh", "-c", "echo no; exit 3"]',
        "    Its last lines say why:",
        "    no",
        "    The command '/bin/sh -c echo no; exit 3' returned a non-zero code: 3",
        "The whole log is in .azureml-image/build.log. Nothing was built.",
    ]
    assert (4, "", error) == (*result.out, result.messages[-5:])
    assert ({}, frozenset(), {}) == (result.tags, result.candidates, result.records)
