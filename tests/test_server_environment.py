"""The script that chooses or makes the environment of the inference server, with programs that only pretend."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = resources.files("azureml_tasks").joinpath("in_image/server_environment.sh")
PYTHON = """\
#!/bin/sh
here=$(dirname "$0")
case "$*" in
    *version_info*) exit {old} ;;
    *libc_ver*) exit {musl} ;;
    --version) echo "Python 3.8.10" ;;
    *" venv "*) mkdir -p "$6/bin" && cp "$0" "$6/bin/python" ;;
    *ensurepip*) [ {ensurepip} = 1 ] && touch "{pip}" ;;
    *pip*) [ -e "{pip}" ] ;;
esac
"""
APT = """\
#!/bin/sh
echo "apt-get $*"
case "$1" in install) touch "{pip}" ;; esac
"""
NOT_BUILT = "The image was not built.\n"


@dataclass
class Base:
    """A base with programs of its own.

    Args:
        root: of its files.
        env: its variables.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        """Where the environment has to be."""
        return self.root / "azureml-env"

    def add(self, path: str, text: str) -> None:
        """Add a program."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def add_python(
        self, path: str, *, old: int = 0, musl: int = 0, ensurepip: int = 0, pip: bool = True
    ) -> None:
        """Add a Python that is too old (`old=1`), has no glibc (`musl=1`), no pip, or ensurepip (`ensurepip=1`)."""
        marker = self.root / f"pip-of-{path.replace('/', '-')}"
        self.add(path, PYTHON.format(old=old, musl=musl, ensurepip=ensurepip, pip=marker))
        if pip:
            marker.touch()

    def run(self) -> tuple[int, str]:
        """Run the script, whose `/opt` is in the base; return its exit code and output, with `ROOT` for the base."""
        programs = self.root / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("cp", "dirname", "ln", "mkdir", "rm", "sh", "touch"):
            if not (programs / name).exists():
                (programs / name).symlink_to(shutil.which(name) or name)
        script = SCRIPT.read_text(encoding="utf-8").replace("/opt/", f"{self.root}/opt/")
        ended = subprocess.run(
            ["/bin/sh", "-c", script, "server_environment.sh", str(self.target)],
            env={"PATH": str(programs), **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout.replace(str(self.root), "ROOT")


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """A base without Python."""
    return Base(tmp_path)


@pytest.mark.parametrize("variable", ["CONDA_PREFIX", "AZUREML_CONDA_ENVIRONMENT_PATH"])
def test_an_environment_that_a_variable_names_is_used(base: Base, variable: str) -> None:
    """The image finds it by a link; a Python on PATH does not count, nor does one of `/opt/miniconda`."""
    base.add_python("conda/bin/python")
    base.add_python("opt/miniconda/bin/python", old=1)
    base.add_python("bin/python3", old=1)
    base.env[variable] = str(base.root / "conda")

    code, output = base.run()

    assert (0, "The inference server goes into the environment ROOT/conda of the base.\n") == (code, output)
    assert base.target.readlink() == base.root / "conda"


def test_without_a_variable_the_environment_in_opt_miniconda_is_used(base: Base) -> None:
    """Azure ML's own images have conda there; a Python on PATH does not count."""
    base.add_python("opt/miniconda/bin/python")
    base.add_python("bin/python3", old=1)

    code, output = base.run()

    assert (0, "The inference server goes into the environment ROOT/opt/miniconda of the base.\n") == (
        code,
        output,
    )
    assert base.target.readlink() == base.root / "opt/miniconda"


def test_a_variable_that_names_nothing_is_passed_over(base: Base) -> None:
    """Then Python of PATH gets a virtual environment, which sees its packages and so its pip."""
    base.add_python("bin/python3")
    base.env["CONDA_PREFIX"] = str(base.root / "nothing")

    code, output = base.run()

    expected = "The inference server goes into ROOT/azureml-env, a virtual environment on ROOT/bin/python3.\n"
    assert (0, expected) == (code, output)
    assert (base.target / "bin" / "python").is_file()


def test_pip_comes_from_ensurepip_before_apt(base: Base) -> None:
    """A Python that brings pip needs no package of the system."""
    base.add_python("bin/python3", pip=False, ensurepip=1)
    base.add("bin/apt-get", "#!/bin/sh\nexit 1\n")

    code, output = base.run()

    assert (0, 1) == (code, output.count("\n"))


def test_pip_comes_from_debian_if_its_python_has_none(base: Base) -> None:
    """Debian's Python has neither pip nor ensurepip; apt's lists do not stay in the image."""
    base.add_python("bin/python3", pip=False)
    base.add("bin/apt-get", APT.format(pip=base.root / "pip-of-bin-python3"))
    base.add("bin/rm", '#!/bin/sh\necho "rm $1"\n')

    code, output = base.run()

    assert code == 0
    assert output.splitlines()[1:] == [
        "The base's Python has no pip, so apt installs python3-pip.",
        "apt-get update",
        "apt-get install --yes --no-install-recommends python3-pip",
        "apt-get clean",
        "rm -rf",
    ]


def test_a_base_without_python(base: Base) -> None:
    """The message says how apt adds one."""
    assert base.run() == (
        1,
        "The base has no Python.\n"
        '    Choose a base that has one. On Debian and Ubuntu this adds one: apt = ["python3"]\n' + NOT_BUILT,
    )


def test_a_python_that_is_too_old(base: Base) -> None:
    """The message names the Python and its version."""
    base.add_python("bin/python3", old=1)

    assert base.run() == (
        1,
        "The inference server needs Python 3.9 or later, and ROOT/bin/python3 is Python 3.8.10.\n"
        "    Choose another base.\n" + NOT_BUILT,
    )


def test_a_base_with_musl(base: Base) -> None:
    """Alpine is refused before pip tries to build from source."""
    base.add_python("bin/python3", musl=1)

    assert base.run() == (
        1,
        "The inference server needs glibc, and ROOT/bin/python3 has another C library, such as musl.\n"
        "    Choose a base of Debian, Ubuntu or another system with glibc, not of Alpine.\n" + NOT_BUILT,
    )


def test_a_python_without_pip_and_without_a_way_to_get_it(base: Base) -> None:
    """There is neither ensurepip nor apt-get."""
    base.add_python("bin/python3", pip=False)

    code, output = base.run()

    refusal = (
        "ROOT/bin/python3 has no pip, and this base has no way to add it.\n"
        "    Choose a base whose Python has pip.\n" + NOT_BUILT
    )
    assert (1, refusal) == (code, output.partition("\n")[2])


def test_an_inference_image(base: Base) -> None:
    """A base that has the server needs no other one."""
    base.add_python("env/bin/python")
    base.add("env/bin/azmlinfsrv", "")
    base.env["AZUREML_CONDA_ENVIRONMENT_PATH"] = str(base.root / "env")

    assert base.run() == (
        1,
        "The base has an inference server, in ROOT/env.\n"
        '    Remove from pyproject.toml: server = "azmlinfsrv"\n' + NOT_BUILT,
    )
