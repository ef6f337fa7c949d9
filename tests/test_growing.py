"""A prefix that needs some Python packages more is one to build on; any other difference makes it none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.incremental.added_requirements import AddedRequirements, added_requirements
from azureml_tasks.incremental.cached_layers import cached_layers_of
from tests.cases import lay_out
from tests.projects import read, set_text
from tests.test_making import BASE, CHANGES, FILES, made, table

PINNED = {
    **FILES,
    "pyproject.toml": FILES["pyproject.toml"].replace('["curl"]', '["curl=8.0"]'),
    "requirements.txt": "--extra-index-url https://example.com/simple\npandas==2.0\nsix==1.17 ; os_name == 'posix'\n",
}


def built(folder: Path) -> BuiltImage:
    """What is recorded of the project in *folder* as it is now."""
    plan = read(folder)
    asked = plan.python.lines if plan.python else ()
    return BuiltImage(
        id="sha256:1",
        names=("scoring:1",),
        engine="docker",
        context_sha256="",
        fingerprint_parts=made(folder),
        requirements=asked,
    )


def grown(folder: Path, before: BuiltImage | None, base: str = BASE) -> AddedRequirements | None:
    """How what was *before* becomes the project in *folder* as it is now."""
    return added_requirements(read(folder), made(folder, base), before)


def more(text: str) -> Callable[[Path], None]:
    """Further lines of the requirements file."""
    return lambda folder: set_text(folder / "requirements.txt", PINNED["requirements.txt"] + text)


def instead(old: str, new: str) -> Callable[[Path], None]:
    """*new* for *old* in the requirements file."""
    return lambda folder: set_text(folder / "requirements.txt", PINNED["requirements.txt"].replace(old, new))


def both(*edits: Callable[[Path], object]) -> Callable[[Path], None]:
    """Each of *edits*."""

    def all_of_them(folder: Path) -> None:
        for edit in edits:
            edit(folder)

    return all_of_them


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose packages all name their version."""
    return lay_out(PINNED, tmp_path)


ONE = more("idna==3.10\n")
ADDITIONS: dict[str, Callable[[Path], None]] = {
    "a line of the file": ONE,
    "two lines and a comment": more("# new\nidna==3.10\ncertifi==2025.8.3\n"),
    "one in the table": table('"numpy==2.0"', '"numpy==2.0", "idna==3.10"'),
    "one with an extra and a marker": more("requests[socks]==2.32.0 ; python_version > '3'\n"),
    "one above the others": instead("pandas==2.0\n", "idna==3.10\npandas==2.0\n"),
    "one and other code": both(ONE, CHANGES["a byte of the code"][1]),
    "one and another user": both(ONE, CHANGES["the user"][1]),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_an_addition_grows_from_the_prefix_of_before(addition: str, folder: Path) -> None:
    """Whoever asks for what was asked for and for more builds on the longest prefix of the image of before."""
    before = built(folder)
    longest = cached_layers_of(read(folder), before.fingerprint_parts)[-1]
    ADDITIONS[addition](folder)

    found = grown(folder, before)

    assert longest == (found and found.on)


INDEX = "--extra-index-url https://example.com/simple\n"
ALONE: dict[str, tuple[str, str, str]] = {
    "one": ("", "idna==3.10\n", "idna==3.10\n"),
    "one with an extra and a marker": (
        "",
        "requests[socks]==2.32.0 ; python_version > '3'\n",
        "requests[socks]==2.32.0 ; python_version > '3'\n",
    ),
    "where to look": (
        f"{INDEX}-i https://example.com/other\n--trusted-host example.com\n",
        "idna==3.10\n",
        f"{INDEX}--trusted-host example.com\n-i https://example.com/other\nidna==3.10\n",
    ),
    "beside another file": ("-r more.txt\n", "idna==3.10\n", "idna==3.10\n"),
    "under constraints": ("-c more.txt\n", "idna==3.10\n", ""),
    "under constraints of an included file": ("-r including.txt\n", "idna==3.10\n", ""),
    "which of two indexes": ("-i https://a.example\n--index-url https://b.example\n", "idna==3.10\n", ""),
    "a choice among wheels": ("--only-binary :all:\n", "idna==3.10\n", ""),
}


@pytest.mark.parametrize("case", ALONE)
def test_what_is_added_is_asked_for_alone_where_the_other_lines_have_no_say(case: str, folder: Path) -> None:
    """Pip is told where to look as before; constraints and choices mean that it is asked for everything."""
    before, more, expected = ALONE[case]
    set_text(folder / "more.txt", "six==1.17\n")
    set_text(folder / "including.txt", "--constraint more.txt\n")
    set_text(folder / "requirements.txt", f"{before}pandas==2.0\n")
    there = built(folder)
    set_text(folder / "requirements.txt", f"{before}pandas==2.0\n{more}")

    found = grown(folder, there)

    assert expected.encode() == (found and found.added.data)


def test_what_has_hashes_is_not_asked_for_alone(folder: Path) -> None:
    """A hash is compared in a run of its own."""
    digest = f"--hash=sha256:{'0' * 64}"
    set_text(folder / "requirements.txt", f"pandas==2.0 {digest}\n")
    before = built(folder)
    set_text(folder / "requirements.txt", f"pandas==2.0 {digest}\nidna==3.10 {digest}\n")

    found = grown(folder, before)

    assert found
    assert b"" == found.added.data


OTHERS: dict[str, Callable[[Path], None]] = {
    "nothing": both(),
    "other code": both(CHANGES["a byte of the code"][1]),
    "another version": instead("pandas==2.0", "pandas==2.1"),
    "one less": instead("pandas==2.0\n", ""),
    "one for another": instead("pandas==2.0", "idna==3.10"),
    "another marker": instead("'posix'", "'nt'"),
    "an index less": instead("--extra-index-url https://example.com/simple\n", "idna==3.10\n"),
    "an index more": more("idna==3.10\n--index-url https://example.com/other\n"),
    "one of any version": more("idna\n"),
    "a wheel": both(
        lambda folder: set_text(folder / "a-1.0-py3-none-any.whl", "wheel"),
        more("./a-1.0-py3-none-any.whl\n"),
    ),
    "one and another model": both(ONE, CHANGES["a byte of the model"][1]),
    "one and a system package": both(ONE, table('["curl=8.0"]', '["curl=8.0", "git=2.0"]')),
    "one and another platform": both(ONE, CHANGES["the platform"][1]),
    "one and a command after pip": both(ONE, CHANGES["a command after pip"][1]),
    "one and a system package of any version": both(ONE, table('"curl=8.0"', '"curl"')),
}


@pytest.mark.parametrize("change", OTHERS)
def test_any_other_change_grows_from_nothing(change: str, folder: Path) -> None:
    """Where something else differs below the code, nothing was added, or a version is not named, all is made anew."""
    before = built(folder)
    OTHERS[change](folder)

    assert grown(folder, before) is None


def test_nothing_grows_from_another_base_version_or_record(folder: Path) -> None:
    """A moved base, a newer version of ours, no record, and one that does not know what was asked for are no ground."""
    before = built(folder)
    ONE(folder)

    older = before._replace(fingerprint_parts={**before.fingerprint_parts, "version": "0.0.1"})
    assert [None] * 4 == [
        grown(folder, before, "sha256:" + "2" * 64),
        grown(folder, older),
        grown(folder, None),
        grown(folder, before._replace(requirements=())),
    ]
