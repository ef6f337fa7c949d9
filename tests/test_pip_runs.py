"""Several runs of pip, each with its own index: what each finds, and what later ones keep."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.base_environment import (
    CANNOT_INSTALL,
    END,
    FLASK,
    HASHES,
    INSTALLED,
    NOTHING_NEW,
    SERVER,
    WITH_SERVER,
    Base,
    downloaded,
    in_project,
    refused,
)
from tests.wheels import wheel

RUNS = [WITH_SERVER.replace("Installing", f"Run {number} of 2: installing") for number in (1, 2)]
END_OF_NAME = "-py3-none-any.whl"


@pytest.fixture
def base(make_base: Callable[..., Base]) -> Base:
    """A base, and a project that takes `tor` from an index of its own, beside what the usual one has.

    Tor allows any `num`, of which its index has a newer one than `user` allows.
    """
    base_environment = make_base()
    for name, version, needs in (("tor", "2.0+cpu", ["num"]), ("num", "2.1", [])):
        wheel(base_environment.root / "other", name, version, *needs)
    base_environment.add_to_index("tor", "3.0")
    base_environment.add_to_index("num", "1.26")
    base_environment.add_to_index("user", "1.0", "tor", "num<2")
    option = f"--find-links {(base_environment.root / 'other').as_uri()}\n"
    base_environment.write("requirements.txt", in_project("tor.txt"))
    base_environment.write("project/tor.txt", f"{option}tor<3\n")
    base_environment.write("finding.txt", option)
    base_environment.write("held-2.txt", "tor\n")
    base_environment.write("requirements-2.txt", "user\n")
    return base_environment


THERE = [*SERVER, FLASK, "num-1.26", "tor-2.0+cpu", "user-1.0"]


def test_each_run_has_its_index_and_a_later_one_keeps_what_the_earlier_is_about(base: Base) -> None:
    """Another package that the first run has brought may change, if all of them can use that."""
    ended = base.run()

    assert (0, RUNS[0] + RUNS[1] + NOTHING_NEW, THERE) == ended


def test_what_was_downloaded_run_by_run_is_installed_at_once(base: Base) -> None:
    """With secrets the runs choose and download the same, and one run installs it.

    Options of requirements files hold for what they require, and for what that requires, such as `num`.
    """
    first = base.run("download.py")
    files = downloaded(base)
    for name in ("index", "other"):
        shutil.rmtree(base.root / name)
    second = base.run()

    assert (0, RUNS[0] + RUNS[1], [*SERVER, FLASK]) == first
    assert ["num==1.26", "tor==2.0+cpu", "user==1.0"] == sorted(line for line in files if "==" in line)
    assert {f"tor-2.0+cpu{END_OF_NAME}", f"num-2.1{END_OF_NAME}"} <= {*files}
    assert (0, INSTALLED, THERE) == second


def test_a_later_run_that_needs_another_version_is_refused(base: Base) -> None:
    """Pip names both, and nothing is replaced without a word."""
    base.write("requirements-2.txt", "user\ntor==3.0\n")

    code, log, packages = base.run()

    why = refused(
        *("pyproject.toml: tor==3.0", "tor.txt:2: tor<3"),
        said=CANNOT_INSTALL.format("tor==2.0+cpu and tor==3.0"),
    )
    assert (1, RUNS[0] + RUNS[1] + why + END) == (code, log)
    assert "tor-2.0+cpu" in packages


def test_of_several_runs_with_hashes_each_has_a_part(make_base: Callable[..., Base]) -> None:
    """Neither is complete on its own. What both lack, `pip check` finds."""
    base = make_base()
    first = base.add_to_index("alpha", "1.0")
    second = base.add_to_index("beta", "1.0", "alpha", "gone")
    base.write("hashed.txt", in_project("one.txt"))
    base.write("hashed-2.txt", in_project("two.txt"))
    base.write("project/one.txt", f"alpha==1.0 --hash=sha256:{first}\n")
    base.write("project/two.txt", f"beta==1.0 --hash=sha256:{second}\n")
    base.write("pinned.txt", "alpha==1.0\nbeta==1.0\n")

    ended = base.run()

    conflicts = """\
pip check reports conflicts that are not in the base image:
    beta 1.0 needs gone, which is not installed
        beta (none) -> 1.0, required by two.txt:1: beta==1.0
"""
    assert (1, HASHES + WITH_SERVER + conflicts + END, ["alpha-1.0", *SERVER, "beta-1.0", FLASK]) == ended
