"""A fresh CI machine that takes from a registry what stands below the code, against a build that finds nothing."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Sequence

from azureml_tasks.config.settings import Settings
from tests.machine.benchmark.building import Yard
from tests.machine.benchmark.cases import Case
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import Comparison, Contender, compared, race
from tests.machine.benchmark.rows import Heading, Mark, Missing, Row
from tests.machine.registry import registry

__all__ = ["case"]

_FIELD, _KEY = "shared_layers", "shared-layers"
_SHARED, _COLD = "image.build with shared-layers", "image.build without"
_COMPARISON = Comparison(
    name=f"a fresh CI machine with {_KEY}, one line of code changed",
    against="a cold build on the same machine",
    mark=Mark(times=1),
    ours=_SHARED,
    theirs=[_COLD],
)
_NOTE = "fresh: the engine has the base and nothing else of the project, and no command has left a record"


def case(yard: Yard) -> Case:
    """The case of this module; it empties the engine of what other cases have built."""

    def measure(_headings: Sequence[Heading], rounds: int) -> Iterable[Row | Missing]:
        if _FIELD not in {field.name for field in dataclasses.fields(Settings)}:
            yield Missing(heading=_COMPARISON, why=f"not there yet: the table has no key {_KEY}")
            return
        place = yard.place
        with registry() as shared:
            key = f'{_KEY} = "{shared.host}/azureml-bench/layers"\n'
            contenders = [
                _contender(place, _SHARED, place.project("shared", more=key)),
                _contender(place, _COLD, place.project("cold")),
            ]
            for row in compared(race(contenders, rounds), [_COMPARISON]):
                yield dataclasses.replace(row, notes=[_NOTE]) if isinstance(row, Row) else row

    return Case(headings=[_COMPARISON], measure=measure)


def _contender(place: Place, name: str, project: Project) -> Contender:
    def before() -> None:
        project.change_a_line()
        shutil.rmtree(project.folder / ".azureml-image", ignore_errors=True)
        place.traces.empty()

    command = place.invoke(BUILDKIT, project.folder, "image.build")
    return Contender(
        name=name, description=f"invoke {name} ({place.words[BUILDKIT]})", commands=[command], before=before
    )
