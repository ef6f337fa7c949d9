"""Where the table goes if pyproject.toml has one already, or is to have several images; and what differs from it."""

from __future__ import annotations

from typing import Any

import pytest

from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.table.comparison import differences
from azureml_tasks.migration.table.table_place import placed_text, table_place

TABLE = {"base": "x", "code": "src"}
ABOVE = {"root": "..", "base": "x"}
SHARED = '[tool.azureml-image]\nname = "scoring"\nregistry = "r.io"\n'
IMAGES = f'{SHARED}[tool.azureml-image.images.cpu]\nbase = "y"\n'


def test_a_file_without_a_table_gets_one() -> None:
    """Also if there is no file."""
    place = table_place("[tool.x]\n", "")

    assert (place.existing, placed_text(place, TABLE, {})) == (
        None,
        '[tool.azureml-image]\nbase = "x"\ncode = "src"\n',
    )
    assert table_place("", "").existing is None


def test_a_table_that_exists_is_compared() -> None:
    """The table of an image is compared with what it has from the table around it."""
    assert table_place(SHARED, "").existing == {"name": "scoring", "registry": "r.io"}
    assert table_place(IMAGES, "cpu").existing == {"name": "scoring", "registry": "r.io", "base": "y"}


@pytest.mark.parametrize("text", ["", "[tool.x]\n", SHARED, IMAGES])
def test_an_image_gets_a_table_of_its_own(text: str) -> None:
    """The table around it may only have what says nothing of an image."""
    place = table_place(text, "gpu")

    assert place.existing is None
    assert placed_text(place, TABLE, {}) == '[tool.azureml-image.images.gpu]\nbase = "x"\ncode = "src"\n'


def test_the_root_of_an_image_is_that_of_all() -> None:
    """A new table around it has it; one that exists must have it already."""
    assert placed_text(table_place("", "gpu"), ABOVE, {}) == (
        '[tool.azureml-image]\nroot = ".."\n\n[tool.azureml-image.images.gpu]\nbase = "x"\n'
    )
    with_root = SHARED + 'root = ".."\n'
    assert placed_text(table_place(with_root, "gpu"), ABOVE, {}) == (
        '[tool.azureml-image.images.gpu]\nbase = "x"\n'
    )


@pytest.mark.parametrize(
    ("text", "image", "message"),
    [
        (
            '[tool.azureml-image]\nbase = "y"\npip = ["numpy"]\n',
            "gpu",
            (
                'pyproject.toml: [tool.azureml-image] has base, pip, and the image "gpu" would have the same\n'
                "    Move what only another image has into its own table, such as [tool.azureml-image.images.cpu].\n"
            ),
        ),
        (
            SHARED,
            "gpu",
            (
                'pyproject.toml: the image "gpu" needs root = "..", which [tool.azureml-image] does not have\n'
                '    Write into [tool.azureml-image]: root = ".."\n'
            ),
        ),
        (
            IMAGES,
            "",
            (
                "pyproject.toml: [tool.azureml-image] has several images: cpu\n"
                "    Name one of them, or a new one: --image NAME\n"
            ),
        ),
    ],
)
def test_what_is_not_simple_is_refused(text: str, image: str, message: str) -> None:
    """The sentence says what is in the way."""
    with pytest.raises(SettingsError) as refused:
        placed_text(table_place(text, image), ABOVE, {})

    assert str(refused.value) == f"{message}\n1 problem; nothing was done."


@pytest.mark.parametrize(
    ("table", "sources"),
    [
        ({"base": "minimal-py312-inference"}, {"base": "mcr.microsoft.com/azureml/minimal-py312-inference:latest"}),
        ({"code": ["src"]}, {"code": "src"}),
        ({"code": "code", "entry-script": "score.py", "user": "dockeruser"}, {}),
        ({}, {"entry-script": "score.py", "env": {}, "pip": []}),
        ({"smoke-test": {"request": "r.json"}}, {"smoke-test": {"requests": [{"file": "r.json"}]}}),
        ({"name": "x", "tags": ["1"], "registry": "r.io", "acr": {"cloud": "AzureCloud"}, "images": {}}, {}),
    ],
)  # fmt: skip
def test_what_means_the_same_is_no_difference(table: dict[str, Any], sources: dict[str, Any]) -> None:
    """Defaults, short names and keys that no source has."""
    assert differences(table, sources) == ()


def test_every_other_key_is_compared() -> None:
    """Tables are compared key by key; a value of a wrong type differs."""
    table = {"base": "x", "pip": 1, "env": {"A": "1", "B": "2"}, "smoke-test": {"port": 80}, "unknown": True}
    sources = {"base": "x", "pip": ["numpy"], "env": {"A": "2", "C": "3"}, "code": "src"}

    assert [tuple(each) for each in differences(table, sources)] == [
        ("pip", 1, ["numpy"]),
        ("env.A", "1", "2"),
        ("env.B", "2", None),
        ("env.C", None, "3"),
        ("smoke-test", {"port": 80}, None),
        ("unknown", True, None),
        ("code", None, "src"),
    ]
