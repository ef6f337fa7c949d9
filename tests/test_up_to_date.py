"""Whether the image that was built last is the one that a build would make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.prepare import Prepared
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.up_to_date import needed_rebuild, reusable_image
from azureml_tasks.context.build_context import new_context
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.plan import Plan
from tests.cases import lay_out
from tests.consumers import project
from tests.projects import read

BASE, IMAGE = "sha256:" + "1" * 64, "sha256:" + "2" * 64
NAMED_BASE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"
TABLE = 'tags = ["one", "two"]\napt = ["curl"]\ncached-layers-max-age = 2\n'


@dataclass
class Engine:
    """An engine that has the base and, as it may be, the image; what is named is noted."""

    base: str = BASE
    has_image: bool = True
    name: str = "docker"
    registry: str = ""
    named: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def base_id(self, plan: Plan) -> str:
        """The id of the base."""
        del plan
        return self.base

    def exists(self, image: BuiltImage) -> bool:
        """Whether the image is there."""
        del image
        return self.has_image

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Take names down."""
        self.named.append((image.id, tuple(names)))


@pytest.fixture
def run(tmp_path: Path) -> RunContext:
    """A run in a project that is built."""
    lay_out({"pyproject.toml": project("demo", TABLE), "code/score.py": "init = run = print\n"}, tmp_path)
    run = RunContext(folder=tmp_path, reporter=Console())
    prepared = ready(run, Engine())
    run.records.write_build(
        BuiltImage(
            id=IMAGE,
            names=("demo:before",),
            engine="docker",
            context_sha256=prepared.context.sha256,
            user="dockeruser",
            version=prepared.plan.version,
            fingerprint_parts=fingerprint_parts(prepared.plan, prepared.context, BASE),
            installed_at=int(time.time()),
        )
    )
    return run


def reasons(run: RunContext, prepared: Prepared, image: BuiltImage) -> list[str]:
    """Return why *image* would be built again."""
    base_id = prepared.engine.base_id(prepared.plan)
    return list(needed_rebuild(run, prepared.plan, prepared.context, base_id, image).reasons)


def ready(run: RunContext, engine: Any) -> Prepared:
    """What a build has found of the project as it stands, by *engine*."""
    plan = read(run.folder)
    return Prepared(plan=plan, context=new_context(plan.files, ""), engine=engine)


def test_what_is_made_of_the_same_is_given_its_names(run: RunContext) -> None:
    """The image that was built is the answer, under the names that the plan has now, which the engine gives it."""
    engine = Engine()

    image = reusable_image(run, ready(run, engine))

    names = ("demo:one", "demo:two")
    assert (run.records.read_build()._replace(names=names), [(IMAGE, names)]) == (image, engine.named)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        pytest.param(
            Engine(base="sha256:3"), ["the base is another image under the same name"], id="another base"
        ),
        pytest.param(
            Engine(base=""),
            [f"the engine does not have the base {NAMED_BASE}"],
            id="no base here",
        ),
        pytest.param(Engine(has_image=False), [], id="the image is gone"),
        pytest.param(Engine(name="acr"), [], id="another engine"),
    ],
)
def test_an_engine_that_has_it_not_builds(engine: Engine, expected: list[str], run: RunContext) -> None:
    """Where base, image or engine is not the one, there is an image to build, and nothing is named."""
    prepared = ready(run, engine)

    outcome = (reusable_image(run, prepared), reasons(run, prepared, run.records.read_build()), engine.named)

    assert (None, expected, []) == outcome


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            {"fingerprint_parts": {}},
            ["it is not recorded what the image was built of"],
            id="of unknown inputs",
        ),
        pytest.param(
            {"installed_at": 0},
            ["its packages are not pinned and were installed {days} days ago"],
            id="long ago",
        ),
    ],
)
def test_a_record_that_is_too_old_counts_for_nothing(
    change: dict[str, Any], expected: list[str], run: RunContext
) -> None:
    """What is not known, or was built before packages that are not pinned may have moved on, is built again."""
    run.records.write_build(run.records.read_build()._replace(**change))
    prepared = ready(run, Engine())

    outcome = (reusable_image(run, prepared), reasons(run, prepared, run.records.read_build()))

    assert (None, [words.format(days=f"{time.time() / 86_400:.0f}") for words in expected]) == outcome


@pytest.mark.parametrize(("old", "new"), [('["curl"]', '["curl=1"]'), ("age = 2", "age = 3650")])
def test_age_counts_where_it_matters_alone(old: str, new: str, run: RunContext) -> None:
    """What is pinned does not age, nor what is allowed to be as old as it is."""
    table = run.folder / "pyproject.toml"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    prepared = ready(run, Engine())
    days = 86_400 * 3
    image = run.records.read_build()._replace(
        fingerprint_parts=fingerprint_parts(prepared.plan, prepared.context, BASE),
        installed_at=int(time.time()) - days,
    )

    assert [] == reasons(run, prepared, image)


def test_nothing_was_built(run: RunContext) -> None:
    """Without a record there is nothing to come back to."""
    run.records.remove()

    assert reusable_image(run, ready(run, Engine())) is None


# Remote builds


@pytest.fixture
def remote_run(run: RunContext) -> RunContext:
    """A run in a project whose last build was a remote one, two days ago, on a base that is named by a tag."""
    image = run.records.read_build()._replace(
        engine="acr", names=("contoso.azurecr.io/demo:before",), installed_at=int(time.time()) - 2 * 86_400
    )
    run.records.write_build(image)
    return run


@pytest.mark.parametrize(
    ("registry", "reused"), [("contoso.azurecr.io", True), ("Contoso.azurecr.io", True), ("r.io", False)]
)
def test_a_remote_build_is_reused_in_its_own_registry(
    registry: str, reused: bool, remote_run: RunContext
) -> None:
    """The image of a remote build is the answer in the registry that has it; in another one it is built."""
    table = remote_run.folder / "pyproject.toml"
    table.write_text(table.read_text("utf-8").replace("age = 2", "age = 3"), encoding="utf-8")

    image = reusable_image(remote_run, ready(remote_run, Engine(name="acr", registry=registry)))

    assert reused == (image is not None)


def test_a_base_that_only_azure_sees_grows_old(remote_run: RunContext) -> None:
    """An image on a base that is named by a tag is built again after a while: the tag may have moved unseen."""
    image = remote_run.records.read_build()._replace(installed_at=0)
    remote_run.records.write_build(image)
    prepared = ready(remote_run, Engine(name="acr", registry="contoso.azurecr.io"))

    days = f"{time.time() / 86_400:.0f}"
    expected = [
        f"its packages are not pinned and were installed {days} days ago",
        f"its base is named by a tag, and was pulled {days} days ago",
    ]
    assert (None, expected) == (reusable_image(remote_run, prepared), reasons(remote_run, prepared, image))
