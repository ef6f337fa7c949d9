"""Other tools that make an image of a project with a model, each in an environment of its own.

Each builds the same project folder with the same model, with BuildKit, on the stand-in base. Of that base they get a
child that is root's and has uv: they add users and system packages, and their own way to uv is not open everywhere.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.machine import apt, venv
from tests.machine.benchmark.place import BUILDKIT, Place
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.timing import Command

__all__ = ["Peer", "Ready", "Shop", "installed", "opened"]

_BASE = """\
FROM {base}
USER root
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_BREAK_SYSTEM_PACKAGES=1
RUN pip install --quiet --no-cache-dir uv
"""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A peer that is ready to be timed.

    Args:
        project: what it builds; a line of it can be changed.
        changed: what a person runs after a change.
        unchanged: what a person runs where nothing has changed.
        tidy: removes what earlier builds have left on disk.
    """

    project: Project
    changed: Sequence[Command]
    unchanged: Sequence[Command]
    tidy: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What a peer works with.

    Args:
        project: a folder of its own with the project, to which it adds its own files.
        base: image that it extends.
        image: how it shall name its image.
        programs: folder of its programs.
        env: the environment of its commands.
        home: its home folder.
    """

    project: Project
    base: str
    image: str
    programs: Path
    env: Mapping[str, str]
    home: Path

    def command(self, program: str, *words: str) -> Command:
        """One of its programs, run in the project."""
        argv = (str(self.programs / program), *words)
        return Command(words=argv, folder=self.project.folder, env=self.env)

    def write(self, files: Mapping[str, str]) -> None:
        """Add *files*, path -> text, to the project."""
        for path, text in files.items():
            target = self.project.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def ready(self, changed: Sequence[Command], unchanged: Sequence[Command] = (), *leavings: Path) -> Ready:
        """What is timed; *leavings* are folders that grow with each build."""

        def tidy() -> None:
            for folder in leavings:
                shutil.rmtree(folder, ignore_errors=True)

        return Ready(project=self.project, changed=changed, unchanged=unchanged or changed, tidy=tidy)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool.

    Args:
        name: its name.
        mark: how many times its time ours shall be at most.
        packages: what pip installs; the first is the tool itself.
        env: variables of its own, by which it reports to nobody.
        set_up: writes its files into the project, and says what is timed.
    """

    name: str
    mark: float
    packages: Sequence[str]
    env: Mapping[str, str]
    set_up: Callable[[Shop], Ready]

    @property
    def description(self) -> str:
        """For people."""
        return f"{self.packages[0].replace('==', ' ')} on the stand-in base as root, with uv"


def installed(peer: Peer) -> Path:
    """Install *peer* below `.machine`, once; returns the folder of its programs.

    Raises:
        NotPossibleError: pip cannot install it; the words end with what it said.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = venv.CHECKOUT / ".machine" / "peers" / f"{peer.packages[0].replace('==', '-')}-python{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    packages = ("pip", *peer.packages)  # some tools install more when they run
    stamp, key = folder / "done", " ".join(packages)
    with apt.alone(folder.with_name(f"{folder.name}.lock")):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
            apt.say(f"installing {peer.packages[0]} into {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            apt.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
            # Bytecode of everything would take minutes; a tool's first build writes that of what it imports.
            pip = (sys.executable, "-m", "pip", "--python", f"{folder}/bin/python", "install", "--no-compile")
            apt.run(*pip, "--quiet", "--disable-pip-version-check", *packages)
            stamp.write_text(key, encoding="utf-8")
    return folder / "bin"


def opened(place: Place, peer: Peer) -> Ready:
    """Make *peer* ready in a project of its own.

    Raises:
        NotPossibleError: it cannot be had here.
    """
    programs = installed(peer)
    word = peer.name.lower()
    home = place.folder / f"home-{word}"
    home.mkdir()
    outer = place.environments[BUILDKIT]
    path = os.pathsep.join([str(programs), outer["PATH"]])
    shop = Shop(
        project=place.project(word),
        base=place.build(f"base-{word}", _BASE.format(base=place.base)),
        image=f"{place.image(word)}:1",
        programs=programs,
        env={**outer, "PATH": path, "HOME": str(home), "DO_NOT_TRACK": "true", **peer.env},
        home=home,
    )
    return peer.set_up(shop)
