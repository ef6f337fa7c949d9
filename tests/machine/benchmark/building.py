"""Builds: nothing changed, one line of code changed, one requirement added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.machine.apt import NotPossibleError
from tests.machine.benchmark import by_hand, packages
from tests.machine.benchmark.cases import Case, raced
from tests.machine.benchmark.peers import Peer, Ready, opened
from tests.machine.benchmark.place import BUILDKIT, LEGACY, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.races import Comparison, Contender, say
from tests.machine.benchmark.rows import Mark
from tests.machine.benchmark.timing import FailedError, seconds

__all__ = ["Change", "Yard", "cases", "page_image"]

_HELLO, _OURS, _IDEAL, _PAGE = "hello", "image.build", "ideal", "page"
_FILES = {_IDEAL: by_hand.IDEAL, _PAGE: by_hand.PAGE}
_MORE = 0.060  # seconds
_TENTH, _FIFTH, _HALF = Mark(times=0.1), Mark(times=0.2), Mark(times=0.5)

Change = Callable[[Project], Callable[[], object]]
"""Of a project: what is done to it before each of a contender's builds."""


@dataclass(frozen=True, kw_only=True)
class Yard:
    """Where things are built: a project for each builder, as nobody changes builders from one build to the next.

    Args:
        place: what they stand on.
        peers: name -> peer, those that take part.
        projects: builder -> project, made when it is needed.
        ready: name -> peer that has built once, or why it has not.
    """

    place: Place
    peers: Mapping[str, Peer]
    projects: dict[str, Project] = field(default_factory=dict)
    ready: dict[str, Ready | Exception] = field(default_factory=dict)

    def project(self, builder: str) -> Project:
        """The project that is built with *builder*."""
        if builder not in self.projects:
            self.projects[builder] = self.place.project(builder.split(maxsplit=1)[0].lower())
        return self.projects[builder]

    def contender(self, name: str, change: Change | None) -> Contender:
        """The one that comparisons call *name*, each of whose builds comes after a *change*, or after none.

        Raises:
            NotPossibleError: it cannot be had here.
            FailedError: it cannot build the project.
        """
        if name == _HELLO:
            return Contender(name=name, description="invoke hello", commands=[self.place.hello()])
        if name in self.peers:
            return self._peer(self.peers[name], change)
        way, _, builder = name.partition(", ")
        project, words = self.project(builder), self.place.words[builder]
        before = change(project) if change else lambda: None
        if way == _OURS:
            command = self.place.invoke(builder, project.folder, "image.build")
            return Contender(
                name=name, description=f"invoke image.build ({words})", commands=[command], before=before
            )
        build = ("build", "--file", _FILES[way], "--tag", f"{project.name}-{way}:1", ".")
        command = self.place.docker(builder, project.folder, *build)
        description = f"docker build of the {way} Dockerfile ({words})"
        return Contender(name=name, description=description, commands=[command], before=before)

    def _peer(self, peer: Peer, change: Change | None) -> Contender:
        ready = self._ready(peer)
        prepare = change(ready.project) if change else lambda: None

        def before() -> None:
            ready.tidy()
            prepare()

        commands = ready.changed if change else ready.unchanged
        return Contender(name=peer.name, description=peer.description, commands=commands, before=before)

    def _ready(self, peer: Peer) -> Ready:
        """*peer* after its first build; where that has failed, it is not tried again."""
        if peer.name not in self.ready:
            try:
                ready = opened(self.place, peer)
                say(f"{peer.name} builds for the first time")
                seconds(ready.changed)
            except (NotPossibleError, FailedError) as error:
                self.ready[peer.name] = error
                raise
            self.ready[peer.name] = ready
        known = self.ready[peer.name]
        if isinstance(known, Exception):
            raise known
        return known


def page_image(project: Project) -> str:
    """How the image of the page's Dockerfile is named."""
    return f"{project.name}-{_PAGE}:1"


def cases(yard: Yard) -> list[Case]:
    """The cases of this module."""

    def line(project: Project) -> Callable[[], object]:
        return project.change_a_line

    def requirement(project: Project) -> Callable[[], object]:
        more = packages.added()
        return lambda: project.require(*next(more))

    traces = yard.place.traces
    peers = list(yard.peers.values())
    return [
        raced(_no_change(peers), lambda name: yard.contender(name, None), traces),
        raced(_one_line(peers), lambda name: yard.contender(name, line), traces),
        raced(_one_requirement(), lambda name: yard.contender(name, requirement), traces),
    ]


def _of(way: str, builder: str) -> str:
    return f"{way}, {builder}"


def _against(
    case: str, against: str, mark: Mark, builder: str, *theirs: str, beside: Sequence[str] = ()
) -> Comparison:
    ours = _of(_OURS, builder)
    return Comparison(
        name=f"{case}, {builder}", against=against, mark=mark, ours=ours, theirs=theirs, beside=beside
    )


def _peers(case: str, peers: Sequence[Peer]) -> list[Comparison]:
    return [_against(case, peer.name, Mark(times=peer.mark), BUILDKIT, peer.name) for peer in peers]


def _no_change(peers: Sequence[Peer]) -> list[Comparison]:
    case, hello = "no change", "a trivial Invoke task"
    ideal = {builder: _of(_IDEAL, builder) for builder in (BUILDKIT, LEGACY)}
    more = Mark(more=_MORE)
    return [
        _against(case, hello, more, BUILDKIT, _HELLO, beside=[ideal[BUILDKIT]]),
        _against(case, hello, more, LEGACY, _HELLO),
        _against(case, "docker build of the ideal Dockerfile", _TENTH, LEGACY, ideal[LEGACY]),
        *_peers(case, peers),
    ]


def _one_line(peers: Sequence[Peer]) -> list[Comparison]:
    case, both = "one line of code changed", "docker build of the ideal Dockerfile and a trivial Invoke task"
    page = "docker build of the documentation page's Dockerfile"
    builders = (BUILDKIT, LEGACY)
    return [
        *(_against(case, both, Mark(more=_MORE), each, _of(_IDEAL, each), _HELLO) for each in builders),
        *(_against(case, page, _FIFTH, each, _of(_PAGE, each)) for each in builders),
        *_peers(case, peers),
    ]


def _one_requirement() -> list[Comparison]:
    case, page = "one requirement added", "docker build of the documentation page's Dockerfile"
    return [_against(case, page, _HALF, builder, _of(_PAGE, builder)) for builder in (BUILDKIT, LEGACY)]
