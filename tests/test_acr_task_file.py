"""Task files, and what an agent makes of the user's variables in them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.engines.acr.candidates import RUN_ID
from azureml_tasks.project.model import SmokeTestPlan
from tests.acr_agent import expand, expected_arguments, server_arguments
from tests.acr_plans import CANDIDATE, CONTEXT_SHA256, SECRETS, plan, task_text
from tests.examples import examples

DIGEST = f"contoso.azurecr.io/team/scoring/candidate@sha256:{'1' * 64}"

# The text

BUILD_AND_SMOKE_TEST = f"""\
version: v1.1.0
stepTimeout: 3600
steps:
  - id: "build"
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/amd64 --build-arg CONTEXT_SHA256={CONTEXT_SHA256} ."
  - id: "server"
    cmd: "{CANDIDATE}"
    detach: true
    keep: true
    disableWorkingDirectoryOverride: true
    env:
      - "HOME=/home/dockeruser"
  - id: "smoke-test"
    cmd: "{CANDIDATE} /bin/sh /workspace/.azureml-image/probe.sh"
    user: "root"
    disableWorkingDirectoryOverride: true
  - id: "push"
    push:
      - "{CANDIDATE}"
"""
BUILD_AND_SECRETS = f"""\
version: v1.1.0
stepTimeout: 7200
volumes:
  - name: secrets
    secret:
      pip-conf: '{{{{.Values.pipconf}}}}'
      netrc: '{{{{.Values.netrc}}}}'
steps:
  - id: "build"
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/arm64/v8 --build-arg CONTEXT_SHA256={CONTEXT_SHA256} \
--secret id=pip-conf,src=/run/azureml-secrets/pip-conf --secret id=netrc,src=/run/azureml-secrets/netrc ."
    env:
      - "DOCKER_BUILDKIT=1"
    volumeMounts:
      - {{"name": "secrets", "mountPath": "/run/azureml-secrets"}}
  - id: "push"
    push:
      - "{CANDIDATE}"
"""
BUILD_SECRETS_AND_SMOKE_TEST = f"""\
version: v1.1.0
stepTimeout: 3600
volumes:
  - name: secrets
    secret:
      netrc: '{{{{.Values.netrc}}}}'
steps:
  - id: "build"
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/amd64 --build-arg CONTEXT_SHA256={CONTEXT_SHA256} \
--secret id=netrc,src=/run/azureml-secrets/netrc ."
    env:
      - "DOCKER_BUILDKIT=1"
    volumeMounts:
      - {{"name": "secrets", "mountPath": "/run/azureml-secrets"}}
  - id: "server"
    cmd: "{CANDIDATE}"
    detach: true
    keep: true
    disableWorkingDirectoryOverride: true
  - id: "smoke-test"
    cmd: "{CANDIDATE} /bin/sh /workspace/.azureml-image/probe.sh"
    user: "root"
    disableWorkingDirectoryOverride: true
  - id: "push"
    push:
      - "{CANDIDATE}"
"""
SMOKE_TEST_ALONE = f"""\
version: v1.1.0
stepTimeout: 600
steps:
  - id: "server"
    cmd: "{DIGEST}"
    detach: true
    keep: true
    disableWorkingDirectoryOverride: true
    env:
      - "HOME=/home/dockeruser"
      - "AML_APP_ROOT=/workspace/.azureml-image"
      - "AZUREML_ENTRY_SCRIPT=default_score.py"
  - id: "smoke-test"
    cmd: "{DIGEST} /bin/sh /workspace/.azureml-image/probe.sh"
    user: "root"
    disableWorkingDirectoryOverride: true
"""
HOSTILE = {
    "PLAIN": "1",
    "QUOTES": 'it\'s "so"',
    "DOLLARS": "$ID $$ ${HOME} $(id) `id`",
    "TEMPLATE": "{{.Run.ID}} {{ }}",
    "BACKSLASH": "C:\\new\\",
    "NON_ASCII": "é模\U0001f600\u2028\x85\x7f",
    "LOST": "<no value>",
    "HOME": "/elsewhere",
}
HOSTILE_LINES = r"""
      - "HOME=/elsewhere"
      - "PLAIN=1"
      - "'QUOTES=it'\"'\"'s \"so\"'"
      - "'DOLLARS=\x24ID \x24\x24 \x24\x7bHOME} \x24(id) `id`'"
      - "'TEMPLATE=\x7b\x7b.Run.ID}} \x7b\x7b }}'"
      - "'BACKSLASH=C:\\new\\'"
      - "'NON_ASCII=\xe9\U00006a21\U0001f600\U00002028\x85\x7f'"
      - "'LOST=\x3cno value>'"
"""


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (BUILD_AND_SMOKE_TEST, task_text(plan())),
        (
            BUILD_AND_SECRETS,
            task_text(plan(secrets=SECRETS, platform="linux/arm64/v8"), smoke_test=False, timeout=7200),
        ),
        (BUILD_SECRETS_AND_SMOKE_TEST, task_text(plan(secrets=SECRETS[1:], user="1000"))),
        (
            SMOKE_TEST_ALONE,
            task_text(
                plan(secrets=SECRETS, smoke_test=SmokeTestPlan(default_script=True)),
                builds=False,
                image=DIGEST,
                timeout=600,
            ),
        ),
        (
            BUILD_AND_SMOKE_TEST.replace('\n      - "HOME=/home/dockeruser"\n', HOSTILE_LINES),
            task_text(plan(smoke_test=SmokeTestPlan(env=HOSTILE))),
        ),
    ],
    ids=[
        "build and smoke test",
        "build and secrets",
        "build, secrets and smoke test",
        "smoke test alone",
        "hostile words",
    ],
)
def test_task_files(expected: str, actual: str) -> None:
    """The whole text of a task file."""
    assert expected == actual


def test_yaml_reads_it() -> None:
    """The text is YAML with strings, numbers and booleans."""
    image_plan = plan(secrets=SECRETS[:1], smoke_test=SmokeTestPlan(env={"A": "b c"}))

    probe = "/bin/sh /workspace/.azureml-image/probe.sh"
    alone = {"disableWorkingDirectoryOverride": True}
    expected = {
        "version": "v1.1.0",
        "stepTimeout": 3600,
        "volumes": [{"name": "secrets", "secret": {"pip-conf": "{{.Values.pipconf}}"}}],
        "steps": [
            {
                "id": "build",
                "build": f"-f Dockerfile -t {CANDIDATE} --platform linux/amd64 "
                f"--build-arg CONTEXT_SHA256={CONTEXT_SHA256} --secret id=pip-conf,src=/run/azureml-secrets/pip-conf .",
                "env": ["DOCKER_BUILDKIT=1"],
                "volumeMounts": [{"name": "secrets", "mountPath": "/run/azureml-secrets"}],
            },
            {
                "id": "server",
                "cmd": CANDIDATE,
                "detach": True,
                "keep": True,
                "env": ["HOME=/home/dockeruser", "'A=b c'"],
                **alone,
            },
            {"id": "smoke-test", "cmd": f"{CANDIDATE} {probe}", "user": "root", **alone},
            {"id": "push", "push": [CANDIDATE]},
        ],
    }
    assert expected == yaml.safe_load(task_text(image_plan))


# On the agent


def test_the_agent_inserts_run_id_and_secrets() -> None:
    """Templates insert the ID of the run and the secrets."""
    text = task_text(plan(secrets=SECRETS[1:]))

    expected = text.replace(RUN_ID, "ca8").replace("{{.Values.netrc}}", "bWFjaGluZQ==")
    assert expected == expand(text)


FRAGMENTS = (
    *("{{", "}}", "{", "{{.Run.ID}}", '{{"{{"}}', "{{`", "{{/*", "*/}}", "{{- ", " -}}"),
    *("$", "$$", "$ID", "$ID$", "$Registry.", "${HOME}", "$(id)", "`id`", "<no value>", "<no ", "value>"),
    *("'", '"', "\\", '\\"', "\\n", "\\x24", "#", " #", "# ", ": ", "- ", "&", ";", "|", "*", "~", "%s", "!"),
    *(
        "\t",
        " ",
        "\x07",
        "\x1b[0m",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\ufffe",
        "\U0001f600",
    ),
)
WORDS = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=4)
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | WORDS, max_size=8).map("".join)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,9}", fullmatch=True).filter(lambda name: name != "HOME")


@settings(max_examples=examples(50))
@given(env=st.dictionaries(NAMES, TEXTS, max_size=4))
def test_any_variable_reaches_the_server(env: dict[str, str]) -> None:
    """Any value of a variable reaches the container unchanged, and nothing in it is executed."""
    expected = expected_arguments("HOME=/home/dockeruser", *(f"{name}={text}" for name, text in env.items()))

    assert expected == server_arguments(plan(smoke_test=SmokeTestPlan(env=env)))


@pytest.mark.parametrize("text", FRAGMENTS)
def test_special_characters_reach_the_server(text: str) -> None:
    """Whatever aliases, templates, YAML or a shell would interpret reaches the container unchanged."""
    env = {"A": text, "B": text * 2, "C": f"a{text}b"}

    expected = expected_arguments(
        "HOME=/home/dockeruser", *(f"{name}={value}" for name, value in env.items())
    )
    assert expected == server_arguments(plan(smoke_test=SmokeTestPlan(env=env)))
