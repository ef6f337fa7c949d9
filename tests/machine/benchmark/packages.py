"""The packages that the project requires, and those that can be added one after the other."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["PACKAGES", "added"]

PACKAGES = ("joblib==1.5.2", "packaging==25.0", "idna==3.10", "certifi==2025.8.3", "six==1.17.0")
_MORE_ITERTOOLS = tuple(
    f"more-itertools=={version}"
    for version in (
        *("8.0.0", "8.0.1", "8.0.2", "8.1.0", "8.2.0", "8.3.0", "8.4.0", "8.5.0", "8.6.0", "8.7.0", "8.8.0"),
        *("8.9.0", "8.10.0", "8.11.0", "8.12.0", "8.13.0", "8.14.0", "9.0.0", "9.1.0", "10.0.0", "10.1.0"),
        *("10.2.0", "10.3.0", "10.4.0", "10.5.0", "10.6.0", "10.7.0"),
    )
)


def added() -> Iterator[str]:
    """One more requirement after the other, each as quick to install; every one comes once."""
    yield from _MORE_ITERTOOLS
