"""Whether a requirement (PEP 508) is for one version alone, so that what it installs stays what it is."""

from __future__ import annotations

from packaging.requirements import Requirement

__all__ = ["exact_version", "is_pinned"]


def is_pinned(text: str) -> bool:
    """Whether the requirement *text* is for one version alone."""
    return exact_version(Requirement(text)) != ""


def exact_version(requirement: Requirement) -> str:
    """The one version that *requirement* is for; "" where there may be several."""
    exact = [spec.version for spec in requirement.specifier if spec.operator == "=="]
    return exact[0] if len(requirement.specifier) == 1 and exact and not exact[0].endswith(".*") else ""
