"""Builds of a project with many small files of code, against `docker build` of the same files by the same client."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.machine.benchmark import by_hand
from tests.machine.benchmark.cases import Case, raced
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import Comparison, Contender
from tests.machine.benchmark.rows import Mark

__all__ = ["cases"]

_FILES = 20_000
_OURS, _THEIRS = "image.build", "docker build"
_AGAINST = "docker build of COPY code, with the same client"


def cases(place: Place) -> list[Case]:
    """The cases of this module: a changed line, and the first build."""
    projects: dict[str, Project] = {}

    def contender(name: str, *, first: bool) -> Contender:
        if name not in projects:
            projects[name] = place.code_alone(f"many-{'ours' if name == _OURS else 'theirs'}", _FILES)
        project = projects[name]
        words, build = place.words[BUILDKIT], ("--file", by_hand.CODE, "--tag", f"{project.name}-code:1", ".")
        if name == _OURS:
            command = place.invoke(BUILDKIT, project.folder, "image.build")
        else:
            command = place.docker(BUILDKIT, project.folder, "build", *build)
        before = _forgetting(place, project) if first else project.change_a_line
        description = f"{'invoke ' if name == _OURS else ''}{name}, {_FILES:,} files ({words})"
        return Contender(name=name, description=description, commands=[command], before=before)

    return [
        raced(
            [_comparison("one line of code changed", Mark(times=1.3))],
            lambda name: contender(name, first=False),
            place.traces,
        ),
        raced(
            [_comparison("first build", Mark(times=2))],
            lambda name: contender(name, first=True),
            place.traces,
        ),
    ]


def _comparison(case: str, mark: Mark) -> Comparison:
    name = f"many files, {case}, {BUILDKIT}"
    return Comparison(name=name, against=_AGAINST, mark=mark, ours=_OURS, theirs=[_THEIRS])


def _forgetting(place: Place, project: Project) -> Callable[[], None]:
    """Leave nothing of the builds before: neither images, nor caches, nor records."""

    def forget() -> None:
        project.change_a_line()
        shutil.rmtree(project.folder / ".azureml-image", ignore_errors=True)
        place.traces.empty()

    return forget
