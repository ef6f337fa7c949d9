"""What a run has to build follows from what its registry has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.engines.acr.build_pieces import Route, route
from azureml_tasks.errors import RegistryError
from azureml_tasks.incremental.cached_layers import cached_layers_of
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.registry.api import Manifest, RegistryApi
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

TABLE = """\
apt = ["curl"]
pip = ["joblib==1.5.2"]
model = "model"
registry = "contoso.azurecr.io"
"""
FILES = {
    "pyproject.toml": project("demo", TABLE),
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
    "model/weights.bin": "x",
}
MANIFEST = Manifest(content=b"{}", media_type="application/json")


@dataclass
class Answers:
    """A registry that has these tags, all made so many days ago; None for one that refuses."""

    tags: tuple[str, ...] | None = ()
    days: float = 1.0
    asked: list[str] = field(default_factory=list)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest of a tag."""
        self.asked.append(f"{repository}:{reference}")
        if self.tags is None:
            raise RegistryError("Registry contoso.azurecr.io refused it.")
        return MANIFEST if reference in self.tags else None

    def created(self, repository: str, manifest: Manifest) -> str:
        """When it was made."""
        del repository, manifest
        moment = datetime.now(timezone.utc) - timedelta(days=self.days)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def made(folder: Path) -> tuple[Plan, BuildContext]:
    """The plan of a project with every stage, and its context."""
    plan = azureml_tasks.plan(azureml_tasks.load(lay_out(FILES, folder)))
    return plan, new_context(plan.files, render(plan))


def found(folder: Path, have: int, *, no_cache: bool = False, days: float = 1.0) -> Route:
    """The way where the registry has the first *have* prefixes."""
    plan, context = made(folder)
    chain = cached_layers_of(plan, fingerprint_parts(plan, context, str(plan.base)))
    answers = Answers(tags=tuple(prefix.tag for prefix in chain[:have]), days=days)
    return route(plan, context, cast("RegistryApi", answers), Console(), no_cache=no_cache)


@pytest.mark.parametrize(
    ("have", "dockerfiles", "folders"),
    [
        (0, ["system", "python", "model", ""], ["code", "model", "python"]),
        (1, ["python", "model", ""], ["code", "model", "python"]),
        (2, ["model", ""], ["code", "model"]),
        (3, [""], ["code"]),
    ],
)
def test_only_what_is_not_there_is_built_and_sent(
    have: int, dockerfiles: list[str], folders: list[str], tmp_path: Path
) -> None:
    """Each prefix that is missing is a build of its own, and no file below the longest one travels."""
    way = found(tmp_path, have)

    names = [piece.dockerfile for piece in way.pieces]
    sent = sorted({file.name.partition("/")[0] for file in way.members if "/" in file.name})
    expected = ["Dockerfile" + (f".{stage}" if stage else "") for stage in dockerfiles]
    on = f"contoso.azurecr.io/demo/prefix@{MANIFEST.digest}" if have else ""
    assert (expected, folders, on) == (names, sent, way.on)
    assert way.pieces[0].context.dockerfile.count(f"FROM {on}\n") == bool(have)


def test_the_python_step_alone_installs(tmp_path: Path) -> None:
    """Secrets are for the one build that runs pip."""
    installing = [piece.dockerfile for piece in found(tmp_path, 0).pieces if piece.installs]

    assert ["Dockerfile.python"] == installing
    assert not found(tmp_path, 2).installs


@pytest.mark.parametrize(("no_cache", "days"), [(True, 1.0), (False, 8.0)])
def test_what_may_not_be_used_is_not(tmp_path: Path, *, no_cache: bool, days: float) -> None:
    """--no-cache and too great an age leave what is there alone."""
    assert ("", 4) == ((way := found(tmp_path, 3, no_cache=no_cache, days=days)).on, len(way.pieces))


def test_a_registry_that_cannot_tell_is_asked_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is built, and the reason is said once."""
    plan, context = made(tmp_path)
    answers = Answers(tags=None)
    way = route(plan, context, cast("RegistryApi", answers), Console(), no_cache=False)

    (asked,) = answers.asked
    why = "Registry contoso.azurecr.io refused it."
    said = f"warning: whether {asked} is there cannot be told, so it is built anew: {why}\n"
    assert (4, said) == (len(way.pieces), capsys.readouterr().err)
