"""How the table of one of several images is made of the top table and its own."""

from __future__ import annotations

from typing import Any

import pytest
import tomli

from azureml_tasks.config.image_tables import image_table
from azureml_tasks.config.reader import read

SHARED = frozenset({"images", "root"})
BESIDE_DOCKERFILE = frozenset({"dockerfile", "registry", "smoke-test"})


def merged(text: str, image: str = "gpu") -> Any:
    """Return the values of an image of a table."""
    return image_table(tomli.loads(text), image, SHARED, BESIDE_DOCKERFILE).values


def test_tables_merge_and_everything_else_is_replaced() -> None:
    """Tables merge at any depth; arrays, also of tables, are the image's own."""
    text = """\
base = "one"
apt = ["a", "b"]
run = [{ command = "top" }]
env = { A = "1", B = "2" }
smoke-test = { repeat = 3, env = { A = "1" } }
[images.gpu]
base = "two"
apt = []
run = [{ command = "own" }, { command = "more" }]
env.B = "3"
smoke-test.env.B = "2"
"""
    assert merged(text) == {
        "base": "two",
        "apt": [],
        "run": [{"command": "own"}, {"command": "more"}],
        "env": {"A": "1", "B": "3"},
        "smoke-test": {"repeat": 3, "env": {"A": "1", "B": "2"}},
    }


@pytest.mark.parametrize(
    ("top", "own", "expected"),
    [
        (
            'smoke-test.request = "a"',
            "smoke-test.requests = [{ body = 1 }]",
            {"smoke-test": {"requests": [{"body": 1}]}},
        ),
        (
            "smoke-test.requests = [{ body = 1 }]",
            'smoke-test.request = "a"',
            {"smoke-test": {"request": "a"}},
        ),
        ('model = "m"', 'smoke-test.model = "m"', {"smoke-test": {"model": "m"}}),
        (
            'smoke-test = { model = "m", repeat = 2 }',
            'model = "m"',
            {"model": "m", "smoke-test": {"repeat": 2}},
        ),
        ('registry = "r.io"', 'acr.workspace = "w"', {"acr": {"workspace": "w"}}),
        (
            'acr = { workspace = "w", timeout = 300 }',
            'registry = "r.io"',
            {"registry": "r.io", "acr": {"timeout": 300}},
        ),
        (
            'base = "b"\napt = ["a"]\nregistry = "r.io"',
            'dockerfile = "D"',
            {"dockerfile": "D", "registry": "r.io"},
        ),
        ('dockerfile = "D"', 'base = "b"', {"base": "b"}),
        # Both in one table stay, so that they are reported.
        ("", 'apt = ["a"]\ndockerfile = "D"', {"apt": ["a"], "dockerfile": "D"}),
        (
            'model = "m"',
            'model = "n"\nsmoke-test.model = "m"',
            {"model": "n", "smoke-test": {"model": "m"}},
        ),
    ],
)
def test_a_key_takes_the_place_of_the_one_that_it_excludes(top: str, own: str, expected: Any) -> None:
    """An image that sets one of two keys does without the other one of the top table."""
    assert expected == merged(f"{top}\n[images.gpu]\n{own}\n")


TABLE = """\
[tool.azureml-image]
base = "bases/one:1"
env = { A = "1", B = "2" }
smoke-test.repeat = 3

[tool.azureml-image.images.cpu]

[tool.azureml-image.images.gpu]
apt = ["curl", "zlib1g"]
env = { B = "3" }

[[tool.azureml-image.images.gpu.smoke-test.requests]]
body = 1
"""


@pytest.mark.parametrize(
    ("place", "line", "is_written", "of_image"),
    [
        (("base",), 2, True, False),
        (("env", "A"), 3, True, False),
        (("env", "B"), 10, True, True),
        (("env",), 10, True, True),
        (("apt", 1), 9, True, True),
        (("apt", 2), 9, False, True),
        (("smoke-test", "repeat"), 4, True, False),
        (("smoke-test", "requests", 0, "body"), 13, True, True),
        (("smoke-test", "requests", 0, "status"), 12, False, True),
        (("pip",), 1, False, False),
        ((), 1, True, False),
    ],
)
def test_a_place_is_where_it_is_written(
    place: tuple[str | int, ...], line: int, is_written: bool, of_image: bool
) -> None:
    """Its line is that in the image's own table if it comes from there, else that in the top table."""
    _, problems = read(TABLE, {}, "gpu")

    assert (line, is_written, of_image) == (
        problems.line_of(place),
        problems.is_written(place),
        problems.is_of_image(place),
    )


def test_a_message_spells_the_place_as_it_is_written() -> None:
    """A key of the image's own table is spelled with it, and one of the top table as ever."""
    _, problems = read(TABLE, {}, "gpu")
    for place, key in ((("env", "A"), "env.A"), (("env", "B"), "env.B")):
        mistake = f"tool.azureml-image.{key} is wrong", "Write: [tool.azureml-image.env]"
        problems.add(place, *mistake)
        assert problems.problem_at(place, *mistake) == [*problems][-1]

    assert [
        (3, "tool.azureml-image.env.A is wrong", "Write: [tool.azureml-image.env]"),
        (
            10,
            "tool.azureml-image.images.gpu.env.B is wrong",
            "Write: [tool.azureml-image.images.gpu.env]",
        ),
    ] == [(problem.line, problem.what, problem.fix) for problem in problems]
