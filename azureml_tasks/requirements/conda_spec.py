"""One dependency of a conda file, such as `numpy=1.26` or `conda-forge::scipy>=1.11,<2`, in pip's terms.

How conda reads it: conda/conda, conda/models/match_spec.py (`_parse_spec_str`, `_parse_version_plus_build`) and
conda/models/version.py (`VersionSpec`). `=1.2` matches every version that starts with 1.2, so it is `==1.2.*` for pip;
a version beside a build, as in `=1.2=py39_0`, or without a sign, as in `numpy 1.2`, matches that version alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, Specifier

from azureml_tasks.requirements.lines import shown

_DEPENDENCY = re.compile(r"(?:(?P<channel>\S+)::)?(?P<name>[A-Za-z0-9._*-]+)\s*(?P<rest>(?:[\s=<>!~].*)?)")
_BUILD = re.compile(r"(?P<version>.*[^=<>!~,|\s])(?:=|\s+=?)(?P<build>[^=<>!~,|\s]+)")
_CLAUSE = re.compile(r"(?P<sign>==|=|!=|>=|<=|>|<|~=)?(?P<version>(?:\d+!)?[^=<>!~\s]+)")
_PACKAGE_FILES = (".conda", ".tar.bz2")
_LONGEST = 300
"""Characters of a dependency."""


class CondaSpec(NamedTuple):
    """A dependency.

    Args:
        channel: "" if it names none.
        name: in lower case, as conda compares names.
        version: a specifier for pip (PEP 440); "" for any version.
        build: which pip does not know; "" if it names none.
    """

    channel: str
    name: str
    version: str
    build: str


class SpecError(Exception):
    """A dependency that has no meaning for pip.

    Args:
        what: why, to follow the file and the line.
        fix: the next step.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def parse_spec(text: str) -> CondaSpec:
    """Parse a dependency.

    Raises:
        SpecError: it cannot be parsed, or says what pip cannot.
    """
    plain, text = text.partition("#")[0].strip(), shown(text)
    if len(plain) > _LONGEST:
        raise SpecError(
            f"is longer than {_LONGEST} characters: {text}", "Write a name and a version: numpy=1.26"
        )
    if plain.lower().endswith(_PACKAGE_FILES):
        raise SpecError(
            f'"{text}" is a file of a conda package', "Name the package and its version: numpy==1.26.4"
        )
    if "[" in plain or "(" in plain:
        raise SpecError(f'"{text}" is written in conda\'s form with brackets', "Write: numpy>=1.26,<2")
    match = _DEPENDENCY.fullmatch(plain)
    if not match:
        raise SpecError(f'"{text}" is not a conda dependency', 'Write a name and a version: "numpy=1.26"')
    name = match["name"].lower()
    rest = re.sub(r"(?<=[,|=<>!~])\s+|\s+(?=[,|<>!~])", "", match["rest"].strip())
    build = _BUILD.fullmatch(rest)
    version = build["version"] if build else rest
    return CondaSpec(
        channel=match["channel"] or "",
        name=name,
        version=_for_pip(text, name, version, has_build=bool(build)),
        build=build["build"] if build else "",
    )


def _for_pip(text: str, name: str, version: str, *, has_build: bool) -> str:
    if "|" in version:
        what = f'"{text}" has alternatives, which pip does not know'
        raise SpecError(what, f"Write one range, or the version that you use: {name}>=1.26,<2")
    clauses = (_clause(text, name, part, has_build=has_build) for part in version.split(",") if part)
    return ",".join(clause for clause in clauses if clause)


def _clause(text: str, name: str, clause: str, *, has_build: bool) -> str:
    """Return one part of a version as pip writes it; "" for any version."""
    match = _CLAUSE.fullmatch(clause)
    if not match:
        raise SpecError(
            f'"{text}" has a version that is not one',
            f"Write: {name}=1.26, {name}==1.26.4 or {name}>=1.26,<2",
        )
    sign, number = match["sign"] or "", match["version"].rstrip("*").rstrip(".")
    has_star = match["version"].endswith("*")
    if not number:
        return ""
    starts_with = has_star or (sign == "=" and not has_build)
    if sign in ("", "=", "=="):
        choices = [f"=={number}.*"] if starts_with else []
        # A version that has no such form, such as 1.0.dev1, is exact.
        choices += [] if has_star else [f"=={number}"]
    else:
        choices = [f"!={number}.*" if sign == "!=" and has_star else f"{sign}{number}"]
    for choice in choices:
        if _is_specifier(choice):
            return choice
    what = f'"{text}" has the version "{match["version"]}", which pip cannot compare'
    raise SpecError(what, f"Write a version as PyPI has it: {name}==1.26.4")


def _is_specifier(text: str) -> bool:
    try:
        Specifier(text)
    except InvalidSpecifier:
        return False
    return True
