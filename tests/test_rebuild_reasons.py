"""Whether the last image is up to date, and what a build would do again and why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.incremental.rebuild_reasons import Rebuild, packages_are_too_old, rebuild_of
from azureml_tasks.planning.plan import Plan
from tests.cases import lay_out
from tests.changed_projects import FILES, PARTS
from tests.projects import read

BEFORE = dict.fromkeys(PARTS, "1")
ALL = ("system", "python", "model", "code", "labels")
DAY = 86_400


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with packages that are not pinned, whose cached layers are used for one day."""
    return read(lay_out(FILES, tmp_path))


def image(*, age: float = 0, **more: object) -> BuiltImage:
    """Return an image of the inputs BEFORE whose packages were installed *age* days ago."""
    installed_at = int(time.time() - age * DAY)
    fields = {"fingerprint_parts": BEFORE, "installed_at": installed_at, **more}
    return BuiltImage(id="sha256:1", names=("a:1",), engine="docker", context_sha256="", **fields)  # type: ignore[arg-type]  # a test's own fields


def now(*changed: str) -> dict[str, str]:
    """Return inputs of which *changed* differ from BEFORE."""
    return {**BEFORE, **dict.fromkeys(changed, "2")}


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ((), ()),
        (("labels",), ("labels",)),
        (("code",), ("code", "labels")),
        (("python", "labels"), ("python", "model", "code", "labels")),
        (("system",), ALL),
        (("base",), ALL),
        (("version",), ALL),
        (("platform",), ALL),
    ],
)
def test_a_stage_is_rebuilt_with_those_after_it(
    changed: tuple[str, ...], stages: tuple[str, ...], plan: Plan
) -> None:
    """All stages depend on base, platform and version, and each on those before it."""
    assert stages == rebuild_of(plan, image(), now(*changed)).stages


def test_the_reasons_name_the_files(plan: Plan) -> None:
    """Each input that differs has a line, with up to three of its files that have changed, are new or are gone."""
    before = {"code/": "folder", "code/a.py": "1", "code/b.py": "1", "model/w": "1", "python/r.txt": "1"}
    after = {"code/": "folder", "code/b.py": "2", "code/c.py": "1", "model/w": "1", "python/r.txt": "2"}

    rebuild = rebuild_of(
        plan, image(), now("base", "python", "model", "code"), files_before=before, files_now=after
    )

    reasons = (
        "the base is another image under the same name",
        "python: python/r.txt has changed",
        "model: the place of the model has changed",
        "code: code/a.py is gone, code/b.py has changed, code/c.py is new",
    )
    assert Rebuild(stages=ALL, reasons=reasons) == rebuild


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["", "conflicts.py", "install.py", "requirements.txt"], "python: python/requirements.txt is new"),
        (["install.py"], "python: python/install.py is new"),
    ],
)
def test_first_packages_are_named_without_our_scripts(names: list[str], reason: str, plan: Plan) -> None:
    """What a person has written says why; a script of ours is named only if nothing else differs."""
    before = {"code/a.py": "1"}
    after = {**before, **{f"python/{name}": "1" for name in names}}

    rebuild = rebuild_of(plan, image(), now("python"), files_before=before, files_now=after)

    assert (reason,) == rebuild.reasons


@pytest.mark.parametrize(("count", "end"), [(4, "1 more file differs"), (5, "2 more files differ")])
def test_three_of_many_files_are_named(count: int, end: str, plan: Plan) -> None:
    """A reason stays one line."""
    after = {f"code/{number}.py": "2" for number in range(count)}
    before = dict.fromkeys(after, "1")

    rebuild = rebuild_of(plan, image(), now("code"), files_before=before, files_now=after)

    files = "code/0.py has changed, code/1.py has changed, code/2.py has changed"
    assert (f"code: {files}, {end}",) == rebuild.reasons


def test_without_a_list_of_the_old_files_none_is_named(plan: Plan) -> None:
    """Nothing is called new if it is not known what was there."""
    rebuild = rebuild_of(plan, image(), now("code"), files_now={"code/a": "1"})

    assert ("code: a file, env, the place of the code or a command of run has changed",) == rebuild.reasons


def test_packages_that_are_not_pinned_age(plan: Plan) -> None:
    """Everything is rebuilt once they were installed longer ago than the table allows."""
    rebuild = rebuild_of(plan, image(age=2), now())

    reason = "its packages are not pinned and were installed 2 days ago"
    assert Rebuild(stages=ALL, reasons=(reason,)) == rebuild


@pytest.mark.parametrize(
    ("pinned", "max_age", "age", "expected"),
    [
        (False, 1.0, 0.9, False),
        (False, 1.0, 1.1, True),
        (True, 1.0, 99.0, False),
        (False, 100.0, 99.0, False),
    ],
)
def test_pinned_packages_do_not_age(
    pinned: bool, max_age: float, age: float, expected: bool, plan: Plan
) -> None:
    """Only packages that are not pinned do, after as many days as the table says."""
    plan = plan._replace(pinned=pinned, cached_layers_max_age=max_age)

    assert expected == packages_are_too_old(plan, time.time() - age * DAY)


@pytest.mark.parametrize(
    ("parts", "base", "reason"),
    [
        ({}, "1", "it is not recorded what the image was built of"),
        (
            BEFORE,
            "",
            "the engine does not have the base bases/serving:4",
        ),
    ],
)
def test_what_is_not_known_is_rebuilt(parts: dict[str, str], base: str, reason: str, plan: Plan) -> None:
    """Without a record of the inputs, or without the base, nothing can be compared."""
    rebuild = rebuild_of(plan, image(fingerprint_parts=parts), {**BEFORE, "base": base})

    assert Rebuild(stages=ALL, reasons=(reason,)) == rebuild
