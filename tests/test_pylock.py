"""What is made of pylock.toml: requirements with all hashes and markers, and a problem for what no hash can prove."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from azureml_tasks.errors import FileProblem
from azureml_tasks.requirements.files import RequirementsTree
from azureml_tasks.requirements.lock_requirement import Selection, hash_options
from azureml_tasks.requirements.pylock import read_pylock

HEAD = 'lock-version = "1.0"\ncreated-by = "a tool"\n'
A, B, C = (letter * 64 for letter in "abc")
PYPI = "https://files.pythonhosted.org"
ALPHA = f"""
[[packages]]
name = "alpha"
version = "1.0"
[[packages.wheels]]
url = "{PYPI}/alpha-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
hashes = {{ sha256 = "{B}" }}
[[packages.wheels]]
url = "{PYPI}/alpha-1.0-cp312-cp312-win_amd64.whl"
hashes = {{ sha256 = "{A}", md5 = "0" }}
[packages.sdist]
url = "{PYPI}/alpha-1.0.tar.gz"
hashes = {{ sha256 = "{C}" }}
"""


def one_package(lines: str, name: str = "beta", version: str = "2.0") -> str:
    """Return a lock file with one package of one wheel for all platforms, and *lines* in its table."""
    file = f'name = "{name}-{version}-py3-none-any.whl", url = "{PYPI}/x"'
    wheel = f'{{ {file}, hashes = {{ sha256 = "{A}" }} }}'
    return f'{HEAD}[[packages]]\nname = "{name}"\nversion = "{version}"\n{lines}\nwheels = [{wheel}]\n'


def read(text: str, selection: Selection | None = None) -> RequirementsTree:
    """Return what is made of a lock file without problems."""
    tree, problems = read_pylock("locks/pylock.toml", text, selection or Selection())
    assert (True, []) == (tree is not None, problems)
    assert tree is not None
    return tree


def requirements(text: str, selection: Selection | None = None) -> list[str]:
    """Return the lines that pip gets, without the comment."""
    return [line for line in read(text, selection).generated.splitlines() if line[0] != "#"]


def problems(packages: str) -> list[tuple[int, str]]:
    """Return the problems of a lock file with these packages, each with its line."""
    _, file_problems = read_pylock("pylock.toml", HEAD + packages, Selection())
    assert {problem.file for problem in file_problems} <= {"pylock.toml"}
    assert all(problem.fix for problem in file_problems)
    return [(problem.line, problem.what) for problem in file_problems]


def test_every_file_of_a_package_gives_a_hash() -> None:
    """Pip of the image chooses the file; hashes that it does not take are left out."""
    tree = read(HEAD + 'requires-python = ">=3.10"\n' + ALPHA)

    line = f"alpha==1.0 --hash=sha256:{A} --hash=sha256:{B} --hash=sha256:{C}"
    assert f"# locks/pylock.toml\n{line}\n" == tree.generated
    assert (True, True, ("alpha==1.0",), (line,)) == (tree.hashed, tree.all_pinned, tree.pinned, tree.lines)
    assert (("locks/pylock.toml",), ">=3.10", ("alpha",)) == (tree.files, tree.requires_python, tree.names)


def test_a_marker_goes_into_the_image() -> None:
    """It is the Python of the image that decides."""
    text = one_package("marker = \"python_full_version < '3.11' and sys_platform == 'linux'\"")

    marker = 'python_full_version < "3.11" and sys_platform == "linux"'
    assert [f"beta==2.0 ; {marker} --hash=sha256:{A}"] == requirements(text)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("'gpu' in extras", ""),
        ("'text' in extras", None),
        ("'Serve' in dependency_groups", ""),
        ("'text' not in extras", ""),
        ("'main' in dependency_groups", ""),
        ("'text' in extras or 'gpu' in extras", 'python_version < "0" or python_version >= "0"'),
        ("'gpu' in extras and os_name == 'posix'", 'python_version >= "0" and os_name == "posix"'),
    ],
)
def test_extras_and_groups_are_those_of_the_table(marker: str, expected: str | None) -> None:
    """Pip does not know these conditions, so they are decided; default groups are always installed."""
    head = 'extras = ["gpu", "text"]\ndependency-groups = ["serve"]\ndefault-groups = ["main"]\n'
    text = one_package(f'marker = "{marker}"').replace(HEAD, HEAD + head)

    tree = read(text, Selection(extras=("gpu",), groups=("serve",)))

    condition = f" ; {expected}" if expected else ""
    lines = () if expected is None else (f"beta==2.0{condition} --hash=sha256:{A}",)
    assert lines == tree.lines
    covers = {("extras", "gpu"), ("extras", "text"), ("dependency-groups", "serve")}
    assert covers == tree.covers


def test_an_index_other_than_pypi_is_named_beside_it() -> None:
    """With hashes, pip takes only the files of the lock from it; with a pip.conf of the run, that names the indexes."""
    text = one_package('index = "https://example.com/simple"') + ALPHA

    own = ["--extra-index-url https://example.com/simple", f"beta==2.0 --hash=sha256:{A}"]
    assert own == requirements(text)[:2]
    assert own[1:] == requirements(text, Selection(names_indexes=False))[:1]
    assert not requirements(one_package('index = "https://pypi.org/simple"'))[0].startswith("--")


def test_the_project_itself_is_not_installed() -> None:
    """Its code is copied, as without a lock file."""
    text = ALPHA + '[[packages]]\nname = "scoring"\ndirectory = { path = "../service", editable = true }\n'

    assert 1 == len(requirements(HEAD + text, Selection(project="scoring")))
    assert 1 == len(requirements(HEAD + text.replace("../service", "..")))


def test_an_address_is_kept_with_its_hash() -> None:
    """Of an archive, and of the only file of a package without an index."""
    archive = f'url = "https://example.com/a.zip", hashes = {{ sha256 = "{A}" }}, subdirectory = "lib"'
    wheel = f'url = "https://example.com/gamma-3.0-py3-none-any.whl", hashes = {{ sha256 = "{B}" }}'
    text = (
        f'{HEAD}[[packages]]\nname = "beta"\narchive = {{ {archive} }}\n'
        f'[[packages]]\nname = "gamma"\nversion = "3.0"\nwheels = [{{ {wheel} }}]\n'
    )

    expected = [
        f"beta @ https://example.com/a.zip#subdirectory=lib --hash=sha256:{A}",
        f"gamma @ https://example.com/gamma-3.0-py3-none-any.whl --hash=sha256:{B}",
    ]
    assert expected == requirements(text)


def test_what_cannot_be_checked_or_read_is_named_with_its_line() -> None:
    """All at once: repositories, folders, files of this machine, files without an index, of other platforms."""
    packages = dedent(f"""\
        [[packages]]
        name = "repo"
        vcs = {{ type = "git", url = "https://example.com/repo", commit-id = "12" }}
        [[packages]]
        name = "folder"
        directory = {{ path = "../folder" }}
        [[packages]]
        name = "archived"
        archive = {{ path = "a.zip", hashes = {{ sha256 = "{A}" }} }}
        [[packages]]
        name = "local"
        version = "1.0"
        wheels = [{{ path = "local-1.0-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }}]
        [[packages]]
        name = "anywhere"
        version = "1.0"
        wheels = [
            {{ url = "https://example.com/anywhere-1.0-cp311-cp311-linux_x86_64.whl", hashes = {{ sha256 = "{A}" }} }},
            {{ url = "https://example.com/anywhere-1.0-cp312-cp312-linux_x86_64.whl", hashes = {{ sha256 = "{A}" }} }},
        ]
        [[packages]]
        name = "mac"
        version = "1.0"
        wheels = [{{ url = "{PYPI}/mac-1.0-cp312-cp312-macosx_11_0_arm64.whl", hashes = {{ sha256 = "{A}" }} }}]
        [[packages]]
        name = "weak"
        version = "1.0"
        sdist = {{ url = "{PYPI}/weak-1.0.tar.gz", hashes = {{ md5 = "0" }} }}
        """)

    expected = [
        (3, "repo comes from a repository, of which pip checks no hash"),
        (6, "folder comes from the folder ../folder, which pip of the image cannot read"),
        (9, "archived comes from the file a.zip, which a lock file cannot bring"),
        (12, "local comes from the file local-1.0-py3-none-any.whl, which a lock file cannot bring"),
        (16, "anywhere has several files that are not on PyPI, and no index that has them"),
        (23, "mac 1.0 has no file for linux/amd64"),
        (27, "weak has no hash that pip takes: sha256, sha384 or sha512"),
    ]
    assert expected == problems(packages)


def test_a_file_for_another_platform_is_no_problem_if_the_image_does_not_need_it() -> None:
    """Its marker says so."""
    wheel = f'{{ url = "{PYPI}/w-1-cp312-cp312-win_amd64.whl", hashes = {{ sha256 = "{A}" }} }}'
    text = (
        f'[[packages]]\nname = "w"\nversion = "1"\nmarker = "sys_platform == \'win32\'"\nwheels = [{wheel}]\n'
    )

    assert [] == problems(text)


@pytest.mark.parametrize("marker", ["os_name ~= 'posix'", "python_version < 'x'", "platform_release > '5'"])
def test_a_marker_that_cannot_be_compared_here_is_left_to_pip(marker: str) -> None:
    """It is no traceback."""
    text = one_package(f'marker = "{marker}"').replace("py3-none-any", "cp312-cp312-win_amd64")

    tree, file_problems = read_pylock("pylock.toml", text, Selection())

    assert (True, {"beta 2.0 has no file for linux/amd64"}) >= (
        tree is not None,
        {each.what for each in file_problems},
    )


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://alice:secret@example.com/simple", "--extra-index-url contains a user or password"),
        ("../wheels", '--extra-index-url "../wheels" is not an http or https address'),
    ],
)
def test_an_index_follows_the_rules_of_requirements_files(address: str, message: str) -> None:
    """No login and no folder."""
    _, file_problems = read_pylock("pylock.toml", one_package(f'index = "{address}"'), Selection())

    assert [("pylock.toml", 0, message)] == [problem[:3] for problem in file_problems]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('created-by = "x"\npackages = []\n', 0, "Missing required value in 'lock-version'"),
        (HEAD + '[[packages]]\nname = "Beta"\n', 4, "Name 'Beta' is not normalized in 'packages[0].name'"),
        (HEAD.replace("1.0", "2.0") + "packages = []\n", 0, "pylock version 2.0 is not supported"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    """The reader of the standard says what is wrong."""
    tree, file_problems = read_pylock("pylock.toml", text, Selection())

    fix = "Make it again with the tool that wrote it."
    assert (None, [FileProblem("pylock.toml", line, f"is not a valid lock file: {message}", fix)]) == (
        tree,
        file_problems,
    )


def test_text_that_is_not_toml_is_refused() -> None:
    """With its line."""
    _, file_problems = read_pylock("pylock.toml", HEAD + "packages =\n", Selection())

    assert [("pylock.toml", 3)] == [problem[:2] for problem in file_problems]


def test_an_older_packaging_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside azureml-core there may be one that does not read the format."""
    monkeypatch.setitem(sys.modules, "packaging.pylock", None)

    tree, file_problems = read_pylock("pylock.toml", HEAD, Selection())

    assert (None, 1) == (tree, len(file_problems))
    assert ("needs packaging 26 or later, which reads this format", True) == (
        file_problems[0].what,
        file_problems[0].fix.startswith("pip install 'packaging>=26'\n"),
    )


def test_a_hash_that_would_begin_a_line_of_its_own() -> None:
    """It is none that pip takes."""
    assert ("--hash=sha256:ab",) == hash_options([{"sha256": "ab"}, {"sha256": "c\n--index-url x"}])


def test_an_address_with_a_blank_adds_no_option_for_pip() -> None:
    """An index and a file are parts of lines that pip reads as words."""
    packages = one_package(
        'index = "https://contoso.example/simple --trusted-host contoso.example"'
    ).removeprefix(HEAD)

    assert problems(packages) == [
        (
            3,
            "beta has an address with a blank in it, https://contoso.example/simple --trusted-host contoso.example",
        )
    ]
