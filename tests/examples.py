"""How many examples hypothesis tries: fewer where the same tests run again on another Python."""

from __future__ import annotations

import os

__all__ = ["AGAIN", "examples"]

AGAIN = "AZUREML_TASKS_TESTS_AGAIN"
"""The variable that is set where the tests have run in full already."""
_FEW = 20


def examples(count: int) -> int:
    """*count*, or a few where they have been tried before."""
    return min(count, _FEW) if os.environ.get(AGAIN) else count
