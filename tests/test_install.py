"""The script that installs Python packages in the image, with a real pip and tiny local wheels."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.in_image import conflicts, environment
from azureml_tasks.requirements.install_step import SCRIPTS
from tests.base_environment import (
    END,
    FLASK,
    HASHES,
    HASHES_DOWNLOADED,
    INSTALLED,
    NOTHING_NEW,
    PIP_REFUSED,
    SERVER,
    WITH_SERVER,
    Base,
    downloaded,
    in_project,
)
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT = sorted(f"azureml-image/{name}" for name in SCRIPTS)
"""What stays in the image if nothing mounts it."""
WITH_OWN_SERVER = (
    "Installing the other requirements, with the azureml-inference-server-http that the project requires.\n"
)


def files_in(root: Path, folder: str) -> list[str]:
    """Return every file below a folder of *root*."""
    files = [path for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in files)


def test_installs_files_and_requirements_of_the_table(make_base: Callable[..., Base]) -> None:
    """A requirements file with any name and a requirement from the table are installed next to the server."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.add_to_index("beta", "2.0")
    base.write("requirements.txt", in_project("my reqs/模型.txt") + "beta>=1\n")
    base.write("project/my reqs/模型.txt", "alpha==1.0\n")

    ended = base.run()

    expected = (0, WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-2.0", FLASK])
    assert expected == ended


def test_installs_for_all_and_leaves_nothing_behind(make_base: Callable[..., Base]) -> None:
    """Packages are installed for all users, even if the base tells pip otherwise, and no other file stays."""
    base = make_base(PIP_USER="1")
    base.add_to_index("alpha", "1.0")
    base.write("requirements.txt", "alpha\n")

    _, _, packages = base.run()

    expected = (["alpha-1.0", *SERVER, FLASK], LEFT)
    assert expected == (packages, [*files_in(base.root, "azureml-image"), *files_in(base.root, "home")])


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
    """They come with what they require, and pip installs nothing else."""
    base = base_with_added(make_base(), "beta==2.0")
    base.add_to_index("beta", "2.0", "gamma ; python_version > '3'", "no-such ; python_version < '3'")
    base.add_to_index("gamma", "1.0", "alpha<2")

    ended = base.run()

    assert (0, ADDING + ADDED, ["alpha-1.0", *SERVER, "beta-2.0", FLASK, "gamma-1.0"]) == ended
    assert LEFT == files_in(base.root, "azureml-image")


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
    """A missing requirement of an added package is noticed, even if pip is told not to install it."""
    base = base_with_added(make_base(PIP_NO_DEPS="1"), "beta==2.0")
    base.add_to_index("beta", "2.0", "gamma")

    code, log, _ = base.run()

    found = """\
pip check reports conflicts that are not in the base image:
    beta 2.0 needs gamma, which is not installed
        beta (none) -> 2.0, required by pyproject.toml: beta==2.0
"""
    assert (1, ADDING + IN_VAIN + WITH_SERVER + found + END) == (code, log)


def test_a_package_that_the_index_does_not_have_is_refused(make_base: Callable[..., Base]) -> None:
    """The script fails, and the installed packages are as before."""
    base = base_with_added(make_base(), "beta==3.0")

    ended = base.run()

    assert (1, ADDING + IN_VAIN + WITH_SERVER + PIP_REFUSED + END, ["alpha-1.0", *SERVER, FLASK]) == ended


def test_the_inputs_of_one_image_do_not_reach_an_image_based_on_it(make_base: Callable[..., Base]) -> None:
    """A second run in the same folder, with other requirements, finds no input of the first one."""
    base = base_with_added(make_base(), "beta==2.0")
    base.add_to_index("beta", "2.0")
    base.add_to_index("gamma", "1.0")
    first = base.run()
    base.write("requirements.txt", in_project("more.txt"))
    base.write("project/more.txt", "gamma\n")

    second = base.run()

    there = ["alpha-1.0", *SERVER, "beta-2.0", FLASK]
    assert (0, ADDING + ADDED, there) == first
    assert (0, WITH_SERVER + NOTHING_NEW, [*there, "gamma-1.0"]) == second


def test_an_empty_list_of_added_requirements_leads_to_a_full_install(make_base: Callable[..., Base]) -> None:
    """All requirements are installed."""
    base = base_with_added(make_base(), "beta==2.0")
    base.write("added.txt", "")
    base.add_to_index("beta", "2.0")

    ended = base.run()

    assert (0, WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-2.0", FLASK]) == ended


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


def test_refuses_another_hash(make_base: Callable[..., Base]) -> None:
    """A wheel with another hash ends the build before the second run."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    base.write("requirements.txt", "alpha\n")

    code, log, packages = base.run()

    # Between the two stand pip's own words, which name both hashes and a temporary folder.
    start, end = log[: len(HASHES)], log[-len(PIP_REFUSED + END) :]
    expected = (1, HASHES, PIP_REFUSED + END, [*SERVER, FLASK])
    assert expected == (code, start, end, packages)


def test_refuses_a_conflict_before_installing(make_base: Callable[..., Base]) -> None:
    """A requirement that conflicts with the server is refused before anything changes."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.add_to_index("flask", "2.3.3")
    base.write("requirements.txt", "alpha\nflask==2.3.3\n")

    ended = base.run()

    expected = (1, WITH_SERVER + PIP_REFUSED + END, [*SERVER, FLASK])
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
    expected = (1, HASHES + WITH_SERVER + PIP_REFUSED + culprit + END)
    assert expected == (code, log)


def test_names_what_breaks_another_package_of_the_base(make_base: Callable[..., Base]) -> None:
    """A conflict that pip allows is traced to every requirement behind it, without URLs that may hold a password."""
    base = make_base()
    base.add_package("old", "1.0", "shared<2")
    base.add_package("shared", "1.5")
    base.add_to_index("shared", "3.0")
    base.add_to_index("alpha", "1.0", "shared>=3")
    address = (base.root / "index" / "shared-3.0-py3-none-any.whl").as_uri()
    base.write("requirements.txt", f"{in_project('a.txt')}shared @ {address}\n")
    base.write("project/a.txt", "alpha\nshared>2; python_version<'4' # new\n")

    code, log, _ = base.run()

    found = """\
pip check reports conflicts that are not in the base image:
    old 1.0 needs shared<2, and shared 3.0 is installed
        shared 1.5 -> 3.0, required by pyproject.toml: shared, \
required by a.txt:2: shared>2; python_version<'4', needed by alpha 1.0
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, log)


def test_names_a_local_wheel(make_base: Callable[..., Base]) -> None:
    """Paths are relative to the project, and a local wheel that breaks the base is named."""
    base = make_base()
    base.add_package("old", "1.0", "tiny<2")
    base.add_package("tiny", "1.0")
    wheel(base.inside / "project" / "wheels", "tiny", "2.0")
    base.write("requirements.txt", in_project("deep/a.txt"))
    base.write("project/deep/a.txt", "./wheels/tiny-2.0-py3-none-any.whl\n")

    code, log, _ = base.run()

    found = """\
pip check reports conflicts that are not in the base image:
    old 1.0 needs tiny<2, and tiny 2.0 is installed
        tiny 1.0 -> 2.0, required by deep/a.txt:1: ./wheels/tiny-2.0-py3-none-any.whl
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, log)


def test_installs_the_packages_of_a_conda_file(make_base: Callable[..., Base]) -> None:
    """Both parts are installed in one run, and neither file reaches an image based on this one."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.add_to_index("beta", "1.0")
    base.write("requirements.txt", '-r "conda/env/conda.yml"\n-r "project/env/conda.yml"\n')
    base.write("conda/env/conda.yml", "\n\nalpha==1.*\n")
    base.write("project/env/conda.yml", "\n\n\n\nbeta\n")

    done = base.run()

    assert (0, WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-1.0", FLASK]) == done
    assert not (base.inside / "conda").exists()


def test_names_the_line_of_a_conda_file(make_base: Callable[..., Base]) -> None:
    """A conflict is traced to the lines of both of its parts."""
    base = make_base()
    base.add_package("old", "1.0", "tiny<2")
    base.add_package("tiny", "1.0")
    base.add_to_index("tiny", "2.0")
    base.write("requirements.txt", '-r "conda/env/conda.yml"\n-r "project/env/conda.yml"\n')
    base.write("conda/env/conda.yml", "\n\ntiny==2.*\n")
    base.write("project/env/conda.yml", "\n\n\n\ntiny>=2\n")

    code, log, _ = base.run()

    found = """\
pip check reports conflicts that are not in the base image:
    old 1.0 needs tiny<2, and tiny 2.0 is installed
        tiny 1.0 -> 2.0, required by env/conda.yml:5: tiny>=2, required by env/conda.yml:3: tiny==2.*
"""
    assert (1, WITH_SERVER + found + END) == (code, log)


def test_names_the_missing_requirement_of_a_new_package(make_base: Callable[..., Base]) -> None:
    """A new package without its requirements ends the build, and is named with what requires it."""
    base = make_base(PIP_NO_DEPS="1")
    base.add_to_index("alpha", "1.0", "beta")
    base.write("requirements.txt", "alpha\n")

    code, log, _ = base.run()

    found = """\
pip check reports conflicts that are not in the base image:
    alpha 1.0 needs beta, which is not installed
        alpha (none) -> 1.0, required by pyproject.toml: alpha
"""
    expected = (1, WITH_SERVER + found + END)
    assert expected == (code, log)


def test_a_conflict_of_the_base_image_stays(make_base: Callable[..., Base]) -> None:
    """A conflict in the base image does not end the build, even if its version changes."""
    base = make_base()
    base.add_package("old", "1.0", "shared<2", "gone")
    base.add_package("shared", "2.5")
    base.add_to_index("shared", "3.0")
    base.write("requirements.txt", "shared==3.0\n")

    code, log, _ = base.run()

    known = """\
pip check reports these conflicts for the base image too:
    old 1.0 requires gone, which is not installed.
    old 1.0 has requirement shared<2, but you have shared 3.0.
"""
    expected = (0, WITH_SERVER + known + NOTHING_NEW)
    assert expected == (code, log)


OTHER_SERVER = "azureml_inference_server_http-1.4.1"


@pytest.mark.parametrize(
    "requirement",
    [
        "azureml-inference-server-http==1.4.1",
        "AzureML_Inference.Server-HTTP <1.5",
        "azureml-inference-server-http[extra]!=1.5.1 # for the team",
    ],
)
def test_a_requirement_that_names_the_server_replaces_that_of_the_base(
    requirement: str, make_base: Callable[..., Base]
) -> None:
    """The project's version is installed, however its name is spelled."""
    base = make_base()
    base.add_to_index("azureml_inference_server_http", "1.4.1", "flask~=3.1.0")
    base.write("requirements.txt", f"{requirement}\n")

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


@pytest.mark.parametrize("named", ["", "sdk"])
def test_what_the_project_names_itself_is_never_left_broken(
    named: str, make_base: Callable[..., Base]
) -> None:
    """A package that the old server needed, and that the project requires, must fit."""
    base = make_base(server=False)
    base.add_package("sdk", "1.0", "shared==1.0")
    base.add_package("shared", "1.0")
    base.add_package("azureml_inference_server_http", "1.5.1", "sdk", "shared")
    base.add_to_index("azureml_inference_server_http", "1.4.1", "shared==2.0")
    base.add_to_index("shared", "2.0")
    base.write("requirements.txt", f"azureml-inference-server-http==1.4.1\n{named}\n")

    code, _, packages = base.run()

    replaced = [OTHER_SERVER, "sdk-1.0", "shared-2.0"]
    unchanged = [*SERVER, "sdk-1.0", "shared-1.0"]
    assert ((1, unchanged) if named else (0, replaced)) == (code, packages)


@pytest.mark.parametrize(
    "requirement", ["azureml-inference-server-http>=1.5", "azureml-inference-server-http<1 ; os_name == 'nt'"]
)
def test_the_server_stays_if_the_project_asks_for_no_other_version(
    requirement: str, make_base: Callable[..., Base]
) -> None:
    """The base's version stays if it is what the requirement asks for, or if the requirement does not apply."""
    base = make_base()
    base.add_to_index("azureml_inference_server_http", "1.6", "flask~=3.1.0")
    base.add_to_index("flask", "2.3.3")
    base.add_to_index("alpha", "1.0")
    base.write("requirements.txt", f"{requirement}\nalpha\n")

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


def test_mentions_the_secrets_if_pip_finds_no_versions(make_base: Callable[..., Base]) -> None:
    """Pip finds no versions in an index that refuses the login; with a mounted login, the log says so."""
    base = make_base()
    base.write("requirements.txt", "alpha\n")
    base.write("netrc", "machine pypi.contoso.example login alice password hunter2\n")

    code, log, _ = base.run()

    hint = "    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc.\n"
    assert (1, WITH_SERVER + PIP_REFUSED + hint + END) == (code, log)


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


NOT_DOWNLOADED = """\
pip could not download the packages; its messages above say why.
    If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc.
    A package without a wheel is not built while secrets are mounted, for its code could read them. To allow it:
    invoke image.build --allow-source-builds
The image was not built.
"""


def test_downloads_what_the_environment_lacks_and_installs_it_without_an_index(
    make_base: Callable[..., Base],
) -> None:
    """Requirements with hashes, others and local wheels are downloaded in one step and installed in the next."""
    base = make_base()
    digest = base.add_to_index("alpha", "1.0")
    base.add_to_index("alpha", "2.0")
    base.add_to_index("beta", "1.0", "alpha", "flask")
    wheel(base.inside / "project" / "wheels", "tiny", "2.0", "gamma")
    base.add_to_index("gamma", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{digest}\n")
    base.write("pinned.txt", "alpha==1.0\n")
    base.write("requirements.txt", in_project("a.txt") + "beta\n")
    base.write("project/a.txt", "./wheels/tiny-2.0-py3-none-any.whl\n")

    first = base.run("download.py")
    files = downloaded(base)
    shutil.rmtree(base.root / "index")
    second = base.run()

    there = [*SERVER, FLASK]
    end = "-py3-none-any.whl"
    wheels = [f"{name}{end}" for name in ("alpha-1.0", "beta-1.0", "gamma-1.0", "tiny-2.0")]
    assert (0, HASHES_DOWNLOADED + WITH_SERVER, there) == first
    assert [*wheels, "alpha==1.0", "beta==1.0", "gamma==1.0", "tiny==2.0"] == [*files[:5], *sorted(files[5:])]
    packages = ["alpha-1.0", *SERVER, "beta-1.0", FLASK, "gamma-1.0", "tiny-2.0"]
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


def test_downloads_from_where_requirements_files_say(make_base: Callable[..., Base]) -> None:
    """Options of requirements files hold for what they require, and for what that requires."""
    base = make_base()
    wheel(base.root / "other", "alpha", "1.0", "beta")
    wheel(base.root / "other", "beta", "1.0")
    option = f"--find-links {(base.root / 'other').as_uri()}\n"
    base.write("requirements.txt", in_project("a.txt"))
    base.write("project/a.txt", f"{option}alpha\n")
    base.write("finding.txt", option)

    code, _, _ = base.run("download.py")

    end = "-py3-none-any.whl"
    assert (0, [f"alpha-1.0{end}", f"beta-1.0{end}", "alpha==1.0", "beta==1.0"]) == (
        code,
        sorted(downloaded(base), key=lambda name: ("==" in name, name)),
    )


def test_downloads_no_wheel_with_another_hash(make_base: Callable[..., Base]) -> None:
    """Pip checks the hashes of a lock file while it downloads."""
    base = make_base()
    base.add_to_index("alpha", "1.0")
    base.write("hashed.txt", in_project("lock.txt"))
    base.write("project/lock.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")

    code, log, _ = base.run("download.py")

    assert (1, True) == (code, log.endswith(NOT_DOWNLOADED))


@pytest.mark.parametrize("options", ["", "--no-binary :all:\n", "--no-binary built\n"])
@pytest.mark.parametrize(
    "named", ["built", "built @ ARCHIVE", "built @ git+https://127.0.0.1/built", "leads"]
)
def test_builds_no_package_from_source(named: str, options: str, make_base: Callable[..., Base]) -> None:
    """Whoever names a source archive, by its name, its address or that in a wheel: no program is started for it."""
    base = make_base()
    archive = source_archive(base.root / "index", f"open({str(base.root / 'ran')!r}, 'w')")
    base.add_to_index("leads", "1.0", f"built @ {archive.as_uri()}")
    base.write("requirements.txt", in_project("a.txt"))
    base.write("project/a.txt", f"{options}{named.replace('ARCHIVE', archive.as_uri())}\n")

    code, log, _ = base.run("download.py")

    assert (1, True, False) == (code, log.endswith(NOT_DOWNLOADED), (base.root / "ran").exists())


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


OURS = {
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
        ({}, {**OURS, "PIP_NO_CACHE_DIR": "1"}),
        (
            {"PIP_INDEX_URL": "https://example.com/simple", "PIP_USER": "1"},
            {"PIP_INDEX_URL": "https://example.com/simple", **OURS, "PIP_NO_CACHE_DIR": "1"},
        ),
        ({"PIP_CACHE_DIR": "/cache", "PIP_NO_CACHE_DIR": "1"}, {"PIP_CACHE_DIR": "/cache", **OURS}),
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
