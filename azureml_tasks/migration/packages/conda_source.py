"""A conda file. The table names it, unless `image.check` would refuse one of its lines: then what converts remains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.config.validators import PIP, VALUE_OF_VARIABLE, VARIABLE
from azureml_tasks.config.yaml_document import LARGEST_YAML, parse
from azureml_tasks.migration.line_ranges import Fate, source_lines, whole_text
from azureml_tasks.migration.packages.pip_lines import as_pip_items, look_at
from azureml_tasks.migration.reading import Outcome, Reading, Value
from azureml_tasks.project import base_images
from azureml_tasks.requirements.conda import Substitutes, read_conda
from azureml_tasks.requirements.conda_names import advice, is_known_channel, pypi_name
from azureml_tasks.requirements.conda_spec import CondaSpec, SpecError, parse_spec
from azureml_tasks.requirements.wanted_python import accepts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.config.yaml_document import YamlDocument
    from azureml_tasks.errors import Problem
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings
    from azureml_tasks.requirements.conda import CondaFile

_PYTHON = "the base has its Python, which image.check compares with this line"
_SAME_PYTHON = "the base has this Python"
_ANY_PYTHON = "the base has a Python of its own, which nothing compares with this line"
_PIP = "the base's own pip installs the packages"
_ONLY_CONDA = "only conda uses it"
_LONGEST_WHY = 1_000  # characters
_WORST_FIRST = (Outcome.LEFT_OVER, Outcome.CHANGED, Outcome.KEY, Outcome.DEPLOYMENT, Outcome.NOT_NEEDED)


class _Package(NamedTuple):
    """A package of conda, and its line."""

    line: int
    spec: CondaSpec


def read_conda_source(source: Source, surroundings: Surroundings, base: Reference | None = None) -> Reading:
    """Return the keys that install what a conda file lists.

    Args:
        source: the conda file.
        surroundings: of the project.
        base: the image to extend, if it is known: its name may tell its Python, and whether it has CUDA.
    """
    if len(source.text.encode("utf-8", "surrogatepass")) > LARGEST_YAML:
        return _left_over(source, f"it is larger than {LARGEST_YAML / 1e6:.0f} MB")
    document, _ = parse(source.text, source.name)
    reading = _Reading(source, surroundings, base, document)
    return reading.read()


def _left_over(source: Source, why: str) -> Reading:
    return Reading(source=source, lines=whole_text(source.text, Fate(Outcome.LEFT_OVER, why), source.name))


class _Reading:
    """What is read of a conda file so far."""

    def __init__(
        self,
        source: Source,
        surroundings: Surroundings,
        base: Reference | None,
        document: YamlDocument | None,
    ) -> None:
        self.source, self.surroundings, self.base, self.document = source, surroundings, base, document
        self.packages = list(_packages(document)) if document else []
        self.values: list[Value] = []
        self.fates: dict[int, Fate] = {}

    def read(self) -> Reading:
        """Read the whole file."""
        has_cuda = self.base is not None and "cuda" in self.base.repository
        apt = {
            each.line: known.apt for each in self.packages if (known := advice(each.spec.name)) and known.apt
        }
        substitutes = Substitutes(apt=frozenset(apt.values()), has_cuda=has_cuda)
        file, problems = read_conda(self.source.name, self.source.text, substitutes)
        if whole := [problem for problem in problems if not problem.line] or (not self.document and problems):
            return _left_over(self.source, _sentence(whole[0]))
        looked = look_at(self.source, file.pip_text, self.surroundings)
        self.say_of_lines(has_cuda=has_cuda)
        self.take_variables()
        for line, name in apt.items():
            self.add(("apt",), [name], line)
            self.say(
                line,
                Fate(Outcome.CHANGED, f"apt = {as_written([name])}: Debian's package in place of conda's"),
            )
        wrong_python = self.say_of_python(file)
        if problems or looked.problems or wrong_python:
            self.take_lines(file, problems)
            self.say_that_nothing_compares(file)
            items = as_pip_items(self.source, file.pip_text, looked)
            self.values += items.values
            for number in dict.fromkeys(line.number for line in file.pip):
                if fate := items.fates.get(number):
                    self.say(number, fate)
            usual = Fate(Outcome.NOT_NEEDED, _ONLY_CONDA)
        else:
            self.add(("conda",), self.source.name, 1)
            usual = Fate(Outcome.KEY, f'conda = "{self.source.name}"{_converted(len(file.packages))}')
        return Reading(
            source=self.source,
            values=tuple(sorted(self.values, key=lambda value: value.line)),
            lines=source_lines(self.source.text, usual, self.fates)
            or whole_text("", usual, self.source.name),
        )

    def add(self, place: tuple[str, ...], value: Any, line: int) -> None:
        self.values.append(Value(place=place, value=value, file=self.source.name, line=line))

    def say(self, line: int, fate: Fate) -> None:
        """Note what became of a line, or of one more item of it: the worse of the two outcomes counts."""
        other = self.fates.get(line)
        if other and other != fate:
            worse, better = sorted((other, fate), key=lambda each: _WORST_FIRST.index(each.outcome))
            fate = Fate(worse.outcome, f"{worse.why}; {better.why}"[:_LONGEST_WHY])
        self.fates[line] = fate

    def say_of_lines(self, *, has_cuda: bool) -> None:
        """Note what differs of lines that convert, and what conda alone uses."""
        for line, spec in self.packages:
            known = advice(spec.name)
            if spec.name == "pip" and spec.version:
                self.say(line, Fate(Outcome.NOT_NEEDED, _PIP))
            elif known and known.is_gpu and has_cuda:
                self.say(line, Fate(Outcome.NOT_NEEDED, "the base brings CUDA"))
            elif spec.build.strip("*") and pypi_name(spec.channel, spec.name):
                self.say(
                    line, Fate(Outcome.CHANGED, f"pip knows no builds: {spec.name} without {spec.build}")
                )
        value = self.value()
        channels = value.get("channels")
        for index, channel in enumerate(channels if isinstance(channels, list) else ()):
            if isinstance(channel, str) and not is_known_channel(channel):
                why = "pip does not look for packages in this channel"
                self.say(self.line("channels", index), Fate(Outcome.CHANGED, why))

    def say_of_python(self, file: CondaFile) -> bool:
        """Note which Python the file wants; return whether the base is known to have another one."""
        python = base_images.named_python(self.base) if self.base else None
        is_wrong = False
        for wanted in file.pythons:
            if self.base and python and not accepts(wanted, python):
                is_wrong = True
                problem = base_images.python_problem(wanted, self.base, python)
                why = f"{problem.what}. {', '.join(problem.fix.splitlines())}"
                self.say(wanted.line, Fate(Outcome.CHANGED, why))
            else:
                self.say(wanted.line, Fate(Outcome.NOT_NEEDED, _PYTHON))
        return is_wrong

    def say_that_nothing_compares(self, file: CondaFile) -> None:
        """Note of each Python that the table does not name the file, so that a check does not look at this line."""
        known = self.base is not None and base_images.named_python(self.base)
        fate = Fate(Outcome.NOT_NEEDED, _SAME_PYTHON) if known else Fate(Outcome.CHANGED, _ANY_PYTHON)
        for wanted in file.pythons:
            if self.fates[wanted.line] == Fate(Outcome.NOT_NEEDED, _PYTHON):
                self.fates[wanted.line] = fate

    def take_variables(self) -> None:
        """Take the variables, which only conda would set, into `env`."""
        variables = self.value().get("variables")
        for name, value in variables.items() if isinstance(variables, dict) else ():
            line = self.line("variables", name)
            text = str(value).replace("$", "$$")
            is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
            if is_plain and not VARIABLE.error(name) and not VALUE_OF_VARIABLE.error(text):
                self.add(("env",), {name: text}, line)
                self.say(line, Fate(Outcome.KEY, f"env = {{ {name} = {as_written(text)} }}"))
            else:
                self.say(line, Fate(Outcome.LEFT_OVER, "the key env takes a name and a text of one line"))

    def take_lines(self, file: CondaFile, problems: Sequence[Problem]) -> None:
        """Take the packages that convert into `pip`; the others are left over, each with its reason."""
        for problem in problems:
            self.say(problem.line, Fate(Outcome.LEFT_OVER, _sentence(problem)))
        for line, requirement in file.packages:
            if error := PIP.error(requirement):
                self.say(line, Fate(Outcome.LEFT_OVER, f'"{requirement}" {error}'))
            else:
                self.add(("pip",), [requirement], line)
                self.say(line, Fate(Outcome.KEY, f"pip = {as_written([requirement])}"))
        converted = {line for line, _ in file.packages}
        for line, spec in self.packages:
            if line not in converted and line not in self.fates and spec.name not in ("pip", "python"):
                self.say(line, Fate(Outcome.LEFT_OVER, "it does not convert"))

    def value(self) -> Mapping[str, Any]:
        """Return the document, a mapping."""
        value = self.document.value if self.document else None
        return value if isinstance(value, dict) else {}

    def line(self, *place: str | int) -> int:
        return self.document.lines[place] if self.document else 0


def _packages(document: YamlDocument) -> Iterator[_Package]:
    """Yield the packages of conda that can be parsed, with their lines."""
    value = document.value
    dependencies = value.get("dependencies") if isinstance(value, dict) else None
    for index, dependency in enumerate(dependencies if isinstance(dependencies, list) else ()):
        if isinstance(dependency, str):
            try:
                yield _Package(document.lines[("dependencies", index)], parse_spec(dependency))
            except SpecError:
                continue  # Its line has a problem.


def _converted(count: int) -> str:
    if not count:
        return ""
    return f": {count} package{'s' if count > 1 else ''} of conda become{'s' if count == 1 else ''} pip's"


def _sentence(problem: Problem) -> str:
    fix = problem.fix.partition("\n")[0]
    what = problem.what if problem.line else f"it {problem.what}"
    return f"{what}. {fix}" if fix else what
