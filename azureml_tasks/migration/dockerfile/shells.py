"""Shell texts of a Dockerfile that become `run`: the step after which each runs, its user, and what it needs."""

from __future__ import annotations

import posixpath
import re
import shlex
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.dockerfile_line import LONGEST_LINE, command_error
from azureml_tasks.config.variable_references import parts
from azureml_tasks.migration.dockerfile.shell_commands import named_variables
from azureml_tasks.migration.dockerfile.stage import APT, FILES, PIP, RUNTIME_USER
from azureml_tasks.migration.dockerfile.words import plain
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.migration.secret_texts import has_login, has_secret
from azureml_tasks.project.base_images import IMAGE_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.dockerfile.stage import Shell, Stage

MAKE_FILES = frozenset({
    "addgroup", "adduser", "chgrp", "chmod", "chown", "cp", "groupadd", "install", "ldconfig", "ln", "mkdir", "mv",
    "rm", "rmdir", "touch", "update-ca-certificates", "useradd", "usermod",
})  # fmt: skip
"""Programs that packages do not depend on, and that read no variables."""
_READ_NO_VARIABLES = MAKE_FILES | {
    *("awk", "cat", "echo", "find", "grep", "printf", "sed", "tail", "tar", "tee", "unzip"),
}
_INSTALL = frozenset({"apt", "apt-get", "conda", "mamba", "pip", "pip3"})
"""Programs that use no file of their folder, unless they name it."""
WITHOUT_FILES = MAKE_FILES | _INSTALL
_AFTER = {0: "apt", APT: "apt", PIP: "pip", FILES: "code"}
_ROOT = ("0", "root")


class _Order(NamedTuple):
    """What the steps of a generated Dockerfile do with the order of the instructions.

    Args:
        steps: phase and line of each installation and each copy.
        copies: lines of the copies.
        lost: paths that an image of the table does not have.
        final_user: the runtime user.
        moved_root: the folder of the code in the source's image, if the table copies it elsewhere; else "".
    """

    steps: Sequence[tuple[int, int]]
    copies: Sequence[int]
    lost: Sequence[str]
    final_user: str
    moved_root: str


def decide_runs(stage: Stage, final_user: str, moved_root: str) -> None:
    """Say what became of each shell text.

    Args:
        stage: all of it.
        final_user: the runtime user.
        moved_root: the folder of the code in the source's image, if it is not where the table copies the code; else "".
    """
    left = {
        line
        for line, noted in stage.outcomes.items()
        if any(outcome is Outcome.LEFT_OVER for outcome, _ in noted)
    }
    passing = stage.installed | stage.removed
    lost = [each.target for each in stage.copied if each.line in left or each in passing]
    copies = sorted({each.line for each in stage.copied if each not in passing} - left)
    order = _Order(
        steps=[*stage.steps, *((FILES, line) for line in copies)],
        copies=copies,
        lost=[*dict.fromkeys([*lost, *stage.absent, *stage.not_here, moved_root])],
        final_user=final_user,
        moved_root=moved_root,
    )
    makes_folders = {line for line, _ in stage.folder_lines}
    phase = 0
    for shell in stage.shells:
        if shell.line in makes_folders and _missing(shell, order.lost):
            continue
        has_files = shell.uses_files and any(line < shell.line for line in copies)
        phase = max(phase, FILES if has_files else shell.phase)
        _decide(stage, shell, phase, order)


def _decide(stage: Stage, shell: Shell, phase: int, order: _Order) -> None:
    line = shell.line
    user = _user(shell, order.final_user, stage.serves)
    command = _command(shell, stage, after_env=phase == FILES)
    if missing := _missing(shell, order.lost):
        is_elsewhere = missing == order.moved_root or missing in stage.not_here
        note = stage.left_over if is_elsewhere else stage.keep
        note(line, f"it uses {missing}, and no key copies that{_advice(shell)}")
    elif environment := _other_environment(shell, stage):
        stage.left_over(
            line, f"it is for the environment {environment}, in whose place the base's own serves"
        )
    elif has_login(command):
        stage.left_over(line, "an address in it has a login, which would stay readable")
    elif has_secret(command):
        stage.left_over(line, "it holds a secret, which would stay readable")
    elif not user:
        who = shell.user or f"{RUNTIME_USER}, the user of the base"
        stage.left_over(line, f"it runs as {who}, and a run as root or as the runtime user")
    elif error := command_error(command):
        stage.left_over(line, f"it {error}")
    else:
        value = {"command": command, "after": _AFTER[phase]}
        value |= {"user": "runtime"} if user == "runtime" else {}
        stage.set(("run",), [value], line)
        why = f'run, after = "{_AFTER[phase]}"' + (', user = "runtime"' if user == "runtime" else "")
        if later := _later(shell, phase, order):
            what = "the files" if later[0] == FILES else "the packages"
            stage.note(line, Outcome.CHANGED, f"{why}: here it comes after {what} of line {later[1]}")
        else:
            stage.note(line, Outcome.KEY, why)


def _advice(shell: Shell) -> str:
    """Return what to write for an installation from files that are not in the image."""
    if not shell.installs:
        return ""
    if ".whl" in shell.text:
        return ": list the wheel in a requirements file, by its path in the project"
    return (
        ": for the dependencies of a project write project-dependencies = true, and for its code write code"
    )


def _missing(shell: Shell, lost: Sequence[str]) -> str:
    """Return a path of *lost* that a text uses; "" for none."""
    for path in lost:
        folder, name = posixpath.split(path)
        if not path or path == "/":
            continue
        if shell.folder == path or shell.folder.startswith(f"{path}/") or _names(shell.text, path):
            return path
        if name and (shell.folder or "/") == folder and _names(shell.text, name):
            return path
    return ""


def _names(text: str, path: str) -> bool:
    """Return whether a text names a path, or something below it."""
    return path in text and re.search(rf"(?<![\w/.-]){re.escape(path)}(?![\w.-])", text) is not None


def _user(shell: Shell, final_user: str, serves: bool | None) -> str:
    """Return which user of `run` runs a text; "" if it is neither."""
    user = shell.user or ("root" if serves is False else RUNTIME_USER)
    if (
        user in _ROOT
        or shell.programs & {"apt", "apt-get", "dpkg"}
        or (shell.installs and user in (RUNTIME_USER, final_user))
    ):
        return "root"
    return "runtime" if user == final_user else ""


def _later(shell: Shell, phase: int, order: _Order) -> tuple[int, int] | None:
    """Return a step that comes after a command in the Dockerfile, and before it here; None if there is none."""
    steps = order.steps
    if shell.programs and shell.programs <= MAKE_FILES:
        steps = [(FILES, line) for line in order.copies] if phase == FILES else []
    limit = max(phase, APT)
    return next(((step, line) for step, line in steps if line > shell.line and step <= limit), None)


def _other_environment(shell: Shell, stage: Stage) -> str:
    """Return an environment of conda that a text names, and for which the base's own serves; "" for none."""
    named = named_variables(shell.text)
    texts = [shell.text, *(plain(value) for name, value in shell.variables.items() if name in named)]
    return next(
        (name for name in sorted(stage.replaced) if name and any(_names(text, name) for text in texts)), ""
    )


def _command(shell: Shell, stage: Stage, *, after_env: bool) -> str:
    """Return the text with the folder and the variables that it has in the Dockerfile."""
    named = named_variables(shell.text)
    reads_all = not shell.programs or not shell.programs <= _READ_NO_VARIABLES
    exports: list[str] = []
    size = 0
    for name, value in shell.variables.items():
        if size > LONGEST_LINE:
            break  # It is refused.
        if after_env and stage.env.get(name) == value:
            continue
        if any(path and _names(value, path) for path in stage.replaced):
            continue
        if name in named or (reads_all and name not in IMAGE_VARIABLES):
            exports.append(f"{name}={_shell_quoted(value)}")
            size += len(exports[-1])
    lines = [f"export {' '.join(exports)}"] if exports else []
    if shell.folder and shell.folder != "/" and _depends_on_folder(shell):
        folder = shlex.quote(shell.folder)
        lines.append(f"cd {folder}")
    return " && ".join([*lines, shell.text])


def _depends_on_folder(shell: Shell) -> bool:
    """Return whether a command may name something relative to its folder."""
    tools = {"pip", "pip3", "conda", "apt-get", "apt", "useradd", "groupadd"}
    return not shell.programs or not shell.programs <= tools


@lru_cache(maxsize=1_000)
def _shell_quoted(value: str) -> str:
    """Return a value, as `config.variable_references` writes it, in the double quotes of a shell."""
    texts = [
        re.sub(r'([\\"$`])', r"\\\1", part) if isinstance(part, str) else f"${{{part.name}}}"
        for part in parts(value)
    ]
    return '"' + "".join(texts) + '"'
