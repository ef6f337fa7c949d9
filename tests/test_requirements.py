"""What is read from requirements files, and what is reported as a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from packaging.requirements import InvalidRequirement, Requirement

from azureml_tasks.errors import Problem
from azureml_tasks.requirements import files as requirements_files
from azureml_tasks.requirements.files import RequirementsTree, exact_version, is_pinned

NO_LOGIN = """\
Write the address without a login, and give the login to the build as a secret:
secrets = ["netrc"] in [tool.azureml-image], then: invoke image.build --secret netrc=FILE
or a whole pip.conf, with the index in it: pip-conf in place of netrc"""
NO_KEY = """\
Build a wheel, copy it into the project and list that: ./wheels/NAME.whl
or, if it is public, write: git+https://HOST/PATH"""
NO_FOLDER = "Build a wheel and list that: pip wheel --no-deps --wheel-dir wheels "
NO_OPTION = "Remove it. Options that a requirements file cannot have belong in pip's own configuration."
NO_NAME = 'Write a name, with versions if you like: "numpy>=1.26"'


def read_tree(root: str, read: Callable[[str], str | None]) -> tuple[RequirementsTree, list[Problem]]:
    """Read a file without what only runs of pip need, see `test_install_step.py`."""
    requirements, wrong = requirements_files.read_tree(root, read)
    return replace(requirements, names=(), index=""), wrong


def tree(
    *files: str,
    lines: Sequence[str] = (),
    wheels: tuple[str, ...] = (),
    hashed: bool = False,
    pinned: tuple[str, ...] = (),
) -> RequirementsTree:
    """Return the expected tree of *files* with these *lines*, without comments and joins."""
    asked = tuple(sorted({line for text in lines for line in text.splitlines()}))
    return RequirementsTree(files=files, wheels=wheels, hashed=hashed, pinned=pinned, lines=asked)


def packaging_message(text: str) -> str:
    """Return packaging's message, which depends on its version."""
    with pytest.raises(InvalidRequirement) as caught:
        Requirement(text)
    return str(caught.value).splitlines()[0]


def problems(line: str) -> list[tuple[str, str]]:
    """Read a file of one line; every problem must be on that line."""
    _, file_problems = read_tree("r.txt", {"r.txt": f"# first\n{line}\n"}.get)
    assert all((problem.file, problem.line) == ("r.txt", 2) for problem in file_problems)
    return [(problem.what, problem.fix) for problem in file_problems]


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "NumPy >=1.26,<3 # with a comment",
        "uvicorn[standard]==0.30 ; python_version >= '3.10'",
        "a @ https://example.com/a-1.tar.gz#sha256=ab",
        "a @ git+https://example.com/a/b@v1",
        "https://example.com:8443/a-1-py3-none-any.whl ; python_version > '3'",
        "git+https://example.com/a/b@v1#egg=a",
        "a --config-settings=x=y --global-option '--with x'",
        "--index-url https://example.com/simple",
        "-i https://example.com:8443/simple/",
        "-ihttps://example.com/@scope/simple",
        "--extra-index-url=http://example.com/simple --pre --trusted-host example.com",
        "-f https://example.com/wheels",
        "--no-index",
        "--prefer-binary",
        "--only-binary :all:",
        "--no-binary=a,b",
        "--use-feature fast-deps",
        "--only-final :all:",
        "--all-releases=a,b",
        "--no-require-hashes",
        "--of-a-newer-pip",
        "--of-a-newer-pip value --pre",
        "--of-a-newer-pip=value",
        "a --of-a-newer-pip=value --config-settings x=y",
    ],
)
def test_a_line_that_pip_can_use_is_accepted(line: str) -> None:
    """Names, addresses and the options of pip's format are no problem; those of a newer pip decide about versions."""
    loose = "newer" in line or (not line.startswith("-") and "==0.30" not in line)
    asked = line.removesuffix(" # with a comment")
    where = ("-i", "--index-url", "--extra-index-url", "-f", "--no-index", "--prefer-binary")
    finding = (asked,) if line.startswith(where) or line.endswith("--pre") else ()
    expected = replace(tree("r.txt", lines=[asked]), all_pinned=not loose, finding=finding)
    assert (expected, []) == read_tree("r.txt", {"r.txt": line}.get)


def test_an_empty_file_is_accepted() -> None:
    """A byte order mark, comments and blank lines contain no requirement."""
    assert (tree("r.txt"), []) == read_tree("r.txt", {"r.txt": "\ufeff# a \\\n\n  # b\n"}.get)


@pytest.mark.parametrize(
    "line",
    [
        "-r a.txt",
        "-ra.txt",
        "--requirement a.txt",
        "--requirement=a.txt",
        "-r 'a.txt'",
        '-r "a.txt" # c',
        "-c./a.txt",
        "--constraint b/../a.txt",
        "--const a.txt",
    ],
)
def test_every_spelling_of_an_include_is_followed(line: str) -> None:
    """Every spelling of -r and -c that pip knows includes the file."""
    texts = {"r.txt": line, "a.txt": "./w.whl"}

    lines = [line.removesuffix(" # c"), "./w.whl"]
    assert (tree("r.txt", "a.txt", wheels=("w.whl",), lines=lines), []) == read_tree("r.txt", texts.get)


def test_includes_are_relative_to_their_file_and_wheels_to_the_project() -> None:
    """Each file is listed once, in the order of reading; a cycle is no problem."""
    texts = {
        "deploy/r.txt": "-r more/a.txt\n-c ../c.txt\n./wheels/x-1-py3-none-any.whl",
        "deploy/more/a.txt": "-r ../r.txt\n-r 'b c.txt'\nwheels/../y-1-py3-none-any.whl ; os_name == 'posix'",
        "deploy/more/b c.txt": "-c ../../c.txt\nz-1-py3-none-any.whl[extra]",
        "c.txt": "./wheels/x-1-py3-none-any.whl",
    }

    actual = read_tree("deploy/r.txt", texts.get)

    files = ("deploy/r.txt", "deploy/more/a.txt", "deploy/more/b c.txt", "c.txt")
    wheels = ("wheels/x-1-py3-none-any.whl", "z-1-py3-none-any.whl", "y-1-py3-none-any.whl")
    assert (tree(*files, wheels=wheels, lines=[*texts.values()]), []) == actual


def test_the_exact_versions_of_hashed_files_are_collected() -> None:
    """With one hash pip checks all. Only exact versions are collected, not ranges, addresses and wheels."""
    texts = {
        "r.txt": "-r a.txt\nZope.Interface==6.0\nb>=1\nc==1.*\nd==1,!=2\ne @ https://example.com/e.whl\n./f.whl",
        "a.txt": "\n".join(  # noqa: FLY002, shows the lines
            [
                "a[x]==1.0 \\",
                "    --hash=sha256:00 \\",
                "    --hash=sha256:01",
                "g==2 ; python_version<'3.11' --hash=sha256:02",
            ]
        ),
    }

    actual = read_tree("r.txt", texts.get)

    pinned = ("a==1.0", 'g==2 ; python_version < "3.11"', "zope-interface==6.0")
    joined = ["a[x]==1.0     --hash=sha256:00     --hash=sha256:01", texts["a.txt"].splitlines()[-1]]
    lines = [texts["r.txt"], *joined]
    assert (tree("r.txt", "a.txt", wheels=("f.whl",), hashed=True, pinned=pinned, lines=lines), []) == actual


def test_require_hashes_alone_makes_a_tree_hashed() -> None:
    """The hashes may be in another file or in a wheel's address."""
    text = "--require-hashes\na==1"
    expected = tree("r.txt", hashed=True, pinned=("a==1",), lines=[text])
    assert (expected, []) == read_tree("r.txt", {"r.txt": text}.get)


def test_without_hashes_no_version_is_collected() -> None:
    """Pip itself handles exact versions in a file without hashes."""
    assert (tree("r.txt", lines=["a==1"]), []) == read_tree("r.txt", {"r.txt": "a==1"}.get)


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        pytest.param(
            "numpy = 1",
            f'"numpy = 1" is not a requirement: {packaging_message("numpy = 1")}',
            "Write: numpy == 1",
            id="a wrong sign",
        ),
        pytest.param(
            "--no-deps",
            '"--no-deps" cannot be parsed: no such option: --no-deps',
            NO_OPTION,
            id="an option",
        ),
        pytest.param("-r", '"-r" cannot be parsed: -r option requires 1 argument', NO_OPTION, id="no value"),
        pytest.param("-r 'a", '"-r \'a" cannot be parsed: No closing quotation', NO_OPTION, id="no end"),
        pytest.param(
            "-e ./lib",
            '"-e ./lib" is an editable install, which an image cannot have',
            "List its dependencies (project-dependencies = true), or build a wheel and list that.",
            id="editable",
        ),
        *(
            pytest.param(
                f"{place}{behind}",
                f'"{place}" is a project folder or a source archive, not a wheel',
                NO_FOLDER + place,
                id=f"{place}{behind}",
            )
            for place, behind in [
                (".", ""),
                (".", "[extra]"),
                ("./lib", ""),
                ("../x", ""),
                ("lib/x", " ; os_name == 'nt'"),
                ("x-1.tar.gz", ""),
                ("/opt/x", ""),
                ("x.zip", ""),
            ]
        ),
        pytest.param(
            "./my lib",
            '"./my lib" is a project folder or a source archive, not a wheel',
            NO_FOLDER + "'./my lib'",
            id="a folder with a space",
        ),
        pytest.param(
            "../w.whl",
            'the wheel "../w.whl" is outside the project',
            "Copy it into the project and write: ./wheels/w.whl",
            id="a wheel outside",
        ),
        pytest.param(
            "/opt/w.whl",
            'the wheel "/opt/w.whl" is outside the project',
            "Copy it into the project and write: ./wheels/w.whl",
            id="an absolute wheel",
        ),
        pytest.param(
            "C:/w.whl",
            'the wheel "C:/w.whl" is outside the project',
            "Copy it into the project and write: ./wheels/w.whl",
            id="a wheel on a drive",
        ),
        pytest.param(
            "..\\w.whl",
            '"..\\w.whl" contains a backslash',
            'Separate folders with "/": ../w.whl',
            id="a wheel by backslash",
        ),
        pytest.param(
            "a @ file:./w.whl",
            "the requirement a is a file of this machine, which the build cannot read",
            "Write the wheel's path, relative to the project's folder: ./wheels/NAME.whl",
            id="a file address",
        ),
        pytest.param(
            "file:///opt/w.whl",
            '"file:///opt/w.whl" is a file of this machine, which the build cannot read',
            "Write the wheel's path, relative to the project's folder: ./wheels/NAME.whl",
            id="a bare file address",
        ),
        pytest.param(
            "-r b.txt",
            'includes "b.txt", which does not exist',
            "Create b.txt, or correct the path: it is relative to r.txt.",
            id="a missing include",
        ),
        *(
            pytest.param(
                f"-r {path}",
                f'includes "{path}", which is outside the project',
                "Copy it into the project.",
                id=path,
            )
            for path in ("../b.txt", "a/../../b.txt", "/b.txt", "C:/b.txt", "..")
        ),
        pytest.param(
            "-c ..\\b.txt",
            '"-c ..\\b.txt" contains a backslash',
            'Separate folders with "/" and put a name with spaces in quotes.',
            id="an include by backslash",
        ),
        pytest.param(
            "-r https://u:secret@example.com/b.txt",
            'includes "***@example.com/b.txt", which is not a file of the project',
            "Copy it into the project.",
            id="an include from elsewhere",
        ),
        pytest.param(
            "--find-links wheels",
            '--find-links "wheels" is a local folder, which the build cannot read',
            "List the wheels themselves, relative to the project's folder: ./wheels/NAME.whl",
            id="a local folder of wheels",
        ),
        pytest.param(
            "-i u:secret@example.com/simple",
            '--index-url "***@example.com/simple" is not an http or https address',
            "Write the full address: --index-url https://HOST/simple",
            id="an index without scheme",
        ),
        pytest.param(
            "--index-url https://u:secret@example.com/simple",
            "--index-url contains a user or password",
            NO_LOGIN,
            id="an index with a login",
        ),
        pytest.param(
            "-f https://token@example.com/wheels",
            "--find-links contains a user or password",
            NO_LOGIN,
            id="wheels behind a login",
        ),
        pytest.param(
            "--extra-index-url https://u:s/e@c#ret@example.com/simple",
            "--extra-index-url contains a user or password",
            NO_LOGIN,
            id="a password of special characters",
        ),
        pytest.param(
            "a @ git+https://secret@example.com/a.git@v1",
            "the requirement a contains a user or password",
            NO_LOGIN,
            id="a requirement with a login",
        ),
        pytest.param(
            "https://u:secret@example.com/a.whl",
            '"***@example.com/a.whl" contains a user or password',
            NO_LOGIN,
            id="an address with a login",
        ),
        pytest.param(
            "-i https://u:${TOKEN}@example.com/simple",
            "${TOKEN} is an environment variable, which the build cannot read",
            NO_LOGIN,
            id="a login from the environment",
        ),
        pytest.param(
            "a b https://u:se cret@example.com",
            f'"a b ***@example.com" is not a requirement: {packaging_message("a b c")}',
            NO_NAME,
            id="a login in a broken line",
        ),
        pytest.param(
            "-i https://u:se cret@example.com",
            '"-i ***@example.com" has a word after an option, where pip ignores it',
            "Put it on a line of its own.",
            id="a login with a space",
        ),
        pytest.param(
            "-r u:secret@b.txt",
            'includes "***@b.txt", which is outside the project',
            "Copy it into the project.",
            id="a login in an include",
        ),
        pytest.param(
            "--no-deps https://u:se cret@example.com",
            '"--no-deps ***@example.com" cannot be parsed: no such option: --no-deps',
            NO_OPTION,
            id="a login behind an option of the command line",
        ),
        pytest.param(
            "--newer-index https://u:secret@example.com",
            "--newer-index contains a user or password",
            NO_LOGIN,
            id="a login in an option of a newer pip",
        ),
        pytest.param(
            "--extra-indx-url https://example.com",
            '"--extra-indx-url https://example.com" cannot be parsed: no such option: --extra-indx-url',
            NO_OPTION,
            id="a misspelled option",
        ),
        pytest.param(
            "private @ git+ssh://git@github.com/org/private.git@v1",
            "the requirement private is fetched by ssh, for which a build has no key",
            NO_KEY,
            id="git by ssh",
        ),
        pytest.param(
            "git+git@github.com:org/private.git",
            '"git+git@github.com:org/private.git" is fetched by ssh, for which a build has no key',
            NO_KEY,
            id="git by ssh in its short form",
        ),
        pytest.param(
            "local @ git+file:///srv/repo",
            "the requirement local is in a folder of this machine, which the build cannot read",
            NO_KEY,
            id="git in a folder",
        ),
        pytest.param(
            f"-r {'a' * 300}",
            'includes "' + "a" * 300 + '", which does not exist',
            f"Create {'a' * 300}, or correct the path: it is relative to r.txt.",
            id="a name longer than any file's",
        ),
        pytest.param(
            "a --pre",
            "--pre is on the line of a requirement, where pip ignores it",
            "Put it on a line of its own.",
            id="an option behind a requirement",
        ),
        pytest.param(
            "--pre a",
            '"--pre a" has a word after an option, where pip ignores it',
            "Put it on a line of its own.",
            id="the reverse",
        ),
        pytest.param(
            "-r r.txt --pre",
            "--pre is on the line of an include, where pip ignores it",
            "Put it on a line of its own.",
            id="an option beside an include",
        ),
        pytest.param(
            "-r r.txt -r r.txt",
            "--requirement is on the line of an include, where pip ignores it",
            "Put it on a line of its own.",
            id="two includes",
        ),
    ],
)
def test_a_line_that_a_build_cannot_use_is_a_problem(line: str, message: str, fix: str) -> None:
    """Each problem has its line, the reason and the next step, and never shows a password."""
    assert [(message, fix)] == problems(line)


def test_problems_of_all_files_are_reported_together() -> None:
    """Each has its own file, and the number of the first of joined lines."""
    texts = {"r.txt": "a\\\n =\\\n 1\n-r d/a.txt\n-e .", "d/a.txt": "\n-r ../d/b.txt\n"}

    _, actual = read_tree("r.txt", texts.get)

    expected = [
        Problem("r.txt", 1, f'"a = 1" is not a requirement: {packaging_message("a = 1")}', "Write: a == 1"),
        Problem(
            "d/a.txt",
            2,
            'includes "../d/b.txt", which does not exist',
            "Create d/b.txt, or correct the path: it is relative to d/a.txt.",
        ),
        Problem(
            "r.txt",
            5,
            '"-e ." is an editable install, which an image cannot have',
            "List its dependencies (project-dependencies = true), or build a wheel and list that.",
        ),
    ]
    assert expected == actual


@pytest.mark.parametrize("root", ["conda.yml", "deploy/environment.YAML"])
def test_a_conda_file_is_refused(root: str) -> None:
    """It is not read; the problem names its own key."""
    message = "is a conda environment file, which pip does not read"
    problem = Problem(root, 0, message, f'Write instead: conda = "{root}"')

    assert (tree(root), [problem]) == read_tree(root, {root: "name: a\n"}.get)


def test_a_missing_file_is_a_problem() -> None:
    """The tree is empty, and the problem says that the file does not exist."""
    problem = Problem("r.txt", 0, "does not exist", "Create it, or correct its name.")

    assert (tree(), [problem]) == read_tree("r.txt", {"a.txt": ""}.get)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy==2.0", "2.0"),
        ("numpy == 2.0rc1", "2.0rc1"),
        ("numpy[extra]==2.0+cpu; python_version < '4'", "2.0+cpu"),
        ("numpy", ""),
        ("numpy>=2.0", ""),
        ("numpy~=2.0", ""),
        ("numpy<=2.0,>=2.0", ""),
        ("numpy==2.*", ""),
        ("numpy==2.0,!=2.0.1", ""),
        ("numpy===2.0", ""),
        ("numpy @ https://example.org/numpy-2.0-py3-none-any.whl", ""),
    ],
)
def test_a_requirement_with_one_exact_version_is_pinned(text: str, expected: str) -> None:
    """Only a single `==` without a star gives one exact version."""
    assert (expected, expected != "") == (exact_version(Requirement(text)), is_pinned(text))


def test_the_command_that_writes_a_list_without_files_of_another_machine() -> None:
    """The name of the file is quoted for a shell."""
    line = "numpy @ file:///home/conda/feedstock_root/build_artifacts/numpy_1700000000000/work"

    _, (problem,) = read_tree("my reqs.txt", {"my reqs.txt": line}.get)

    assert "pip list --format=freeze > 'my reqs.txt'" == problem.fix.splitlines()[1]
