"""The script that installs Python packages inside the image, with a real pip and tiny local wheels."""

from __future__ import annotations

import base64
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

from azureml_tasks.in_image import install

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(install.__file__)
WITH_SERVER = (
    "Installing the rest in one run with the base image's azureml-inference-server-http==1.5.1, "
    "so that pip refuses what does not fit it.\n"
)
HASHES = "Installing what has hashes, in a run of its own: pip wants hashes for all of a run or for none.\n"
SERVER = ["azureml_inference_server_http-1.5.1"]
FLASK = "flask-3.1.2"
NOTHING_NEW = "pip check finds nothing that it did not find in the base image.\n"
PIP_REFUSED = "pip did not install the requirements; its reasons stand above.\n"
END = """\
    Where versions clash, ask for others, or leave out what the base image brings.
The image was not built.
"""


def wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """Write a wheel that holds nothing but its name, its version and its needs."""
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    title = name.replace("_", "-")
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {title}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in files.items()}
    lines = [
        f"{path},sha256={base64.urlsafe_b64encode(d).decode().rstrip('=')}," for path, d in digests.items()
    ]
    folder.mkdir(exist_ok=True, parents=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with ZipFile(made, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": "\n".join([*lines, f"{info}/RECORD,,", ""])}.items():
            archive.writestr(path, text)
    return made


@dataclass(frozen=True, kw_only=True)
class Base:
    """An environment with a pip of its own, as a base image has one, and a folder beside the script."""

    root: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.root / "env" / "bin" / "python"

    @property
    def inside(self) -> Path:
        """The folder that the image build copies in."""
        return self.root / "azureml-image"

    def bring(self, name: str, version: str, *needs: str) -> None:
        """Have a package in the base, whether what it needs is there or not."""
        packages = next((self.root / "env" / "lib").glob("python*/site-packages"))
        with ZipFile(wheel(self.root / "base-wheels", name, version, *needs)) as archive:
            archive.extractall(packages)

    def offer(self, name: str, version: str, *needs: str) -> str:
        """Have a wheel in the index; return its hash."""
        made = wheel(self.root / "index", name, version, *needs)
        return hashlib.sha256(made.read_bytes()).hexdigest()

    def write(self, path: str, text: str) -> None:
        """Write a file beside the script."""
        (self.inside / path).parent.mkdir(parents=True, exist_ok=True)
        (self.inside / path).write_text(text)

    def environment(self) -> dict[str, str]:
        """Return what makes pip hermetic, and quiet but for what it refuses."""
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.root / "index")}
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_QUIET": "3", "HOME": str(self.root / "home")}
        return {"PATH": os.defpath, "LANG": "C.UTF-8", **index, **alone, **self.extra}

    def run(self) -> tuple[int, str, list[str]]:
        """Run the script as the image build does.

        Returns:
            the exit code, what was written without pip's words, and what is installed.
        """
        ended = subprocess.run(
            [str(self.python), str(self.inside / "install.py")],
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
        """Return what is installed, each as "name-version", without pip."""
        packages = next((self.root / "env" / "lib").glob("python*/site-packages"))
        return sorted(path.name[: -len(".dist-info")] for path in packages.glob("*.dist-info"))


@pytest.fixture(scope="session")
def pip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pip that this Python brings, and nothing else."""
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
    """Return what makes a base image's environment, with a server that needs flask~=3.1.0."""

    def make(*, server: bool = True, pip: bool = True, **extra: str) -> Base:
        base = Base(root=tmp_path, extra=extra)
        venv.create(tmp_path / "env", symlinks=True)
        packages = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
        if pip:
            (packages / "pip.pth").write_text(f"{pip_folder}\n")
        for folder in ("index", "home", "azureml-image"):
            (tmp_path / folder).mkdir()
        shutil.copy(SCRIPT, base.inside)
        if server:
            base.bring("flask", "3.1.2")
            base.bring("azureml_inference_server_http", "1.5.1", "flask~=3.1.0")
        return base

    return make


def in_project(*names: str) -> str:
    """Return the line for each requirements file of the project."""
    return "".join(f'-r "project/{name}"\n' for name in names)


def files_in(root: Path, folder: str) -> list[str]:
    """Return every file below a folder of *root*."""
    files = [path for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in files)


def test_installs_files_and_requirements_of_the_table(make_base: Callable[..., Base]) -> None:
    """A requirements file of any name and a requirement of the table are installed beside the server."""
    base = make_base()
    base.offer("alpha", "1.0")
    base.offer("beta", "2.0")
    base.write("requirements.txt", in_project("my reqs/模型.txt") + "beta>=1\n")
    base.write("project/my reqs/模型.txt", "alpha==1.0\n")

    ended = base.run()

    expected = (0, WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-2.0", FLASK])
    assert expected == ended


def test_installs_for_all_and_leaves_nothing_behind(make_base: Callable[..., Base]) -> None:
    """Where a base tells pip to install for one user, all get it, and no other file stays."""
    base = make_base(PIP_USER="1")
    base.offer("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    _, _, packages = base.run()

    expected = (["alpha-1.0", *SERVER, FLASK], ["azureml-image/install.py"])
    assert expected == (packages, [*files_in(base.root, "azureml-image"), *files_in(base.root, "home")])


ADDING = "Installing what was added alone; all that is there stays as it is.\n"
ADDED = "What was added finds all that it needs, and nothing else has changed.\n"
IN_VAIN = "That does not do, so everything is asked for again.\n"


def growing(base: Base, added: str) -> Base:
    """*base* with alpha 1.0, asked for with *added*, which the index has, after alpha alone was asked for."""
    base.bring("alpha", "1.0")
    base.offer("alpha", "1.0")
    base.offer("alpha", "2.0")
    base.write("requirements.txt", f"alpha==1.0\n{added}\n")
    base.write("added.txt", f"{added}\n")
    return base


def test_what_was_added_is_installed_alone(make_base: Callable[..., Base]) -> None:
    """It comes with what it needs itself, and pip is asked for nothing else."""
    base = growing(make_base(), "beta==2.0")
    base.offer("beta", "2.0", "gamma ; python_version > '3'", "no-such ; python_version < '3'")
    base.offer("gamma", "1.0", "alpha<2")

    ended = base.run()

    assert (0, ADDING + ADDED, ["alpha-1.0", *SERVER, "beta-2.0", FLASK, "gamma-1.0"]) == ended
    assert ["azureml-image/install.py"] == files_in(base.root, "azureml-image")


def test_what_wants_others_of_what_is_there_is_asked_for_with_everything(
    make_base: Callable[..., Base],
) -> None:
    """What is there gives way only where everything that is asked for allows it."""
    base = growing(make_base(), "beta==2.0")
    base.bring("gamma", "1.0")
    base.offer("gamma", "2.0")
    base.offer("beta", "2.0", "gamma>=2")

    ended = base.run()

    said = ADDING + IN_VAIN + WITH_SERVER + NOTHING_NEW
    assert (0, said, ["alpha-1.0", *SERVER, "beta-2.0", FLASK, "gamma-2.0"]) == ended


def test_what_misses_its_needs_is_asked_for_with_everything(make_base: Callable[..., Base]) -> None:
    """Where pip was told to install no needs, what was added is seen not to find them."""
    base = growing(make_base(PIP_NO_DEPS="1"), "beta==2.0")
    base.offer("beta", "2.0", "gamma")

    code, said, _ = base.run()

    found = """\
pip check finds what it did not find in the base image:
    beta 2.0 needs gamma, which is not installed
        beta (none) -> 2.0, asked for by pyproject.toml: beta==2.0
"""
    assert (1, ADDING + IN_VAIN + WITH_SERVER + found + END) == (code, said)


def test_what_is_not_offered_is_refused_in_the_end(make_base: Callable[..., Base]) -> None:
    """What cannot be had alone cannot be had with everything either, and what was there is as it was."""
    base = growing(make_base(), "beta==3.0")

    ended = base.run()

    assert (1, ADDING + IN_VAIN + WITH_SERVER + PIP_REFUSED + END, ["alpha-1.0", *SERVER, FLASK]) == ended


def test_what_was_installed_says_nothing_to_an_image_on_this_one(make_base: Callable[..., Base]) -> None:
    """Of two runs in the same folder the second one, which is asked for something else, finds nothing of the first."""
    base = growing(make_base(), "beta==2.0")
    base.offer("beta", "2.0")
    base.offer("gamma", "1.0")
    first = base.run()
    base.write("requirements.txt", in_project("more.txt"))
    base.write("project/more.txt", "gamma\n")

    second = base.run()

    there = ["alpha-1.0", *SERVER, "beta-2.0", FLASK]
    assert (0, ADDING + ADDED, there) == first
    assert (0, WITH_SERVER + NOTHING_NEW, [*there, "gamma-1.0"]) == second


def test_nothing_is_added_where_the_list_is_empty(make_base: Callable[..., Base]) -> None:
    """Then everything is asked for, whatever a list of before said."""
    base = growing(make_base(), "beta==2.0")
    base.write("added.txt", "")
    base.offer("beta", "2.0")

    ended = base.run()

    assert (0, WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-2.0", FLASK]) == ended


def test_hashes_come_first_and_hold(make_base: Callable[..., Base]) -> None:
    """What has hashes is installed in a run of its own, and the second run keeps its versions."""
    base = make_base()
    digest = base.offer("alpha", "1.0")
    base.offer("alpha", "2.0")
    base.offer("beta", "1.0", "alpha")
    base.offer("beta", "2.0", "alpha>=2")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 \\\n    --hash=sha256:{digest}\n")
    base.write("pinned.txt", "alpha==1.0\n")
    base.write("requirements.txt", "beta\n")

    ended = base.run()

    expected = (0, HASHES + WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-1.0", FLASK])
    assert expected == ended


def test_refuses_another_hash(make_base: Callable[..., Base]) -> None:
    """A wheel with other bytes than its hash says ends the build before the second run."""
    base = make_base()
    base.offer("alpha", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    base.write("requirements.txt", "alpha\n")

    code, said, packages = base.run()

    # Between the two stand pip's own words, which name both hashes and a temporary folder.
    start, end = said[: len(HASHES)], said[-len(PIP_REFUSED + END) :]
    expected = (1, HASHES, PIP_REFUSED + END, [*SERVER, FLASK])
    assert expected == (code, start, end, packages)


def test_refuses_a_clash_before_installing(make_base: Callable[..., Base]) -> None:
    """A requirement that the server cannot run with is refused while everything is as it was."""
    base = make_base()
    base.offer("alpha", "1.0")
    base.offer("flask", "2.3.3")
    base.write("requirements.txt", "alpha\nflask==2.3.3\n")

    ended = base.run()

    expected = (1, WITH_SERVER + PIP_REFUSED + END, [*SERVER, FLASK])
    assert expected == ended


def test_names_the_culprit_among_hashes(make_base: Callable[..., Base]) -> None:
    """A hashed version that breaks the server is named with its line and with what it replaced."""
    base = make_base()
    digest = base.offer("flask", "2.3.3")
    base.write("hashed.txt", in_project("locks/lock.txt"))
    base.write("project/locks/lock.txt", f"# made by a tool\nFlask==2.3.3 --hash=sha256:{digest}\n")
    base.write("pinned.txt", "flask==2.3.3\n")

    code, said, _ = base.run()

    culprit = """\
pip check finds what it did not find in the base image:
    azureml-inference-server-http 1.5.1 needs flask~=3.1.0, and flask 2.3.3 is installed
        flask 3.1.2 -> 2.3.3, asked for by locks/lock.txt:2: Flask==2.3.3
"""
    expected = (1, HASHES + WITH_SERVER + PIP_REFUSED + culprit + END)
    assert expected == (code, said)


def test_names_what_breaks_another_package_of_the_base(make_base: Callable[..., Base]) -> None:
    """What pip lets pass is traced to all that asked for it, without the address that may hold a password."""
    base = make_base()
    base.bring("old", "1.0", "shared<2")
    base.bring("shared", "1.5")
    base.offer("shared", "3.0")
    base.offer("alpha", "1.0", "shared>=3")
    address = (base.root / "index" / "shared-3.0-py3-none-any.whl").as_uri()
    base.write("requirements.txt", f"{in_project('a.txt')}shared @ {address}\n")
    base.write("project/a.txt", "alpha\nshared>2; python_version<'4' # new\n")

    code, said, _ = base.run()

    found = """\
pip check finds what it did not find in the base image:
    old 1.0 needs shared<2, and shared 3.0 is installed
        shared 1.5 -> 3.0, asked for by pyproject.toml: shared, \
asked for by a.txt:2: shared>2; python_version<'4', needed by alpha 1.0
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, said)


def test_names_a_local_wheel(make_base: Callable[..., Base]) -> None:
    """A path means what it means in the project, and a local wheel is named when it breaks the base."""
    base = make_base()
    base.bring("old", "1.0", "tiny<2")
    base.bring("tiny", "1.0")
    wheel(base.inside / "project" / "wheels", "tiny", "2.0")
    base.write("requirements.txt", in_project("deep/a.txt"))
    base.write("project/deep/a.txt", "./wheels/tiny-2.0-py3-none-any.whl\n")

    code, said, _ = base.run()

    found = """\
pip check finds what it did not find in the base image:
    old 1.0 needs tiny<2, and tiny 2.0 is installed
        tiny 1.0 -> 2.0, asked for by deep/a.txt:1: ./wheels/tiny-2.0-py3-none-any.whl
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, said)


def test_names_what_a_new_package_misses(make_base: Callable[..., Base]) -> None:
    """A new package whose needs were not installed ends the build, named with who asked for it."""
    base = make_base(PIP_NO_DEPS="1")
    base.offer("alpha", "1.0", "beta")
    base.write("requirements.txt", "alpha\n")

    code, said, _ = base.run()

    found = """\
pip check finds what it did not find in the base image:
    alpha 1.0 needs beta, which is not installed
        alpha (none) -> 1.0, asked for by pyproject.toml: alpha
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, said)


def test_what_the_base_had_wrong_stays_the_bases(make_base: Callable[..., Base]) -> None:
    """A complaint of the base ends no build, even when the version complained of changes."""
    base = make_base()
    base.bring("old", "1.0", "shared<2", "gone")
    base.bring("shared", "2.5")
    base.offer("shared", "3.0")
    base.write("requirements.txt", "shared==3.0\n")

    code, said, _ = base.run()

    known = """\
pip check finds this in the base image, and it stays so:
    old 1.0 requires gone, which is not installed.
    old 1.0 has requirement shared<2, but you have shared 3.0.
"""
    expected = (0, WITH_SERVER + known + NOTHING_NEW)
    assert expected == (code, said)


def test_a_base_without_the_server_is_said_so(make_base: Callable[..., Base]) -> None:
    """Without a server the requirements are installed alone."""
    base = make_base(server=False)
    base.offer("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    ended = base.run()

    expected = (0, f"The base image has no azureml-inference-server-http.\n{NOTHING_NEW}", ["alpha-1.0"])
    assert expected == ended


def test_a_base_without_pip_is_refused(make_base: Callable[..., Base]) -> None:
    """An environment without pip gets its way out, ready to paste."""
    base = make_base(pip=False)
    base.write("requirements.txt", "alpha\n")

    code, said, _ = base.run()

    text = f"""\
{base.python} has no pip, which installs the requirements.
    Choose a base whose environment has pip, or add it in pyproject.toml:
    [[tool.azureml-image.run]]
    after = "apt"
    command = '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -m ensurepip'
The image was not built.
"""
    expected = (1, text)
    assert expected == (code, said)


def test_hides_only_what_the_server_has_already(make_base: Callable[..., Base]) -> None:
    """The words of pip reach the log, without a line for each package that the server needs and has."""
    base = make_base(PIP_QUIET="0")
    base.bring("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    code, said, _ = base.run()

    satisfied = [line.split(" in /")[0] for line in said.splitlines() if line.startswith("Requirement")]
    expected = (0, ["Requirement already satisfied: alpha"])
    assert expected == (code, satisfied)


def test_points_at_the_secrets_where_pip_finds_nothing(make_base: Callable[..., Base]) -> None:
    """To pip an index that refuses a login is an empty one, which is said where a login is mounted."""
    base = make_base()
    base.write("requirements.txt", "alpha\n")
    base.write("netrc", "machine pypi.contoso.example login alice password hunter2\n")

    code, said, _ = base.run()

    hint = "    An index that refuses the login is an empty one to pip: see the secrets pip-conf and netrc.\n"
    assert (1, WITH_SERVER + PIP_REFUSED + hint + END) == (code, said)


@pytest.mark.parametrize("mounted", [True, False])
def test_refuses_an_empty_secret(mounted: bool, make_base: Callable[..., Base]) -> None:
    """BuildKit mounts nothing for one, or an empty file, and without its login pip would ask the public index."""
    base = make_base()
    if mounted:
        base.write("netrc", "")
    base.extra["NETRC"] = str(base.inside.resolve() / "netrc")
    base.write("requirements.txt", "alpha\n")

    code, said, _ = base.run()

    expected = """\
The secret netrc is empty.
    Give it to the build: docker build --secret id=netrc,src=FILE
The image was not built.
"""
    assert (1, expected) == (code, said)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Looking in indexes: https://pypi.contoso.example/simple",) * 2,
        ("'https://alice:hun@ter2@x/simple\\n'", "'https://alice:****@x/simple\\n'"),
        ("https://hunter2@x, http://b:hunter2@y:80", "https://****@x, http://b:****@y:80"),
        ("alpha @ git+https://x/alpha@v1", "alpha @ git+https://x/alpha@v1"),
    ],
)
def test_shows_no_password_of_an_address(line: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What pip shows as it is, a line of a pip.conf that it cannot read, goes through us."""
    install.say(line)

    assert f"{shown}\n" == capsys.readouterr().out


ANSWERS = {
    "PYTHONNOUSERSITE": "1",
    "PIP_USER": "0",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_PROGRESS_BAR": "off",
}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {**ANSWERS, "PIP_NO_CACHE_DIR": "1"}),
        (
            {"PIP_INDEX_URL": "https://example.com/simple", "PIP_USER": "1"},
            {"PIP_INDEX_URL": "https://example.com/simple", **ANSWERS, "PIP_NO_CACHE_DIR": "1"},
        ),
        ({"PIP_CACHE_DIR": "/cache", "PIP_NO_CACHE_DIR": "1"}, {"PIP_CACHE_DIR": "/cache", **ANSWERS}),
    ],
    ids=["plain", "an index of the base", "a cache that is mounted"],
)
def test_environment_of_pip(given: dict[str, str], wanted: dict[str, str]) -> None:
    """What pip gets lets it ask nothing and keep nothing, unless a cache is named; the base's index stays."""
    actual = install.environment(given)

    assert wanted == actual


@pytest.mark.parametrize(
    ("complaint", "before", "expected"),
    [
        ("old 1.0 requires gone, which is not installed.", {"old": "1.0"}, True),
        ("old 1.0 requires gone, which is not installed.", {"old": "1.0", "gone": "1"}, False),
        ("old 1.0 requires gone, which is not installed.", {"old": "0.9"}, False),
        ("old 1.0 requires gone, which is not installed.", {}, False),
        ("old 1.0 has requirement a.b<2, but you have A-B 3.0.", {"old": "1.0", "a-b": "2.5"}, True),
        ("old 1.0 has requirement a.b<2, but you have A-B 3.0.", {"old": "1.0", "a-b": "1.9"}, False),
        ("old 1.0 has requirement a<2, but you have a 2.0rc1.", {"old": "1.0", "a": "2.0b1"}, True),
        ("old 1.0 has requirement a>=2, but you have a 1.", {"old": "1.0", "a": "2.1b1"}, False),
        ("old 1.0 has requirement a[x]~=2.0 ; os_name > 'a', but you have a 3.", {"old": "1.0", "a": "3.1"}, True),
        ("old 1.0 is not supported on this platform", {"old": "1.0"}, True),
        ("old 1.0 is not supported on this platform", {"old": "0.9"}, False),
        ("something else", {"old": "1.0"}, False),
    ],
)  # fmt: skip
def test_a_complaint_is_the_bases_where_it_would_have_been_said_of_it(
    complaint: str, before: dict[str, str], expected: bool
) -> None:
    """The same version of the same package asks for it, and what was there then did not fit it either."""
    assert expected is install.was_there(complaint, before)
