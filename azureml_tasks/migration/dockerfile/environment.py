"""ENV and ARG of a Dockerfile in terms of the keys `env` and `entry-script`."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.config.variable_references import names
from azureml_tasks.migration.dockerfile.pip_commands import changes_pip
from azureml_tasks.migration.dockerfile.words import (
    UnknownValueError,
    expanded,
    is_plain,
    name_values,
    plain,
)
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.planning.plan import MODEL_DIR
from azureml_tasks.project.cross_checks import names_secret
from azureml_tasks.project.dockerfile_text import words_of

if TYPE_CHECKING:
    from azureml_tasks.migration.dockerfile.command import Server
    from azureml_tasks.migration.dockerfile.copies import Places
    from azureml_tasks.migration.dockerfile.stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_OF_ENVIRONMENT = (
    "AZUREML_CONDA_DEFAULT_ENVIRONMENT", "AZUREML_CONDA_ENVIRONMENT_PATH", "CONDA_DEFAULT_ENV", "CONDA_PREFIX",
    "LD_LIBRARY_PATH", "PATH",
)  # fmt: skip
"""Variables that name an environment of conda."""
_OF_BUILD = re.compile(
    r"https?_proxy|all_proxy|no_proxy|CMAKE_ARGS|CFLAGS|CXXFLAGS|LDFLAGS|CC|CXX|FORCE_CMAKE", re.IGNORECASE
)
"""Variables that change what pip and apt install, besides those of pip."""
_WITHOUT = "pip and apt of the build run without it"
_AT_START = "AZUREML_EXTRA_"
"""Variables by which an inference image installs packages when it starts: azureml_tasks/project/base_images.py."""
_SURE = ("AZUREML_CONDA_ENVIRONMENT_PATH", "PATH")
"""Variables that each base of the table sets."""
_OF_PLATFORM = {
    "TARGETPLATFORM": "linux/amd64",
    "TARGETOS": "linux",
    "TARGETARCH": "amd64",
    "TARGETVARIANT": "",
}
"""Arguments that BuildKit sets, for the default platform:
https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope."""
_MOST_VARIABLES = 1_000
_LOGIN = re.compile(r"://[^/\s@]+:[^/\s@]+@")
_SECRET = "it looks like a secret, which everybody who has the image can read: set it on the deployment"  # noqa: S105 -- a message


def read_env(stage: Stage, instruction: Instruction) -> None:
    """Note what an ENV sets. All values of one instruction are those from before it."""
    line = instruction.line
    pairs = name_values(instruction.arguments)
    if not pairs:
        stage.left_over(line, "it has no name and value")
        return
    read = {name: _env_value(stage, line, name, word) for name, word in pairs}
    values = {name: value for name, value in read.items() if value is not None}
    if len(stage.env) + len(values) > _MOST_VARIABLES:
        stage.left_over(line, f"more than {_MOST_VARIABLES:,} variables are not read")
        return
    for name, value in values.items():
        if name in stage.env_lines and stage.env_lines[name] != line:
            part = name in names(word_of(pairs, name))
            why = f"part of what line {line} sets" if part else f"line {line} sets {name} again"
            earlier = stage.env_lines[name]
            if _is_missing(stage, name, stage.env[name], earlier) and stage.env[name] != value:
                stage.note(earlier, Outcome.CHANGED, f"{why}; {_WITHOUT}")
            else:
                stage.note(earlier, Outcome.NOT_NEEDED, why)
        if name == "PATH" and not value.startswith(("$PATH", "${PATH}")):
            stage.path_lines.append(line)
        stage.env[name] = value
        stage.env_lines[name] = line


def _is_missing(stage: Stage, name: str, value: str, line: int) -> bool:
    """Return whether a variable of *line* changes what an installation after it installs, and that runs without it."""
    is_read = changes_pip(name) or _OF_BUILD.fullmatch(name) is not None
    return bool(value) and is_read and any(each > line for _, each in stage.steps)


def _env_value(stage: Stage, line: int, name: str, word: str) -> str | None:
    """Return the value of a variable; None if the table cannot say it, which is left over."""
    try:
        value = expanded(word, stage.value_of, stage.escape)
    except UnknownValueError as error:
        stage.left_over(line, f"{name}: {error.why}")
        return None
    if "{{" in value:
        why = "a placeholder"
    elif _LOGIN.search(value):
        why = 'it has a login: for a private index, write secrets = ["netrc"] or ["pip-conf"]'
    elif names_secret(name) and value:
        why = _SECRET
    elif validators.VARIABLE.error(name) or validators.VALUE_OF_VARIABLE.error(value):
        why = "the table has no such name or value"
    else:
        return value
    stage.left_over(line, f"{name}: {why}")
    return None


def word_of(pairs: list[tuple[str, str]], name: str) -> str:
    """Return the word that an ENV gives to *name*."""
    return next((word for each, word in pairs if each == name), "")


def read_arg(stage: Stage, instruction: Instruction, outer: dict[str, str]) -> None:
    """Note the arguments that an ARG declares: a build here passes none, so each has its default.

    Args:
        stage: the image.
        instruction: after FROM.
        outer: arguments that are declared before the first FROM.
    """
    line = instruction.line
    for word in words_of(instruction.arguments):
        name, sign, default = word.partition("=")
        try:
            value = expanded(default, stage.value_of, stage.escape) if sign else outer.get(name)
            value = _OF_PLATFORM.get(name) if value is None else value
        except UnknownValueError as error:
            stage.left_over(line, f"{name}: {error.why}")
            continue
        if value and names_secret(name):
            stage.left_over(line, f"{name}: {_SECRET}")
        elif value is None:
            hint = ": give a secret to a build by the key secrets" if names_secret(name) else ""
            stage.arguments[name] = ""
            stage.unset.add(name)
            stage.left_over(line, f"{name} has no default, and a build here passes no argument{hint}")
        else:
            stage.arguments[name] = value
            stage.argument_lines[name] = line
            stage.note(line, Outcome.NOT_NEEDED, f"a build here passes no argument, so {name} is its default")


def decide_env(stage: Stage, places: Places, server: Server) -> None:
    """Say what became of each variable."""
    script = _script(stage, places, server)
    _note_arguments(stage)
    moved = places.code if places.has_code and places.code != stage.app_root else ""
    for name, value in stage.env.items():
        line = stage.env_lines[name]
        if name == "AZUREML_ENTRY_SCRIPT" and (script or _names_script(stage, places, value)):
            continue
        if name == "AZUREML_MODEL_DIR" and places.has_model:
            outcome = Outcome.KEY if places.model == MODEL_DIR else Outcome.CHANGED
            stage.note(line, outcome, f"model sets it, to {MODEL_DIR}")
        elif name == "AML_APP_ROOT" and places.has_code and places.code != stage.app_root:
            stage.note(
                line, Outcome.CHANGED, f"the code is in {stage.app_root}, where the server looks without it"
            )
        elif stage.replaced and stage.makes_environment and name in _OF_ENVIRONMENT:
            stage.left_over(line, f"{name}: it names the environment of the server, which no key makes")
        elif _is_for_replaced(stage, name, value):
            stage.note(
                line, Outcome.NOT_NEEDED, "the base's variables name its own environment, which serves"
            )
        elif name == "PYTHONPATH" and (folders := _python_path(stage, value, places)):
            stage.set(("python-path",), folders, line)
            stage.note(line, Outcome.KEY, f"python-path = {json.dumps(folders, ensure_ascii=False)}")
        else:
            _variable(stage, name, value, line, moved=moved)
    if script:
        _note_script(stage, *script)
    elif places.has_code and "AZUREML_ENTRY_SCRIPT" not in stage.env:
        _note_default_script(stage, places)


def _note_arguments(stage: Stage) -> None:
    """Say which arguments change what is installed, as variables do."""
    for name, line in stage.argument_lines.items():
        if name not in stage.env and _is_missing(stage, name, stage.arguments[name], line):
            stage.note(line, Outcome.CHANGED, f"{name}: {_WITHOUT}")


def _note_script(stage: Stage, line: int, path: str) -> None:
    if (written := plain(stage.env.get("AZUREML_ENTRY_SCRIPT", ""))) not in ("", path):
        stage.note(line, Outcome.CHANGED, f"AZUREML_ENTRY_SCRIPT is then {path}, not {written}")
    shown = f"entry-script = {json.dumps(path, ensure_ascii=False)}"
    if path == "score.py":
        stage.note(line, Outcome.KEY, f"{shown} is the default")
    else:
        stage.set(("entry-script",), path, line)
        stage.note(line, Outcome.KEY, shown)


def _python_path(stage: Stage, value: str, places: Places) -> list[str]:
    """Return the value of `python-path` for a PYTHONPATH that goes on with that of the base; empty if it is another."""
    *folders, last = value.split(":")
    is_code = all(
        f"{folder}/".startswith(f"{places.code}/") and stage.has_folder(folder) for folder in folders
    )
    if not places.has_code or last != "${PYTHONPATH}" or not is_code:
        return []
    return [posixpath.relpath(folder, places.code) for folder in folders]


def _note_default_script(stage: Stage, places: Places) -> None:
    """Say that the table's image names its entry script, which the Dockerfile leaves to the deployment or the base."""
    if copied := stage.source_of(posixpath.join(places.code, "score.py")):
        stage.note(copied[0].line, Outcome.CHANGED, "the image also sets AZUREML_ENTRY_SCRIPT to score.py")


def _is_for_replaced(stage: Stage, name: str, value: str) -> bool:
    """Return whether a variable only names an environment for which the base's own serves, or the folder of those."""
    folders = [part for part in value.split(":") if part and part != f"${{{name}}}"]
    others = [part for part in folders if not any(_is_in(part, path) for path in stage.replaced)]
    is_above = value.startswith("/") and any(posixpath.dirname(path) == value for path in stage.replaced)
    return bool(stage.replaced) and bool(folders) and (not others or is_above)


def _is_in(path: str, folder: str) -> bool:
    return bool(folder) and f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _script(stage: Stage, places: Places, server: Server) -> tuple[int, str] | None:
    """Return the line and the path of the entry script; None if the table copies no code, or the variable stays."""
    root = places.code
    line = stage.env_lines.get("AZUREML_ENTRY_SCRIPT", 0)
    value = stage.env.get("AZUREML_ENTRY_SCRIPT", "")
    if server.entry_script:
        line = stage.command.get("CMD", (0, []))[0] or stage.command.get("ENTRYPOINT", (0, []))[0]
        path = posixpath.relpath(server.entry_script, root)
    elif value and is_plain(value):
        text = plain(value)
        path = posixpath.relpath(text, root) if text.startswith("/") else posixpath.normpath(text)
    else:
        return None
    app_root = stage.env.get("AML_APP_ROOT", root)
    if not places.has_code or path.startswith("..") or plain(app_root).rstrip("/") != root:
        if server.entry_script and "AZUREML_ENTRY_SCRIPT" not in stage.env:
            stage.left_over(line, f"its entry script {server.entry_script} is not among the copied code")
        return None
    return (line, path) if _is_in_code(stage, path) else None


def _names_script(stage: Stage, places: Places, value: str) -> bool:
    """Say what became of AZUREML_ENTRY_SCRIPT if the table sets it anyway, to score.py; return whether it does.

    That is so if the code has such a file, also that of the folder `code`, which the table copies if no key says more.
    """
    if not _is_in_code(stage, "score.py"):
        return False
    line, path = stage.env_lines["AZUREML_ENTRY_SCRIPT"], plain(value)
    if not places.has_code and _is_in_code(stage, path):
        _note_script(stage, line, path)
    else:
        stage.left_over(line, f"{path} is no file of the code, and entry-script is then score.py")
    return True


def _is_in_code(stage: Stage, path: str) -> bool:
    """Return whether the key `code` copies a file that is then at *path* below the app's root."""
    value = next((value.value for value in stage.values if value.place == ("code",)), "code")
    if isinstance(value, str):
        return stage.surroundings.locate(posixpath.join(value, path)).kind == "file"
    top = path.partition("/")[0]
    folder = next((each for each in value if posixpath.basename(each) == top), "")
    return (
        bool(folder)
        and stage.surroundings.locate(posixpath.join(posixpath.dirname(folder), path)).kind == "file"
    )


def _variable(stage: Stage, name: str, value: str, line: int, *, moved: str) -> None:
    """Say what became of one variable that the table sets."""
    if name.startswith(_AT_START):
        why = "packages are in the image, not installed at its start: name their file with --from"
        stage.left_over(line, f"{name}: {why}")
        return
    shown = f"env.{name} = {json.dumps(value, ensure_ascii=False)}"
    of_base = names(value)
    if both := [each for each in of_base if each != name and each in stage.env]:
        stage.left_over(
            line, f"{name}: it takes the base's {both[0]}, which the Dockerfile sets itself later"
        )
        return
    differences = []
    if moved and moved in value:
        value = re.sub(rf"(?<![\w/.-]){re.escape(moved)}(?![\w.-])", stage.app_root, value)
        shown = f"env.{name} = {json.dumps(value, ensure_ascii=False)}"
        differences.append(f"in place of {moved}")
    if unsure := [each for each in of_base if each not in _SURE]:
        differences.append(
            f"the build fails if the base does not set {unsure[0]}, in place of leaving it empty"
        )
    if _is_missing(stage, name, value, line):
        differences.append(_WITHOUT)
    stage.set(("env",), {name: value}, line)
    stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([shown, *differences]))


def read_label(stage: Stage, instruction: Instruction) -> None:
    """Note the labels that a LABEL sets."""
    line = instruction.line
    pairs = name_values(instruction.arguments)
    if not pairs:
        stage.left_over(line, "it has no name and value")
    for name_word, word in pairs:
        try:
            name, value = stage.text_of(name_word), expanded(word, stage.value_of, stage.escape)
        except UnknownValueError as error:
            stage.left_over(line, error.why)
            continue
        if not is_plain(value) or validators.LABEL.error(name) or validators.ONE_LINE.error(plain(value)):
            stage.left_over(line, f"{name}: the table has no such name or value")
        else:
            set_label(stage, name, plain(value), line)


def set_label(stage: Stage, name: str, value: str, line: int) -> None:
    """Set a label, in place of an earlier one of the same name."""
    if name in stage.labels:
        stage.note(stage.labels[name][1], Outcome.NOT_NEEDED, f"line {line} sets {name} again")
    stage.labels[name] = (value, line)
    stage.note(line, Outcome.KEY, f"labels.{json.dumps(name)} = {json.dumps(value, ensure_ascii=False)}")
