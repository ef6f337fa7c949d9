"""Remote builds of images without code or model, with other requests, under --dry, and checked."""

from __future__ import annotations

import re

import docker

from tests.real import request_kinds
from tests.real.built_project import derived
from tests.real.remote_output import ACR, CLOUD, HERE, PLACE, SMOKE_TEST, TASK
from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import removed_after, unique


def test_an_image_without_code(remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """An image without code is tested with the default entry script, which is not part of it."""
    result = run_command(
        remote_projects.acr, remote_projects(amlenv_base, local=False, files={}), "image.release", *ACR
    )

    expected = """\
REGISTRY/NAME/candidate@sha256:ID
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN): only start-up was proven (no request).
    ready after N s
    peak memory N MiB
Warning: the image has no code, so a default entry script showed that the server starts with its packages
REGISTRY/NAME@sha256:ID
"""
    assert (0, expected) == result.out, result.ended.stderr
    assert "COPY" not in re.findall(r"(?m)^Step \d+/\d+ : (\w+)", result.the_run.text)


def test_a_script_of_the_base_is_not_replaced(
    remote_projects: RemoteProjects, docker_client: docker.DockerClient, amlenv_base: str
) -> None:
    """If the base turns out to bring one, nothing is pushed, and the report says what to write."""
    base = f"{unique('own-script')}:1"
    with removed_after(docker_client, base):
        derived(docker_client, base, f"FROM {amlenv_base}\nENV AZUREML_ENTRY_SCRIPT=serve.py\n")
        result = run_command(
            remote_projects.acr, remote_projects(base, local=False, files={}), "image.release", *ACR
        )

    expected = """\
Failed: entry script
    the base brings its own entry script, serve.py, and a stand-in served in its place
    Write: env = { AZUREML_ENTRY_SCRIPT = "serve.py" }
"""
    assert (5, {}) == (result.ended.code, result.tags), result.ended.stderr
    assert expected in result.ended.stderr


def test_the_script_of_a_batch_deployment(remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """It is called by a step of the run that builds the image, before the image is pushed; no server is started."""
    score = (
        "from pathlib import Path\n\n\ndef init():\n    print('loaded')\n\n\ndef run(mini_batch):\n"
        "    return [Path(path).read_text() for path in mini_batch]\n"
    )
    more = '[tool.azureml-image.smoke-test]\nmini-batch = ["data/more/a b.csv", "data/b.csv"]\n'
    files = {"code/score.py": score, "data/more/a b.csv": "1", "data/b.csv": "2"}
    result = run_command(
        remote_projects.acr,
        remote_projects(amlenv_base, more, local=False, files=files),
        "image.release",
        *ACR,
    )

    report = """\
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN).
    init(): in N s, with the import of the script
    run() with 2 files: a list of 2 items in N s
    peak memory N MiB
Warning: a batch deployment also needs azureml-core in the image: pip = ["azureml-core"]
"""
    assert result.ended.code == 0, result.ended.stderr
    assert report in re.sub(r"\d+\.\d s", "N s", result.out[1])


def test_every_kind_of_request(remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """Without a local engine, GET, a form, a picture and the swagger document are asked for by a step of the run."""
    project = remote_projects(amlenv_base, request_kinds.TABLE, local=False, files=dict(request_kinds.FILES))
    result = run_command(remote_projects.acr, project, "image.release", *ACR)

    expected = """\
REGISTRY/NAME/candidate@sha256:ID
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN).
    ready after N s
    GET /score?label=cat: 200 in p50 N s, p95 N s of 2
    form of cat.png and 1 more: 201 in p50 N s, p95 N s of 2
    cat.png: 200 in p50 N s, p95 N s of 2
    request 4: 415 in p50 N s, p95 N s of 2
    GET /swagger.json?version=3: 200 in p50 N s, p95 N s of 2
    GET /: 200 in p50 N s, p95 N s of 2
    peak memory N MiB
REGISTRY/NAME@sha256:ID
"""
    assert (0, expected) == result.out, result.ended.stderr


@PLACE
def test_an_image_whose_model_is_mounted(
    place: str, remote_projects: RemoteProjects, amlenv_base: str
) -> None:
    """A model can be mounted by a local engine; in the cloud it is refused before anything is sent: exit code 3."""
    score = (
        "import os\nfrom pathlib import Path\n\n\ndef init():\n    pass\n\n\ndef run(data):\n"
        '    return Path(os.environ["AZUREML_MODEL_DIR"], "mounted", "word").read_text()\n'
    )
    more = '[tool.azureml-image.smoke-test]\nmodel = "mounted"\nrequests = [{ body = 1, expect = "hello" }]\n'
    files = {"code/score.py": score, "mounted/word": "hello"}
    project = remote_projects(amlenv_base, more, local=place == HERE, files=files)
    result = run_command(remote_projects.acr, project, "image.release", *ACR)

    if place == CLOUD:
        refusal = [
            "A smoke test in the cloud cannot mount a model (smoke-test.model).",
            '    Run it on a Docker engine, or bake the model in: model = "…"',
            "Nothing was built.",
        ]
        assert (3, "", refusal, ()) == (*result.out, result.messages[-3:], result.requests)
        return
    assert (0, "REGISTRY/NAME@sha256:ID") == (result.out[0], result.out[1].splitlines()[-1]), (
        result.ended.stderr
    )


@PLACE
def test_dry(place: str, remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """--dry prints the commands of the Azure CLI and of docker that do the same, without any request."""
    project = remote_projects.example(amlenv_base, local=place == HERE)
    result = run_command(remote_projects.acr, project, "--dry", "image.release", *ACR)

    # Nobody asked which prefixes are there, so the commands build the whole image in one piece.
    whole = TASK[: TASK.index('  - id: "build-system"')] + TASK[TASK.index('  - id: "build"\n') :]
    by_task = (
        f"tee context/task.yaml <<'EOF'\n{whole}EOF\n"
        "az acr run --registry REGISTRY --timeout 3600 --file task.yaml context"
    )
    quick = (
        "az acr build --registry REGISTRY --timeout 3600 --image 'NAME/candidate:{{.Run.ID}}' "
        "--build-arg CONTEXT_SHA256=HASH --platform linux/amd64 context"
    )
    by_digest = "REGISTRY/NAME/candidate@DIGEST"
    smoke_test = [
        f"docker pull {by_digest}",
        (
            "docker run --detach --name CONTAINER --label azureml-tasks.smoke-test=1 --label azureml-tasks.run=ID "
            f"--publish 127.0.0.1::5001 {by_digest}"
        ),
        "docker rm --force --volumes CONTAINER",
        f"docker rmi {by_digest}",
    ]
    expected = [
        "invoke image.context --engine acr | tar --extract --one-top-level=context",
        *([quick, *smoke_test] if place == HERE else by_task.splitlines()),
        f"az acr import --name REGISTRY --source {by_digest} --image NAME:kept-DIGEST",
        f"az acr import --name REGISTRY --source {by_digest} --image NAME:1.0.0 --force",
        "az acr repository delete --name REGISTRY --image NAME/candidate@DIGEST --yes",
    ]
    assert (0, expected) == (result.out[0], result.out[1].splitlines()), result.ended.stderr
    assert ((), {}) == (result.requests, result.records)


def test_dry_resume(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Under --dry resume is the command of the Azure CLI that shows a run's log."""
    result = run_command(
        remote_projects.acr, remote_projects(tiny_base), "--dry", "image.resume", "--run", "ca7", *ACR
    )

    expected = "az acr task logs --registry REGISTRY --run-id RUN\n"
    assert (0, expected, ()) == (*result.out, result.requests)


@PLACE
def test_check_signs_in_to_nothing(place: str, remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Check names the registry and the place of the smoke test without any request."""
    result = run_command(
        remote_projects.acr, remote_projects(tiny_base, local=place == HERE), "image.check", *ACR
    )

    line = next(line for line in result.out[1].splitlines() if line.startswith("engine"))
    assert f"engine     Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[place]}" == line
    assert (0, (), {}) == (result.ended.code, result.requests, result.records)
