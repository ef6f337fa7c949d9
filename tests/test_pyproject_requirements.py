"""The requirements that a project's own pyproject.toml lists."""

from __future__ import annotations

import pytest
import tomli
from packaging.requirements import InvalidRequirement, Requirement

from azureml_tasks.requirements.pyproject import declared_requirements

STANDARD = "https://packaging.python.org/specifications/dependency-groups/"
LISTED = "List what the image needs under pip in [tool.azureml-image], or in a dependency group."
PYPROJECT = """
[project]
name = "My.Project"
dependencies = ["numpy>=1.26", "Pandas ; python_version<'3.13'"]

[project.optional-dependencies]
gpu = ["torch"]
Web_UI = ["flask", "jinja2"]
all = ["my-project[gpu, web-ui]", "tqdm"]
old = ["my_project[gpu] ; python_version < '3.11' or os_name == 'nt'", "toml ; os_name == 'nt'"]
round = ["my-project[round] ; os_name == 'nt'", "my-project[trip]", "a"]
trip = ["my-project[round]", "b"]
weak = ["my-project[weaker] ; os_name == 'nt'", "my-project[weaker]"]
weaker = ["c"]

[dependency-groups]
test = ["pytest", {include-group = "Lint"}]
lint = ["ruff", "pytest"]
serve = ["my-project[gpu]", "gunicorn"]
"""
DEPENDENCIES = ["numpy>=1.26", 'Pandas; python_version < "3.13"']


def packaging_message(text: str) -> str:
    """Return packaging's message, which depends on its version."""
    with pytest.raises(InvalidRequirement) as caught:
        Requirement(text)
    return str(caught.value).splitlines()[0]


def listed(
    pyproject: str, groups: tuple[str, ...] = (), extras: tuple[str, ...] = (), *, project: bool = False
) -> list[str]:
    """Return the requirements that a text lists; none may be wrong."""
    document = tomli.loads(pyproject)
    parts = [
        *(declared_requirements(document, group=name) for name in groups),
        *(declared_requirements(document, extra=name) for name in extras),
        *([declared_requirements(document)] if project else []),
    ]
    assert [] == [problem for _, problems in parts for problem in problems]
    return list(dict.fromkeys(text for requirements, _ in parts for text in requirements))


@pytest.mark.parametrize(
    ("groups", "extras", "project", "expected"),
    [
        pytest.param((), (), False, [], id="nothing"),
        pytest.param((), (), True, DEPENDENCIES, id="the project's dependencies"),
        pytest.param(
            ("test",), (), False, ["pytest", "ruff"], id="a group that includes another, each item once"
        ),
        pytest.param(("LINT",), (), False, ["ruff", "pytest"], id="a group in another spelling"),
        pytest.param((), ("web.ui",), False, ["flask", "jinja2"], id="an extra in another spelling"),
        pytest.param(
            ("lint",),
            ("gpu",),
            True,
            ["ruff", "pytest", "torch", *DEPENDENCIES],
            id="groups, extras, the project",
        ),
        pytest.param(
            (),
            ("all",),
            False,
            [*DEPENDENCIES, "torch", "flask", "jinja2", "tqdm"],
            id="an extra that names the project",
        ),
        pytest.param(
            ("serve",), (), False, [*DEPENDENCIES, "torch", "gunicorn"], id="a group that names the project"
        ),
        pytest.param(
            (),
            ("old",),
            False,
            [
                'numpy>=1.26; python_version < "3.11" or os_name == "nt"',
                'Pandas; (python_version < "3.11" or os_name == "nt") and python_version < "3.13"',
                'torch; python_version < "3.11" or os_name == "nt"',
                'toml; os_name == "nt"',
            ],
            id="a marker applies to every requirement behind it",
        ),
        pytest.param(
            (),
            ("round",),
            False,
            [
                'numpy>=1.26; os_name == "nt"',
                'Pandas; os_name == "nt" and python_version < "3.13"',
                *DEPENDENCIES,
                "b",
                "a",
            ],
            id="a cycle ends",
        ),
        pytest.param(
            (),
            ("weak",),
            False,
            [
                'numpy>=1.26; os_name == "nt"',
                'Pandas; os_name == "nt" and python_version < "3.13"',
                'c; os_name == "nt"',
                *DEPENDENCIES,
                "c",
            ],
            id="with and without a marker",
        ),
    ],
)
def test_groups_extras_and_dependencies_are_listed(
    groups: tuple[str, ...],
    extras: tuple[str, ...],
    project: bool,
    expected: list[str],
) -> None:
    """Requirements are listed in the given order, each once, and never the project itself."""
    assert expected == listed(PYPROJECT, groups, extras, project=project)


def test_extras_need_no_list_of_dependencies() -> None:
    """A project without dependencies is valid, also if its extras name the project."""
    text = '[project]\nname = "p"\n[project.optional-dependencies]\na = ["p[b]"]\nb = ["c"]'

    expected = ["c"]

    actual = listed(text, extras=("a",), project=True)

    assert expected == actual


@pytest.mark.parametrize(
    ("text", "asked", "reason", "fix"),
    [
        pytest.param(
            PYPROJECT,
            ("group", "tests"),
            'there is no dependency group "tests" in [dependency-groups]',
            'Did you mean "test"?',
            id="a group with a near name",
        ),
        pytest.param(
            PYPROJECT,
            ("group", "x"),
            'there is no dependency group "x" in [dependency-groups]',
            'It has: "test", "lint", "serve"',
            id="a group",
        ),
        pytest.param(
            "",
            ("group", "x"),
            'there is no dependency group "x" in [dependency-groups]',
            LISTED,
            id="no groups",
        ),
        pytest.param(
            PYPROJECT,
            ("extra", "web"),
            'there is no extra "web" in [project.optional-dependencies]',
            'Did you mean "Web_UI"?',
            id="an extra with a near name",
        ),
        pytest.param(
            '[project]\nname="p"',
            ("extra", "x"),
            'there is no extra "x" in [project.optional-dependencies]',
            LISTED,
            id="no extras",
        ),
        pytest.param(
            "dependency-groups = 1",
            ("group", "x"),
            "[dependency-groups] must be a table",
            'Write under [dependency-groups]: x = ["numpy>=1.26"]',
            id="groups that are a number",
        ),
        pytest.param(
            "dependency-groups.x = 1",
            ("group", "x"),
            "[dependency-groups] x must be an array",
            'Write: x = ["numpy>=1.26"]',
            id="a group that is a number",
        ),
        pytest.param("", ("project", ""), "pyproject.toml has no [project] table", LISTED, id="no project"),
        pytest.param(
            "", ("extra", "x"), "pyproject.toml has no [project] table", LISTED, id="no project for an extra"
        ),
        pytest.param(
            '[project]\nname="p"\ndynamic=["dependencies"]',
            ("project", ""),
            '[project] lists "dependencies" as dynamic, so only a build of the project knows it',
            LISTED,
            id="dynamic dependencies",
        ),
        pytest.param(
            '[project]\nname="p"\ndynamic=["optional-dependencies"]',
            ("extra", "x"),
            '[project] lists "optional-dependencies" as dynamic, so only a build of the project knows it',
            LISTED,
            id="dynamic extras",
        ),
        pytest.param(
            '[project]\nname="p"\ndynamic=["dependencies"]\n[dependency-groups]\nx=["P"]',
            ("group", "x"),
            '[project] lists "dependencies" as dynamic, so only a build of the project knows it',
            LISTED,
            id="dynamic dependencies that a group leads to",
        ),
        pytest.param(
            '[project]\nname="p"\ndependencies=["a b"]',
            ("project", ""),
            f'"a b" is not a requirement: {packaging_message("a b")}',
            'Write a name, with versions if you like: "numpy>=1.26"',
            id="no requirement",
        ),
        pytest.param(
            '[dependency-groups]\nx=["a", "b @ c https://u:secret@example.com"]',
            ("group", "x"),
            f'"b @ c ***@example.com" is not a requirement: {packaging_message("b @ c d")}',
            'Write a name, with versions if you like: "numpy>=1.26"',
            id="no requirement in a group",
        ),
        pytest.param(
            '[dependency-groups]\nx=[{include-group="y"}]',
            ("group", "x"),
            "[dependency-groups] cannot be read: Dependency group 'y' not found",
            f"Correct it: {STANDARD}",
            id="an include of nothing",
        ),
        pytest.param(
            '[project]\nname="p"\ndependencies="a"',
            ("project", ""),
            "[project] dependencies must be an array of strings",
            'Write: ["numpy>=1.26", "pandas"]',
            id="a string of dependencies",
        ),
        pytest.param(
            '[project]\nname="p"\noptional-dependencies.x=["a", 1]',
            ("extra", "x"),
            "[project] optional-dependencies.x must be an array of strings",
            'Write: ["numpy>=1.26", "pandas"]',
            id="a number in an extra",
        ),
    ],
)
def test_a_part_that_cannot_be_listed_is_reported(
    text: str, asked: tuple[str, str], reason: str, fix: str
) -> None:
    """The problem has the reason and the next step."""
    kind, name = asked

    _, problems = declared_requirements(tomli.loads(text), **({} if kind == "project" else {kind: name}))

    assert [(reason, fix)] == problems


def test_every_mistake_of_a_group_is_reported() -> None:
    """A string that is not a requirement hides neither another one nor a group that does not exist."""
    text = """
[project]
name = "p"
optional-dependencies.x = [1, "d e", "f"]
[dependency-groups]
a = ["b c", "numpy", {include-group = "Other"}, {include-group = "none"}, "p[x]", "p[y]"]
other = ["d e", "scipy"]
"""
    fix = 'Write a name, with versions if you like: "numpy>=1.26"'

    requirements, problems = declared_requirements(
        tomli.loads(text.replace(', {include-group = "none"}', "")), group="A"
    )

    assert (
        ["numpy", "scipy", "f"],
        [
            (f'"b c" is not a requirement: {packaging_message("b c")}', fix),
            (f'"d e" is not a requirement: {packaging_message("d e")}', fix),
            (
                "[project] optional-dependencies.x must be an array of strings",
                'Write: ["numpy>=1.26", "pandas"]',
            ),
            ('there is no extra "y" in [project.optional-dependencies]', 'It has: "x"'),
        ],
    ) == (requirements, problems)
    assert [
        (f'"b c" is not a requirement: {packaging_message("b c")}', fix),
        (f'"d e" is not a requirement: {packaging_message("d e")}', fix),
        ("[dependency-groups] cannot be read: Dependency group 'none' not found", f"Correct it: {STANDARD}"),
    ] == declared_requirements(tomli.loads(text), group="a")[1]
