"""The packages that the project requires, and those that are added to them one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

__all__ = ["PACKAGES", "added"]

PACKAGES = ("joblib==1.5.2", "packaging==25.0", "idna==3.10", "certifi==2025.8.3", "six==1.17.0")
_MORE = (
    *("toolz==1.0.0", "attrs==25.3.0", "pyparsing==3.2.3", "sortedcontainers==2.4.0", "tabulate==0.9.0"),
    *("decorator==5.2.1", "cachetools==5.5.2", "filelock==3.18.0", "platformdirs==4.3.8", "pluggy==1.6.0"),
    *("iniconfig==2.1.0", "pathspec==0.12.1", "colorama==0.4.6", "termcolor==3.1.0", "xmltodict==0.14.2"),
    *("isodate==0.7.2", "humanize==4.12.3", "natsort==8.4.0", "inflection==0.5.1", "parse==1.20.2"),
    *("ply==3.11", "pycparser==2.22", "tomlkit==0.13.3", "mergedeep==1.3.4", "dill==0.4.0"),
    "more-itertools==10.7.0",
)
"""Small ones, written in Python alone, which need no others."""


def added() -> Iterator[tuple[str, ...]]:
    """What is required beyond the five: one more each time, as a project grows."""
    yield from accumulate((line,) for line in _MORE)
