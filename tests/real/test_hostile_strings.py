"""Strings that Docker, a shell or a line scan could misread, through each builder and back."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext, digest
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.leftovers import tracked_run
from tests.cases import lay_out
from tests.machine import clients as docker_clients
from tests.real.support import removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

BUILDERS = {"legacy": "26.1", "buildkit": "20.10", "buildx": "26.1-buildx"}
"""Each builder with the client that has it."""

VALUES = (
    "", " ", "a b", "  both ends ", "\ttab\t", '"', "'", '"quoted"', "it's", "\\", "\\\\", "ends in \\",
    'a\\"b', "\\n", "`x`", "$HOME", "${HOME}",
    "${HOME:-x}", "\\$HOME", "$", "$$", "$(id)", "%PATH%", "<<EOF", "FROM scratch", "from",
    "# no comment", "# escape=`", "--mount=type=secret",
    "--chown=root", "a=b", "a=b c=d", "&& rm -rf /", "; id", "|", "{a,b}", "[a]", '["a","b"]', "*", "?",
    "##vso[x]", "##[x]$HOME", "::error::x", '"::notice::"', "!", "~", "模型 😀 é", "\x01\x0b\x0c\x1b\x7f",
    "\x85\u2028\ufeff", "x" * 60_000,
)  # fmt: skip
ENV = {f"V{number}": value for number, value in enumerate(VALUES)} | {
    name: name for name in ("from", "FROM", "a.b-c", "run", "_")
}
LABELS = {f"l{number}": value for number, value in enumerate(VALUES)} | {
    name: f"of {name}" for name in VALUES if name and "=" not in name and len(name) < 100
}
NAMES = (
    "a b", "a[1]b", "[a]", "*", "?", "!a", "#a", "$HOME", "${A}", "a\\b", "\\", "'", '"', "a'b\"c",
    "-a", "--from=b", "~a", "{a,b}", "a=b", "a;b&c|d", "<<EOF",
    "from", "Dockerfile", ".dockerignore", "模型.bin", "😀", "e\u0301", "é", "a\nb", "a\tb", "\x01\x7f",
    "x" * 200, ".hidden", " lead", "trail ", "a:b", "%41",
)  # fmt: skip
COMMANDS = tuple("\n".join(lines) for lines in (
    (
        "printf %s 'a b'", "echo a\\\n  b", "# a comment alone\necho after", "  echo lead",
        "echo \"$0\" '$0' \\$0 \"\\\"\"", "printf '%s\\n' \"模型 😀\" é",
        'cat <<EOF\nfrom $((1 + 1)) "x"\n  EOF\nEOF\n',
    ),
    (
        "printf '\\\\n\\n'", "echo --mount=type=secret", "echo '[\"a\",\"b\"]'", "echo '##vso[x] ::error::x'",
        "echo 'from here'\nfrom() { echo function; }\nfrom\n", "echo \t tab\r",
    ),
    ("echo one; echo two # three", "echo \x01\x7f\x85\u2028", "true \\"),
))  # fmt: skip
"""Each is a step; how it ends is as hostile as what is in it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_base: str) -> Path:
    """Return a project with such values everywhere."""
    project_folder = tmp_path_factory.mktemp("hostile")
    runs = [
        {"command": command, "after": after, "user": user}
        for command, after, user in (
            ("cat /proc/$$/cmdline > /seen-first\n# from \\", "apt", "root"),
            ("cat /proc/$$/cmdline > /tmp/seen-runtime\n# <<EOF", "pip", "runtime"),
        )
    ]
    runs += [
        {
            "command": f"cat /proc/$$/cmdline > /seen-{number} && exit\n{command}",
            "after": "code",
            "user": "root",
        }
        for number, command in enumerate(COMMANDS)
    ]
    lay_out(
        {"pyproject.toml": _toml(tiny_base, runs), "code/score.py": "def init(): ...\ndef run(data): ...\n"},
        project_folder,
    )
    for name in NAMES:
        (project_folder / "code" / name).write_text(f"of {name}", encoding="utf-8")
        (project_folder / "model" / name).mkdir(parents=True)
        (project_folder / "model" / name / name).write_text(f"model of {name}", encoding="utf-8")
    (project_folder / "code/a link").symlink_to("a[1]b")
    return project_folder


def _toml(base: str, runs: list[dict[str, str]]) -> str:
    def table(values: Mapping[str, str]) -> str:
        return "{ " + ", ".join(f"{_string(name)} = {_string(text)}" for name, text in values.items()) + " }"

    env = {name: text.replace("$", "$$") for name, text in ENV.items()} | {"EXTENDED": "/opt/x:$PATH"}
    return (
        f'[project]\nname = "hostile"\nversion = "1"\n[tool.azureml-image]\nbase = "{base}"\nmodel = "model"\n'
        f"exclude = ['!code/.dockerignore']\nenv = {table(env)}\nlabels = {table(LABELS)}\n"
        f"run = [{', '.join(map(table, runs))}]\n"
    )


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@pytest.fixture(scope="module", params=list(BUILDERS))
def image(
    request: pytest.FixtureRequest,
    folder: Path,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Yield the image that each builder builds of the project."""
    name = unique("hostile")
    plan = azureml_tasks.plan(azureml_tasks.load(folder))
    context = BuildContext(files=plan.files, dockerfile=azureml_tasks.render(plan), sha256=digest(plan.files))
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch, removed_after(docker_client, f"{name}:1"):
        for variable, value in docker_clients.environment(
            clients[BUILDERS[request.param]], scratch / "config"
        ).items():
            patch.setenv(variable, value)
        client = connect()
        with closing(client.sdk), tracked_run(client, scratch, Console()) as run:
            build = Build(
                client=client,
                builder=Builder(kind=request.param, why="asked for"),
                reporter=Console(),
                tracked=run,
            )
            # Both of BuildKit's keep one cache: where the second asks for the same to the byte, it gets the same.
            yield build.run(plan._replace(repository=name), context, no_cache=request.param != "buildx")


def test_variables_and_labels_come_back_unchanged(
    image: str, docker_client: docker.DockerClient, tiny_base: str, folder: Path
) -> None:
    """`docker inspect` shows the values of the table, those of the base and our own, and no others."""
    base, config = (docker_client.images.get(name).attrs["Config"] for name in (tiny_base, image))
    plan = azureml_tasks.plan(azureml_tasks.load(folder))

    inspected = (
        [variable for variable in config["Env"] if variable not in base["Env"]],
        config["Labels"],
        config["User"],
    )

    variables = {
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models",
        **ENV,
    }
    path = next(value for value in base["Env"] if value.startswith("PATH=")).removeprefix("PATH=")
    variables["EXTENDED"] = f"/opt/x:{path}"
    labels = {
        **(base["Labels"] or {}),
        "org.opencontainers.image.title": "hostile",
        "org.opencontainers.image.version": "1",
        "org.opencontainers.image.base.name": tiny_base,
        **LABELS,
        "azureml-tasks.context-sha256": digest(plan.files),
    }
    assert ([f"{name}={value}" for name, value in variables.items()], labels, "dockeruser") == inspected


def test_files_come_back_unchanged(image: str, docker_client: docker.DockerClient) -> None:
    """The image has the same names and contents as the project, and no others."""
    files = read(docker_client, image, "/var/azureml-app")

    expected: dict[str, Any] = {"azureml-app": "folder", "azureml-app/azureml-models": "folder"}
    expected["azureml-app/score.py"] = "def init(): ...\ndef run(data): ...\n"
    expected["azureml-app/a link"] = ("link", "a[1]b")
    for name in NAMES:
        expected[f"azureml-app/{name}"] = f"of {name}"
        expected[f"azureml-app/azureml-models/{name}"] = "folder"
        expected[f"azureml-app/azureml-models/{name}/{name}"] = f"model of {name}"
    assert expected == files


def test_commands_arrive_unchanged_at_the_shell(image: str, docker_client: docker.DockerClient) -> None:
    """`/bin/sh -c` gets each command as one argument, to the byte."""
    files = read(docker_client, image, "/")

    received = {name: text for name, text in files.items() if "seen-" in name}

    commands = {
        "seen-first": "cat /proc/$$/cmdline > /seen-first\n# from \\",
        "tmp/seen-runtime": "cat /proc/$$/cmdline > /tmp/seen-runtime\n# <<EOF",
        **{
            f"seen-{n}": f"cat /proc/$$/cmdline > /seen-{n} && exit\n{command}"
            for n, command in enumerate(COMMANDS)
        },
    }
    assert {name: f"/bin/sh\0-c\0{command}\0" for name, command in commands.items()} == received


def read(client: docker.DockerClient, image: str, path: str) -> dict[str, Any]:
    """Return the text or the kind of everything at *path* of an image, by name."""
    container = client.containers.create(image)
    try:
        data = b"".join(container.get_archive(path)[0])
    finally:
        container.remove(force=True)
    entries: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            name = member.name.removeprefix("./").strip("/") if path == "/" else member.name
            if path == "/" and "seen-" not in name:
                continue
            file = archive.extractfile(member) if member.isreg() else None
            other = ("link", member.linkname) if member.issym() else "folder"
            entries[name] = file.read().decode() if file else other
    return entries
