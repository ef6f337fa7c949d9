"""`invoke image.attach` with and without the id of a run, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.program import Program
from invoke.tasks import task

from azureml_tasks.optional_argument import TaskWithOptionalArgument
from tests.consumers import Ended, consumer, invoke, project


@task(klass=TaskWithOptionalArgument, positional=["run_id"], auto_shortflags=False)
def attach(_: Context, run_id: str = "", engine: str | None = None, dry: bool = False) -> None:
    """Say what was given."""
    print(f"attach {run_id!r} {engine} {dry}")


@task
def push(_: Context, untested: bool = False) -> None:
    """Say what was given."""
    print(f"push {untested}")


@task(klass=TaskWithOptionalArgument, positional=["first", "second"])
def two(_: Context, first: str = "", second: str = "") -> None:
    """Say what was given."""
    print(f"two {first!r} {second!r}")


PROGRAM = Program(namespace=Collection(Collection("image", attach, push, two)))
NONE = "attach '' None False\n"
CA8 = "attach 'ca8' None False\n"


@pytest.mark.parametrize(
    ("words", "out"),
    [
        ("image.attach", NONE),
        ("image.attach ca8", CA8),
        ("image.attach --run-id ca8", CA8),
        ("image.attach --run-id=ca8", CA8),
        ("image.attach --engine acr", "attach '' acr False\n"),
        ("image.attach --engine acr ca8", "attach 'ca8' acr False\n"),
        ("image.attach ca8 --engine acr", "attach 'ca8' acr False\n"),
        ("image.attach --engine=acr --run-id ca8", "attach 'ca8' acr False\n"),
        ("image.attach ca8 --dry", "attach 'ca8' None True\n"),
        ("image.attach image.push", NONE + "push False\n"),
        ("image.attach ca8 image.push --untested", CA8 + "push True\n"),
        ("image.attach --engine acr ca8 image.push", "attach 'ca8' acr False\npush False\n"),
        ("image.push image.attach", "push False\n" + NONE),
        ("image.push image.attach ca8", "push False\n" + CA8),
        ("image.attach ca8 image.attach ca9", CA8 + CA8.replace("ca8", "ca9")),
        ("image.attach --run-id image.push", "attach 'image.push' None False\n"),
        ("image.two", "two '' ''\n"),
        ("image.two a", "two 'a' ''\n"),
        ("image.two a b", "two 'a' 'b'\n"),
        ("image.two a image.push", "two 'a' ''\npush False\n"),
        ("image.two --second b a", "two 'a' 'b'\n"),
    ],
)
def test_it_may_be_left_out(words: str, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A word after the task is its argument, unless it is a task's name; a flag's value is never taken for one."""
    PROGRAM.run(["inv", *words.split()])

    assert (out, "") == tuple(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "err"),
    [
        ("image.attach ca8 ca9", "No idea what 'ca9' is!\n"),
        ("image.push ca8", "No idea what 'ca8' is!\n"),
        ("image.attach ca8 image.nonsense", "No idea what 'image.nonsense' is!\n"),
        ("image.attach --nonsense", "No idea what '--nonsense' is!\n"),
        ("image.two a b c", "No idea what 'c' is!\n"),
    ],
)
def test_it_takes_one_word(words: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is too much is Invoke's own error, as ever, and nothing is done."""
    with pytest.raises(SystemExit) as caught:
        PROGRAM.run(["inv", *words.split()])

    assert (1, ("", err)) == (caught.value.code, tuple(capsys.readouterr()))


HELP = """\
Usage: inv[oke] [--core-opts] image.attach [--options] [other tasks here ...]

Docstring:
  Finish a build that was handed off: follow its run to its end.

Options:
  --engine=STRING     what builds: docker, acr (Azure Container Registry), or
                      auto: docker where it answers, else acr
  --project=STRING    folder of the project, relative to the current one
  --registry=STRING   login server, instead of the table's
  --run-id=STRING     the run; the last one started here by default

"""


def test_its_help(tmp_path: Path) -> None:
    """The help names it among the flags, with what is meant where it is left out."""
    assert Ended(code=0, out=HELP, err="") == invoke(consumer(tmp_path), "--help", "image.attach")


def attaching(folder: Path, *words: str, recorded: str = "") -> Ended:
    """`invoke --dry image.attach` in a project that builds by ACR, where the run *recorded* waits for its end."""
    table = 'registry = "contoso.azurecr.io"\n'
    consumer(folder, files={"pyproject.toml": project("demo", table)})
    if recorded:
        (folder / ".azureml-image").mkdir()
        run = {"run": recorded, "registry": "contoso.azurecr.io"}
        (folder / ".azureml-image/run.json").write_text(json.dumps(run), "utf-8")
    return invoke(folder, "--dry", "image.attach", *words)


ENGINE = "Azure Container Registry contoso.azurecr.io (AzureCloud); proof in the cloud, since no local engine answers\n"


@pytest.mark.parametrize(
    ("words", "recorded", "run"),
    [
        (("--engine", "acr", "ca8"), "", "ca8"),
        (("ca8", "--engine", "acr"), "ca7", "ca8"),
        (("--engine", "acr"), "ca7", "ca7"),
        (("--run-id", "ca8", "--engine", "acr"), "", "ca8"),
    ],
)
def test_which_run_is_meant(words: tuple[str, ...], recorded: str, run: str, tmp_path: Path) -> None:
    """The run that is named is followed; where none is, the one that was started here last."""
    found = attaching(tmp_path, *words, recorded=recorded)

    out = f"az acr task logs --registry contoso --run-id {run}\n"
    assert Ended(code=0, out=out, err=ENGINE) == found


def test_no_run_is_known(tmp_path: Path) -> None:
    """Where none is named and none was started here, the error says how to name one."""
    expected = """\
No run of this project waits for its end.
    Name one: invoke image.attach RUN-ID --engine acr
Nothing was built.
"""
    assert Ended(code=4, out="", err=ENGINE + expected) == attaching(tmp_path, "--engine", "acr")
