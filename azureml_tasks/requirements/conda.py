"""A conda environment file: what pip can install of it, and what is wrong with the rest.

conda reads the file as conda/conda, conda/env/env.py does, and gives the pip part to pip as a requirements file in the
folder of the file (conda/env/installers/pip.py). So the pip part has the rules of a requirements file here, too. The
packages of conda become requirements if `conda_names` lists them. Each keeps its line, so that pip's messages name it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.yaml_document import YamlDocument, parse
from azureml_tasks.errors import FileProblem, Problem
from azureml_tasks.notice import Notice
from azureml_tasks.requirements.conda_names import (
    LONGER_VERSIONS,
    Advice,
    advice,
    is_known_channel,
    is_library,
    pypi_name,
)
from azureml_tasks.requirements.conda_spec import CondaSpec, SpecError, parse_spec
from azureml_tasks.requirements.lines import normalize_name, shown
from azureml_tasks.requirements.wanted_python import WantedPython

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_EXAMPLE = "dependencies:\n  - numpy=1.26\n  - pip:\n    - joblib"
_KEYS = ("name", "channels", "dependencies", "prefix", "variables")
"""The keys that conda reads: conda/env/env.py."""
_FEWEST_OF_EXPORT = 10
"""With so many packages that do not convert and look exported, a file is an export; nobody writes so many."""
_MOST_NAMED = 3
_WHEEL = re.compile(r"(?P<path>[^\s;@\[]+\.whl)(?=$|[\s;\[])", re.IGNORECASE)
_TOKEN = re.compile(r"(/t/)[^/]+")
"""The token in the address of a channel: https://docs.conda.io/projects/conda, conda/common/url.py."""


class NumberedLine(NamedTuple):
    """A line for pip, and the line of the conda file that it is from."""

    number: int
    text: str


class Substitutes(NamedTuple):
    """What the table has in place of conda packages that do not convert.

    Args:
        names: of packages that the table itself names for pip, or in a shell command; normalized.
        apt: Debian packages.
        has_cuda: whether the base brings CUDA.
    """

    names: Collection[str] = ()
    apt: Collection[str] = ()
    has_cuda: bool = False


@dataclass(frozen=True, kw_only=True)
class CondaFile:
    """A conda file in pip's terms.

    Args:
        path: of the file.
        packages: requirements, from the packages of conda.
        pip: lines of a requirements file, from the pip part.
        pythons: each Python that it wants.
        variables: names of the environment variables that conda would set.
        warnings: for the user.
    """

    path: str
    packages: tuple[NumberedLine, ...] = ()
    pip: tuple[NumberedLine, ...] = ()
    pythons: tuple[WantedPython, ...] = ()
    variables: tuple[NumberedLine, ...] = ()
    warnings: tuple[Notice, ...] = ()

    @property
    def packages_text(self) -> str:
        """The packages of conda as a requirements file, each on the line that it has in the conda file."""
        return _numbered_text(self.packages)

    @property
    def pip_text(self) -> str:
        """The pip part as a requirements file, each line with its number in the conda file."""
        return _numbered_text(self.pip)


def _numbered_text(lines: Sequence[NumberedLine]) -> str:
    """Return *lines* as a text, each at its number; a line whose number is taken comes right after."""
    text: list[str] = []
    for line in lines:
        text += [""] * (line.number - 1 - len(text))
        text.append(line.text)
    return "".join(f"{line}\n" for line in text)


def read_conda(
    path: str,
    text: str,
    substitutes: Substitutes = Substitutes(),  # noqa: B008 -- a frozen value
) -> tuple[CondaFile, list[Problem]]:
    """Read a conda file.

    Args:
        path: relative to the project, with "/" between its parts.
        text: the whole file.
        substitutes: what the table has for packages that do not convert.

    Returns:
        The file in pip's terms, and every problem with what it holds. Whether pip can follow the lines of the pip part
        is for `requirements.files` to say.
    """
    if re.search(r"^@EXPLICIT\s*$", text, re.MULTILINE):
        what = "is a list of conda packages for `conda create --file`, not a conda environment file"
        return CondaFile(path=path), [
            FileProblem(path, 0, what, "Name the file it was made of: environment.yml")
        ]
    document, problems = parse(text, path)
    if not document:
        return CondaFile(path=path), problems
    if other := _other_kind(document.value, path):
        return CondaFile(path=path), problems or [FileProblem(path, 0, *other)]
    reading = _Reading(path, document, substitutes)
    reading.read()
    return reading.file(), [*problems, *reading.problems]


def _other_kind(value: Any, path: str) -> tuple[str, str] | None:
    """Return what a document is if it is no conda file, and the next step."""
    if not isinstance(value, dict):
        fix = f"Write, for example:\n{_EXAMPLE}"
        if path.endswith(".txt"):
            fix = f'If it lists packages for pip, write: requirements = "{shown(path)}"'
        return "is not a conda environment file: it has no keys", fix
    if "dependencies" in value:
        return None
    if "conda_file" in value:
        inner = value["conda_file"]
        named = (
            posixpath.normpath(posixpath.join(posixpath.dirname(path), inner))
            if isinstance(inner, str)
            else ""
        )
        fix = (
            f'Write: conda = "{shown(named)}"'
            if named
            else "Move what is below conda_file into a file, and name that."
        )
        return "is an environment of Azure ML, not a conda environment file", fix
    if "package" in value and "metadata" in value:
        return "is a lock file of conda-lock, not a conda environment file", (
            "Name the file it was made of: environment.yml"
        )
    return 'is not a conda environment file: it has no "dependencies"', f"Write, for example:\n{_EXAMPLE}"


class _Reading:
    """What is read of a conda file so far."""

    def __init__(self, path: str, document: YamlDocument, substitutes: Substitutes) -> None:
        self.path, self.document, self.substitutes = path, document, substitutes
        self.packages: list[NumberedLine] = []
        self.pip: list[NumberedLine] = []
        self.pythons: list[WantedPython] = []
        self.variables: list[NumberedLine] = []
        self.builds: list[NumberedLine] = []
        self.pip_versions: list[NumberedLine] = []
        self.of_base: list[NumberedLine] = []
        self.refused: list[tuple[CondaSpec, Problem]] = []
        self.warnings: list[Notice] = []
        self.problems: list[Problem] = []

    def file(self) -> CondaFile:
        """Return what was read."""
        return CondaFile(
            path=self.path,
            packages=tuple(self.packages),
            pip=tuple(self.pip),
            pythons=tuple(self.pythons),
            variables=tuple(self.variables),
            warnings=tuple(self.warnings),
        )

    def read(self) -> None:
        """Read the whole document."""
        value: dict[str, Any] = self.document.value
        for key in value:
            self.key(key)
        self.channels(value.get("channels"))
        variables = value.get("variables")
        for name in variables if isinstance(variables, dict) else ():
            self.variables.append(NumberedLine(self.line("variables", name), name))
        dependencies = value["dependencies"]
        if not isinstance(dependencies, list):
            self.add(
                self.line("dependencies"), '"dependencies" is not a list', f"Write, for example:\n{_EXAMPLE}"
            )
            dependencies = []
        for index, dependency in enumerate(dependencies):
            self.dependency(index, dependency)
        self.report_refused()
        self.warn()

    def line(self, *place: str | int) -> int:
        """Return the line of a value."""
        return self.document.lines[place]

    def add(self, line: int, what: str, fix: str) -> None:
        """Report a mistake."""
        self.problems.append(FileProblem(self.path, line, what, fix))

    def left_out(self, line: int, what: str) -> None:
        """Warn of something that is not used."""
        self.warnings.append(Notice("conda-file", what, self.path, line))

    def key(self, key: str) -> None:
        """Report a key that may be a misspelt one; warn of any other that conda does not read either."""
        if key in _KEYS:
            return
        if similar := get_close_matches(key, _KEYS, n=1):
            self.add(self.line(key), f'has the unknown key "{shown(key)}"', f'Did you mean "{similar[0]}"?')
        else:
            self.left_out(self.line(key), f'"{shown(key)}" is not read, and conda does not read it')

    def channels(self, channels: Any) -> None:
        """Warn of channels that are not those of the list of names."""
        names = [name for name in channels if isinstance(name, str)] if isinstance(channels, list) else []
        others = [name for name in names if not is_known_channel(name)]
        if others:
            listed = ", ".join(shown(_TOKEN.sub(r"\1****", name)) for name in others)
            what = f"pip does not look for packages in conda's channel {listed}"
            self.left_out(self.line("channels"), what)

    def dependency(self, index: int, dependency: Any) -> None:
        """Read an item of `dependencies`."""
        line = self.line("dependencies", index)
        if isinstance(dependency, str):
            self.package(line, dependency)
        elif isinstance(dependency, dict):
            for key, inner in dependency.items():
                if key == "pip":
                    self.pip_part(("dependencies", index, key), inner)
                else:
                    what = f'"{shown(key)}:" is not a part of a conda file'
                    self.add(
                        self.line("dependencies", index, key),
                        what,
                        f"Write a package so: - {shown(key)}=1.26",
                    )
        else:
            self.add(
                line, "this item of dependencies is not a text", "Write a name and a version: - numpy=1.26"
            )

    def pip_part(self, place: tuple[str | int, ...], items: Any) -> None:
        """Read the pip part: each item is one or more lines of a requirements file."""
        if not isinstance(items, list) and items is not None:
            self.add(self.line(*place), '"pip" is not a list', "Write:\n- pip:\n  - joblib")
        folder = posixpath.dirname(self.path)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            line = self.line(*place, index)
            if not isinstance(item, str):
                self.add(
                    line, "this item of the pip part is not a text", 'Write a requirement: - "numpy>=1.26"'
                )
                continue
            for offset, text in enumerate(item.splitlines()):
                self.pip.append(NumberedLine(line + offset, _from_project(text, folder)))

    def package(self, line: int, text: str) -> None:
        """Read a package of conda."""
        try:
            spec = parse_spec(text)
        except SpecError as error:
            is_list = re.match(r"pip\s+-\s", text)
            fix = 'Write "- pip:" with a colon, and the list below it.' if is_list else error.fix
            self.add(line, error.what, fix)
            return
        written = NumberedLine(line, shown(text))
        if spec.name == "python":
            self.pythons += [WantedPython(self.path, *written, spec.version)] if spec.version else []
        elif spec.name == "pip":
            self.pip_versions += [written] if spec.version else []
        elif name := pypi_name(spec.channel, spec.name):
            self.packages.append(NumberedLine(line, name + _version(spec)))
            self.builds += [written] if spec.build.strip("*") else []
        else:
            self.refuse(written, spec)

    def refuse(self, written: NumberedLine, spec: CondaSpec) -> None:
        """Report a package that does not convert, unless the table has something in its place."""
        known = advice(spec.name)
        if known and known.is_gpu and self.substitutes.has_cuda:
            self.of_base.append(written)
        elif not (known and known.apt in self.substitutes.apt):
            problem = FileProblem(self.path, written.number, *_refusal(spec, known))
            self.refused.append((spec, problem))

    def report_refused(self) -> None:
        """Report the packages that neither convert nor are named for pip; an export of a whole environment once."""
        named_for_pip = {*self.substitutes.names, *(required_name(line.text) for line in self.pip)}
        refused = [each for each in self.refused if normalize_name(each[0].name) not in named_for_pip]
        exported = [spec.name for spec, _ in refused if _is_exported(spec)]
        if len(exported) < _FEWEST_OF_EXPORT:
            self.problems += [problem for _, problem in refused]
            return
        named = ", ".join(shown(name) for name in exported[:_MOST_NAMED])
        what = (
            f"is an export of a whole environment: {len(exported)} of its packages do not convert "
            f"({named} and {len(exported) - _MOST_NAMED} more)"
        )
        stem, ending = posixpath.splitext(self.path)
        fix = (
            f"conda env export --from-history > {stem}-named{ending}\n"
            "It lists what was named when it was installed. Add the pip part, which it leaves out, and name that file."
        )
        self.add(self.line("dependencies"), what, fix)
        self.problems += [problem for spec, problem in refused if not _is_exported(spec)]

    def warn(self) -> None:
        """Say what is left out."""
        for lines, what in (
            (self.builds, "pip knows no builds, so they are left out"),
            (self.pip_versions, "the base's own pip installs the packages, so this version is left out"),
            (self.of_base, "the base's CUDA is used, so this is left out"),
        ):
            if lines:
                more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
                self.left_out(lines[0].number, f"{what}: {lines[0].text}{more}")


def required_name(requirement: str) -> str:
    """Return the normalized name of the package that *requirement* begins with; "" if it is none."""
    name = re.match(r"[A-Za-z0-9._-]*", requirement.strip())
    return normalize_name(name[0]) if name else ""


def _is_exported(spec: CondaSpec) -> bool:
    """Return whether a package looks exported: it names a build, or it is a library that hardly anybody lists."""
    return bool(spec.build.strip("*")) or is_library(spec.name)


def _version(spec: CondaSpec) -> str:
    is_exact = re.fullmatch(r"==\d+(\.\d+)*", spec.version)
    return f"{spec.version}.*" if is_exact and spec.name in LONGER_VERSIONS else spec.version


def _refusal(spec: CondaSpec, known: Advice | None) -> tuple[str, str]:
    name = shown(spec.name)
    if known:
        return f'"{name}" {known.what}', known.fix
    version = spec.version.removeprefix("==") if spec.version.startswith("==") else ""
    conda = f"{name}={version.removesuffix('.*')}" if version else name
    channel = f' of the channel "{shown(spec.channel)}"' if spec.channel else ""
    what = f'"{name}"{channel} is not on the list of conda packages that are the same project on PyPI'
    return what, (
        f'If PyPI has the same project, name it in the table: pip = ["{name}{spec.version}"]\n'
        'or install it with the base\'s conda: a [[tool.azureml-image.run]] with after = "apt" and\n'
        f"command = 'conda install --yes --prefix \"$AZUREML_CONDA_ENVIRONMENT_PATH\" {conda}'\n"
        "or leave this line out"
    )


def _from_project(line: str, folder: str) -> str:
    """Return a line for pip, whose working folder is the project; for conda it is *folder*, that of the file."""
    wheel = _WHEEL.match(line)
    if not wheel or not folder or "://" in line:
        return line
    path = posixpath.normpath(posixpath.join(folder, wheel["path"]))
    return f"{'' if path.startswith(('/', '..')) else './'}{path}{line[wheel.end() :]}"
