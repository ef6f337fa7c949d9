"""Collections in a user's tasks.py: configuration, composition, and how next steps are spelled."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.collection import collection
from tests import consumers
from tests.consumers import consumer, invoke, project
from tests.fake_engine import ready_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.consumers import Ended

IMPORTS = """\
import azureml_tasks
from invoke.collection import Collection
from invoke.tasks import call, task
from azureml_tasks import image

"""
CALLERS = """\
@task(pre=[image.check])
def before(c):
    print("then")

@task
def calls(c):
    image.check(c, json=True)

@task(pre=[call(image.check, project="services/b", json=True)])
def before_b(c):
    pass

@task(pre=[image.smoke_test])
def tested(c):
    print("never")

"""
TWO = """\
a = azureml_tasks.collection("a", project="services/a", registry="a.io")
b = azureml_tasks.collection("b", project="services/b", registry="b.io", tags=["x", "y"])

@task(pre=[call(b["check"], json=True)])
def before_own(c):
    pass

@task
def calls_own(c):
    b["check"](c, json=True)

ns = Collection(before_own, calls_own, a, b)
"""
BASE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine answers, so that a check names the next step."""
    with ready_engine() as engine:
        monkeypatch.setattr(consumers, "DEAD", engine.host)
        yield


def several(folder: Path, tasks: str) -> Path:
    """Write a project with two more below it, and *tasks* after the imports."""
    consumer(folder, IMPORTS + tasks)
    for name in "ab":
        (folder / "services" / name).mkdir(parents=True)
        (folder / "services" / name / "pyproject.toml").write_text(project(name))
    return folder


def checked(run: Ended) -> tuple[str, list[str], str]:
    """Return base, names and next step of a `check --json`."""
    (report,) = json.loads(run.out)["images"]
    return report["base"], report["names"], report["next"]


def test_a_task_gets_the_root_configuration_however_it_is_called(tmp_path: Path) -> None:
    """By name, as `pre=` and from another task, what the root configures counts."""
    root = 'ns.configure({"azureml_image": {"base": "own:1", "registry": "r.io"}})\n'
    folder = several(tmp_path, CALLERS + "ns = Collection(image, calls, before)\n" + root)

    expected = ("own:1", ["r.io/demo:1.2.3"], "invoke image.build")
    assert expected == checked(invoke(folder, "image.check", "--json"))
    assert expected == checked(invoke(folder, "calls"))
    assert invoke(folder, "image.check").out + "then\n" == invoke(folder, "before").out


def test_a_collection_is_bound_to_its_configuration_however_its_tasks_are_called(tmp_path: Path) -> None:
    """By name, as `pre=` and from another task, a task of a collection has that collection's configuration."""
    folder = several(tmp_path, TWO)

    expected = (BASE, ["b.io/b:x", "b.io/b:y"], "invoke b.build")
    assert (BASE, ["a.io/a:1.2.3"], "invoke a.build") == checked(invoke(folder, "a.check", "--json"))
    assert expected == checked(invoke(folder, "b.check", "--json"))
    assert expected == checked(invoke(folder, "before-own"))
    assert expected == checked(invoke(folder, "calls-own"))
    assert expected == checked(invoke(folder / "services" / "a", "before-own"))


def test_each_level_takes_precedence_over_a_collections_configuration(tmp_path: Path) -> None:
    """A flag, a variable and Invoke's configuration each replace what the collection was made with."""
    folder = several(tmp_path, TWO)

    flag = invoke(folder, "b.check", "--json", "--registry=flag.io")
    variable = invoke(folder, "b.check", "--json", env={"INVOKE_AZUREML_IMAGE_REGISTRY": "variable.io"})
    (folder / "invoke.yaml").write_text("azureml_image:\n  registry: file.io\n")
    file = invoke(folder, "b.check", "--json")

    assert [
        ["flag.io/b:x", "flag.io/b:y"],
        ["variable.io/b:x", "variable.io/b:y"],
        ["file.io/b:x", "file.io/b:y"],
    ] == [checked(each)[1] for each in (flag, variable, file)]


def test_invoke_runs_the_same_task_of_two_collections(tmp_path: Path) -> None:
    """Invoke runs equal tasks once; tasks of two collections are different, so that none is left out."""
    folder = several(tmp_path, TWO)
    (folder / "services" / "b" / "pyproject.toml").write_text(project("b", 'apt = ["curl"]\n'))

    both = invoke(folder, "a.dockerfile", "b.dockerfile")

    assert invoke(folder, "a.dockerfile").out + invoke(folder, "b.dockerfile").out == both.out


def test_tasks_are_equal_if_name_and_configuration_are() -> None:
    """Two collections that are configured alike have equal tasks; a registry makes them different."""
    first, same, other = collection("a"), collection("b"), collection("a", registry="r.io")

    assert (True, False, False) == (
        first["check"] == same["check"],
        first["check"] == other["check"],
        first["check"] == first["build"],
    )
    assert hash(first["check"]) == hash(same["check"])


def test_a_task_that_is_typed_twice_runs_once(tmp_path: Path) -> None:
    """As for any task, Invoke runs `image.check` with the same flags once."""
    folder = consumer(tmp_path)

    assert invoke(folder, "image.check").out == invoke(folder, "image.check", "image.check").out


def test_an_unknown_or_wrong_value_of_a_collection_is_exit_2(tmp_path: Path) -> None:
    """A value of the wrong type and an unknown engine are reported together, with where they are."""
    tasks = 'ns = Collection(azureml_tasks.collection("a", engine="podman", no_cache="yes"))\n'

    ended = invoke(several(tmp_path, tasks), "a.check")

    expected = """\
collection(...).engine: is "podman", which is not an engine
    Engines: docker, acr, auto.

collection(...).no_cache: must be a boolean, got "yes"

2 problems; nothing was done.
"""
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_a_project_of_a_call_is_relative_to_tasks_py(tmp_path: Path) -> None:
    """A call in tasks.py that names its project means the same from any folder."""
    folder = several(tmp_path, CALLERS + "ns = Collection(image, before_b)\n")

    project = "invoke image.build --project {}"
    assert (BASE, ["b:1.2.3"], project.format("services/b")) == checked(invoke(folder, "before-b"))
    below = checked(invoke(folder / "services" / "a", "before-b"))
    assert (BASE, ["b:1.2.3"], project.format("../b")) == below


def test_a_failure_ends_what_comes_after(tmp_path: Path) -> None:
    """A pre-task that fails ends the run with its exit code, and the task itself does not start."""
    ended = invoke(several(tmp_path, CALLERS + "ns = Collection(image, tested)\n"), "tested")

    expected = "Nothing is built here yet.\n    invoke image.build\nNothing was tested.\n"
    assert (4, "", expected) == (ended.code, ended.out, ended.err)


def test_the_default_task_is_spelled_as_the_run_was_started(tmp_path: Path) -> None:
    """Under the name that tasks.py gave the collection, nested under one, and at the root without any word."""
    renamed = several(
        tmp_path / "renamed",
        "ns = Collection()\n"
        'ns.add_collection(image, name="own")\n'
        'deploy = Collection("deploy")\ndeploy.add_collection(image, name="own_image")\n'
        "ns.add_collection(deploy)\n",
    )
    root = consumer(tmp_path / "root", "from azureml_tasks.image import ns\n")
    default = several(
        tmp_path / "default", 'ns = Collection()\nns.add_collection(image, name="own", default=True)\n'
    )

    runs = [
        invoke(renamed, "own", "--json"),
        invoke(renamed, "deploy.own-image", "--json"),
        invoke(renamed, "own.check", "--json", "--tag=image"),
        invoke(root, "check", "--json"),
        invoke(root, "--no-dedupe"),
        invoke(default),
    ]

    prefixes = ["own.", "deploy.own-image.", "own.", "", "", "own."]
    assert prefixes == [re.findall(r"invoke (.*)build", run.out)[0] for run in runs]


def test_next_steps_are_spelled_as_the_run_was_started(tmp_path: Path) -> None:
    """Below a name, nested, renamed, at the root; a pre-task is spelled by its collection's name."""
    named = several(
        tmp_path / "named",
        'serving = azureml_tasks.collection("serving")\n'
        '@task(pre=[serving["smoke-test"]])\ndef tested(c):\n    pass\n'
        'ns = Collection(tested, serving)\nns.add_collection(Collection("deploy", serving))\n',
    )
    renamed = several(tmp_path / "renamed", 'ns = Collection()\nns.add_collection(image, name="own")\n')
    root = consumer(tmp_path / "root", "from azureml_tasks.image import ns\n")

    runs = [
        invoke(named, "serving.smoke-test"),
        invoke(named, "deploy.serving.smoke-test"),
        invoke(named, "tested"),
        invoke(renamed, "own.smoke-test"),
        invoke(root, "smoke-test"),
    ]

    message = "Nothing is built here yet.\n    invoke {}build\nNothing was tested.\n"
    prefixes = ("serving.", "deploy.serving.", "serving.", "own.", "")
    assert [message.format(prefix) for prefix in prefixes] == [run.err for run in runs]


SEVERAL = """\
one = azureml_tasks.collection("one", project="services/a")
two = azureml_tasks.collection("two", project="services/b")

@task(pre=[one["push"], two["push"]])
def push(c):
    pass

@task(pre=[two["push"]])
def push_two(c):
    pass

@task(pre=[two["check"]])
def check_two(c):
    pass

"""
REGISTRY = 'registry = "r.io"\n'
NOT_BUILT = "Nothing is built here yet.\n    invoke {}build\nNothing was pushed.\n"


def test_each_of_several_images_is_named_by_its_own_collection(tmp_path: Path) -> None:
    """A typed word counts for a task only if it is that task, not one of another collection or of the user."""
    folder = several(tmp_path, SEVERAL + "ns = Collection(push, push_two, check_two, one, two)\n")
    for name in "ab":
        (folder / "services" / name / "pyproject.toml").write_text(project(name, REGISTRY))

    commands = (["push"], ["push-two"], ["two.push"], ["push-two", "one.push"], ["one.push", "two.push"])
    errors = [invoke(folder, *words).err for words in commands]
    checks = [
        invoke(folder, *words).out for words in (["one.check", "two.check"], ["check-two", "one.check"])
    ]

    prefixes = ["one.", "two.", "two.", "two.", "one."]
    assert [NOT_BUILT.format(prefix) for prefix in prefixes] == errors
    assert [["one.", "two."], ["two.", "one."]] == [re.findall(r"invoke (.*)build", out) for out in checks]


def test_a_pre_task_is_spelled_as_its_collection_is_mounted(tmp_path: Path) -> None:
    """Under another name, below another collection, of a module that `-c` names, and where a task has its own name."""
    mounted = several(
        tmp_path,
        SEVERAL
        + 'docs = Collection("docs", push)\nlater = Collection("later", two)\n'
        + "ns = Collection(push_two, docs, later)\n"
        + 'ns.add_collection(one, name="first")\nns.add_task(image.check, name="verify")\n',
    )
    for name in "ab":
        (mounted / "services" / name / "pyproject.toml").write_text(project(name, REGISTRY))
    (mounted / "deploy.py").write_text((mounted / "tasks.py").read_text())

    runs = [
        invoke(mounted, "docs.push"),
        invoke(mounted, "push-two"),
        invoke(mounted, "-c", "deploy", "docs.push"),
        invoke(mounted, "-c", "deploy", "later.two.push"),
    ]
    verified = invoke(mounted, "verify").out

    prefixes = ["first.", "later.two.", "first.", "later.two."]
    assert [NOT_BUILT.format(prefix) for prefix in prefixes] == [run.err for run in runs]
    assert ["image."] == re.findall(r"invoke (.*)build", verified)


def test_a_mistake_in_a_file_names_the_project_that_is_not_the_current_folder(tmp_path: Path) -> None:
    """Files are named by their path from the current folder, in text and JSON; a flag keeps its name."""
    folder = several(tmp_path, SEVERAL + "ns = Collection(one, two)\n")
    (folder / "services" / "a" / "pyproject.toml").write_text(
        project("a", 'nam = "a"\nrequirements = "wrong.txt"\n')
    )
    (folder / "services" / "b" / "pyproject.toml").write_text(
        project("b", 'pip = ["numpy==2.1.0"]\nsecrets = ["netrc"]\n')
    )
    (folder / "services" / "a" / "wrong.txt").write_text("-r none.txt\n")

    from_root = invoke(folder, "one.build", "two.build")
    from_other = invoke(folder / "services" / "b", "one.build")
    from_own = invoke(folder / "services" / "a", "one.build")
    flag = invoke(folder, "one.check", "--json", "--base=BAD REF")
    secret = invoke(folder, "two.check", "--json")

    message = """\
{0}pyproject.toml:7: unknown key "nam" in [tool.azureml-image]
    Did you mean "name"?

{0}wrong.txt:1: includes "none.txt", which does not exist
    Create none.txt, or correct the path: it is relative to wrong.txt.

2 problems; nothing was built.
"""
    folders = ["services/a/", "../a/", ""]
    assert [message.format(each) for each in folders] == [
        run.err for run in (from_root, from_other, from_own)
    ]
    files = ["services/a/pyproject.toml", "--base", "services/a/wrong.txt"]
    assert files == [each["file"] or each["option"] for each in json.loads(flag.out)["errors"]]
    assert ["services/b/pyproject.toml"] == [each["file"] for each in json.loads(secret.out)["errors"]]
    assert files == re.findall(r"^(\S+?)(?::\d+)?: ", flag.err, re.MULTILINE)
