"""`image.report` around an engine: which image it is about, what the engine does, and what is said without one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.output import write_page
from azureml_tasks.commands import report
from azureml_tasks.commands.check import check
from azureml_tasks.commands.report import report_page
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.errors import AzuremlTasksError, BuildError, EngineError, Problem, SettingsError
from azureml_tasks.notice import Notice
from azureml_tasks.report.contents import Listing
from azureml_tasks.report.facts import ImageFacts
from azureml_tasks.report.layers import EngineImage, Layer
from azureml_tasks.smoke.report import Check, Report, report_record
from tests.cases import lay_out
from tests.consumers import DEAD, TASKS, invoke, project

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

ID, BASE_ID, PUSHED_ID = (f"sha256:{digit * 64}" for digit in "123")
BASE_LAYER = Layer(1, "ADD base /", 5_000_000)
LAYERS = {
    BASE_ID: (BASE_LAYER,),
    ID: (
        BASE_LAYER,
        Layer(2, "COPY code/ /var/azureml-app/ # buildkit", 500),
        Layer(2, "ENV API_TOKEN=hunter2", 1),
    ),
    PUSHED_ID: (BASE_LAYER,),
}
CONDA = 'conda = "env.yml"\n'
SLOW = Notice("slow-stop", "it stops slowly", fix="invoke image.build")
PASSED = Report(
    image="demo:1.2.3",
    image_id=ID,
    place="here",
    look_inside="",
    checks=(Check(name="start-up", outcome="passed"),),
    warnings=(SLOW, Notice("response", "it warns"), SLOW),
)
CODE, LIBRARY = ["/var/azureml-app/score.py", 500, 2], ["/usr/lib/lib.so", 4000, 1]
CONTENTS = {
    ID: {"files": [LIBRARY, CODE], "count": 2, "bytes": 4500, "packages": [["numpy", "2.0", "BSD", 9]]},
    BASE_ID: {"files": [LIBRARY], "count": 1, "bytes": 4000, "packages": []},
    PUSHED_ID: {"files": [LIBRARY], "count": 1, "bytes": 4000, "packages": [["numpy", "1.0", "BSD", 9]]},
}


@dataclass
class Engine:
    """An engine that has some of the images, and takes down of which it lists the contents."""

    reporter: Console
    images: frozenset[str] = frozenset(LAYERS)
    listed: list[str] = field(default_factory=list)
    answer: Listing | None = None
    leftovers: list[str] = field(default_factory=list)

    def remove_leftovers(self) -> list[str]:
        """Return what a killed run has left."""
        return self.leftovers

    def base_id(self, plan: Plan) -> str:
        """Return the ID of the base, if it has that."""
        del plan
        return BASE_ID if BASE_ID in self.images else ""

    def read_image(self, reference: str) -> EngineImage | None:
        """Return the layers of an image that it has."""
        if reference not in self.images:
            return None
        layers = LAYERS[reference if reference in LAYERS else ID]
        return EngineImage(created_at=1_790_000_000, size=5_000_500, layers=layers)

    def list_contents(self, reference: str) -> Listing:
        """Return the contents of an image."""
        self.listed.append(reference)
        return self.answer or Listing(json.dumps(CONTENTS[reference if reference in CONTENTS else ID]))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """A run in a project; check finds no engine."""
    monkeypatch.setenv("DOCKER_HOST", DEAD)
    files = {"pyproject.toml": project("demo"), "code/score.py": "def init(): ...\ndef run(data): ...\n"}
    return RunContext(folder=lay_out(files, tmp_path), reporter=Console())


@pytest.fixture
def engine(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine of the report."""
    del run
    report_engine = Engine(reporter=Console())
    monkeypatch.setattr(
        report, "open_local_engine", lambda _run, *, save_notes: report_engine if not save_notes else None
    )
    return report_engine


def built(run: RunContext, engine: str = "docker") -> BuiltImage:
    """Record an image of the project as built; it is 1.2.3 of `demo`."""
    image = BuiltImage(
        id=ID,
        names=("contoso.azurecr.io/demo:1.2.3",),
        engine=engine,
        context_sha256="0" * 64,
        user="dockeruser",
        fingerprint_parts={"base": BASE_ID},
    )
    run.records.write_build(image)
    return image


def pushed(run: RunContext, image: BuiltImage, image_id: str) -> None:
    """Record a push."""
    result = {"image": f"contoso.azurecr.io/demo@{image_id}", "id": image_id, "tags": ["1.2.3"]}
    run.records.write_pushed(result, image, 1_790_000_000)


def lines(page: str) -> list[str]:
    """Return what a person reads."""
    body = re.sub(r"<[^>]+>", " ", page.partition("<body>")[2])
    return [" ".join(line.split()) for line in body.splitlines() if line.strip()]


def test_an_image_and_what_was_pushed(run: RunContext, engine: Engine) -> None:
    """The image, its base and what was pushed are listed once each, and nothing of a secret is on the page."""
    pushed(run, built(run), PUSHED_ID)

    page = report_page(run)

    text = lines(page)
    assert [ID, BASE_ID, PUSHED_ID] == engine.listed
    assert "hunter2" not in page
    assert "Code COPY code/ /var/azureml-app/ 500 bytes 100 %" in text
    assert "score.py /var/azureml-app/ 500 bytes" in text
    assert "numpy 1.0 2.0" in text
    assert "Docker&#39;s engine does not answer" in page or "There is no Docker engine here" in page


def test_an_image_that_is_pushed_as_it_is(run: RunContext, engine: Engine) -> None:
    """Nothing is compared."""
    pushed(run, built(run), ID)

    text = lines(report_page(run))

    assert [ID, BASE_ID] == engine.listed
    assert "This is the image that was pushed last on 2026-09-21 14:13 UTC. Nothing has changed." in text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Listing("", "it has no Python"), "They are not known: it has no Python."),
        (
            Listing("{}"),
            "They are not known: the list that the image printed cannot be read: its lists are of another form.",
        ),
    ],
)
def test_an_image_that_cannot_list_itself(
    run: RunContext, engine: Engine, answer: Listing, expected: str
) -> None:
    """The page has the layers, and says why it has no files and packages."""
    built(run)
    engine.answer = answer

    text = lines(report_page(run))

    assert expected in text
    assert "Code COPY code/ /var/azureml-app/ 500 bytes 100 %" in text


def test_what_a_killed_report_has_left_is_removed(
    run: RunContext, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next command that uses the engine removes it, and that may be a report again."""
    built(run)
    engine.leftovers = ["container azureml-image-1"]

    report_page(run)

    assert "removed what a killed run left: container azureml-image-1\n" in capsys.readouterr().err


def test_an_image_of_a_remote_build(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine, the page has what is recorded, and says how to get the rest."""
    built(run, "acr")

    def no_engine(_run: RunContext, *, save_notes: bool) -> None:
        raise EngineError(f"There is no engine ({save_notes}).")

    monkeypatch.setattr(report, "open_local_engine", no_engine)

    why = (
        f"only the registry has this image; to see them, docker pull contoso.azurecr.io/demo@{ID}, "
        "then invoke image.report."
    )
    text = lines(report_page(run))
    assert [f"The layers are not known: {why}", f"They are not known: {why}"] == [
        line for line in text if why in line
    ]


def test_a_push_without_an_engine(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that no engine answers, and not that one does not have the pushed image."""
    pushed(run, built(run, "acr"), PUSHED_ID)

    def no_engine(_run: RunContext, *, save_notes: bool) -> None:
        raise EngineError(f"There is no engine ({save_notes}).")

    monkeypatch.setattr(report, "open_local_engine", no_engine)

    when = "Compared with the image that was pushed last on 2026-09-21 14:13 UTC."
    expected = f"{when} Its packages and layers are not known: no local engine answers."
    assert expected in lines(report_page(run))


def test_an_image_of_a_remote_build_that_was_pulled(run: RunContext, engine: Engine) -> None:
    """If the local engine has the image, the page shows it, by its digest."""
    built(run, "acr")
    reference = f"contoso.azurecr.io/demo@{ID}"
    engine.images = frozenset({reference})

    report_page(run)

    assert [reference] == engine.listed


def test_nothing_is_built(run: RunContext, engine: Engine) -> None:
    """The error names the next step."""
    with pytest.raises(BuildError) as caught:
        report_page(run)

    assert ("Nothing is built here yet.\n    invoke image.build", []) == (str(caught.value), engine.listed)


def test_the_image_is_gone(run: RunContext, engine: Engine) -> None:
    """An image that was removed from the engine is named."""
    built(run)
    engine.images = frozenset()

    with pytest.raises(BuildError) as caught:
        report_page(run)

    name = "contoso.azurecr.io/demo:1.2.3 (sha256:111111111111)"
    gone = f"The image that was built last, {name}, is gone from the engine."
    assert f"{gone}\n    invoke image.build" == str(caught.value)


def test_code_that_is_mounted(run: RunContext, engine: Engine) -> None:
    """Where no image is built, the page is about the base."""
    text = (
        (run.folder / "pyproject.toml")
        .read_text()
        .replace("[tool.azureml-image]", '[tool.azureml-image]\ndelivery = "mount"')
    )
    (run.folder / "pyproject.toml").write_text(text)

    page = lines(report_page(run))

    assert [BASE_ID] == engine.listed
    assert BASE_ID in page
    engine.images = frozenset()
    with pytest.raises(BuildError, match="is not on the engine yet"):
        report_page(run)


@pytest.mark.parametrize(
    ("error", "warning"),
    [
        (None, []),
        (
            EngineError("There is no engine: invoke image.doctor", next_step="x"),
            ["There is no engine: azureml-image doctor"],
        ),
        (
            SettingsError([Problem("a.toml", 7, "apt is wrong", "x"), Problem("b", 0, "is gone", "x")]),
            ["a.toml:7: apt is wrong", "b: is gone"],
        ),
    ],
    ids=["none", "an engine", "a table"],
)
def test_the_page_has_all_warnings(
    error: AzuremlTasksError | None,
    warning: list[str],
    run: RunContext,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What keeps a build from starting, the warnings of check and those of the smoke test: each once, in one line."""
    del engine
    conda = {"env.yml": "dependencies: []\nplatforms: [linux-64]\n", "pyproject.toml": project("demo", CONDA)}
    lay_out(conda, run.folder)
    run.records.write_pass(built(run), "0" * 64, report_record(PASSED))
    pages: list[ImageFacts] = []
    monkeypatch.setattr(report, "check", lambda each: replace(check(each), error=error))
    monkeypatch.setattr(report, "render", lambda images, **_: pages.extend(images))

    report_page(run._replace(reporter=Console(task_prefix="azureml-image ")))

    unused = 'env.yml:2: "platforms" is not read, and conda does not read it'
    assert [(*warning, unused, "it stops slowly azureml-image build", "it warns")] == [
        page.warnings for page in pages
    ]


def test_the_page_goes_where_a_link_leads(run: RunContext, tmp_path: Path) -> None:
    """`--output` writes into what is there: replaced, a device such as /dev/null would be gone from the machine."""
    target, link = tmp_path / "page.html", tmp_path / "link.html"
    target.write_text("an older page")
    link.symlink_to(target)
    task = TaskRun(task="report", context=run, console=Console(), flags={}, no_cache=False, pull=False)

    write_page(task, link, "<p>new</p>\n")

    assert (target, "<p>new</p>\n") == (link.readlink(), target.read_text())


def test_no_engine_answers(tmp_path: Path) -> None:
    """The command ends with the code for an engine that is missing, and writes nothing."""
    folder = lay_out(
        {
            "pyproject.toml": project("demo"),
            "tasks.py": TASKS,
            "code/score.py": "def init(): ...\ndef run(d): ...\n",
        },
        tmp_path,
    )
    built(RunContext(folder=folder, reporter=Console()))

    ended = invoke(folder, "image.report")

    assert (3, "") == (ended.code, ended.out)
    assert not (folder / ".azureml-image" / "report.html").exists()
