"""An environment like that of a base image, with a real pip, in which the scripts of the image run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from azureml_tasks.in_image import environment
from azureml_tasks.requirements.install_step import SCRIPTS
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CANNOT_INSTALL",
    "END",
    "FLASK",
    "HASHES",
    "HASHES_DOWNLOADED",
    "INSTALLED",
    "NOTHING_NEW",
    "NOT_BUILT",
    "SERVER",
    "WITH_SERVER",
    "Base",
    "downloaded",
    "in_project",
    "make_base",
    "pip_folder",
    "refused",
]

FOLDER = Path(environment.__file__).parent
WITH_SERVER = (
    "Installing requirements. pip must keep azureml-inference-server-http==1.5.1 of the base image.\n"
)
HASHES = (
    "Installing the requirements with hashes on their own: pip needs hashes for all of a run or for none.\n"
)
SERVER = ["azureml_inference_server_http-1.5.1"]
FLASK = "flask-3.1.2"
NOTHING_NEW = "There are no new package conflicts.\n"
NOT_BUILT = "The image was not built.\n"
END = f"    If versions conflict, require other versions, or leave out packages that the base image has.\n{NOT_BUILT}"
CANNOT_INSTALL = "Cannot install {} because these package versions have conflicting dependencies."


HASHES_DOWNLOADED = HASHES.replace("Installing", "Downloading")
INSTALLED = "Installing the packages that were downloaded.\n" + NOTHING_NEW


@dataclass(frozen=True, kw_only=True)
class Base:
    """An environment with its own pip, like that of a base image, and the folder with the script."""

    root: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.root / "env" / "bin" / "python"

    @property
    def inside(self) -> Path:
        """The folder that the build copies into the image."""
        return self.root / "azureml-image"

    def add_package(self, name: str, version: str, *needs: str) -> None:
        """Install a package in the base without its requirements."""
        packages = next((self.root / "env" / "lib").glob("python*/site-packages"))
        with ZipFile(wheel(self.root / "base-wheels", name, version, *needs)) as archive:
            archive.extractall(packages)

    def add_to_index(self, name: str, version: str, *needs: str) -> str:
        """Put a wheel into the index and return its hash."""
        path = wheel(self.root / "index", name, version, *needs)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def write(self, path: str, text: str) -> None:
        """Write a file beside the script."""
        (self.inside / path).parent.mkdir(parents=True, exist_ok=True)
        (self.inside / path).write_text(text)

    def environment(self) -> dict[str, str]:
        """Return variables that keep pip from the network and from printing anything but errors."""
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.root / "index")}
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_QUIET": "3", "HOME": str(self.root / "home")}
        return {"PATH": os.defpath, "LANG": "C.UTF-8", **index, **alone, **self.extra}

    def run(self, script: str = "install.py") -> tuple[int, str, list[str]]:
        """Run the script as the image build does.

        Returns:
            The exit code, the script's own lines without pip's, and the installed packages.
        """
        ended = subprocess.run(
            [str(self.python), str(self.inside / script)],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=self.environment(),
        )
        lines = ended.stdout.splitlines(keepends=True)
        own = [
            line
            for line in lines
            if not re.match(
                r"ERROR: |\S.*, (which is not installed|but you have .* which is incompatible)\.$", line
            )
        ]
        return ended.returncode, "".join(own), self.packages()

    def packages(self) -> list[str]:
        """Return the installed packages as "name-version", without pip."""
        packages = next((self.root / "env" / "lib").glob("python*/site-packages"))
        return sorted(path.name[: -len(".dist-info")] for path in packages.glob("*.dist-info"))


@pytest.fixture(scope="session")
def pip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only the pip that this Python bundles."""
    root = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", str(root / "env")], check=True)
    packages = next((root / "env" / "lib").glob("python*/site-packages"))
    for path in packages.iterdir():
        if path.name.partition("-")[0] == "pip":
            path.rename(root / path.name)
    shutil.rmtree(root / "env")
    return root


@pytest.fixture
def make_base(tmp_path: Path, pip_folder: Path) -> Callable[..., Base]:
    """Return a function that makes the environment of a base image, with a server that requires flask~=3.1.0."""

    def make(*, server: bool = True, pip: bool = True, **extra: str) -> Base:
        base = Base(root=tmp_path, extra=extra)
        venv.create(tmp_path / "env", symlinks=True)
        packages = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
        if pip:
            (packages / "pip.pth").write_text(f"{pip_folder}\n")
        for folder in ("index", "home", "azureml-image"):
            (tmp_path / folder).mkdir()
        for name in SCRIPTS:
            shutil.copy(FOLDER / name, base.inside)
        if server:
            base.add_package("flask", "3.1.2")
            base.add_package("azureml_inference_server_http", "1.5.1", "flask~=3.1.0")
        return base

    return make


def refused(*required: str, said: str) -> str:
    """Return the lines that say why pip has refused: the requirements that are *required*, and what pip *said*."""
    return "".join(
        [
            "pip could not install the requirements:\n",
            *(f"    {each}\n" for each in (*required, f"pip said: {said}")),
        ]
    )


def in_project(*names: str) -> str:
    """Return the line for each requirements file of the project."""
    return "".join(f'-r "project/{name}"\n' for name in names)


def downloaded(base: Base) -> list[str]:
    """Return the names of the files that were downloaded, then the lines of the list."""
    wheels = base.inside / "wheels"
    names = sorted(path.name for path in wheels.iterdir() if path.suffix == ".whl")
    return [*names, *(wheels / "packages.txt").read_text().splitlines()]
