"""Collections of our tasks, each bound to its own configuration."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from copy import copy
from functools import wraps
from inspect import Parameter, Signature
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.tasks import Task

from azureml_tasks.cli.command_words import (
    refuse_missing_value,
    unwanted_command,
    words_after_dashes,
    words_before_dashes,
)
from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.cli.flags import FLAGS
from azureml_tasks.cli.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from invoke.context import Context

    from azureml_tasks.cli.exit_handling import Messages
    from azureml_tasks.cli.json_output import Collected
    from azureml_tasks.cli.tasks import TaskSpec

_DEFAULT_TASK = "check"
_INSTALLED_IN = Path(__file__).resolve().parents[2]


class BoundTask(Task[Any]):
    """A task of one collection.

    Invoke runs equal tasks once (`Executor.dedupe`). Tasks of two collections are equal only if their configuration is.

    Args:
        spec: what the task does.
        name: of its collection.
        configuration: that its collection was made with.
        program: name of the program whose only tasks these are; "" for Invoke's own, which reads a `tasks.py`.
    """

    def __init__(
        self, spec: TaskSpec, name: str, configuration: Mapping[str, Any], program: str = ""
    ) -> None:
        self.configuration = dict(configuration)
        super().__init__(
            _body(spec, name, self.configuration, program),
            name=spec.name,
            default=spec.name == _DEFAULT_TASK,
            auto_shortflags=False,
            iterable=[_parameter(name) for name in spec.flags if FLAGS[name].is_repeated],
            help={name: spec.help_of(name) for name in spec.flags},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundTask):
            return False
        return (self.name, self.configuration) == (other.name, other.configuration)

    def __hash__(self) -> int:
        return hash(self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundTask:
        """Return a shallow copy: Invoke copies each task of a collection, and nothing changes what a task holds."""
        clone = copy(self)
        memo[id(self)] = clone
        return clone


def collection(
    name: str = "image",
    *,
    project: str | None = None,
    image: str | None = None,
    engine: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tags: Sequence[str] | None = None,
    no_cache: bool | None = None,
    pull: bool | None = None,
) -> Collection:
    """Return a collection of our tasks that is bound to a configuration.

    A flag, an environment variable and Invoke's configuration take precedence over what is given here, and this over
    the table.

    Args:
        name: of the collection, which commands in messages are spelled with.
        project: folder of the project, relative to that of `tasks.py`.
        image: one of the table's images; all if it is left out.
        engine: "docker", "acr" or "auto".
        base: image reference to extend.
        registry: login server.
        tags: of the image.
        no_cache: build every step again.
        pull: pull a newer base before each build.
    """
    options = {
        "project": project,
        "image": image,
        "engine": engine,
        "base": base,
        "registry": registry,
        "tags": list(tags) if tags is not None else None,
        "no_cache": no_cache,
        "pull": pull,
    }
    configuration = {option: value for option, value in options.items() if value is not None}
    tasks = Collection(name)
    for spec in TASKS:
        tasks.add_task(BoundTask(spec, name, configuration))
    return tasks


def _body(spec: TaskSpec, name: str, configuration: Mapping[str, Any], program: str) -> Callable[..., None]:
    """Return the function that Invoke calls: its signature is the task's flags."""

    @_importing_what_is_installed
    def body(context: Context, **flags: Any) -> None:
        prefix, is_typed = (
            (f"{program} ", True) if program else _task_prefix(context, spec.name, name, configuration)
        )
        with exit_on_error(prefix) as messages, _collecting(spec, flags, messages) as collected:
            from azureml_tasks.cli.options import resolve

            if is_typed:
                refuse_missing_value(flag for flag in spec.flags if FLAGS[flag].is_repeated)
            run = resolve(
                context,
                spec.name,
                {flag: flags.get(_parameter(flag)) for flag in spec.flags},
                bound=configuration,
                task_prefix=prefix,
                flags_from=Path.cwd() if is_typed else None,
                collected=collected,
            )
            messages.spell, messages.project = run.console.spell, run.context.folder
            if program:
                from azureml_tasks.cli.unread_options import warn_of_unread_options

                warn_of_unread_options(run, program)
            command = words_after_dashes()
            if command and not spec.takes_command and is_typed and not _may_take_command(context):
                raise unwanted_command(spec.name, command)
            spec.run(run._replace(command=command))

    body.__name__, body.__doc__ = spec.body.__name__, spec.body.__doc__
    parameters = [
        Parameter(
            _parameter(flag),
            Parameter.POSITIONAL_OR_KEYWORD,
            default=False if FLAGS[flag].is_switch else None,
        )
        for flag in spec.flags
    ]
    signature = Signature([Parameter("context", Parameter.POSITIONAL_OR_KEYWORD), *parameters])
    body.__signature__ = signature  # type: ignore[attr-defined]  # inspect.signature reads it
    return body


def _collecting(
    spec: TaskSpec, flags: Mapping[str, Any], messages: Messages
) -> AbstractContextManager[Collected | None]:
    """Return what collects and prints a task's output with `--json`; nothing without it."""
    if not ("json" in spec.flags and flags.get("json")):
        return nullcontext()
    from azureml_tasks.cli.json_output import printed_as_json

    return printed_as_json(spec.name, messages)


def _parameter(flag: str) -> str:
    """Return the parameter that is *flag* for Invoke, which leaves the underscore at the end of `from_` out."""
    name = flag.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


def _importing_what_is_installed(body: Callable[..., None]) -> Callable[..., None]:
    """Let *body* import nothing from the folder of `tasks.py`, which Invoke puts before what is installed.

    With `code = "."` a module of the project could have the name of one that we import. Where this package itself lies
    in that folder, what it imports may lie there, too.
    """

    @wraps(body)
    def guarded(context: Context, **flags: Any) -> None:
        module = sys.modules.get(context.config.tasks.collection_name)
        folder = str(Path(module.__file__).parent) if module and module.__file__ else ""
        if sys.path[:1] != [folder] or Path(folder).resolve() == _INSTALLED_IN:
            body(context, **flags)
            return
        sys.path.remove(folder)
        try:
            body(context, **flags)
        finally:
            sys.path.insert(0, folder)

    return guarded


def _task_prefix(
    context: Context, task: str, name: str, configuration: Mapping[str, Any]
) -> tuple[str, bool]:
    """Return what to type before the name of *task*, such as "invoke serving.", and whether it was typed itself.

    It runs without being typed as `pre=` of another task, or if another task calls it. A typed word of the same name
    may be a task of another collection, or the user's own.
    """
    root = _root(context)
    if not root:  # Nothing but the words tells what was typed.
        words = [word for word in words_before_dashes() if _last(word) == task]
        return _before(f"{name}.{task}" if f"{name}.{task}" in words or not words else words[0]), bool(words)

    def is_own(word: str) -> bool:
        named = _task_of(root, word)
        return isinstance(named, BoundTask) and (named.name, named.configuration) == (task, configuration)

    typed = [root.transform(word) for word in _typed_tasks(root) if is_own(word)]
    places = [place for place in root.task_names if _last(place) == task and is_own(place)]
    # What was typed may be a collection, whose default task this is.
    as_typed = [place for word in typed for place in places if f"{place}.".startswith(f"{word}.")]
    return _before([*as_typed, *places, f"{name}.{task}"][0]), bool(typed)


def _may_take_command(context: Context) -> bool:
    """Return whether a task that was typed runs the words after `--`, or may: what the user's own do is not known."""
    root = _root(context)
    takers = {spec.name for spec in TASKS if spec.takes_command}
    if not root:
        return any(_last(word) in takers for word in words_before_dashes())
    tasks = [_task_of(root, word) for word in _typed_tasks(root)]
    return any(not isinstance(task, BoundTask) or task.name in takers for task in tasks)


def _last(word: str) -> str:
    return word.rpartition(".")[2].replace("_", "-")


def _before(word: str) -> str:
    return f"invoke {word[: word.rfind('.') + 1]}"


def _root(context: Context) -> Collection | None:
    """Return the collection of the user's `tasks.py`, or of the module that `invoke -c` names; None if there is none.

    Invoke keeps the module that it has loaded among Python's own (invoke/loader.py, `Loader.load`).
    """
    names = [context.config.tasks.collection_name, *words_before_dashes()]
    module = next((sys.modules[name] for name in names if name in sys.modules), None)
    root = Collection.from_module(module) if module else None
    return root if root and root.task_names else None


def _typed_tasks(root: Collection) -> list[str]:
    """Return the names of tasks that were typed, or that of the default task if there are none."""
    words = [word for word in words_before_dashes() if _task_of(root, word)]
    return words or [root.default] if root.default else words


def _task_of(root: Collection, word: str) -> Task[Any] | None:
    try:
        task: Task[Any] = root[word]
    except (KeyError, ValueError):  # A collection without a default task raises the latter.
        return None
    return task
