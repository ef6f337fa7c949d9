"""Added packages are installed on existing cached layers; any other difference needs a fresh build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.context.build_context import new_context, read_contents
from azureml_tasks.incremental.added_requirements import AddedRequirements, added_requirements
from azureml_tasks.incremental.cached_layers import cached_layers_of
from tests.cases import lay_out
from tests.changed_projects import BASE, CHANGES, FILES, parts_of, table
from tests.projects import read, set_text

PINNED = {
    **FILES,
    "pyproject.toml": FILES["pyproject.toml"].replace('["curl"]', '["curl=8.0"]'),
    "requirements.txt": "--extra-index-url https://example.com/simple\npandas==2.0\nsix==1.17 ; os_name == 'posix'\n",
}


def built(folder: Path) -> BuiltImage:
    """Return the record of a build of the project in *folder* as it is now."""
    plan = read(folder)
    return BuiltImage(
        id="sha256:1",
        names=("scoring:1",),
        engine="docker",
        context_sha256="",
        fingerprint_parts=parts_of(folder),
        requirements=plan.python.lines if plan.python else (),
    )


def added(folder: Path, previous: BuiltImage | None, base: str = BASE) -> AddedRequirements | None:
    """Return what is added to the layers of *previous* for the project in *folder* as it is now."""
    return added_requirements(read(folder), parts_of(folder, base), previous)


def more(text: str) -> Callable[[Path], None]:
    """Return an edit that adds lines to the requirements file."""
    return lambda folder: set_text(folder / "requirements.txt", PINNED["requirements.txt"] + text)


def instead(old: str, new: str) -> Callable[[Path], None]:
    """Return an edit that replaces *old* in the requirements file."""
    return lambda folder: set_text(folder / "requirements.txt", PINNED["requirements.txt"].replace(old, new))


def both(*edits: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return an edit that makes all *edits*."""

    def all_of_them(folder: Path) -> None:
        for edit in edits:
            edit(folder)

    return all_of_them


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose packages all name their version."""
    return lay_out(PINNED, tmp_path)


ADDED_LINE = more("idna==3.10\n")
ADDITIONS: dict[str, Callable[[Path], None]] = {
    "a line of the file": ADDED_LINE,
    "two lines and a comment": more("# new\nidna==3.10\ncertifi==2025.8.3\n"),
    "one in the table": table('"numpy==2.0"', '"numpy==2.0", "idna==3.10"'),
    "one with an extra and a marker": more("requests[socks]==2.32.0 ; python_version > '3'\n"),
    "one above the others": instead("pandas==2.0\n", "idna==3.10\npandas==2.0\n"),
    "one and other code": both(ADDED_LINE, CHANGES["a byte of the code"][1]),
    "one and another user": both(ADDED_LINE, CHANGES["the user"][1]),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_added_packages_are_installed_on_the_previous_layers(addition: str, folder: Path) -> None:
    """They are added to the longest cached layers of the previous image."""
    before = built(folder)
    longest = cached_layers_of(read(folder), before.fingerprint_parts)[-1]
    ADDITIONS[addition](folder)

    result = added(folder, before)

    assert longest == (result and result.base)


INDEX = "--extra-index-url https://example.com/simple\n"
ALONE: dict[str, tuple[str, str, str]] = {
    "one": ("", "idna==3.10\n", "idna==3.10\n"),
    "one with an extra and a marker": (
        "",
        "requests[socks]==2.32.0 ; python_version > '3'\n",
        "requests[socks]==2.32.0 ; python_version > '3'\n",
    ),
    "where to look": (
        f"{INDEX}--trusted-host example.com\n",
        "idna==3.10\n",
        f"{INDEX}--trusted-host example.com\nidna==3.10\n",
    ),
    "beside another file": ("-r more.txt\n", "idna==3.10\n", "idna==3.10\n"),
    "under constraints": ("-c more.txt\n", "idna==3.10\n", ""),
    "under constraints of an included file": ("-r including.txt\n", "idna==3.10\n", ""),
    "which of two indexes": ("-i https://a.example\n--index-url https://b.example\n", "idna==3.10\n", ""),
    "an index that only the file has": ("-i https://a.example\n", "idna==3.10\n", ""),
    "a choice among wheels": ("--only-binary :all:\n", "idna==3.10\n", ""),
}


@pytest.mark.parametrize("case", ALONE)
def test_pip_gets_only_the_added_lines_if_no_other_line_matters(case: str, folder: Path) -> None:
    """Pip gets the same indexes; with constraints or options that choose files it gets all lines."""
    lines, more, expected = ALONE[case]
    set_text(folder / "more.txt", "six==1.17\n")
    set_text(folder / "including.txt", "--constraint more.txt\n")
    set_text(folder / "requirements.txt", f"{lines}pandas==2.0\n")
    before = built(folder)
    set_text(folder / "requirements.txt", f"{lines}pandas==2.0\n{more}")

    result = added(folder, before)

    assert expected.encode() == (result and result.file.data)


def test_with_hashes_pip_gets_all_lines(folder: Path) -> None:
    """Pip wants hashes for all requirements of a run or for none."""
    digest = f"--hash=sha256:{'0' * 64}"
    set_text(folder / "requirements.txt", f"pandas==2.0 {digest}\n")
    before = built(folder)
    set_text(folder / "requirements.txt", f"pandas==2.0 {digest}\nidna==3.10 {digest}\n")

    result = added(folder, before)

    assert result
    assert b"" == result.file.data


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
    "one and another model": both(ADDED_LINE, CHANGES["a byte of the model"][1]),
    "one and a system package": both(ADDED_LINE, table('["curl=8.0"]', '["curl=8.0", "git=2.0"]')),
    "one and another platform": both(ADDED_LINE, CHANGES["the platform"][1]),
    "one and a command after pip": both(ADDED_LINE, CHANGES["a command after pip"][1]),
    "one and a system package of any version": both(ADDED_LINE, table('"curl=8.0"', '"curl"')),
}


@pytest.mark.parametrize("change", OTHERS)
def test_any_other_change_needs_a_fresh_build(change: str, folder: Path) -> None:
    """Nothing is added if another input of the layers differs, no line was added, or a version is not pinned."""
    before = built(folder)
    OTHERS[change](folder)

    assert added(folder, before) is None


def test_another_base_or_version_needs_a_fresh_build(folder: Path) -> None:
    """So does a missing record, or one without requirements."""
    before = built(folder)
    ADDED_LINE(folder)

    older = before._replace(fingerprint_parts={**before.fingerprint_parts, "version": "0.0.1"})
    assert [None] * 4 == [
        added(folder, before, "sha256:" + "2" * 64),
        added(folder, older),
        added(folder, None),
        added(folder, before._replace(requirements=())),
    ]


def test_the_build_context_has_the_added_file_and_its_content(folder: Path) -> None:
    """A builder that gets the context as a folder compares each file with its hash."""
    context = new_context(read(folder).files, "")
    before = built(folder)
    ADDED_LINE(folder)
    result = added(folder, before)
    assert result

    grown = result.added_to(context)

    name = "python/added.txt"
    assert {name} == {file.name for file in grown.files} - {file.name for file in context.files}
    assert {**context.contents, **read_contents([result.file])} == grown.contents
    assert name in grown.contents
