"""A Dockerfile of the project's own: what is read, sent and checked, without an engine."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import azureml_tasks
from azureml_tasks.azureml.environment_yaml import Pushed, deployment_text, environment_text
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.base_checks import refuse_missing_features
from azureml_tasks.commands.export import context_archive
from azureml_tasks.commands.prepare import Prepared
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.commands.run_records import record_build
from azureml_tasks.commands.up_to_date import reusable_image
from azureml_tasks.config.fields import UNSET
from azureml_tasks.config.problems import Override
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.acr.build_pieces import whole_image
from azureml_tasks.engines.acr.preflight import check_dockerfile
from azureml_tasks.engines.acr.task_file import TaskFile
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.buildx_command import build_command
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.engine import DockerEngine
from azureml_tasks.engines.docker.staged_folder import stage, write_dockerfile
from azureml_tasks.engines.image_check import check_image, refuse_user
from azureml_tasks.errors import BuildError, EngineError, SettingsError
from azureml_tasks.planning.dockerfile import CONTEXT_LABEL, labelled, stages
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.build_secrets import SecretSource
from azureml_tasks.project.load import load
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.smoke.events import probe_config
from azureml_tasks.state.runs import Run
from tests.cases import lay_out
from tests.consumers import TASKS, invoke
from tests.machine.acr.dockerfile_scan import ScanError, build_words, scan

TABLE = """\
[project]
name = "scoring"
version = "1.0"

[tool.azureml-image]
dockerfile = "Dockerfile"
labels = { motto = 'a "b" $c \\' }

[tool.azureml-image.smoke-test]
port = 8080
health = "/healthz"

[[tool.azureml-image.smoke-test.requests]]
path = "/predict?x=1"
body = {}
"""
DOCKERFILE = 'FROM bases/serving:4\nCOPY . /app/\nUSER dockeruser\nCMD ["serve"]\n'
BUILDKIT = DOCKERFILE + "RUN --mount=type=cache,target=/x true\n"


def project(folder: Path, dockerfile: str = DOCKERFILE, **files: str) -> RunContext:
    """Write a project with this Dockerfile, and more files whose names have "_" for a dot."""
    more = {name.replace("_", "."): text for name, text in files.items()}
    lay_out({"pyproject.toml": TABLE, "Dockerfile": "", "serve.py": "", **more}, folder)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8", newline="")
    return RunContext(folder=folder, reporter=Console())


def planned(folder: Path, dockerfile: str = DOCKERFILE, **files: str) -> tuple[Plan, BuildContext]:
    """Return the plan and the build context of such a project."""
    return plan_image(project(folder, dockerfile, **files))


def archived(run: RunContext) -> dict[str, bytes]:
    """Return the files of the archive that is sent, by name."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(context_archive(run).blocks))) as tar:
        for member in tar:
            if file := tar.extractfile(member) if member.isfile() else None:
                files[member.name] = file.read()
    return files


def client() -> EngineClient:
    """Return a client of an engine that does not exist."""
    return EngineClient(context="default", host="unix:///x", version="1", api="1.41")


def legacy_engine(folder: Path) -> DockerEngine:
    """Return an engine without BuildKit."""
    builder = Builder(kind="legacy", why="")
    return DockerEngine(client=client(), builder=builder, reporter=Console(), folder=folder, project=folder)


def test_the_text_is_not_changed(tmp_path: Path) -> None:
    """It is that of the file, and no stage of a generated one is left."""
    text = "# own\r\nFROM a:1\r\nUSER x\r\n"
    plan, _ = planned(tmp_path, text)

    assert (text, {""}) == (azureml_tasks.render(plan), set(stages(plan).values()))
    assert text == azureml_tasks.render(plan, mounts=True)


def test_a_flag_for_the_base_is_refused(tmp_path: Path) -> None:
    """The flag is named, since the base is that of FROM."""
    project(tmp_path)

    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"base": Override("minimal-py312-inference", "--base")})

    assert ["--base"] == [problem.file for problem in caught.value.problems]


def test_a_link_that_leaves_the_project_is_refused(tmp_path: Path) -> None:
    """The Dockerfile, its ignore file and any other file must be of the project."""
    lay_out({"outside/Dockerfile": DOCKERFILE, "outside/ignore": "x\n"}, tmp_path)
    run = project(tmp_path / "inside")
    (run.folder / "Dockerfile").unlink()
    (run.folder / "Dockerfile").symlink_to("../outside/Dockerfile")
    (run.folder / "Dockerfile.dockerignore").symlink_to("../outside/ignore")

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(run.folder)

    whats = [problem.what for problem in caught.value.problems]
    assert 'tool.azureml-image.dockerfile is "Dockerfile", a link that leaves the project' in whats
    assert "is a link that leaves the project" in whats
    assert "Dockerfile is a link to ../outside/Dockerfile, which leaves the project" in whats


def test_files_that_are_no_text_or_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake says what to do; a pattern allows a large file, as in a model's folder."""
    monkeypatch.setattr("azureml_tasks.project.own_dockerfile.LARGE", 15)
    run = project(tmp_path, model_bin="weights of a model", allowed_bin="weights of a model")
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\nRUN \xe9\n")
    table = TABLE.replace("labels", 'exclude = ["!allowed.bin", "!*.toml"]\nlabels')
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(run.folder)

    large = "model.bin has 0 MB; the limit for a file of the build context is 0 MB"
    exclude = 'exclude = ["!allowed.bin", "!*.toml", "{}model.bin"]'
    ways = f"Leave it out: {exclude.format('')}\nOr allow it: {exclude.format('!')}"
    no_text = ("is not UTF-8 in line 2: invalid continuation byte", "Save it as UTF-8.")
    assert [(large, ways), no_text] == [(problem.what, problem.fix) for problem in caught.value.problems]


def test_one_of_several_images_has_its_own(tmp_path: Path) -> None:
    """An image that names a Dockerfile does without the base of the top table."""
    own = '[tool.azureml-image.images.own]\ndockerfile = "Dockerfile"\n[tool.azureml-image.images.other]\n'
    table = f'[project]\nname = "n"\nversion = "1"\n[tool.azureml-image]\nbase = "bases/serving:1"\n{own}'
    lay_out({"pyproject.toml": table, "Dockerfile": DOCKERFILE}, tmp_path)

    plans = [azureml_tasks.plan(azureml_tasks.load(tmp_path, image=name)) for name in ("own", "other")]

    assert [DOCKERFILE, True] == [
        plans[0].own_dockerfile and plans[0].own_dockerfile.text,
        plans[1].own_dockerfile is None,
    ]
    assert ["n-own", "n-other"] == [plan.repository for plan in plans]


def test_the_root_of_a_monorepo_is_its_context(tmp_path: Path) -> None:
    """Its path and its ignore file are those in the root; messages name it from the folder of pyproject.toml."""
    text = "FROM a:1\nCOPY --link shared /app/\nUSER x\n"
    files = {"a/pyproject.toml": TABLE, "a/Dockerfile": text, "shared/b.py": "", "c": ""}
    lay_out({**files, "a/Dockerfile.dockerignore": "c\na/*.toml\n"}, tmp_path)

    plan = azureml_tasks.plan(load(tmp_path / "a", root=Override(str(tmp_path), "--root")))

    names = [file.name for file in plan.files if not file.name.endswith("/")]
    assert ["a/Dockerfile", "a/Dockerfile.dockerignore", "shared/b.py"] == names
    assert plan.own_dockerfile is not None
    assert ("a/Dockerfile", "Dockerfile") == (plan.own_dockerfile.path, plan.own_dockerfile.name)


def test_the_archive_is_what_docker_would_send(tmp_path: Path) -> None:
    """Dockerfile and ignore file are files like others; if ignored, the engine removes them once it has read them."""
    plain = archived(project(tmp_path / "plain"))
    kept = archived(project(tmp_path / "kept", _dockerignore="serve.py\n"))
    ignored = archived(project(tmp_path / "ignored", _dockerignore="Dockerfile\n.dockerignore\n#\n"))
    ignored_alone = archived(project(tmp_path / "alone", _dockerignore="Dockerfile\n"))

    assert {"Dockerfile", "pyproject.toml", "serve.py"} == set(plain)
    assert {"Dockerfile", "pyproject.toml", ".dockerignore"} == set(kept)
    assert {"Dockerfile", "pyproject.toml", ".dockerignore", "serve.py"} == set(ignored)
    assert b"Dockerfile\n.dockerignore\n" == ignored[".dockerignore"]
    assert (b"Dockerfile\n", DOCKERFILE.encode()) == (ignored_alone[".dockerignore"], ignored["Dockerfile"])


def test_the_hash_covers_a_dockerfile_that_is_ignored(tmp_path: Path) -> None:
    """Else a changed Dockerfile would not be seen."""
    _, before = planned(tmp_path, _dockerignore="*\n")
    _, after = planned(tmp_path, DOCKERFILE + "# more\n", _dockerignore="*\n")

    assert ((), ()) == (before.files, after.files)
    assert before.sha256 != after.sha256


def test_the_staged_folder_has_the_files_alone(tmp_path: Path) -> None:
    """BuildKit reads the Dockerfile elsewhere, beside an ignore file that leaves out nothing more."""
    _, context = planned(tmp_path / "project", _dockerignore="Dockerfile\n")
    folder = tmp_path / "staged"
    folder.mkdir()

    stage(context, folder)
    file = write_dockerfile(context, tmp_path / "outside")

    assert {".dockerignore", "pyproject.toml", "serve.py"} == {path.name for path in folder.iterdir()}
    assert DOCKERFILE == file.read_text(encoding="utf-8")
    lines = (tmp_path / "outside/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert [True] == [line.startswith("#") for line in lines]


def test_labels_and_pull_are_options_of_the_build(tmp_path: Path) -> None:
    """The command that is printed names the Dockerfile and sets each label, with the hash of the context."""
    plan, context = planned(tmp_path)
    builder = Builder(kind="buildkit", why="")

    argv = build_command(client(), builder, plan, context, no_cache=False, pull=True, names=["scoring:1"])

    pairs = [*itertools.pairwise(argv)]
    labels = {word for before, word in pairs if before == "--label"}
    assert {("--file", "Dockerfile"), ("--tag", "scoring:1")} <= set(pairs)
    assert {
        'motto=a "b" $c \\',
        f"{CONTEXT_LABEL}={context.sha256}",
        "org.opencontainers.image.base.name=bases/serving:4",
    } <= labels
    assert ("--pull" in argv, "--build-arg" in argv) == (True, False)


def test_no_secret_is_passed(tmp_path: Path) -> None:
    """Neither the table nor a flag of the run gives it one, and a command that mounts one is warned of."""
    run = project(tmp_path, "FROM a:1\nRUN --mount=type=secret,id=netrc true\nUSER x\n")
    secrets = {"netrc": SecretSource(source="~/.netrc", option="--secret")}

    plan, context = plan_image(run._replace(secrets=secrets))
    builder = Builder(kind="buildkit", why="")
    argv = build_command(client(), builder, plan, context, no_cache=False)

    assert ((), True) == (plan.secrets, {"--secret", "--ssh"}.isdisjoint(argv))
    gets_nothing = "RUN --mount of a secret or an SSH agent gets nothing: this build passes none"
    assert f"Dockerfile:2: {gets_nothing}" in map(str, plan.warnings)


def test_an_archive_is_never_sent_to_the_engines_buildkit(tmp_path: Path) -> None:
    """There the ignored Dockerfile would be copied."""
    _, context = planned(tmp_path, "FROM a:1\nUSER x\n")
    build = Build(
        client=client(),
        builder=Builder(kind="legacy", why=""),
        reporter=Console(),
        tracked=cast("Run", None),
        takes_archives=True,
    )

    assert not build.uses_api_buildkit(context)


def test_an_engine_without_buildkit_is_refused(tmp_path: Path) -> None:
    """The message names what the Dockerfile needs, with the lines, and the way to get BuildKit."""
    plan, _ = planned(tmp_path, BUILDKIT)

    with pytest.raises(EngineError) as caught:
        refuse_missing_features(legacy_engine(tmp_path), plan)

    message = "The engine docker cannot build with BuildKit, which Dockerfile needs: RUN --mount (line 5)."
    assert (message, 3) == (caught.value.what, caught.value.exit_code)
    assert "sudo apt-get install docker.io docker-buildx" in caught.value.next_step
    refuse_missing_features(legacy_engine(tmp_path), planned(tmp_path)[0])


def test_it_is_never_up_to_date(tmp_path: Path) -> None:
    """The cache of the builder decides, so the records are not even read."""
    run = project(tmp_path)
    plan, context = plan_image(run)

    assert reusable_image(run, Prepared(plan=plan, context=context, engine=legacy_engine(tmp_path))) is None


def test_a_pass_counts_for_the_same_image(tmp_path: Path) -> None:
    """A build that gives the recorded image again keeps its pass; another image has none."""
    run = project(tmp_path)
    plan, context = plan_image(run)
    image = BuiltImage(
        id=f"sha256:{'1' * 64}", names=("scoring:1.0",), engine="docker", context_sha256=context.sha256
    )
    record_build(run, plan, image)
    run.records.write_pass(image, plan.smoke_test.sha256, {"passed": True})

    record_build(run, plan, image._replace(names=("scoring:2.0",)))
    kept = run.records.read_pass(), run.records.read_build().names
    record_build(run, plan, image._replace(id=f"sha256:{'2' * 64}"))

    assert (image.id, ("scoring:2.0",)) == (kept[0] and kept[0].id, kept[1])
    assert run.records.read_pass() is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"User": "", "Cmd": ["x"]}, "runs as root: its USER is not set."),
        ({"User": "root:g", "Cmd": ["x"]}, "runs as root: its USER is root:g."),
        (
            {"User": "0"},
            "runs as root: its USER is 0, and starts nothing: it has neither CMD nor ENTRYPOINT.",
        ),
        ({"User": "x", "Cmd": [], "Entrypoint": None}, "starts nothing: it has neither CMD nor ENTRYPOINT."),
    ],
)
def test_an_image_that_cannot_serve_is_refused(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Everything that is wrong is in one message."""
    plan, _ = planned(tmp_path)

    with pytest.raises(BuildError) as caught:
        check_image(plan, config)

    assert f"The image of Dockerfile {words}" == caught.value.what
    assert caught.value.state == "The image was built, and is not kept."


def test_ports_that_it_exposes(tmp_path: Path) -> None:
    """A warning says that requests go to another port."""
    plan, _ = planned(tmp_path)
    config = {"User": "x", "Entrypoint": ["x"]}

    assert [] == check_image(plan, config)
    assert [] == check_image(plan, {**config, "ExposedPorts": {"8080/tcp": {}, "1/udp": {}}})
    warnings = check_image(plan, {**config, "ExposedPorts": {"5001/tcp": {}}})
    assert ["the image exposes 5001/tcp, and smoke-test.port is 8080, to which requests will go"] == [
        *map(str, warnings)
    ]


@pytest.mark.parametrize(("user", "why"), [("toor", "is root"), ("nobody", "is not in its /etc/passwd")])
def test_a_user_that_it_does_not_have(user: str, why: str, tmp_path: Path) -> None:
    """A name is looked up in the image."""
    plan, _ = planned(tmp_path)

    with pytest.raises(BuildError, match=f"USER {user}, which {why}"):
        refuse_user(plan, user, {"toor": "0", "dockeruser": "1000"})
    refuse_user(plan, "dockeruser", {"toor": "0", "dockeruser": "1000"})


def test_the_probe_asks_its_server(tmp_path: Path) -> None:
    """Health check and malformed body go where its server answers, and /swagger.json is not asked for."""
    plan, _ = planned(tmp_path)

    config = probe_config(plan.smoke_test, "http://x:8080")

    assert ("/healthz", "/predict", False) == (config["health"], config["scoring"], config["swagger"])
    assert not plan.smoke_test.default_script


@pytest.mark.parametrize(
    ("paths", "scoring"),
    [
        ([], "/score"),
        (["/predict", "/score?x=1"], "/score"),
        (["/healthz", "/predict?x=1"], "/predict"),
        (["/healthz"], "/score"),
    ],
)
def test_the_path_that_scores(paths: list[str], scoring: str) -> None:
    """Of an own server the first one that is not its health check; Azure ML's server has one path."""
    requests = tuple(
        SmokeTestRequest(name=path, path=path, body=b"", status=200, expect=UNSET, tolerance=0, timeout=5)
        for path in paths
    )
    own = SmokeTestPlan(requests=requests, health="/healthz", is_azure_server=False)

    assert (scoring, "/score") == (own.scoring_path, own._replace(is_azure_server=True).scoring_path)


def test_the_yaml_has_its_port_and_paths(tmp_path: Path) -> None:
    """The environment has the routes of the smoke test; the deployment mounts no code."""
    plan, _ = planned(tmp_path)
    pushed = Pushed(image=f"contoso.azurecr.io/scoring@sha256:{'5f' * 32}", tags=("1",))

    routes = yaml.safe_load(environment_text(pushed, plan.smoke_test))["inference_config"]
    deployment = yaml.safe_load(deployment_text(pushed, plan, endpoint="e", instance_type="Standard_DS3_v2"))

    health = {"port": 8080, "path": "/healthz"}
    scoring = {"port": 8080, "path": "/predict"}
    assert {"liveness_route": health, "readiness_route": health, "scoring_route": scoring} == routes
    assert deployment.keys().isdisjoint({"code_configuration", "model"})


def test_a_remote_build_gets_the_project_in_a_folder(tmp_path: Path) -> None:
    """The Dockerfile with its labels lies outside the folder that it copies from, and no ignore file is sent."""
    run = project(tmp_path, _dockerignore="docs\n")
    plan, context = plan_image(run)

    (piece,) = whole_image(plan, context).pieces
    sent = archived(run._replace(engine="acr"))

    others = {name for name in sent if not name.startswith(".azureml-image/")}
    assert {f"project/{name}" for name in ("Dockerfile", "pyproject.toml", "serve.py")} == others
    assert labelled(plan, context.sha256).encode() == sent[".azureml-image/Dockerfile"]
    assert (DOCKERFILE.encode(), "project") == (sent["project/Dockerfile"], piece.folder)


def test_labels_of_a_remote_build_are_instructions(tmp_path: Path) -> None:
    """They come last, in one instruction, so that they replace those of the Dockerfile."""
    plan, context = planned(tmp_path)

    text = labelled(plan, context.sha256)

    assert text.startswith(DOCKERFILE)
    assert '\n\nLABEL \\\n    "org.opencontainers.image.title"="scoring" \\\n' in text
    last = f'    "motto"="a \\"b\\" \\$c \\\\" \\\n    "{CONTEXT_LABEL}"="{context.sha256}"\n'
    assert text.endswith(last)


@pytest.mark.parametrize(("dockerfile", "env"), [(DOCKERFILE, None), (BUILDKIT, ["DOCKER_BUILDKIT=1"])])
def test_the_task_of_a_remote_build(dockerfile: str, env: list[str] | None, tmp_path: Path) -> None:
    """BuildKit is turned on only if the Dockerfile needs it; the probe runs without the image's own ENTRYPOINT."""
    plan, context = planned(tmp_path, dockerfile)
    (piece,) = whole_image(plan, context).pieces
    file = TaskFile(plan=plan, image="i:1", context_sha256="0", pieces=(piece,), smoke_test=True, timeout=600)

    build, server, smoke_test, _ = yaml.safe_load(str(file))["steps"]

    assert build["build"].startswith("-f .azureml-image/Dockerfile -t ")
    assert (True, env) == (build["build"].endswith(" linux/amd64 project"), build.get("env"))
    assert ("i:1", "/bin/sh") == (server["cmd"], smoke_test["entryPoint"])
    assert smoke_test["cmd"] == "i:1 /workspace/.azureml-image/probe.sh"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (DOCKERFILE, ""),
        ("ARG T=1\nFROM a:${T} AS b\nFROM b\nUSER x\n", ""),
        ("FROM --platform=linux/amd64 a\nUSER x\n", "Dockerfile:1: FROM --platform=linux/amd64 a"),
        ("FROM a\nRUN python -c 'y' \\\n  from b to c\nUSER x\n", "Dockerfile:3: from b to c"),
        ("FROM a\nRUN <<EOF\nfrom x import y\nEOF\nUSER x\n", "Dockerfile:3: from x import y"),
        ("ARG T\nFROM a:${T:-1}\nUSER x\n", "Dockerfile:2: FROM a:${T:-1}"),
        ("ARG T=1\nARG B=a:$T\nFROM $B\nUSER x\n", "Dockerfile:3: FROM $B"),
    ],
)
def test_lines_that_the_agent_does_not_read(text: str, line: str, tmp_path: Path) -> None:
    """They are named before anything is sent; the loopback's agent refuses the same."""
    plan, _ = planned(tmp_path, text)
    refused, understood = "", True
    try:
        check_dockerfile(plan)
    except EngineError as error:
        refused = error.next_step.splitlines()[1]
    try:
        scan(text, build_words("-f Dockerfile ."))
    except ScanError:
        understood = False

    assert (line, not line) == (refused, understood)


def test_another_escape_is_refused_by_a_remote_build(tmp_path: Path) -> None:
    """The labels that are added would be read wrongly."""
    plan, _ = planned(tmp_path, "# escape=`\nFROM a\nUSER x\n")

    with pytest.raises(EngineError, match="cannot read Dockerfile"):
        check_dockerfile(plan)


def test_check_lists_images_and_features(tmp_path: Path) -> None:
    """`image.check` shows what the Dockerfile names and needs, as text and as JSON."""
    text = "# syntax=docker/dockerfile:1\nARG T=4\nFROM a:$T AS build\nFROM build\nRUN <<E\ntrue\nE\nUSER x\n"
    project(tmp_path, text, tasks_py=TASKS)

    shown = invoke(tmp_path, "image.check").out
    (listed,) = json.loads(invoke(tmp_path, "image.check", "--json").out)["images"]

    assert "dockerfile Dockerfile, linux/amd64\n" in shown
    assert "images     FROM a:4 AS build (line 3)\n" in shown
    assert (
        "buildkit   RUN with a here-document (line 5)\n"
        "           # syntax=docker/dockerfile:1: BuildKit pulls and runs this image\n"
    ) in shown
    assert "smoke test start-up, health check and 1 request, each 10 times\n" in shown
    assert {
        "path": "Dockerfile",
        "images": [{"line": 3, "text": "FROM a:4 AS build"}],
        "buildkit": ["RUN with a here-document (line 5)"],
        "syntax": "docker/dockerfile:1",
    } == listed["dockerfile"]


def test_a_dockerfile_is_printed_without_commands_of_a_ci_system(tmp_path: Path) -> None:
    """Its author may be that of a pull request; a file gets every byte."""
    text = "FROM a:1\n#\n::set-env name=A::b\nUSER x\n"
    project(tmp_path, text, tasks_py=TASKS)

    printed = invoke(tmp_path, "image.dockerfile").out
    invoke(tmp_path, "image.dockerfile", "--output", "out")

    assert "FROM a:1\n#\n: :set-env name=A::b\nUSER x\n" == printed
    assert text == (tmp_path / "out").read_text(encoding="utf-8")
