"""The lines of pyproject.toml on the page of `image.report`."""

from __future__ import annotations

import pytest

from azureml_tasks.commands.report_table import table_lines

TEXT = """\
[project]
name = "demo"
# About the project.

# About the table.
[tool.azureml-image]
base = "minimal-py312-inference"   # the base
pip = [
  "numpy",
  "a @ https://user:hunter2@host/a.whl",
]
env = { MODE = "fast", API_TOKEN = "hunter2", "SIGN.KEY" = 'hunter2' }

# About a test.
[tool.azureml-image.smoke-test]
env.DB_PASSWORD = \"\"\"
hunter2
\"\"\"
[[tool.azureml-image.smoke-test.requests]]
headers = { Authorization = "Bearer hunter2" }

[[tool.azureml-image.run]]
command = "TOKEN=hunter2 make"

# About another tool.
[tool.other]
list = [
  [1],
]
"""
EXPECTED = """\
# About the table.
[tool.azureml-image]
base = "minimal-py312-inference"   # the base
pip = [
  "numpy",
  "a @ https://***@host/a.whl",
]
env = { MODE = "fast", API_TOKEN = "***", "SIGN.KEY" = "***" }

# About a test.
[tool.azureml-image.smoke-test]
env.DB_PASSWORD = "***"
[[tool.azureml-image.smoke-test.requests]]
headers = { Authorization = "***" }

[[tool.azureml-image.run]]
command = "TOKEN=*** make\""""


def test_a_long_word_is_read_once() -> None:
    """A long word is not looked at again from each character; a name may begin with a digit."""
    text = f'[tool.azureml-image]\npip = ["{"a" * 1_000_000}"]\nenv = {{ 1_TOKEN = "hunter2" }}'

    assert text.replace("hunter2", "***") == table_lines(text, "")


def test_the_table_without_secrets() -> None:
    """The lines are as they were written, with the comments above them, and no value that may be a secret."""
    assert EXPECTED == table_lines(TEXT, "")


IMAGES = """\
[tool.azureml-image]
registry = "r.io"
[tool.azureml-image.images]
[tool.azureml-image.images.cpu]
base = "a"

[tool.azureml-image.images.gpu]
base = "b"
env = { X = "1" }
"""


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ("cpu", '[tool.azureml-image.images.cpu]\nbase = "a"'),
        ("gpu", '[tool.azureml-image.images.gpu]\nbase = "b"\nenv = { X = "1" }'),
    ],
)
def test_the_table_of_one_image(image: str, own: str) -> None:
    """Of several images, the page has what all share and the image's own table."""
    shared = '[tool.azureml-image]\nregistry = "r.io"\n[tool.azureml-image.images]\n'
    lines = [line for line in table_lines(IMAGES, image).splitlines() if line]
    assert (shared + own).splitlines() == lines
