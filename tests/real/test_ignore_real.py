"""Our ignore rules against real builds with the same `.dockerignore`."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.project.ignore import IllegalPattern, Matcher, parse_ignore_file
from tests.machine import clients as docker_clients
from tests.real.support import removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

BUILDERS = {"legacy": ("26.1", "0"), "buildx": ("26.1-buildx", "1")}
"""Builder → the client that has it and its DOCKER_BUILDKIT."""

PATHS = (
    "a", "b.py", "b.pyc", ".hidden", "é.txt", "模型", "a b", "#a", "!a", "*a", "a[1]b", "a1b", "x/a",
    "x/b.py", "x/y/a", "x/y/b.py", "x/y/z/a",
    "x/y/z/keep.txt", "x/keep.txt", "d/a", "d/e/a", "d/e/f/a", "d/e/f/b.py", "d/keep/a", "d/keep/b.py",
    "data/1.csv", "data/2.csv", "data/sub/1.csv",
    "build/lib/a", "lib/build/a", "log.1", "log.22", "logs/log.1", "ab", "abc", "a.b", "axb", "A",
    "node_modules/m/a", "x/node_modules/m/a",
    "deep/1/2/3/4/a", "deep/1/2/3/4/b.py", "empty/.keep", "x{2}", "xx", "a|b", "tab\tname", "$x", "(x)",
    "x+", "^x",
)  # fmt: skip
EMPTY_FOLDERS = ("nothing", "x/nothing")

ROOT = {
    "stars": "*\n!a\n!d",
    "two stars": "**\n!**/a\n!data",
    "but one below": "*\n!x/y/z/keep.txt",
    "order": "!data/1.csv\ndata\n!data/sub\ndata/sub/1.csv",
    "nothing": "# a comment\n\n  \n.\n/\n../a\n",
    "files of a kind": "**/*.py\n!d/**/*.py\n**/keep*\n!**/keep.txt\n",
    "names": "\ufeffa\r\n  x/../d  \r\n/data/\n./log.?\n!\tlog.1\n # no comment",
    "one folder deep": "*/*\n!*/keep*\nx/y",
    "brought back by a parent": "d/e/f\n!d\nd/keep/b.py\n!d/keep",
    "middle": "deep/**/4\nx/**/a\n**/node_modules\n!x/node_modules/m",
    "end": "d/**\n!d/e/**/b.py\ndata**\n",
    "sets": "[ab]\na[0-9]b\nlog.[^2]*\n[^a-z]*\n[\\]]",
    "escapes": "\\#a\n\\!a\n\\*a\na\\[1\\]b\nx\\.y",
    "odd": "*a*b*\nx{2}*\n(x)*\nx+?\n^x*\n?|b*\n$?\ntab?name",
    "one character": "?\n??\n!ab\n模?\né.*",
    "case": "A\nB.PY\nDATA",
    "name stuck to stars": "**a\n!**z/a\n**.csv",
    "dots": "a.b\n.*\n!.hidden\n*.*.*",
}

ONLY_OURS = {
    # The legacy builder enters an excluded folder only for a "!" pattern that begins with that folder's own name
    # (moby/go-archive, TarWithOptions); the rules themselves, and BuildKit, keep these files.
    ("legacy", "two stars"): (
        "build/lib/a", "d/a", "d/e/a", "d/e/f/a", "d/keep/a", "deep/1/2/3/4/a", "lib/build/a",
        "node_modules/m/a", "x/a", "x/node_modules/m/a",
        "x/y/a", "x/y/z/a",
    ),
    ("legacy", "end"): ("d/e/f/b.py",),
    # Since Docker 23 a "!" pattern that matches a folder which nothing has excluded is forgotten below it
    # (moby/patternmatcher, MatchesUsingParentResults); by MatchesOrParentMatches, and Docker 20.10, it brings back.
    ("legacy", "brought back by a parent"): ("d/e/f/a", "d/e/f/b.py", "d/keep/b.py"),
    ("buildx", "brought back by a parent"): ("d/e/f/a", "d/e/f/b.py", "d/keep/b.py"),
}  # fmt: skip
"""Paths that stay by our rules and not in a build, with the reason."""

PATTERNS = (
    "nothing", "names", "sets", "escapes", "odd", "one character", "case", "name stuck to stars", "dots",
)  # fmt: skip
"""Cases of what a pattern matches, which both builders ask the same library; the legacy one builds the other cases."""
BUILDS = [
    (builder, case) for builder in BUILDERS for case in ROOT if builder == "buildx" or case not in PATTERNS
]

REFUSED = ("[]]", "a[", "x\\y", "a\\", "!", "[b-a]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every path as an empty file."""
    folder = tmp_path_factory.mktemp("tree")
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    for path in EMPTY_FOLDERS:
        (folder / path).mkdir()
    return folder


def kept(patterns: str) -> list[str]:
    """Return the files that stay by our rules."""
    rules = parse_ignore_file(patterns, ".dockerignore")
    matcher = Matcher(rules)
    walked = {
        path
        for path in PATHS
        if all(
            matcher.excluding(str(folder)) is None or matcher.may_descend(str(folder))
            for folder in PurePosixPath(path).parents
            if str(folder) != "."
        )
    }
    return sorted(path for path in walked if matcher.excluding(path) is None)


@pytest.mark.parametrize(("builder", "case"), BUILDS)
def test_the_files_that_stay_are_those_that_a_build_copies(
    builder: str,
    case: str,
    tree: Path,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
) -> None:
    """A walk by our rules keeps the files that `COPY .` copies, apart from the known differences."""
    (tree / ".dockerignore").write_text(ROOT[case], encoding="utf-8", newline="")
    name = f"{unique('ignore')}:1"
    with removed_after(docker_client, name):
        completed = build(tree, name, environment(builder, clients, tmp_path))
        assert completed.returncode == 0, completed.stderr
        files = copied(name, docker_client)

    assert kept(ROOT[case]) == sorted([*files, *ONLY_OURS.get((builder, case), ())])


@pytest.mark.parametrize(
    ("builder", "pattern"), [*(("buildx", pattern) for pattern in REFUSED), ("legacy", REFUSED[0])]
)
def test_a_pattern_that_we_refuse_is_refused_by_a_build(
    builder: str, pattern: str, tree: Path, tmp_path: Path, clients: Mapping[str, Client]
) -> None:
    """A pattern without a meaning would keep files that should be excluded."""
    (tree / ".dockerignore").write_text(pattern, encoding="utf-8", newline="")

    completed = build(tree, f"{unique('ignore')}:1", environment(builder, clients, tmp_path))

    with pytest.raises(IllegalPattern):
        kept(pattern)
    assert completed.returncode != 0


def environment(builder: str, clients: Mapping[str, Client], scratch: Path) -> dict[str, str]:
    """Return the environment in which `docker build` uses *builder*."""
    client, buildkit = BUILDERS[builder]
    return docker_clients.environment(clients[client], scratch / "config") | {"DOCKER_BUILDKIT": buildkit}


def build(tree: Path, name: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Build an image of this *name* that holds *tree* without what its `.dockerignore` excludes."""
    dockerfile = tree.parent / f"{tree.name}.Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    # Without a parent, the legacy builder would look for its cache among all images, which others remove meanwhile.
    argv = ["docker", "build", "--no-cache", "--quiet", "--tag", name, "--file", str(dockerfile), str(tree)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def copied(name: str, client: docker.DockerClient) -> list[str]:
    """Return the files of the tree that are in the image of this *name*."""
    container = client.containers.create(name, ["none"])
    try:
        data = b"".join(container.export())  # type: ignore[arg-type]  # the stubs take its bytes for text
    finally:
        container.remove(force=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = [member.name for member in archive if member.isreg()]
    return sorted(name for name in names if name in PATHS)
