"""Multi-step tasks: their whole text, and what an agent makes of a person's own words in it.

What the agent does to a file before a shell sees its words is played here after Azure/acr-builder: comments and
aliases (graph/preprocessor.go), the template (templating/engine.go), YAML, and then a shell, which is a real one
(builder/context.go, getDockerRunArgs).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.engines.acr.preflight import refuse_names, refuse_secrets, refuse_smoke_test
from azureml_tasks.engines.acr.task_file import RUN_ID, TaskFile
from azureml_tasks.errors import EngineError, SettingsError
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import SmokeTestPlan
from tests.acr_plans import SECRETS, piece, plan
from tests.examples import examples

CANDIDATE = f"contoso.azurecr.io/team/scoring/candidate:{RUN_ID}"
DIGEST = f"contoso.azurecr.io/team/scoring/candidate@sha256:{'1' * 64}"
SHA256 = "2" * 64
LONGEST_LINE = 64 * 1024 - 1
"""Go's bufio.Scanner gives up at a longer one, without a word to anybody."""


def task(
    made: Plan, *, builds: bool = True, smoke_test: bool = True, image: str = CANDIDATE, timeout: int = 3600
) -> str:
    """The text of a task."""
    pieces = (piece(made, image),) if builds else ()
    file = TaskFile(
        plan=made, image=image, context_sha256=SHA256, pieces=pieces, smoke_test=smoke_test, timeout=timeout
    )
    return str(file)


# The text

BUILD_AND_SMOKE_TEST = f"""\
version: v1.1.0
stepTimeout: 3600
steps:
  - id: "build"
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/amd64 --build-arg CONTEXT_SHA256={SHA256} ."
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
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/arm64/v8 --build-arg CONTEXT_SHA256={SHA256} \
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
    build: "-f Dockerfile -t {CANDIDATE} --platform linux/amd64 --build-arg CONTEXT_SHA256={SHA256} \
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
        (BUILD_AND_SMOKE_TEST, task(plan())),
        (
            BUILD_AND_SECRETS,
            task(plan(secrets=SECRETS, platform="linux/arm64/v8"), smoke_test=False, timeout=7200),
        ),
        (BUILD_SECRETS_AND_SMOKE_TEST, task(plan(secrets=SECRETS[1:], user="1000"))),
        (
            SMOKE_TEST_ALONE,
            task(
                plan(secrets=SECRETS, smoke_test=SmokeTestPlan(default_script=True)),
                builds=False,
                image=DIGEST,
                timeout=600,
            ),
        ),
        (
            BUILD_AND_SMOKE_TEST.replace('\n      - "HOME=/home/dockeruser"\n', HOSTILE_LINES),
            task(plan(smoke_test=SmokeTestPlan(env=HOSTILE))),
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
def test_the_whole_text(expected: str, actual: str) -> None:
    """What a run does, as the very text that is sent."""
    assert expected == actual


def test_yaml_reads_it() -> None:
    """It is YAML that says what the agent knows: strings, numbers and switches, each as such."""
    made = plan(secrets=SECRETS[:1], smoke_test=SmokeTestPlan(env={"A": "b c"}))

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
                f"--build-arg CONTEXT_SHA256={SHA256} --secret id=pip-conf,src=/run/azureml-secrets/pip-conf .",
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
    assert expected == yaml.safe_load(task(made))


# What the agent makes of it

GLOBAL = {name: f"{{{{.Run.{name}}}}}" for name in ("ID", "Registry", "Date", "OS", "Commit", "Branch")}
VALUES = {".Run.ID": "ca8", ".Run.Registry": "contoso.azurecr.io", ".Values.netrc": "bWFjaGluZQ=="}


def lines_of(text: str) -> Iterator[str]:
    """The lines as bufio.ScanLines gives them, up to one that is too long."""
    for line in text.split("\n"):
        if len(line.encode()) > LONGEST_LINE:
            return
        yield line.removesuffix("\r")


def without_aliases(text: str) -> str:
    """SeparateAliasFromRest and preprocessString: comment lines go, and `$NAME` gives way to what it stands for."""
    kept = [line + "\n" for line in lines_of(text.removesuffix("\n")) if not re.match(r"\s*#", line)]
    out, command, ongoing = "", "", False
    for char in "".join(kept) + " ":
        if not ongoing:
            ongoing = char == "$"
            out += "" if ongoing else char
        elif char == "$" and not command:
            out, ongoing = out + "$", False
        elif re.fullmatch("[A-Za-z0-9]", char):
            command += char
        else:
            known = command in GLOBAL
            out += GLOBAL[command] if known else f"${command}"
            out += "" if known and char == "$" else char
            ongoing, command = known and char == "$", ""
    return out.removesuffix(" ")


def rendered(text: str) -> str:
    """Go's template, as far as a field or a string in it, without what it says of a value that is not there."""

    def value(found: re.Match[str]) -> str:
        action = found[1].strip()
        if string := re.fullmatch(r'"([^"\\\n]*)"|`([^`]*)`', action):
            return string[1] or string[2] or ""
        if not re.fullmatch(r"(\.\w+)+", action):
            raise ValueError(f"failed to parse template: {action}")
        return VALUES.get(action, "<no value>")

    whole = re.sub(r"\{\{(.*?)\}\}", value, text, flags=re.DOTALL)
    if "{{" in re.sub(r"\{\{(.*?)\}\}", "", text, flags=re.DOTALL):
        raise ValueError("failed to parse template: unclosed action")
    return whole.replace("<no value>", "")


def given_to_docker(step: dict[str, Any]) -> list[str]:
    """The words that `docker run` gets for a step, which a shell reads from one string."""
    words = ["docker run --name", step["id"], *(f"--env {each}" for each in step.get("env", [])), step["cmd"]]
    script = "docker() { printf '%s\\0' \"$@\"; }; " + " ".join(words)
    done = subprocess.run(["/bin/sh", "-c", script.encode()], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def server(made: Plan) -> list[str]:
    """What the agent starts as the server of *made*."""
    steps = yaml.safe_load(rendered(without_aliases(task(made))))["steps"]
    assert [step["id"] for step in steps] == ["build", "server", "smoke-test", "push"]
    return given_to_docker(steps[1])


def started(*variables: str) -> list[str]:
    """What it is to start."""
    image = "contoso.azurecr.io/team/scoring/candidate:ca8"
    return ["run", "--name", "server", *(word for each in variables for word in ("--env", each)), image]


def test_the_agent_puts_in_what_is_its_own() -> None:
    """The run's id and the secrets are put in by the template."""
    whole = rendered(without_aliases(task(plan(secrets=SECRETS[1:]))))

    assert task(plan(secrets=SECRETS[1:])).replace(RUN_ID, "ca8").replace(
        "{{.Values.netrc}}", "bWFjaGluZQ=="
    ) == (whole)


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


@settings(max_examples=examples(150))
@given(env=st.dictionaries(NAMES, TEXTS, max_size=4))
def test_a_persons_own_words_arrive(env: dict[str, str]) -> None:
    """Whatever the rules let a variable of the smoke test hold, its container gets, and nothing is carried out."""
    expected = started("HOME=/home/dockeruser", *(f"{name}={text}" for name, text in env.items()))

    assert expected == server(plan(smoke_test=SmokeTestPlan(env=env)))


@pytest.mark.parametrize("text", FRAGMENTS)
def test_each_special_word_arrives(text: str) -> None:
    """Each word that aliases, template, YAML or shell would take for theirs arrives by itself, and twice."""
    env = {"A": text, "B": text * 2, "C": f"a{text}b"}

    expected = started("HOME=/home/dockeruser", *(f"{name}={value}" for name, value in env.items()))
    assert expected == server(plan(smoke_test=SmokeTestPlan(env=env)))


def unbounded(text: str) -> Plan:
    """A plan whose one variable is *text*."""
    return plan(user="1000", smoke_test=SmokeTestPlan(env={"A": text}))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * (LONGEST_LINE - len('      - "A="')), True),
        ("x" * (LONGEST_LINE - len('      - "A="') + 1), False),
        ("$" * 16_000, True),
        ("$" * 17_000, False),
    ],
    ids=["longest", "longer", "longest when it is escaped", "longer when it is escaped"],
)
def test_the_longest_variables(text: str, fits: bool) -> None:
    """Variables arrive up to the last byte of a line that the agent reads; what it would lose is refused."""
    if fits:
        refuse_smoke_test(unbounded(text))
        assert started(f"A={text}") == server(unbounded(text))
        return
    with pytest.raises(EngineError) as caught:
        refuse_smoke_test(unbounded(text))

    expected = """\
A smoke test in the cloud cannot set 64 KiB of variables (smoke-test.env).
    Run it where a Docker engine answers, or shorten smoke-test.env"""
    assert expected == str(caught.value)


def test_variables_together() -> None:
    """They stand in one argument of the agent's shell, so that they are bounded together."""
    half = {"A": "x" * 32_000, "B": "x" * 32_000}
    refuse_smoke_test(plan(smoke_test=SmokeTestPlan(env=half)))

    with pytest.raises(EngineError, match="cannot set 64 KiB of variables"):
        refuse_smoke_test(plan(smoke_test=SmokeTestPlan(env={**half, "C": "x" * 2_000})))


def test_what_a_task_has_no_word_for() -> None:
    """A mounted model and a limit of memory are refused before anything is sent, all at once."""
    with pytest.raises(EngineError) as caught:
        refuse_smoke_test(plan(smoke_test=SmokeTestPlan(model="/home/me/model", memory="4g")))

    expected = """\
A smoke test in the cloud cannot mount a model (smoke-test.model) or limit memory (smoke-test.memory).
    Run it where a Docker engine answers, or bake the model in: model = "…", and leave smoke-test.memory out"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("team/candidate", 'ends in "/candidate", where the candidates of another one would wait'),
        ("a" * 246, "is longer than 245 characters, which leaves its candidates no room"),
    ],
)
def test_names_that_candidates_need(name: str, why: str) -> None:
    """A repository that could be taken for candidates', or leaves their name no room, is refused."""
    made = plan(repository=name)

    with pytest.raises(SettingsError) as caught:
        refuse_names(made)

    expected = f"""\
pyproject.toml: the name "{name}" {why}
    Write: name = "scoring"

1 problem; nothing was done."""
    assert expected == str(caught.value)


def test_secrets_that_no_agent_takes() -> None:
    """A secret goes through one argument of a shell: what is too long for that, or holds a NUL, is refused at once."""
    with pytest.raises(SettingsError) as caught:
        refuse_secrets({"pip-conf": b"x" * (64 * 1024 + 1), "netrc": b"machine a\0"})

    expected = """\
pyproject.toml: tool.azureml-image.secrets.pip-conf is longer than 64 KiB, which no agent of ACR takes
    Leave out what pip does not need, or build where a Docker engine answers.

pyproject.toml: tool.azureml-image.secrets.netrc holds a NUL, which no agent of ACR takes
    Leave out what pip does not need, or build where a Docker engine answers.

2 problems; nothing was done."""
    assert expected == str(caught.value)
    refuse_secrets({"pip-conf": b"x" * 64 * 1024, "netrc": b"machine a\n"})


@pytest.mark.parametrize("name", ["candidate", "team/candidates", "a" * 245])
def test_names_that_are_well(name: str) -> None:
    """Other names pass, to the longest."""
    refuse_names(plan(repository=name))
