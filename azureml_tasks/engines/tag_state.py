"""What a registry has under a tag after a push that failed, or that nobody confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.errors import AzuremlTasksError

if TYPE_CHECKING:
    from collections.abc import Callable


def digest_if_known(ask: Callable[[], str]) -> str | None:
    """Return what *ask* returns, the digest of a tag or "" for no such tag; None if the registry does not say."""
    try:
        return ask()
    except AzuremlTasksError:
        return None


def left_behind(name: str, ask: Callable[[], str], before: str | None) -> str:
    """Return what the push of *name* has left in the registry, a sentence; "" if the tag is as it was *before*.

    A registry may have stored a manifest whose answer was lost on its way.
    """
    now = digest_if_known(ask)
    if now is None:
        return f"Whether {name} was pushed is not known."
    if not now or now == before:
        return ""
    then = "" if before is None else f", and named {before or 'nothing'} before"
    return f"{name} names {now} now{then}: the push may have arrived."
