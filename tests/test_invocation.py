"""One and the same answer, whether a task is called by name, as `pre=` or from another task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.consumers import consumer, invoke, project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.consumers import Ended

IMPORTS = """\
from invoke.collection import Collection
from invoke.tasks import call, task
from azureml_tasks import image

"""
CALLERS = """\
@task(pre=[image.check])
def before(c):
    print("then")

@task
def inside(c):
    image.check(c, json=True)

@task(pre=[call(image.check, project="services/b", json=True)])
def before_b(c):
    pass

@task
def inside_b(c):
    image.check(c, json=True, project="services/b")

@task(pre=[image.smoke_test])
def serves(c):
    print("never")

"""
TWO = """\
ns = Collection(before, inside, before_b, inside_b)
for name in "ab":
    config = {"azureml_image": {"project": f"services/{name}", "registry": f"{name}.io"}}
    ns.add_collection(Collection.from_module(image, name=name, config=config))
"""


def several(folder: Path, tasks: str) -> Path:
    """A project with two more below it, and *tasks* after the imports."""
    consumer(folder, IMPORTS + tasks)
    for name in "ab":
        (folder / "services" / name).mkdir(parents=True)
        (folder / "services" / name / "pyproject.toml").write_text(project(name))
    return folder


def said(run: Ended) -> tuple[int, str, list[str], str]:
    """Exit code, base, names and the next step of a `check --json`."""
    report = json.loads(run.out)
    return run.code, report["base"], report["names"], report["then"]


def test_a_task_gets_the_root_s_configuration_however_it_is_called(tmp_path: Path) -> None:
    """By name, as `pre=` and from another task, what the root configures counts."""
    root = 'ns.configure({"azureml_image": {"base": "own:1", "registry": "r.io"}})\n'
    folder = several(tmp_path, CALLERS + "ns = Collection(image, before, inside)\n" + root)

    expected = (0, "own:1", ["r.io/demo:1.2.3"], "nothing is built yet: invoke image.build")
    assert expected == said(invoke(folder, "image.check", "--json"))
    assert expected == said(invoke(folder, "inside"))
    assert invoke(folder, "image.check").out + "then\n" == invoke(folder, "before").out


def test_tables_are_merged_key_by_key_and_the_outer_one_wins(tmp_path: Path) -> None:
    """A key that only the inner collection sets stays; one that both set is the outer's, in each way of calling."""
    tasks = (
        CALLERS
        + """\
ns = Collection(inside)
inner = Collection.from_module(image, config={"azureml_image": {"base": "inner:1", "registry": "inner.io"}})
middle = Collection("serving", inner)
middle.configure({"azureml_image": {"registry": "middle.io", "tags": ["middle"]}})
ns.add_collection(middle)
ns.configure({"azureml_image": {"tags": ["outer"]}})
"""
    )
    folder = several(tmp_path, tasks)

    expected = (0, "inner:1", ["middle.io/demo:outer"], "nothing is built yet: invoke serving.image.build")
    assert expected == said(invoke(folder, "serving.image.check", "--json"))
    assert expected == said(invoke(folder, "inside"))


def test_two_collections_keep_their_configurations_apart(tmp_path: Path) -> None:
    """`from_module` twice, by name: each collection has its own project and registry."""
    folder = several(tmp_path, CALLERS + TWO)

    base = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
    assert (0, base, ["a.io/a:1.2.3"], "nothing is built yet: invoke a.build") == said(
        invoke(folder, "a.check", "--json")
    )
    assert (0, base, ["b.io/b:1.2.3"], "nothing is built yet: invoke b.build") == said(
        invoke(folder, "b.check", "--json")
    )


def test_a_part_of_another_task_must_say_which_of_two_collections_is_meant(tmp_path: Path) -> None:
    """Where two are configured differently, a pre-task without a project is exit 2, and says what to write."""
    done = invoke(several(tmp_path, CALLERS + TWO), "before")

    expected = """\
tasks.py: check runs as a part of another task, and a.check and b.check are configured differently
    Say which is meant, such as: call(image.check, project="services/b")

1 problem; nothing was done.
"""
    assert (2, "", expected) == (done.code, done.out, done.err)


def test_two_collections_of_one_project_are_told_apart_by_name_alone(tmp_path: Path) -> None:
    """Where no folder tells them apart, the way out is to call one by its name."""
    tasks = CALLERS + TWO.replace('"project": f"services/{name}", ', "")

    done = invoke(several(tmp_path, tasks), "before")

    expected = """\
tasks.py: check runs as a part of another task, and a.check and b.check are configured differently
    Say which is meant, such as: invoke b.check

1 problem; nothing was done.
"""
    assert (2, "", expected) == (done.code, done.out, done.err)


def test_a_project_names_its_collection(tmp_path: Path) -> None:
    """A call that says its project gets the configuration of the collection that is for it, from any folder."""
    folder = several(tmp_path, CALLERS + TWO)

    base = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
    expected = (0, base, ["b.io/b:1.2.3"], "nothing is built yet: invoke b.build")
    assert expected == said(invoke(folder, "before-b"))
    assert expected == said(invoke(folder, "inside-b"))
    assert expected == said(invoke(folder / "services" / "a", "before-b"))


def test_without_a_project_the_collection_of_the_tasks_own_folder_is_meant(tmp_path: Path) -> None:
    """Beside a collection for another folder, a part of another task is that of the folder of tasks.py."""
    tasks = """\
ns = Collection(inside, inside_b)
ns.add_collection(image, name="serving")
config = {"azureml_image": {"project": "services/b", "registry": "b.io"}}
ns.add_collection(Collection.from_module(image, name="b", config=config))
"""
    folder = several(tmp_path, CALLERS + tasks)

    base = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
    own = (0, base, ["demo:1.2.3"], "nothing is built yet: invoke serving.build")
    other = (0, base, ["b.io/b:1.2.3"], "nothing is built yet: invoke b.build")
    assert own == said(invoke(folder, "serving.check", "--json")) == said(invoke(folder, "inside"))
    assert other == said(invoke(folder, "b.check", "--json")) == said(invoke(folder, "inside-b"))


def test_invoke_leaves_none_out_unsaid(tmp_path: Path) -> None:
    """Invoke takes the same task of two collections for one; that is exit 2 before the first, with the way out."""
    folder = several(tmp_path, CALLERS + TWO)

    refused = invoke(folder, "a.check", "b.check")
    both = invoke(folder, "--no-dedupe", "a.check", "b.check")

    expected = """\
tasks.py: Invoke takes a.check and b.check for the same, and would leave b.check out
    invoke --no-dedupe a.check b.check

1 problem; nothing was done.
"""
    assert (2, "", expected) == (refused.code, refused.out, refused.err)
    assert (0, invoke(folder, "a.check").out + invoke(folder, "b.check").out) == (both.code, both.out)


def test_what_is_left_out_twice_the_same_is_no_mistake(tmp_path: Path) -> None:
    """The same task by the same name twice, or in collections configured alike, runs once as Invoke has it."""
    folder = several(tmp_path, CALLERS + TWO)

    assert invoke(folder, "a.check") == invoke(folder, "a.check", "a.check")


def test_a_failure_ends_what_comes_after(tmp_path: Path) -> None:
    """A pre-task that fails ends the run with its exit code, and the task itself does not start."""
    done = invoke(several(tmp_path, CALLERS + "ns = Collection(image, serves)\n"), "serves")

    expected = "Nothing is built here yet.\n    invoke image.build\nNothing was pushed.\n"
    assert (4, "", expected) == (done.code, done.out, done.err)


def test_the_next_step_has_the_names_of_the_consumer_s_own_collections(tmp_path: Path) -> None:
    """What a message says to type is what Invoke knows the task as: below a name, at the root, or as a pre-task."""
    renamed = several(
        tmp_path / "renamed",
        CALLERS + 'ns = Collection(serves)\nns.add_collection(image, name="serving")\n',
    )
    root = consumer(tmp_path / "root", "from azureml_tasks.image import ns\n")
    nowhere = several(tmp_path / "nowhere", CALLERS + "ns = Collection(serves)\n")

    steps = [
        invoke(renamed, "serving.push", "--registry=r.io").err,
        invoke(renamed, "serves").err,
        invoke(root, "smoke-test").err,
        invoke(nowhere, "serves").err,
    ]

    said = "Nothing is built here yet.\n    invoke {}build\nNothing was pushed.\n"
    assert [said.format(before) for before in ("serving.", "serving.", "", "image.")] == steps
