"""A check says which steps are built anew, and because of what."""

from __future__ import annotations

import pytest

from azureml_tasks.incremental.rebuild_reasons import rebuild_reasons, rebuilt_stages

PARTS = ("version", "platform", "base", "system", "python", "model", "code", "labels")
BEFORE = dict.fromkeys(PARTS, "1")


def now(*changed: str) -> dict[str, str]:
    """The making in which these parts differ."""
    return {**BEFORE, **dict.fromkeys(changed, "2")}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((), []),
        (("labels",), ["labels"]),
        (("code",), ["code", "labels"]),
        (("python", "labels"), ["python", "model", "code", "labels"]),
        (("system",), ["system", "python", "model", "code", "labels"]),
        (("base",), ["system", "python", "model", "code", "labels"]),
        (("version",), ["system", "python", "model", "code", "labels"]),
    ],
)
def test_each_step_from_the_first_that_differs_is_built_anew(
    changed: tuple[str, ...], expected: list[str]
) -> None:
    """A step stands on those before it, and all stand on base, platform and version."""
    assert expected == rebuilt_stages(BEFORE, now(*changed))


def test_the_reasons_name_the_files() -> None:
    """Each part that differs has a line: its files that have changed, are new or are gone, three of them by name."""
    before = {"code/": "folder", "code/a.py": "1", "code/b.py": "1", "model/w": "1", "python/r.txt": "1"}
    after = {"code/": "folder", "code/b.py": "2", "code/c.py": "1", "model/w": "1", "python/r.txt": "2"}

    assert [
        "the base is another image under its name",
        "python: python/r.txt has changed",
        "model: its words in the Dockerfile have changed",
        "code: code/a.py is gone, code/b.py has changed, code/c.py is new",
    ] == rebuild_reasons(BEFORE, now("base", "python", "model", "code"), before, after)


@pytest.mark.parametrize(("count", "end"), [(4, "1 more differs"), (5, "2 more differ")])
def test_of_many_files_three_are_named(count: int, end: str) -> None:
    """A line stays a line."""
    after = {f"code/{number}.py": "2" for number in range(count)}
    before = dict.fromkeys(after, "1")

    (line,) = rebuild_reasons(BEFORE, now("code"), before, after)

    assert f"code: code/0.py has changed, code/1.py has changed, code/2.py has changed, {end}" == line


def test_without_knowing_what_the_files_were_no_file_is_named() -> None:
    """Where nothing was noted, nothing is said to be new."""
    assert ["code: its words in the Dockerfile have changed"] == rebuild_reasons(
        BEFORE, now("code"), {}, {"code/a": "1"}
    )
