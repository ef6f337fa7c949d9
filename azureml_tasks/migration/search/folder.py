"""With no file named: look in the project's folder for what tells what the image is made of.

A deployment names all of it; without one an environment or a Dockerfile does, with the script, and without these the
files that list packages, the script and the model. What is of one kind and fits together is read; where several files
could be meant, a question is asked.
"""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.migration.dockerfile.source import read_dockerfile
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.reading import Kind, Source
from azureml_tasks.migration.search.candidates import candidates
from azureml_tasks.migration.search.first_request import nearest_first
from azureml_tasks.migration.search.folder_files import MOST_ENTRIES, folder_files
from azureml_tasks.migration.search.model_candidates import model_candidates
from azureml_tasks.migration.search.named_files import builds, copies, lacks_script, names_file
from azureml_tasks.migration.search.package_lists import package_lists
from azureml_tasks.project.entry_script import parse_script
from azureml_tasks.project.joined_names import joined_names
from azureml_tasks.project.paths import kind_of, leaves
from azureml_tasks.project.script_calls import takes_mini_batch
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azureml_tasks.migration.search.candidates import Candidates
    from azureml_tasks.migration.surroundings import Surroundings

_MOST_CHOICES = 20
_MOST_SHOWN = 3
_MOST_JOINED = 100
_MOST_MODELS = 200
_LARGEST_REQUIREMENTS = 1_000_000  # bytes
_NOTHING = (
    "Name what you have, and what it extends:\n"
    "invoke image.init --from FILE --base minimal-py312-inference\n"
    "FILE is a deployment or an environment as YAML, a Dockerfile, a conda or requirements file, a script with init() "
    "and run(), or a model."
)


class PassedOver(NamedTuple):
    """A file that was seen and is not read, unless one of the sources names it.

    Args:
        name: of the file.
        why: the reason.
        kind: what it is; None if that is not known.
    """

    name: str
    why: str
    kind: Kind | None = None


class Search(NamedTuple):
    """What a search leads to.

    Args:
        sources: to read, in the order in which their values are joined.
        questions: each of them leads to at most one more source.
        passed_over: for the report. A file of it may be read all the same, because a source names it.
    """

    sources: tuple[Source, ...]
    questions: tuple[Question, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()


def search(surroundings: Surroundings) -> Search:
    """Search the project's folder.

    Raises:
        SettingsError: nothing in it tells what the image is made of.
    """
    files = folder_files(surroundings.folder)
    all_of_them = candidates(surroundings.folder, files)
    models = model_candidates(files.names, all_of_them.mlflow)
    searching = _Searching(surroundings, all_of_them, models)
    searching.search()
    passed_over = [PassedOver(name, why) for name, why in all_of_them.aside.items()]
    if files.is_cut or all_of_them.is_cut:
        why = f"it has more than {MOST_ENTRIES:,} files, very large or very deep ones: the rest was not looked at"
        passed_over.append(PassedOver(".", why))
    if not searching.sources and not searching.questions:
        raise SettingsError([Problem("init", 0, _nothing(passed_over), _NOTHING)])
    return Search(
        sources=tuple(searching.sources),
        questions=tuple(searching.questions),
        passed_over=tuple(dict.fromkeys([*searching.passed_over, *passed_over])),
    )


class _Searching:
    """What is decided so far."""

    def __init__(self, surroundings: Surroundings, all_of_them: Candidates, models: Sequence[str]) -> None:
        self.surroundings, self.folder = surroundings, surroundings.folder
        self.candidates, self.models = all_of_them, models
        self.sources: list[Source] = []
        self.questions: list[Question] = []
        self.passed_over: list[PassedOver] = []

    def search(self) -> None:
        """Decide what is read, from what tells most to what tells least."""
        if deployments := self.candidates.of(Kind.DEPLOYMENT):
            self.deployments(deployments)
            return
        maker = self.maker()
        if maker is None:
            self.packages()
            self.packages_of_mlflow()
        script = self.script(maker)
        self.model(maker, script)
        if script is None or not _takes_mini_batch(script):
            self.request(script.name if script else "")

    def deployments(self, deployments: Sequence[Source]) -> None:
        """Take the only deployment, which names the rest, or ask which one."""
        what = "deployments of Azure ML are here"
        deployment = self.one_of(deployments, "deployment", what, "Which one is this image for?")
        scripts = self.candidates.of(Kind.SCRIPT) if deployment and lacks_script(deployment) else ()
        if deployment and scripts:
            what = f"scripts define init() and run(), and {deployment.name} has a placeholder for one"
            self.one_of(scripts, "entry-script", what, "Which one answers?")
        self.pass_over_others("a deployment names what its image is made of", with_scripts=not scripts)
        if deployment and not _is_batch(deployment):
            self.request(deployment.name)

    def one_of(self, sources: Sequence[Source], subject: str, what: str, asks: str) -> Source | None:
        """Take the only one of *sources*, or ask which one; return it if it is known."""
        if len(sources) == 1:
            self.sources.append(sources[0])
            return sources[0]
        if sources:
            self.ask([source.name for source in sources], subject, what, asks)
        return None

    def ask(self, names: Sequence[str], subject: str, what: str, asks: str, *, none: str = "") -> None:
        """Ask which one of *names* is meant."""
        choices = [Choice(name, ("--from", name)) for name in names[:_MOST_CHOICES]]
        choices += [Choice(none, ())] if none else []
        self.questions.append(Question(subject, f"{len(names)} {what}", asks, tuple(choices)))

    def pass_over(self, sources: Iterable[Source], why: str) -> None:
        self.passed_over += [PassedOver(source.name, why, source.kind) for source in sources]

    def pass_over_others(self, why: str, *, with_scripts: bool) -> None:
        """Say of everything that could be a source why it is none."""
        for kind in (Kind.ENVIRONMENT, Kind.DOCKERFILE, Kind.CONDA, Kind.REQUIREMENTS):
            self.pass_over(self.candidates.of(kind), why)
        self.pass_over(self.candidates.of(Kind.SCRIPT) if with_scripts else (), why)
        self.passed_over += [PassedOver(model, why) for model in self.models]

    def maker(self) -> Source | None:
        """Decide which environment or Dockerfile says what the image is made of; None if there is none."""
        environments, dockerfiles = self.candidates.of(Kind.ENVIRONMENT), self.candidates.of(Kind.DOCKERFILE)
        named = [
            each
            for each in dockerfiles
            if any(builds(environment, each.name) for environment in environments)
        ]
        makers = [*environments, *(each for each in dockerfiles if each not in named)]
        if not makers:
            return None
        what = "files say what an image is made of"
        maker = self.one_of(makers, "image", what, "Which one is this image's?") or makers[0]
        for kind in (Kind.CONDA, Kind.REQUIREMENTS):
            unnamed = [each for each in self.candidates.of(kind) if not names_file(maker, each.name)]
            self.pass_over(unnamed, f"{maker.name} does not name it")
        return maker

    def packages(self) -> None:
        """Decide which files list the packages."""
        lists, dropped = package_lists(self.candidates)
        self.passed_over += [PassedOver(source.name, why) for source, why in dropped]
        what = "files list packages, and none of them includes the other"
        self.one_of(lists, "packages", what, "Which one lists those of the image?")

    def packages_of_mlflow(self) -> None:
        """Take the packages that an MLflow model was saved with, if nothing else lists any."""
        if (
            self.sources
            or self.questions
            or len(self.models) != 1
            or self.models[0] not in self.candidates.mlflow
        ):
            return
        name = f"{self.models[0]}/requirements.txt"
        path = self.folder / name
        if kind_of(path) == "file" and not leaves(self.folder, path):
            with suppress(FileNotFoundError, UnreadableFile):
                text = read_text(path, coding_lines=True, largest=_LARGEST_REQUIREMENTS)
                self.sources.append(Source(path=path.resolve(), name=name, kind=Kind.REQUIREMENTS, text=text))

    def script(self, maker: Source | None) -> Source | None:
        """Decide which script answers; return it if it is known."""
        scripts = self.candidates.of(Kind.SCRIPT)
        if maker and maker.kind is Kind.DOCKERFILE:
            copied = [script for script in scripts if copies(maker, script.name)]
            if copied:
                self.pass_over(scripts, f"{maker.name} copies the code")
                return copied[0] if len(copied) == 1 else None
        if scripts and (line := self.line_that_copies("code")):
            self.pass_over(scripts, f"{line} copies the code")
            return None
        return self.one_of(scripts, "entry-script", "scripts define init() and run()", "Which one answers?")

    def model(self, maker: Source | None, script: Source | None) -> None:
        """Decide which model is a part of the image: the one that a Dockerfile copies, else what looks like one."""
        models = list(self.models)
        if models and (line := self.line_that_copies("model")):
            self.passed_over += [PassedOver(model, f"{line} copies the model") for model in models]
            return
        if maker and maker.kind is Kind.DOCKERFILE:
            copied = [model for model in models if copies(maker, model)]
            self.passed_over += [
                PassedOver(model, f"{maker.name} copies it or a part of it") for model in copied
            ]
            models = [model for model in models if model not in copied]
        if len(models) > 1 and script:
            names = joined_names(script.text.encode("utf-8", "surrogatepass"))[:_MOST_JOINED]
            paths = [posixpath.normpath(each.path) for each in names]
            models = [model for model in models[:_MOST_MODELS] if self.is_joined(model, paths)] or models
        if len(models) == 1:
            name = models[0]
            self.sources.append(Source(path=(self.folder / name).resolve(), name=name, kind=Kind.MODEL))
        elif models:
            what, none = "files and folders look like models", "none: Azure ML mounts a registered model"
            self.ask(models, "model", what, "Which one becomes a part of the image?", none=none)

    def line_that_copies(self, key: str) -> str:
        """Return the line of a Dockerfile that gives "code" or "model", as FILE:LINE; "" if there is none."""
        readings = (read_dockerfile(each, self.surroundings) for each in self.candidates.of(Kind.DOCKERFILE))
        values = (value for reading in readings for value in reading.values)
        return next((each.where for each in values if each.place == (key,)), "")

    def is_joined(self, model: str, paths: Sequence[str]) -> bool:
        """Return whether a model holds one of *paths*, which a script joins to AZUREML_MODEL_DIR."""
        base = posixpath.basename(model)
        for path in paths:
            first, _, rest = path.partition("/")
            if path.startswith(("..", "/")):
                continue
            if first == base and (not rest or kind_of(self.folder / model / rest)):
                return True
            if kind_of(self.folder / model / path):
                return True
        return False

    def request(self, script: str) -> None:
        """Take the sample request that is nearest to the script, by its folder and its name."""
        requests = self.candidates.of(Kind.REQUEST)
        requests = tuple(each for each in requests if not self.is_in_model(each.name))
        if not requests:
            return
        nearest, *others = nearest_first(requests, script)
        self.sources.append(nearest)
        self.pass_over(
            others, f"{nearest.name} is the first request; others can be added to smoke-test.requests"
        )

    def is_in_model(self, name: str) -> bool:
        return any(name.startswith(f"{model}/") for model in self.models)


def _nothing(passed_over: Sequence[PassedOver]) -> str:
    """Return that nothing was found, and what the files are that were looked at."""
    what = "nothing in this folder tells what the image is made of"
    seen = [f"{each.name} {each.why}" for each in passed_over[:_MOST_SHOWN] if each.name != "."]
    return f"{what} ({'; '.join(seen)})" if seen else what


def _is_batch(deployment: Source) -> bool:
    return re.search(r"batchDeployment", deployment.text, re.IGNORECASE) is not None


def _takes_mini_batch(script: Source) -> bool:
    tree = parse_script(script.text.encode("utf-8", "surrogatepass"))
    return tree is not None and takes_mini_batch(tree)
