"""Several runs of pip, each with its own index: what each finds, and what later ones keep."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

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

RUNS = [WITH_SERVER.replace("Installing", f"Run {number} of 2: installing") for number in (1, 2)]
END_OF_NAME = "-py3-none-any.whl"


@pytest.fixture
def base(make_base: Callable[..., Base]) -> Base:
    """A base, and a project that takes `tor` from an index of its own, beside what the usual one has.

    Tor allows any `num`, of which its index has a newer one than `user` allows.
    """
    made = make_base()
    for name, version, needs in (("tor", "2.0+cpu", ["num"]), ("num", "2.1", [])):
        wheel(made.root / "other", name, version, *needs)
    made.add_to_index("tor", "3.0")
    made.add_to_index("num", "1.26")
    made.add_to_index("user", "1.0", "tor", "num<2")
    option = f"--find-links {(made.root / 'other').as_uri()}\n"
    made.write("requirements.txt", in_project("tor.txt"))
    made.write("project/tor.txt", f"{option}tor<3\n")
    made.write("finding.txt", option)
    made.write("held-2.txt", "tor\n")
    made.write("requirements-2.txt", "user\n")
    return made


THERE = [*SERVER, FLASK, "num-1.26", "tor-2.0+cpu", "user-1.0"]


def test_each_run_has_its_index_and_a_later_one_keeps_what_the_earlier_is_about(base: Base) -> None:
    """Another package that the first run has brought may change, if all of them can use that."""
    ended = base.run()

    assert (0, RUNS[0] + RUNS[1] + NOTHING_NEW, THERE) == ended


def test_what_was_downloaded_run_by_run_is_installed_at_once(base: Base) -> None:
    """With secrets the runs choose and download the same, and one run installs it."""
    first = base.run("download.py")
    files = downloaded(base)
    for name in ("index", "other"):
        shutil.rmtree(base.root / name)
    second = base.run()

    assert (0, RUNS[0] + RUNS[1], [*SERVER, FLASK]) == first
    assert ["num==1.26", "tor==2.0+cpu", "user==1.0"] == sorted(line for line in files if "==" in line)
    assert f"tor-2.0+cpu{END_OF_NAME}" in files
    assert (0, INSTALLED, THERE) == second


def test_a_later_run_that_needs_another_version_is_refused(base: Base) -> None:
    """Pip names both, and nothing is replaced without a word."""
    base.write("requirements-2.txt", "user\ntor==3.0\n")

    code, log, packages = base.run()

    assert (1, RUNS[0] + RUNS[1] + PIP_REFUSED + END) == (code, log)
    assert "tor-2.0+cpu" in packages


def test_the_server_is_kept_in_each_run(base: Base) -> None:
    """A package that it cannot run with is refused in the run that asks for it."""
    wheel(base.root / "other", "flask", "2.3.3")
    base.write("project/tor.txt", f"--find-links {(base.root / 'other').as_uri()}\nflask==2.3.3\n")

    assert (1, RUNS[0] + PIP_REFUSED + END, [*SERVER, FLASK]) == base.run()


def hashed(base: Base, *, complete: bool = True) -> Base:
    """Write two files with hashes in place of the others: the second needs what the first has."""
    first = base.add_to_index("alpha", "1.0")
    second = base.add_to_index("beta", "1.0", "alpha")
    for name in ("requirements.txt", "requirements-2.txt", "held-2.txt", "finding.txt"):
        (base.inside / name).unlink()
    base.write("hashed.txt", in_project("one.txt"))
    base.write("hashed-2.txt", in_project("two.txt"))
    base.write("project/one.txt", f"{'alpha' if complete else 'num'}==1.0 --hash=sha256:{first}\n")
    base.write("project/two.txt", f"beta==1.0 --hash=sha256:{second}\n")
    base.write("pinned.txt", "beta==1.0\n")
    if not complete:
        base.write("project/one.txt", f"beta==1.0 --hash=sha256:{second}\n")
    return base


def test_of_several_runs_with_hashes_each_has_a_part(base: Base) -> None:
    """Neither is complete on its own; together they are."""
    ended = hashed(base).run()

    assert (0, HASHES + WITH_SERVER + NOTHING_NEW, ["alpha-1.0", *SERVER, "beta-1.0", FLASK]) == ended


def test_several_runs_with_hashes_are_downloaded(base: Base) -> None:
    """Likewise with secrets."""
    hashed(base)
    first = base.run("download.py")
    shutil.rmtree(base.root / "index")
    second = base.run()

    assert (0, HASHES_DOWNLOADED + WITH_SERVER, [*SERVER, FLASK]) == first
    assert (0, INSTALLED, ["alpha-1.0", *SERVER, "beta-1.0", FLASK]) == second


def test_what_no_run_with_hashes_has_is_named(base: Base) -> None:
    """`pip check` finds it."""
    code, log, _ = hashed(base, complete=False).run()

    assert (1, True) == (code, "beta 1.0 needs alpha, which is not installed" in log)


def test_a_conflict_names_the_lock_file(make_base: Callable[..., Base]) -> None:
    """The lines of the translation are not those of the lock file, so it is named without one."""
    base = make_base()
    digest = base.add_to_index("flask", "2.3.3")
    base.write("hashed.txt", '-r "locks/service/uv.lock.txt"\n')
    base.write("locks/service/uv.lock.txt", f"# service/uv.lock\nflask==2.3.3 --hash=sha256:{digest}\n")
    base.write("pinned.txt", "flask==2.3.3\n")

    code, log, _ = base.run()

    change = "        flask 3.1.2 -> 2.3.3, required by service/uv.lock: flask==2.3.3\n"
    assert (1, True) == (code, change in log)
