"""Builds after cached layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.engines.acr.build_pieces import BuildPieces, pieces_after_cached_layers
from azureml_tasks.engines.acr.layer_store import layer_records as layer_records_of
from azureml_tasks.errors import RegistryError
from azureml_tasks.incremental.cached_layers import cached_layers_of
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.registry.api import Manifest, RegistryApi
from azureml_tasks.state import layer_records
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


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setattr(layer_records, "user_folder", lambda: tmp_path / "state")
    return tmp_path / "state"


@dataclass
class FakeRepositories:
    """A registry with these tags and digests, all created so many days ago; with None it refuses every request."""

    tags: tuple[str, ...] | None = ()
    days: float = 1.0
    names: list[str] = field(default_factory=list)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest of a tag."""
        self.names.append(f"{repository}:{reference}")
        if self.tags is None:
            raise RegistryError("Registry contoso.azurecr.io refused it.")
        return MANIFEST if reference in self.tags else None

    def created(self, repository: str, manifest: Manifest) -> str:
        """Return when it was created."""
        del repository, manifest
        moment = datetime.now(timezone.utc) - timedelta(days=self.days)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def plan_and_context(folder: Path) -> tuple[Plan, BuildContext]:
    """Return the plan of a project with every stage, and its context."""
    plan = azureml_tasks.plan(azureml_tasks.load(lay_out(FILES, folder)))
    return plan, new_context(plan.files, render(plan))


def pieces_with(
    folder: Path,
    have: int,
    *,
    no_cache: bool = False,
    days: float = 1.0,
    recorded: bool = True,
    shared: str = "",
) -> BuildPieces:
    """Return the builds if the registry has the smallest *have* cached layers.

    Args:
        folder: of the project.
        have: how many there are.
        no_cache: ignore them.
        days: since they were created.
        recorded: whether a build of this project has pushed them; else somebody else has.
        shared: the repository that machines share.
    """
    plan, context = plan_and_context(folder)
    plan = plan._replace(shared_layers=shared)
    all_layers = cached_layers_of(plan, fingerprint_parts(plan, context, str(plan.base)))
    tags = tuple(layers.tag for layers in all_layers[:have])
    repositories = FakeRepositories(tags=(*tags, MANIFEST.digest), days=days)
    records = layer_records_of(plan, folder)
    for tag in tags if recorded else ():
        records.write(tag, MANIFEST.digest, f"demo/layers:{tag}")
    return pieces_after_cached_layers(
        plan, context, cast("RegistryApi", repositories), records, Console(), no_cache=no_cache
    )


@pytest.mark.parametrize(
    ("have", "dockerfiles", "folders"),
    [
        (0, ["system", "python", "model", ""], ["code", "model", "python"]),
        (1, ["python", "model", ""], ["code", "model", "python"]),
        (2, ["model", ""], ["code", "model"]),
        (3, [""], ["code"]),
    ],
)
def test_only_missing_layers_are_built_and_uploaded(
    have: int, dockerfiles: list[str], folders: list[str], tmp_path: Path
) -> None:
    """Each missing cached layer is a build of its own; files of the reused ones are not uploaded."""
    builds = pieces_with(tmp_path, have)

    names = [piece.dockerfile for piece in builds.pieces]
    sent = sorted({file.name.partition("/")[0] for file in builds.context_files if "/" in file.name})
    expected = ["Dockerfile" + (f".{stage}" if stage else "") for stage in dockerfiles]
    base = f"contoso.azurecr.io/demo/layers@{MANIFEST.digest}" if have else ""
    assert (expected, folders, base) == (names, sent, builds.cached_layers)
    assert builds.pieces[0].context.dockerfile.count(f"FROM {base}\n") == bool(have)


def test_what_somebody_else_has_pushed_is_not_used(tmp_path: Path) -> None:
    """A tag says what the inputs were, not who has pushed it; without a record everything is built."""
    builds = pieces_with(tmp_path, 3, recorded=False)

    assert ("", 4) == (builds.cached_layers, len(builds.pieces))


def test_a_shared_repository_is_looked_up_by_tag(tmp_path: Path) -> None:
    """The table says that everybody who may push there is trusted; the layers are then used by their digest."""
    builds = pieces_with(tmp_path, 3, recorded=False, shared="contoso.azurecr.io/team/layers")

    reference = f"contoso.azurecr.io/team/layers@{MANIFEST.digest}"
    assert (reference, 1) == (builds.cached_layers, len(builds.pieces))


def test_only_the_python_stage_installs(tmp_path: Path) -> None:
    """Only the build that runs pip gets the build secrets."""
    installing = [piece.dockerfile for piece in pieces_with(tmp_path, 0).pieces if piece.installs]

    assert ["Dockerfile.python"] == installing
    assert not pieces_with(tmp_path, 2).installs


def test_no_cache(tmp_path: Path) -> None:
    """--no-cache builds everything."""
    builds = pieces_with(tmp_path, 3, no_cache=True)

    assert ("", 4) == (builds.cached_layers, len(builds.pieces))


def test_cached_layers_expire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cached layers with anything that is not pinned are used for cached-layers-max-age days."""
    builds = pieces_with(tmp_path, 1, days=8.0)

    layers = builds.pieces[0].image.partition("/")[2]
    expected = (
        f"not using cached layers {layers}: they are older than cached-layers-max-age = 7 days, "
        "and not everything in them is pinned\n"
    )
    assert ("", 4, expected) == (builds.cached_layers, len(builds.pieces), capsys.readouterr().err)


def test_a_registry_that_refuses_is_asked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is built, with a warning."""
    plan, context = plan_and_context(tmp_path)
    repositories = FakeRepositories(tags=None)

    plan = plan._replace(shared_layers="contoso.azurecr.io/demo/layers")

    builds = pieces_after_cached_layers(
        plan,
        context,
        cast("RegistryApi", repositories),
        layer_records_of(plan, tmp_path),
        Console(),
        no_cache=False,
    )

    (name,) = repositories.names
    why = "Registry contoso.azurecr.io refused it."
    expected = f"warning: cannot look up the cached layers {name}, so they are built again: {why}\n"
    assert (4, expected) == (len(builds.pieces), capsys.readouterr().err)
