"""RUN of a Dockerfile: its commands one by one if it is a plain chain of them, else as one of `run`.

A generated Dockerfile has one order: system packages, Python packages in one run of pip, model and code, variables. A
command keeps its place in that order if it can; if it cannot, the difference is named.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.dockerfile.apt_commands import PROGRAMS, AptInstall, apt_command, removes_lists
from azureml_tasks.migration.dockerfile.conda_commands import CondaEnvironment, conda_command
from azureml_tasks.migration.dockerfile.installs import (
    copied_file,
    is_base,
    note_install,
    path_in,
    replace_environment,
)
from azureml_tasks.migration.dockerfile.pip_commands import PipInstall, changes_pip, pip_command
from azureml_tasks.migration.dockerfile.shell_commands import Command, plain_chain, tidy
from azureml_tasks.migration.dockerfile.shells import MAKE_FILES, WITHOUT_FILES
from azureml_tasks.migration.dockerfile.stage import APT, PIP, Copied, Shell
from azureml_tasks.migration.dockerfile.words import json_words
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.requirements.install_step import SERVER
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from azureml_tasks.migration.dockerfile.stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_SHELLS = (("/bin/sh", "-c"), ("sh", "-c"))
_BASH_OPTION = re.compile(r"-[ceuxilo]+|--login|pipefail|errexit|nounset")
_LOGIN_OPTION = re.compile(r"-[a-z]*[il][a-z]*|--login")
"""An option by which a shell reads profiles, which may change PATH."""
_QUIET = frozenset(
    {":", "true", "echo", "pwd", "ls", "which", "whoami", "date", "sync", "cat", "env", "printenv"}
)
"""Programs that leave an image as it is; a chain of simple commands writes into no file."""
_SETTINGS = frozenset({"export", "unset", "source", ".", "alias", "ulimit", "set", "umask"})
"""What changes only the shell, for the commands after it."""
_USER_TOOLS = ("useradd", "adduser", "groupadd", "addgroup")
_SETTINGS_OF_PIP = re.compile(r"(?:PIP_|UV_|PYTHON)\w*|PATH|VIRTUAL_ENV|CONDA_\w+")
_CONFIGURES_PIP = re.compile(r"pip[\d.]* config (?:--\w+ )?(?:set|edit)|pip\.conf|\.netrc")
_SOURCES_OF_APT = re.compile(
    r"/etc/apt|add-apt-repository|apt-add-repository|apt-key|keyring|dpkg|\.deb\b|\.list\b|\|\s*(?:sudo\s+)?(?:ba)?sh\b"
)
"""What changes which packages apt finds."""
_CACHES = frozenset({
    "/root/.cache", "/root/.cache/pip", "/home/dockeruser/.cache", "/home/dockeruser/.cache/pip", "/~/.cache",
    "/~/.cache/pip",
})  # fmt: skip
_PIP_TOOLS = frozenset({"pip", "setuptools", "wheel"})
_PLACEHOLDER = re.compile(r"\{\{|<[A-Z_]+>")
_ASSIGNED = re.compile(r"(?<![\w$])([A-Za-z_]\w*)=")
_RELATIVE_FILE = re.compile(r"(?:^|\s)\.(?:\s|/|$)|\.py\b|\.sh\b|\.whl\b")
_ROOT = ("0", "root")
_SUBSTITUTES = re.compile(r"[$<>]\(|`")
"""What begins a command in a word."""
_MANY = 2_000
"""Commands of one instruction that are looked at one by one."""


class _Difference(NamedTuple):
    """What an image of the table has in place of what a command does."""

    why: str


class _Removal(NamedTuple):
    """`rm` of what was copied before."""

    copied: tuple[Copied, ...]


if TYPE_CHECKING:
    Effect: TypeAlias = AptInstall | PipInstall | CondaEnvironment | _Difference | _Removal | str | None
    """An installation; what differs; why there is no effect; None if the command becomes part of a `run`."""


class _Meaning(NamedTuple):
    """What a command of a chain does.

    Args:
        command: the command.
        effect: what it does.
        folder: that it runs in.
        is_setting: whether it only changes the shell for the commands after it.
    """

    command: Command
    effect: Effect
    folder: str
    is_setting: bool = False

    @property
    def phase(self) -> int:
        """The step that installs it; 0 for none."""
        if isinstance(self.effect, AptInstall):
            return APT
        return PIP if isinstance(self.effect, PipInstall | CondaEnvironment) else 0

    @property
    def program(self) -> str:
        """The name of the program; "" for none."""
        return posixpath.basename(self.command.words[0]) if self.command.words else ""


def read_run(stage: Stage, instruction: Instruction) -> None:
    """Note what a RUN does."""
    line, count = instruction.line, len(stage.copied)
    if instruction.heredocs:
        stage.keep(line, "a here-document: write its lines as commands of run")
    elif _PLACEHOLDER.search(instruction.arguments):
        stage.left_over(line, "a placeholder")
    elif _takes_options(stage, instruction):
        _read_text(stage, instruction)
        if any(shell.line == line for shell in stage.shells):
            stage.absent += [each.target for each in stage.copied[count:]]
            if "type=cache" in " ".join(instruction.flags):
                stage.note(line, Outcome.CHANGED, "what it keeps in a cache stays in the image")
    del stage.copied[count:]  # What is mounted is not in the image.


def _read_text(stage: Stage, instruction: Instruction) -> None:
    line, text = instruction.line, instruction.arguments
    words = json_words(text)
    is_shell = words is not None and tuple(words[:2]) in _SHELLS and len(words) == 3  # noqa: PLR2004 -- sh -c TEXT
    if words and is_shell:
        chain = plain_chain(words[2], lambda _: None)
        text = words[2]
    elif words is not None:
        chain = plain_chain(shlex.join(words), lambda _: None) if words else None
        text = shlex.join(words)
    elif stage.shell not in _SHELLS and not _is_bash(stage.shell):
        stage.left_over(line, f"it runs in the shell {shlex.join(stage.shell)}")
        return
    else:
        assigned = set(_ASSIGNED.findall(text))
        chain = plain_chain(text, lambda name: None if name in assigned else stage.shell_value(name))
        text = _in_shell(stage, text)
    is_login = stage.shell not in _SHELLS and any(_LOGIN_OPTION.fullmatch(word) for word in stage.shell)
    if chain is None or len(chain) > _MANY or is_login:
        _add_shell(stage, line, text, ())
    else:
        _read_chain(stage, line, text, chain)


def _is_bash(shell: Sequence[str]) -> bool:
    is_shell = posixpath.basename(shell[0]) in ("bash", "sh", "dash", "ash")
    return is_shell and shell[-1].endswith("c") and all(_BASH_OPTION.fullmatch(word) for word in shell[1:])


def _in_shell(stage: Stage, text: str) -> str:
    """Return a text for `/bin/sh` that runs *text* in the shell of the Dockerfile."""
    return tidy(text) if stage.shell in _SHELLS else shlex.join([*stage.shell, tidy(text)])


def _takes_options(stage: Stage, instruction: Instruction) -> bool:
    """Return whether a command runs without its options, too; else say why not. A file that is mounted is copied."""
    line = instruction.line
    for flag in instruction.flags:
        name, _, value = flag.partition("=")
        options = dict(part.strip("\"' ").partition("=")[::2] for part in value.split(","))
        kind = options.get("type", "bind")
        if name == "--mount" and kind in ("cache", "tmpfs"):
            continue
        if name == "--network" and value.strip("\"'") == "default":
            continue
        if name == "--mount" and kind == "bind" and "from" not in options:
            source = stage.locate(options.get("source", options.get("src", ".")))
            target = options.get("target", options.get("dst", options.get("destination", "")))
            if source.kind in ("file", "folder") and target and "$" not in target:
                stage.copied.append(Copied(line, source, stage.absolute(target)))
                continue
        why = f"{name} is an option that no key has"
        if name == "--mount" and kind in ("secret", "ssh"):
            why = 'it mounts a secret: for a private index, write secrets = ["netrc"] or ["pip-conf"]'
        elif name == "--mount":
            why = "it mounts files for this command alone, which no key does"
        stage.left_over(line, why)
        return False
    return True


def _read_chain(stage: Stage, line: int, text: str, chain: Sequence[Command]) -> None:
    """Note what the commands of a chain do: each by itself if their order allows it, else all of them as one `run`."""
    meanings = list(_meanings(stage, chain))
    is_apart = _fits(stage, meanings) and not any(each.is_setting and _acts(each) for each in meanings)
    if is_apart or any(_installed_from(stage, each) for each in meanings):
        _apart(stage, line, meanings)
    else:
        _add_shell(stage, line, text, meanings)


def _fits(stage: Stage, meanings: Sequence[_Meaning]) -> bool:
    """Return whether the steps of a generated Dockerfile keep the order of the commands."""
    apt_is_changed = any(_SOURCES_OF_APT.search(shell.text) for shell in stage.shells)
    phase, latest = stage.phase, 0
    for each in meanings:
        if each.effect is None and not each.is_setting:
            if each.program in PROGRAMS or _SOURCES_OF_APT.search(each.command.text):
                return False
            latest = max(latest, phase, APT) if each.program not in MAKE_FILES else latest
        elif each.phase:
            if each.phase <= latest or (each.phase == APT and apt_is_changed):
                return False
            phase = max(phase, each.phase)
    return True


def _meanings(stage: Stage, chain: Sequence[Command]) -> Iterator[_Meaning]:
    folder, has_settings = stage.folder, False
    for command in chain:
        words = command.words
        program = posixpath.basename(words[0]) if words else ""
        if not words or program in _SETTINGS:
            named = " ".join(_ASSIGNED.findall(command.text))
            has_settings |= bool(_SETTINGS_OF_PIP.search(named)) or program in ("source", ".")
            yield _Meaning(command, None, folder, is_setting=True)
        elif program == "cd" and len(words) == 2 and not command.is_open:  # noqa: PLR2004 -- cd FOLDER
            folder = posixpath.normpath(posixpath.join(folder or "/", words[1]))
            yield _Meaning(command, None, folder, is_setting=True)
        elif program == "rm" and (removal := _removal(stage, words, folder)):
            yield _Meaning(command, removal, folder)
        else:
            effect = None if has_settings else _effect(stage, command, program)
            has_settings |= effect is None and _CONFIGURES_PIP.search(command.text) is not None
            if isinstance(effect, CondaEnvironment):
                replace_environment(stage, effect)
            yield _Meaning(command, effect, folder)


def _effect(stage: Stage, command: Command, program: str) -> Effect:
    words = command.words
    if program in _QUIET and not _runs_another(command):
        return f"{program} changes nothing"
    if removes_lists(words):
        return "apt's lists are never left in the image"
    if program in _USER_TOOLS and _makes_runtime_user(stage, words):
        why = f"the build makes the user {stage.last_user}, with the ID 1000 or the next free one"
        return why if _has_usual_options(words) else _Difference(why)
    if any(changes_pip(name) for name, _ in command.assignments):
        return None
    if (conda := conda_command(words)) is not None:
        is_known = isinstance(conda, str) or "$" not in conda.file + conda.environment
        return (
            conda
            if is_known or (isinstance(conda, CondaEnvironment) and is_base(stage, conda.environment))
            else None
        )
    if (pip := pip_command(words)) is not None:
        return _pip_effect(stage, pip) if isinstance(pip, PipInstall) else pip
    return apt_command(words)


def _runs_another(command: Command) -> bool:
    """Return whether a command that is quiet itself runs another one, which may do anything."""
    is_env = posixpath.basename(command.words[0]) == "env" and len(command.words) > 1
    return is_env or _SUBSTITUTES.search(command.text) is not None


def _acts(each: _Meaning) -> bool:
    """Return whether a setting runs commands of a file or of a substitution, which may do anything."""
    return each.program in ("source", ".") or _SUBSTITUTES.search(each.command.text) is not None


def _removal(stage: Stage, words: Sequence[str], folder: str) -> _Removal | None:
    """Return what `rm` removes, if that is nothing but what was copied, and caches of pip."""
    paths = {path_in(stage, folder, word) for word in words[1:] if not word.startswith("-")}
    copied = tuple(each for each in stage.copied if each.target in paths)
    is_all = paths <= {*(each.target for each in copied), *_CACHES}
    return _Removal(copied) if paths and is_all else None


def _makes_runtime_user(stage: Stage, words: Sequence[str]) -> bool:
    """Return whether a command makes the runtime user, which the key `server` does, too, and before it."""
    return stage.serves is False and stage.last_user not in ("", *_ROOT) and stage.last_user in words[1:]


def _has_usual_options(words: Sequence[str]) -> bool:
    options = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
    usual = ("-m", "--create-home", "-s", "--shell", "--disabled-password", "--gecos", "-U", "--user-group")
    return options <= set(usual)


def _pip_effect(stage: Stage, pip: PipInstall) -> Effect:
    """Return what an installation is for the table: one that only pip itself can say becomes part of a `run`."""
    words = [*pip.requirements, *pip.others]
    names = [normalize_name(re.split(r"[^\w.-]", word, maxsplit=1)[0]) for word in words]
    if names == [SERVER] and not pip.files and pip.environment in stage.replaced:
        return "the base's own environment has the server"
    if pip.files and "$" not in " ".join(pip.requirements):
        return pip
    if "$" in " ".join([*words, *pip.options]) or pip.has_login or not is_base(stage, pip.environment):
        return None
    tools = [word for word, name in zip(words, names, strict=True) if name in _PIP_TOOLS]
    takes_tools = bool(tools) and (pip.upgrades or any(tool not in _PIP_TOOLS for tool in tools))
    changes_server = SERVER in names and stage.serves is not False
    own_path = bool(stage.path_lines) and not stage.replaced and not pip.environment
    finds_others = any(map(changes_pip, (*stage.env, *stage.arguments)))
    finds_others |= bool(stage.configures_pip)
    needs_tools = takes_tools or changes_server or own_path or finds_others or stage.makes_environment
    return None if pip.others or pip.options or needs_tools else pip


def _installed_from(stage: Stage, each: _Meaning) -> list[Copied]:
    """Return what was copied with the files that a command installs from."""
    copied = [copied_file(stage, each.folder, file) for file in _files(each.effect)]
    return [copy[0] for copy in copied if copy]


def _files(effect: Effect) -> tuple[str, ...]:
    """Return the files of an image that a command installs from."""
    if isinstance(effect, PipInstall):
        return effect.files
    return (effect.file,) if isinstance(effect, CondaEnvironment) else ()


def _apart(stage: Stage, line: int, meanings: Sequence[_Meaning]) -> None:
    """Note each command by itself; those that no key says stay together as one `run`, up to the next installation."""
    waiting: list[_Meaning] = []
    settings: list[_Meaning] = []
    for each in meanings:
        if each.is_setting:
            settings.append(each)
            waiting.append(each)
        elif each.effect is None:
            waiting.append(each)
        elif isinstance(each.effect, str):
            stage.note(line, Outcome.NOT_NEEDED, each.effect)
        elif isinstance(each.effect, _Removal):
            stage.removed |= set(each.effect.copied)
            stage.note(line, Outcome.NOT_NEEDED, "what it removes is not in the image")
        elif isinstance(each.effect, _Difference):
            stage.note(line, Outcome.CHANGED, each.effect.why)
        else:
            _flush(stage, line, waiting)
            waiting = list(settings)
            note_install(stage, line, each.effect, each.folder)
    _flush(stage, line, waiting)
    if line not in stage.outcomes and not any(shell.line == line for shell in stage.shells):
        stage.note(line, Outcome.NOT_NEEDED, "it changes nothing in the image")


def _flush(stage: Stage, line: int, waiting: Sequence[_Meaning]) -> None:
    if all(each.is_setting for each in waiting):
        return
    first, *others = (each.command for each in waiting)
    text = first.text + "".join(f"{' && ' if each.operator == '&&' else '; '}{each.text}" for each in others)
    _add_shell(stage, line, _in_shell(stage, text), waiting)


def _add_shell(stage: Stage, line: int, text: str, meanings: Sequence[_Meaning]) -> None:
    """Note commands that become one of `run`. Without *meanings* nothing is known of them."""
    programs = frozenset(each.program for each in meanings if each.program and not each.is_setting)
    if programs & {"apt", "apt-get"} and not re.search(r"\bupdate\b", text):
        text = f"apt-get update && {text}"
    commands = [each.command for each in meanings if not each.is_setting]
    if _CONFIGURES_PIP.search(text):
        stage.configures_pip = line
    installs = not stage.configures_pip and bool(commands) and all(_installs(each.words) for each in commands)
    is_local = not installs and (not programs or not programs <= WITHOUT_FILES)
    stage.shells.append(
        Shell(
            line=line,
            text=text,
            user=stage.user,
            folder=stage.folder,
            variables={**stage.given_arguments, **stage.env},
            programs=programs,
            phase=stage.phase,
            uses_files=is_local or _names_file(stage, text),
            installs=installs,
        )
    )


def _installs(words: Sequence[str]) -> bool:
    """Return whether a command only installs Python packages for every user."""
    is_conda = words[0] in ("conda", "mamba") and words[1:2] in (("install",), ("create",), ("update",))
    return is_conda or (isinstance(pip_command(words), PipInstall) and "--user" not in words)


def _names_file(stage: Stage, text: str) -> bool:
    """Return whether a text may name a file that was copied."""
    return any(each.target in text for each in stage.copied) or _RELATIVE_FILE.search(text) is not None
