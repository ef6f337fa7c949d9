"""How many examples hypothesis tries: fewer where tests run again on another Python, more to fuzz for longer."""

from __future__ import annotations

import os

__all__ = ["AGAIN", "TIMES", "examples"]

AGAIN = "AZUREML_TASKS_TESTS_AGAIN"
"""The variable that is set where the tests have run in full already."""
TIMES = "AZUREML_TASKS_TESTS_FUZZ"
"""The variable that says how many times as many examples are tried; `python3 tasks.py test --fuzz N` sets it."""
_FEW = 20


def examples(count: int) -> int:
    """*count*, or a few where they have been tried before, or many times as many."""
    if os.environ.get(AGAIN):
        return min(count, _FEW)
    return count * int(os.environ.get(TIMES) or 1)
