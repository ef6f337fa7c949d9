"""Which requirements are for one version alone."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from azureml_tasks.requirements.files import exact_version, is_pinned


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
def test_one_version_alone_is_a_pin(text: str, expected: str) -> None:
    """A single `==` without a star names one version; what may be several, or cannot be compared, names none."""
    assert (expected, expected != "") == (exact_version(Requirement(text)), is_pinned(text))
