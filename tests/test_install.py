"""The script that installs Python packages in the image, with a real pip and tiny local wheels."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.in_image import conflicts, environment
from azureml_tasks.requirements.install_step import SCRIPTS
from tests.base_environment import (
    CANNOT_INSTALL,
    END,
    FLASK,
    HASHES,
    HASHES_DOWNLOADED,
    INSTALLED,
    NOT_BUILT,
    NOTHING_NEW,
    SERVER,
    WITH_SERVER,
    Base,
    downloaded,
    in_project,
    refused,
)
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT = sorted(f"azureml-image/{name}" for name in SCRIPTS)
"""What stays in the image if nothing mounts it."""
WITH_OWN_SERVER = (
    "Installing requirements, with the azureml-inference-server-http that the project requires.\n"
)


def files_in(root: Path, folder: str) -> list[str]:
    """Return every file below a folder of *root*."""
    files = [path for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in files)


def test_installs_for_all_and_leaves_nothing_behind(make_base: Callable[..., Base]) -> None:
    """A requirements file with any name, a conda file and the table are installed in one run, next to the server.

    The packages are for all users, even if the base tells pip otherwise, and no input reaches an image based on this.
    """
    base = make_base(PIP_USER="1")
    for name in ("alpha", "beta", "delta", "gamma"):
        base.add_to_index(name, "1.0")
    base.write(
        "requirements.txt",
        in_project("my reqs/模型.txt") + '-r "conda/env/conda.yml"\n-r "project/env/conda.yml"\nbeta>=1\n',
    )
    base.write("project/my reqs/模型.txt", "alpha==1.0\n")
    base.write("conda/env/conda.yml", "\n\ngamma==1.*\n")
    base.write("project/env/conda.yml", "\n\n\n\ndelta\n")

    ended = base.run()

    packages = ["alpha-1.0", *SERVER, "beta-1.0", "delta-1.0", FLASK, "gamma-1.0"]
    assert (0, WITH_SERVER + NOTHING_NEW, packages) == ended
    assert [*files_in(base.root, "azureml-image"), *files_in(base.root, "home")] == LEFT


ADDING = "Installing only the added requirements; the installed packages stay as they are.\n"
ADDED = "The added packages have what they need, and no other package has changed.\n"
IN_VAIN = "That is not enough, so all requirements are installed again.\n"


def base_with_added(base: Base, added: str) -> Base:
    """Install alpha in *base*, then require *added* from the index too, and return *base*."""
    base.add_package("alpha", "1.0")
    base.add_to_index("alpha", "1.0")
    base.add_to_index("alpha", "2.0")
    base.write("requirements.txt", f"alpha==1.0\n{added}\n")
    base.write("added.txt", f"{added}\n")
    return base


def test_only_the_added_requirements_are_installed(make_base: Callable[..., Base]) -> None:
    """They come with what they require, and pip installs nothing else.

    A second run in the same folder, with other requirements, finds no input of the first one.
    """
    base = base_with_added(make_base(), "beta==2.0")
    base.add_to_index("beta", "2.0", "gamma ; python_version > '3'", "no-such ; python_version < '3'")
    base.add_to_index("gamma", "1.0", "alpha<2")

    first = base.run()
    left = files_in(base.root, "azureml-image")
    base.add_to_index("more", "1.0")
    base.write("requirements.txt", in_project("more.txt"))
    base.write("project/more.txt", "more\n")
    second = base.run()

    packages = ["alpha-1.0", *SERVER, "beta-2.0", FLASK, "gamma-1.0"]
    assert (0, ADDING + ADDED, packages) == first
    assert LEFT == left
    assert (0, WITH_SERVER + NOTHING_NEW, [*packages, "more-1.0"]) == second


def test_an_added_package_that_changes_a_version_leads_to_a_full_install(
    make_base: Callable[..., Base],
) -> None:
    """An installed version changes only if all requirements allow it."""
    base = base_with_added(make_base(), "beta==2.0")
    base.add_package("gamma", "1.0")
    base.add_to_index("gamma", "2.0")
    base.add_to_index("beta", "2.0", "gamma>=2")

    ended = base.run()

    log = ADDING + IN_VAIN + WITH_SERVER + NOTHING_NEW
    assert (0, log, ["alpha-1.0", *SERVER, "beta-2.0", FLASK, "gamma-2.0"]) == ended


def test_an_added_package_without_its_requirements_leads_to_a_full_install(
    make_base: Callable[..., Base],
) -> None:
    """A missing requirement of an added package is noticed, even if pip is told not to install it.

    If the full installation lacks it too, that ends the build, and the package is named with what requires it.
    """
    base = base_with_added(make_base(PIP_NO_DEPS="1"), "beta==2.0")
    base.add_to_index("beta", "2.0", "gamma")

    code, log, _ = base.run()

    new_conflicts = """\
pip check reports conflicts that are not in the base image:
    beta 2.0 needs gamma, which is not installed
        beta (none) -> 2.0, required by pyproject.toml: beta==2.0
"""
    assert (1, ADDING + IN_VAIN + WITH_SERVER + new_conflicts + END) == (code, log)


def test_a_package_that_the_index_does_not_have_is_refused(make_base: Callable[..., Base]) -> None:
    """The script fails, and the installed packages are as before.

    Pip finds no versions in an index that refuses the login, so with a mounted login, the log says so.
    """
    base = base_with_added(make_base(), "beta==3.0")
    base.write("netrc", "machine pypi.contoso.example login alice password hunter2\n")

    ended = base.run()

    hint = "    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc.\n"
    why = refused("pyproject.toml: beta==3.0", said="No matching distribution found for beta==3.0")
    assert (
        1,
        ADDING + IN_VAIN + WITH_SERVER + why + hint + NOT_BUILT,
        ["alpha-1.0", *SERVER, FLASK],
    ) == ended


def test_requirements_with_hashes_come_first(make_base: Callable[..., Base]) -> None:
    """The requirements with hashes are installed in their own run, and the second run keeps its versions."""
    base = make_base()
    digest = base.add_to_index("alpha", "1.0")
    base.add_to_index("alpha", "2.0")
    base.add_to_index("beta", "1.0", "alpha")
    base.add_to_index("beta", "2.0", "alpha>=2")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 \\\n    --hash=sha256:{digest}\n")
    base.write("pinned.txt", "alpha==1.0\n")
    base.write("requirements.txt", "beta\n")

    ended = base.run()

    expected = (0, HASHES + WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-1.0", FLASK])
    assert expected == ended


OTHER_HASH = (
    "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, "
    "please update the hashes. Otherwise, examine the package contents carefully; someone may have tampered with them."
)


def test_refuses_another_hash(make_base: Callable[..., Base]) -> None:
    """A wheel with another hash ends the build before the second run."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    base.write("requirements.txt", "alpha\n")

    code, log, packages = base.run()

    # Between the two stand pip's own words, which name both hashes and a temporary folder.
    why = refused("pyproject.toml: alpha", "lock.txt:1: alpha==1.0", said=OTHER_HASH) + NOT_BUILT
    start, end = log[: len(HASHES)], log[-len(why) :]
    expected = (1, HASHES, why, [*SERVER, FLASK])
    assert expected == (code, start, end, packages)


def test_refuses_a_conflict_before_installing(make_base: Callable[..., Base]) -> None:
    """A requirement that conflicts with the server is refused before anything changes."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.add_to_index("flask", "2.3.3")
    base.write("requirements.txt", "alpha\nflask==2.3.3\n")

    ended = base.run()

    both = "azureml-inference-server-http==1.5.1 and flask==2.3.3"
    why = refused("pyproject.toml: flask==2.3.3", said=CANNOT_INSTALL.format(both))
    expected = (1, WITH_SERVER + why + END, [*SERVER, FLASK])
    assert expected == ended


def test_names_the_requirement_with_a_hash_that_breaks_the_server(make_base: Callable[..., Base]) -> None:
    """It is named with its file, its line and the version that it replaced."""
    base = make_base()
    digest = base.add_to_index("flask", "2.3.3")
    base.write("hashed.txt", in_project("locks/lock.txt"))
    base.write("project/locks/lock.txt", f"# made by a tool\nFlask==2.3.3 --hash=sha256:{digest}\n")
    base.write("pinned.txt", "flask==2.3.3\n")

    code, log, _ = base.run()

    culprit = """\
pip check reports conflicts that are not in the base image:
    azureml-inference-server-http 1.5.1 needs flask~=3.1.0, and flask 2.3.3 is installed
        flask 3.1.2 -> 2.3.3, required by locks/lock.txt:2: Flask==2.3.3
"""
    why = refused(said=CANNOT_INSTALL.format("azureml-inference-server-http==1.5.1"))
    expected = (1, HASHES + WITH_SERVER + why + culprit + END)
    assert expected == (code, log)


def test_names_what_breaks_another_package_of_the_base(make_base: Callable[..., Base]) -> None:
    """A conflict that pip allows is traced to every requirement behind it, without URLs that may hold a password.

    Paths are relative to the project, also those of local wheels, and lines are those of a conda file.
    """
    base = make_base()
    base.add_package("old", "1.0", "shared<2", "tiny<2")
    base.add_package("shared", "1.5")
    base.add_package("tiny", "1.0")
    base.add_to_index("shared", "3.0")
    base.add_to_index("alpha", "1.0", "shared>=3")
    wheel(base.inside / "project" / "wheels", "tiny", "2.0")
    address = (base.root / "index" / "shared-3.0-py3-none-any.whl").as_uri()
    conda = '-r "conda/env/conda.yml"\n-r "project/env/conda.yml"\n'
    base.write("requirements.txt", f"{in_project('deep/a.txt')}{conda}shared @ {address}\n")
    base.write(
        "project/deep/a.txt",
        "alpha\nshared>2; python_version<'4' # new\n./wheels/tiny-2.0-py3-none-any.whl\n",
    )
    base.write("conda/env/conda.yml", "\n\nshared==3.*\n")
    base.write("project/env/conda.yml", "\n\n\n\nshared>=2\n")

    code, log, _ = base.run()

    new_conflicts = """\
pip check reports conflicts that are not in the base image:
    old 1.0 needs shared<2, and shared 3.0 is installed
        shared 1.5 -> 3.0, required by pyproject.toml: shared, \
required by deep/a.txt:2: shared>2; python_version<'4', \
required by env/conda.yml:5: shared>=2, required by env/conda.yml:3: shared==3.*, needed by alpha 1.0
    old 1.0 needs tiny<2, and tiny 2.0 is installed
        tiny 1.0 -> 2.0, required by deep/a.txt:3: ./wheels/tiny-2.0-py3-none-any.whl
"""
    expected = (1, WITH_SERVER + new_conflicts + END)
    assert expected == (code, log)


OTHER_SERVER = "azureml_inference_server_http-1.4.1"


def test_a_requirement_that_names_the_server_replaces_that_of_the_base(
    make_base: Callable[..., Base],
) -> None:
    """The project's version is installed, however its name is spelled."""
    base = make_base()
    base.add_to_index("azureml_inference_server_http", "1.4.1", "flask~=3.1.0")
    base.write("requirements.txt", "AzureML_Inference.Server-HTTP[extra] <1.5 # for the team\n")

    ended = base.run()

    assert (0, WITH_OWN_SERVER + NOTHING_NEW, [OTHER_SERVER, FLASK]) == ended


def test_a_lock_with_hashes_that_names_the_server_replaces_that_of_the_base(
    make_base: Callable[..., Base],
) -> None:
    """A lock file that was made for another version of the server can be used, with other requirements too."""
    base = make_base()
    server = base.add_to_index("azureml_inference_server_http", "1.4.1", "flask~=2.3")
    flask = base.add_to_index("flask", "2.3.3")
    base.add_to_index("alpha", "1.0", "flask")
    lock = (
        f"azureml_inference_server_http==1.4.1 --hash=sha256:{server}\nflask==2.3.3 --hash=sha256:{flask}\n"
    )
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", lock)
    base.write("pinned.txt", "azureml-inference-server-http==1.4.1\nflask==2.3.3\n")
    base.write("requirements.txt", "alpha\n")

    ended = base.run()

    log = HASHES + WITH_OWN_SERVER + NOTHING_NEW
    assert (0, log, ["alpha-1.0", OTHER_SERVER, "flask-2.3.3"]) == ended


def test_what_only_the_replaced_server_needed_may_be_broken(make_base: Callable[..., Base]) -> None:
    """Pip leaves the dependencies of the old server behind; those that nothing needs any more end no build."""
    base = make_base(server=False)
    for name, needs in {"sdk": ["shared==1.0"], "shared": [], "other": ["shared==1.0"]}.items():
        base.add_package(name, "1.0", *needs)
    base.add_package("azureml_inference_server_http", "1.5.1", "sdk", "shared")
    base.add_to_index("azureml_inference_server_http", "1.4.1", "shared==2.0")
    base.add_to_index("shared", "2.0")
    base.write("requirements.txt", "azureml-inference-server-http==1.4.1\n")

    ended = base.run()

    log = f"""\
{WITH_OWN_SERVER}\
pip check reports these conflicts of packages that only the base's azureml-inference-server-http needed:
    sdk 1.0 has requirement shared==1.0, but you have shared 2.0.
pip check reports conflicts that are not in the base image:
    other 1.0 needs shared==1.0, and shared 2.0 is installed
        shared 1.0 -> 2.0, needed by azureml-inference-server-http 1.4.1
{END}"""
    assert (1, log) == ended[:2]


def base_of_old_server(base: Base, requirements: str) -> Base:
    """Install a server that needs another `shared` than the one that the project requires, and return *base*."""
    base.add_package("sdk", "1.0", "shared==1.0")
    base.add_package("shared", "1.0")
    base.add_package("azureml_inference_server_http", "1.5.1", "sdk", "shared")
    base.add_to_index("azureml_inference_server_http", "1.4.1", "shared==2.0")
    base.add_to_index("shared", "2.0")
    base.write("requirements.txt", requirements)
    return base


def test_a_conflict_of_the_base_image_stays(make_base: Callable[..., Base]) -> None:
    """A conflict in the base image does not end the build, even if its version changes.

    Neither does one of a package that only the replaced server needed.
    """
    base = base_of_old_server(make_base(server=False), "azureml-inference-server-http==1.4.1\n")
    base.add_package("old", "1.0", "shared>2", "gone")

    ended = base.run()

    known = """\
pip check reports these conflicts for the base image too:
    old 1.0 requires gone, which is not installed.
    old 1.0 has requirement shared>2, but you have shared 2.0.
pip check reports these conflicts of packages that only the base's azureml-inference-server-http needed:
    sdk 1.0 has requirement shared==1.0, but you have shared 2.0.
"""
    packages = [OTHER_SERVER, "old-1.0", "sdk-1.0", "shared-2.0"]
    assert (0, WITH_OWN_SERVER + known + NOTHING_NEW, packages) == ended


def test_what_the_project_names_itself_is_never_left_broken(make_base: Callable[..., Base]) -> None:
    """A package that the old server needed, and that the project requires, must fit."""
    base = base_of_old_server(make_base(server=False), "azureml-inference-server-http==1.4.1\nsdk\n")

    code, _, packages = base.run()

    assert (1, [*SERVER, "sdk-1.0", "shared-1.0"]) == (code, packages)


def test_the_server_stays_if_the_project_asks_for_no_other_version(make_base: Callable[..., Base]) -> None:
    """The base's version stays if it is what a requirement asks for, and if a requirement does not apply."""
    server = "azureml-inference-server-http"
    base = make_base()
    base.add_to_index("azureml_inference_server_http", "1.6", "flask~=3.1.0")
    base.add_to_index("flask", "2.3.3")
    base.add_to_index("alpha", "1.0")
    base.write("requirements.txt", f"{server}>=1.5\n{server}<1 ; os_name == 'nt'\nalpha\n")

    ended = base.run()

    assert (0, WITH_OWN_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, FLASK]) == ended


def test_a_base_without_the_server(make_base: Callable[..., Base]) -> None:
    """The requirements are installed alone, and the log says so."""
    base = make_base(server=False)
    base.add_to_index("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    ended = base.run()

    expected = (0, f"The base image has no azureml-inference-server-http.\n{NOTHING_NEW}", ["alpha-1.0"])
    assert expected == ended


def test_a_base_without_pip_is_refused(make_base: Callable[..., Base]) -> None:
    """The message shows what to add to the table."""
    base = make_base(pip=False)
    base.write("requirements.txt", "alpha\n")

    code, log, _ = base.run()

    text = f"""\
{base.python} has no pip, which installs the requirements.
    Choose a base whose environment has pip, or add it in pyproject.toml:
    [[tool.azureml-image.run]]
    after = "apt"
    command = '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -m ensurepip'
The image was not built.
"""
    expected = (1, text)
    assert expected == (code, log)


def test_hides_only_the_installed_requirements_of_the_server(make_base: Callable[..., Base]) -> None:
    """Pip's output reaches the log, without the line for each installed requirement of the server."""
    base = make_base(PIP_QUIET="0")
    base.add_package("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    code, log, _ = base.run()

    satisfied = [line.split(" in /")[0] for line in log.splitlines() if line.startswith("Requirement")]
    expected = (0, ["Requirement already satisfied: alpha"])
    assert expected == (code, satisfied)


@pytest.mark.parametrize("mounted", [True, False])
def test_refuses_an_empty_secret(mounted: bool, make_base: Callable[..., Base]) -> None:
    """BuildKit mounts nothing for it, or an empty file; without the login pip would use the public index."""
    base = make_base()
    if mounted:
        base.write("netrc", "")
    base.extra["NETRC"] = str(base.inside.resolve() / "netrc")
    base.write("requirements.txt", "alpha\n")

    code, log, _ = base.run()

    expected = """\
The secret netrc is empty.
    Give it to the build: docker build --secret id=netrc,src=FILE
The image was not built.
"""
    assert (1, expected) == (code, log)


def end_of(log: str) -> str:
    """Return what the script has said last."""
    return log[log.rindex("pip could not download") :]


def refusal(*cause: str) -> str:
    """Return what the script says of packages that pip could not download; of *cause*, pip said the last line."""
    *required, error = cause
    lines = "".join(f"    {line}\n" for line in (*required, f"pip said: {error}"))
    return NOT_DOWNLOADED.format(lines)


NOT_DOWNLOADED = """\
pip could not download the packages:
{}    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc.
    A package without a wheel is not built while secrets are mounted, for its code could read them. To allow it:
    invoke image.build --allow-source-builds
The image was not built.
"""


def test_downloads_what_the_environment_lacks_and_installs_it_without_an_index(
    make_base: Callable[..., Base],
) -> None:
    """Requirements with hashes, others and local wheels are downloaded in one step and installed in the next.

    Of several files with hashes, each has only a part: `delta` needs what the other one has.
    """
    base = make_base()
    digest = base.add_to_index("alpha", "1.0")
    base.add_to_index("alpha", "2.0")
    base.add_to_index("beta", "1.0", "alpha", "flask")
    wheel(base.inside / "project" / "wheels", "tiny", "2.0", "gamma")
    base.add_to_index("gamma", "1.0")
    other = base.add_to_index("delta", "1.0", "alpha")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("hashed-2.txt", in_project("other.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{digest}\n")
    base.write("project/other.txt", f"delta==1.0 --hash=sha256:{other}\n")
    base.write("pinned.txt", "alpha==1.0\ndelta==1.0\n")
    base.write("requirements.txt", in_project("a.txt") + "beta\n")
    base.write("project/a.txt", "./wheels/tiny-2.0-py3-none-any.whl\n")

    first = base.run("download.py")
    files = downloaded(base)
    shutil.rmtree(base.root / "index")
    second = base.run()

    base_packages = [*SERVER, FLASK]
    end = "-py3-none-any.whl"
    names = ["alpha-1.0", "beta-1.0", "delta-1.0", "gamma-1.0", "tiny-2.0"]
    assert (0, HASHES_DOWNLOADED + WITH_SERVER, base_packages) == first
    assert [
        *(f"{name}{end}" for name in names),
        *(name.replace("-", "==") for name in names),
    ] == [*files[:5], *sorted(files[5:])]
    packages = ["alpha-1.0", *SERVER, "beta-1.0", "delta-1.0", FLASK, "gamma-1.0", "tiny-2.0"]
    assert (0, INSTALLED, packages) == second
    assert all(
        list(base.root.glob(f"env/lib/*/site-packages/{name}*/direct_url.json")) == [] for name in packages
    )


def test_downloads_nothing_if_the_environment_has_everything(make_base: Callable[..., Base]) -> None:
    """The index need not have what the base has."""
    base = make_base()
    base.write("requirements.txt", "flask>=3\n")

    ended = [base.run("download.py"), base.run()]

    assert [(0, WITH_SERVER, [*SERVER, FLASK]), (0, NOTHING_NEW, [*SERVER, FLASK])] == ended


def test_downloads_no_wheel_with_another_hash(make_base: Callable[..., Base]) -> None:
    """Pip checks the hashes of a lock file while it downloads."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")

    code, log, _ = base.run("download.py")

    assert (1, refusal("lock.txt:1: alpha==1.0", OTHER_HASH)) == (code, end_of(log))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("", "built"),
        ("--no-binary :all:\n", "built"),
        ("--no-binary built\n", "built"),
        ("", "built @ ARCHIVE"),
        ("", "built @ git+https://127.0.0.1/built"),
        ("", "leads"),
    ],
)
def test_builds_no_package_from_source(options: str, named: str, make_base: Callable[..., Base]) -> None:
    """Whoever names a source archive, by its name, its address or that in a wheel: no program is started for it."""
    base = make_base()
    archive = source_archive(base.root / "index", f"open({str(base.root / 'ran')!r}, 'w')")
    base.add_to_index("leads", "1.0", f"built @ {archive.as_uri()}")
    base.write("requirements.txt", in_project("a.txt"))
    base.write("project/a.txt", f"{options}{named.replace('ARCHIVE', archive.as_uri())}\n")

    code, log, _ = base.run("download.py")

    cause = end_of(log).splitlines()[1:-4]
    assert (1, False) == (code, (base.root / "ran").exists())
    assert end_of(log) == refusal(*(line.removeprefix("    ").removeprefix("pip said: ") for line in cause))


def source_archive(folder: Path, code: str) -> Path:
    """Write the source archive of a package whose build runs *code*."""
    table = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    file = folder / "built-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, text in {"pyproject.toml": table, "backend.py": code}.items():
            member = tarfile.TarInfo(f"built-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return file


def test_an_old_pip_is_refused(make_base: Callable[..., Base]) -> None:
    """Only pip 22.2 or newer says what it would install; the message has the way out."""
    base = make_base(pip=False)
    packages = next((base.root / "env" / "lib").glob("python*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").write_text('__version__ = "21.3.1"\n')
    base.write("requirements.txt", "alpha\n")

    code, log, _ = base.run("download.py")

    expected = """\
pip 21.3.1 of the base cannot download packages without running them; 22.2 or newer can.
    Choose a newer base, or let the code of packages run beside the secrets:
    invoke image.build --allow-source-builds
The image was not built.
"""
    assert (1, expected) == (code, log)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Looking in indexes: https://pypi.contoso.example/simple",) * 2,
        ("'https://alice:hun@ter2@x/simple\\n'", "'https://alice:****@x/simple\\n'"),
        ("https://hunter2@x, http://b:hunter2@y:80", "https://****@x, http://b:****@y:80"),
        ("alpha @ git+https://x/alpha@v1", "alpha @ git+https://x/alpha@v1"),
    ],
)
def test_shows_no_password_of_a_url(line: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords are hidden even in lines that pip prints as they are, such as a pip.conf that it cannot parse."""
    environment.say(line)

    assert f"{shown}\n" == capsys.readouterr().out


FIXED_VARIABLES = {
    "PYTHONNOUSERSITE": "1",
    "PIP_USER": "0",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_PROGRESS_BAR": "off",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {**FIXED_VARIABLES, "PIP_NO_CACHE_DIR": "1"}),
        (
            {"PIP_INDEX_URL": "https://example.com/simple", "PIP_USER": "1"},
            {"PIP_INDEX_URL": "https://example.com/simple", **FIXED_VARIABLES, "PIP_NO_CACHE_DIR": "1"},
        ),
        (
            {"PIP_CACHE_DIR": "/cache", "PIP_NO_CACHE_DIR": "1"},
            {"PIP_CACHE_DIR": "/cache", **FIXED_VARIABLES},
        ),
    ],
    ids=["plain", "an index of the base", "a cache that is mounted"],
)
def test_environment_of_pip(variables: dict[str, str], expected: dict[str, str]) -> None:
    """Pip asks nothing and keeps no cache, unless one is mounted; the index of the base image stays."""
    actual = environment.pip_variables(variables)

    assert expected == actual


@pytest.mark.parametrize(
    ("conflict", "before", "expected"),
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
def test_was_known(conflict: str, before: dict[str, str], expected: bool) -> None:
    """A conflict was known if the same version of the package had it before."""
    assert expected is conflicts.was_known(conflict, before)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([], True),
        (["other", "other<3,>=2.0b1", "gone ; python_version < '3'", "gone ; extra == 'more'"], True),
        (["gone"], False),
        (["other<2"], False),
        (["not a requirement"], False),
        (["unknown"], True),
        (["unknown>1"], False),
    ],
)
def test_what_fits_is_not_asked_of_pip(
    needs: list[str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip check` is started only if a package may lack something; it also judges what cannot be parsed."""
    for name, version, requires in (
        ("new", "1.0", needs),
        ("other", "2.0", []),
        ("unknown", "who-knows", []),
    ):
        shutil.unpack_archive(
            wheel(tmp_path / "wheels", name, version, *requires), tmp_path / "packages", "zip"
        )
    packages = {
        each.metadata["Name"]: (each.version, each)
        for each in distributions(path=[str(tmp_path / "packages")])
    }
    monkeypatch.setattr(environment, "distributions", lambda: packages)
    monkeypatch.setattr(
        environment, "pip_output", lambda *_: "new 1.0 requires gone, which is not installed.\n"
    )

    assert (3, expected) == (len(packages), conflicts.pip_check() == [])


def test_an_error_of_pip_without_text_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The indented line below it belongs to nothing, and is shown."""
    script = "print('ERROR: '); print('    more'); print('ERROR: no'); print('    more of it')"

    assert environment.run_pip([sys.executable, "-c", script])

    assert ["no\n    more of it"] == environment.ERRORS
    assert "ERROR:\n    more\nERROR: no\n    more of it\n" == capfd.readouterr().out
