"""RUN of a Dockerfile in terms of the keys `apt`, `pip`, `requirements`, `conda` and `run`.

A generated Dockerfile has one order: system packages, Python packages in one run of pip, model and code, variables. A
command keeps its place in that order if it can; if it cannot, the difference is named.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.dockerfile_line import command_error
from azureml_tasks.config.variable_references import parts
from azureml_tasks.migration.apt_commands import PROGRAMS, AptInstall, apt_command, removes_lists
from azureml_tasks.migration.conda_commands import CondaEnvironment, conda_command
from azureml_tasks.migration.dockerfile_stage import APT, FILES, PIP, RUNTIME_USER, Shell
from azureml_tasks.migration.dockerfile_words import json_words
from azureml_tasks.migration.pip_commands import PipInstall, pip_command
from azureml_tasks.migration.reading import Kind, Outcome
from azureml_tasks.migration.shell_commands import Command, named_variables, plain_chain
from azureml_tasks.project.base_images import IMAGE_VARIABLES
from azureml_tasks.requirements.install_step import SERVER
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from azureml_tasks.migration.dockerfile_stage import Stage
    from azureml_tasks.project.dockerfile_text import Instruction

_BASE_ENVIRONMENTS = frozenset({
    "", "amlenv", "/opt/miniconda/envs/amlenv", "/azureml-envs/minimal", "$AZUREML_CONDA_ENVIRONMENT_PATH",
    "${AZUREML_CONDA_ENVIRONMENT_PATH}",
})  # fmt: skip
"""The environment of the server in Azure ML's inference images: microsoft/azureml-inference-server issue 83, and
Azure/azureml-assets, assets/inference/environments/minimal-py311-inference/context/Dockerfile."""
_SHELLS = (("/bin/sh", "-c"), ("sh", "-c"))
_BASH_OPTIONS = frozenset(
    {"-c", "-e", "-ec", "-x", "-ex", "-exc", "-l", "-lc", "-o", "pipefail", "-euxo", "-eo"}
)
_QUIET = frozenset({":", "true", "echo", "pwd", "ls", "set", "umask", "which", "whoami", "date", "sync"})
"""Commands after which an image is the same, if they write into no file."""
_MAKE_FILES = frozenset({
    "chgrp", "chmod", "chown", "cp", "groupadd", "install", "ldconfig", "ln", "mkdir", "mv", "rm", "rmdir", "touch",
    "useradd", "usermod", "addgroup", "adduser", "update-ca-certificates",
})  # fmt: skip
"""Commands that packages do not depend on, and that read no variables."""
_READ_NO_VARIABLES = _MAKE_FILES | {
    "awk",
    "cat",
    "echo",
    "find",
    "grep",
    "printf",
    "sed",
    "tail",
    "tar",
    "tee",
    "unzip",
}
_WITHOUT_FILES = frozenset(
    {*_MAKE_FILES, "apt", "apt-get", "conda", "mamba", "npm", "pip", "pip3", "python", "python3"}
)
_SETTINGS_OF_PIP = re.compile(r"(?:PIP_|UV_|PYTHON)\w*|PATH|VIRTUAL_ENV|CONDA_\w+")
_SOURCES_OF_APT = re.compile(
    r"/etc/apt|add-apt-repository|apt-add-repository|apt-key|keyring|dpkg|\.deb\b|\.list\b|\|\s*(?:sudo\s+)?(?:ba)?sh\b"
)
"""What changes which packages apt finds."""
_CACHES = ("/root/.cache", "/root/.cache/pip", "/home/dockeruser/.cache", "/home/dockeruser/.cache/pip")
_AFTER = {0: "apt", APT: "apt", PIP: "pip", FILES: "code"}
_PIP_TOOLS = frozenset({"pip", "setuptools", "wheel"})
_PLACEHOLDER = re.compile(r"\{\{|<[A-Z_]+>")
_ASSIGNED = re.compile(r"(?<![\w$])([A-Za-z_]\w*)=")
_ROOT = ("0", "root")


class _Meaning(NamedTuple):
    """What a command of a chain does.

    Args:
        command: the command.
        effect: an installation; why it has no effect; None if it becomes part of a `run`.
        folder: that it runs in.
        is_setting: whether it only changes the shell for the commands after it.
    """

    command: Command
    effect: AptInstall | PipInstall | CondaEnvironment | str | None
    folder: str
    is_setting: bool = False

    @property
    def phase(self) -> int:
        """The step that installs it; 0 for none."""
        return (
            APT
            if isinstance(self.effect, AptInstall)
            else PIP
            if isinstance(self.effect, PipInstall | CondaEnvironment)
            else 0
        )


def read_run(stage: Stage, instruction: Instruction) -> None:
    """Note what a RUN does."""
    line = instruction.line
    if instruction.heredocs:
        stage.left_over(line, "a here-document: write its lines as a command of run, or into a file")
        return
    if not _flags_are_known(stage, instruction):
        return
    text, words = instruction.arguments, json_words(instruction.arguments)
    if _PLACEHOLDER.search(text):
        stage.left_over(line, "a placeholder")
        return
    if words is not None:
        text = shlex.join(words)
    elif stage.shell not in _SHELLS and not _is_bash(stage.shell):
        stage.left_over(line, f"it runs in the shell {shlex.join(stage.shell)}")
        return
    variables = set(_ASSIGNED.findall(text))
    chain = plain_chain(text, lambda name: None if name in variables else stage.shell_value(name))
    if words is None and stage.shell not in _SHELLS:
        text = shlex.join([*stage.shell, text])
    if chain is None:
        _shell(stage, line, text, programs=frozenset())
        return
    _read_chain(stage, line, text, chain)


def _is_bash(shell: Sequence[str]) -> bool:
    return posixpath.basename(shell[0]) in ("bash", "sh", "dash", "ash") and all(
        word in _BASH_OPTIONS for word in shell[1:]
    )


def _flags_are_known(stage: Stage, instruction: Instruction) -> bool:
    line = instruction.line
    for flag in instruction.flags:
        name, _, value = flag.partition("=")
        if name == "--mount" and "type=cache" in value:
            continue
        if name == "--mount" and re.search(r"type=(?:secret|ssh)", value):
            why = 'it mounts a secret: for a private index, write secrets = ["netrc"] or ["pip-conf"]'
        elif name == "--mount":
            why = f"{flag} makes files readable for this command only, which no key does"
        elif name == "--network" and value in ("default", '"default"'):
            continue
        else:
            why = f"{name} is an option that no key has"
        stage.left_over(line, why)
        return False
    return True


def _read_chain(stage: Stage, line: int, text: str, chain: Sequence[Command]) -> None:
    """Note what the commands of a chain do: each by itself if their order allows it, else all of them as one `run`."""
    meanings = list(_meanings(stage, chain))
    if _fits(stage, meanings) or any(_installed_from(stage, each) for each in meanings):
        _apart(stage, line, meanings)
    else:
        _shell(stage, line, text, programs=_programs(chain))


def _fits(stage: Stage, meanings: Sequence[_Meaning]) -> bool:
    """Return whether the steps of a generated Dockerfile keep the order of the commands."""
    apt_is_changed = any(_SOURCES_OF_APT.search(shell.text) for shell in stage.shells)
    phase, latest = stage.phase, 0
    for each in meanings:
        program = posixpath.basename(each.command.words[0]) if each.command.words else ""
        if each.effect is None and not each.is_setting:
            if program in PROGRAMS or _SOURCES_OF_APT.search(each.command.text):
                return False
            latest = max(latest, phase, APT) if program not in _MAKE_FILES else latest
        elif each.phase:
            if each.phase <= latest or (each.phase == APT and apt_is_changed):
                return False
            phase = max(phase, each.phase)
    return True


def _meanings(stage: Stage, chain: Sequence[Command]) -> Iterator[_Meaning]:
    folder, settings, installing = stage.folder, False, set(stage.installed)
    for command in chain:
        words = command.words
        program = posixpath.basename(words[0]) if words else ""
        if not words or program in ("export", "unset", "source", ".", "alias", "ulimit"):
            named = " ".join(_ASSIGNED.findall(command.text)) or command.text
            settings |= bool(_SETTINGS_OF_PIP.search(named)) or program in ("source", ".")
            yield _Meaning(command, None, folder, is_setting=True)
        elif program == "set":
            yield _Meaning(command, None, folder, is_setting=True)
        elif program == "cd" and len(words) == 2 and not command.is_open:  # noqa: PLR2004 -- cd FOLDER
            folder = posixpath.normpath(posixpath.join(folder or "/", words[1]))
            yield _Meaning(command, None, folder, is_setting=True)
        else:
            effect = None if settings else _effect(stage, command, program)
            if program == "rm" and _removes(stage, command.words, installing, folder):
                effect = "the file is not in the image"
            meaning = _Meaning(command, effect, folder)
            installing |= {line for line in _installed_from(stage, meaning) if line}
            yield meaning


def _effect(
    stage: Stage, command: Command, program: str
) -> AptInstall | PipInstall | CondaEnvironment | str | None:
    """Return what a command does; None if it becomes part of a `run`."""
    words = command.words
    if program in _QUIET:
        return f"{program} changes nothing"
    if removes_lists(words):
        return "apt's lists are never left in the image"
    if program in ("useradd", "adduser", "groupadd", "addgroup") and _makes_runtime_user(stage, words):
        return f"the build makes the user {stage.last_user}"
    if any(name.startswith("PIP_") and name not in _HARMLESS_FOR_PIP for name, _ in command.assignments):
        return None
    if (conda := conda_command(words)) is not None:
        return (
            conda if not isinstance(conda, CondaEnvironment) or not command.is_open else _known(stage, conda)
        )
    if (pip := pip_command(words)) is not None:
        return _pip_effect(stage, command, pip) if isinstance(pip, PipInstall) else pip
    return None if command.is_open else apt_command(words)


_HARMLESS_FOR_PIP = frozenset({
    "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT", "PIP_ROOT_USER_ACTION", "PIP_PROGRESS_BAR",
    "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_NO_WARN_SCRIPT_LOCATION", "PIP_QUIET", "PIP_BREAK_SYSTEM_PACKAGES",
    "PIP_NO_COLOR", "PIP_CACHE_DIR",
})  # fmt: skip


def _known(stage: Stage, conda: CondaEnvironment) -> CondaEnvironment | None:
    """Return *conda* if all of its words are known, those of the base included."""
    unknown = "$" in conda.file or ("$" in conda.environment and not _is_base(stage, conda.environment))
    return None if unknown else conda


def _removes(stage: Stage, words: Sequence[str], installing: Collection[int], folder: str) -> bool:
    """Return whether `rm` removes only files that were copied to install from them, and caches of pip."""
    paths = [_joined(folder, word, stage) for word in words[1:] if not word.startswith("-")]
    copied = {each.target: each.line for each in stage.copied}
    return bool(paths) and all(copied.get(path) in installing or path in _CACHES for path in paths)


def _makes_runtime_user(stage: Stage, words: Sequence[str]) -> bool:
    return stage.serves is False and stage.last_user not in ("", *_ROOT) and stage.last_user in words[1:]


def _is_base(stage: Stage, environment: str) -> bool:
    """Return whether an environment is that of the server."""
    name = environment.rstrip("/")
    return name in _BASE_ENVIRONMENTS or name in stage.replaced


def _pip_effect(stage: Stage, command: Command, pip: PipInstall) -> PipInstall | str | None:
    names = [normalize_name(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in pip.requirements]
    is_plain = not (pip.others or pip.files or pip.options)
    if (
        names == [SERVER]
        and is_plain
        and _is_base(stage, pip.environment)
        and pip.environment in stage.replaced
    ):
        return "the base has the server"
    if command.is_open and not (pip.files and "$" not in " ".join(pip.requirements)):
        return None
    if pip.files:
        return pip
    if pip.has_login or not _is_base(stage, pip.environment):
        return None
    takes_tools = bool(_PIP_TOOLS.intersection(names))
    changes_server = SERVER in names and stage.serves is not False
    own_path = bool(stage.path_lines) and not stage.replaced and not pip.environment
    own = pip.others or pip.options or takes_tools or changes_server or own_path or stage.makes_environment
    return None if own else pip


def _installed_from(stage: Stage, each: _Meaning) -> list[int]:
    """Return the lines that copy the files which a command installs from; 0 for a file of a folder."""
    files = (
        each.effect.files
        if isinstance(each.effect, PipInstall)
        else (each.effect.file,)
        if isinstance(each.effect, CondaEnvironment)
        else ()
    )
    copied = [stage.source_of(_joined(each.folder, file, stage)) for file in files]
    return [each[0].line if each[0].source.kind == "file" else 0 for each in copied if each]


def _joined(folder: str, path: str, stage: Stage) -> str:
    return posixpath.normpath(
        posixpath.join(folder or "/", stage.absolute(path) if path.startswith("$") else path)
    )


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
        else:
            _flush(stage, line, waiting)
            waiting = list(settings)
            _install(stage, line, each)
    _flush(stage, line, waiting)


def _flush(stage: Stage, line: int, waiting: Sequence[_Meaning]) -> None:
    commands = [each.command for each in waiting]
    if all(each.is_setting for each in waiting):
        if waiting and line not in stage.outcomes:
            stage.note(line, Outcome.NOT_NEEDED, "it changes nothing in the image")
        return
    text = commands[0].text + "".join(
        f"{' && ' if each.operator == '&&' else '; '}{each.text}" for each in commands[1:]
    )
    if stage.shell not in _SHELLS:
        text = shlex.join([*stage.shell, text])
    _shell(stage, line, text, programs=_programs(commands))


def _programs(commands: Sequence[Command]) -> frozenset[str]:
    return frozenset(posixpath.basename(each.words[0]) for each in commands if each.words)


def _install(stage: Stage, line: int, each: _Meaning) -> None:
    effect = each.effect
    if isinstance(effect, AptInstall):
        _install_apt(stage, line, effect)
    elif isinstance(effect, PipInstall):
        _install_pip(stage, line, effect, each.folder)
    elif isinstance(effect, CondaEnvironment):
        _install_conda(stage, line, effect, each.folder)


def _install_apt(stage: Stage, line: int, install: AptInstall) -> None:
    why = f"apt = {json.dumps(list(install.packages))}"
    stage.set(("apt",), list(install.packages), line)
    stage.steps.append((APT, line))
    if install.has_recommended:
        stage.note(line, Outcome.CHANGED, f"{why}, without the packages that they recommend")
    else:
        stage.note(line, Outcome.KEY, why)


def _install_pip(stage: Stage, line: int, install: PipInstall, folder: str) -> None:
    """Note an installation that `pip` and `requirements` say."""
    stage.steps.append((PIP, line))
    differences = _pip_differences(stage, install)
    for file in install.files:
        _requirements(stage, line, file, folder, differences)
    for other in install.others:
        stage.left_over(line, _advice(other))
    stage.pips += [(line, requirement) for requirement in install.requirements]
    if install.requirements:
        why = f"pip = {json.dumps(list(install.requirements))}"
        outcome = Outcome.CHANGED if differences else Outcome.KEY
        stage.note(line, outcome, "; ".join([why, *differences]))


def _pip_differences(stage: Stage, install: PipInstall) -> list[str]:
    differences = []
    if install.upgrades and not (
        install.requirements and not install.files and all("==" in each for each in install.requirements)
    ):
        differences.append("a version that the base has and that fits is not replaced by a newer one")
    if install.has_login:
        differences.append('an address has a login: write secrets = ["netrc"] or ["pip-conf"]')
    elif install.options:
        differences.append(f"without {' '.join(install.options)}: a requirements file can have such a line")
    if not _is_base(stage, install.environment):
        differences.append(f"into the environment of the server, not into {install.environment}")
    elif stage.path_lines and not stage.replaced and not install.environment:
        differences.append(
            f"into the environment of the server, also if line {stage.path_lines[0]} names another"
        )
    return differences


def _advice(other: str) -> str:
    if other.endswith(".whl"):
        return f"{other}: list the wheel in a requirements file, by its path in the project"
    return (
        f"{other}: the project itself is not installed. Its dependencies are by project-dependencies = true, "
        "and its code is copied by code; or list its wheel in a requirements file"
    )


def _requirements(stage: Stage, line: int, file: str, folder: str, differences: Sequence[str]) -> None:
    if re.match(r"[a-z+]+://", file):
        stage.left_over(line, f"{file} is not a file of the project: copy it into the project")
        return
    copied = stage.source_of(_joined(folder, file, stage))
    if not copied:
        stage.left_over(line, f"{file} is not one of the copied files")
        return
    each, located = copied
    if each.source.kind == "file":
        stage.installed.add(each.line)
    stage.refer(Kind.REQUIREMENTS, line, located.name)
    why = f"requirements = [{json.dumps(located.name, ensure_ascii=False)}]"
    stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([why, *differences]))


def _install_conda(stage: Stage, line: int, conda: CondaEnvironment, folder: str) -> None:
    """Note an environment that conda makes or changes by a file."""
    stage.steps.append((PIP, line))
    is_base = bool(conda.environment) and _is_base(stage, conda.environment) and not conda.creates
    if not is_base:
        stage.replaced |= {conda.environment, *_paths_of(stage, conda.environment)}
    if stage.makes_environment:
        what = "it makes the environment of the server, which the base does not have"
        stage.keep(line, f"{what}: the key conda extends one")
        return
    copied = stage.source_of(_joined(folder, conda.file, stage))
    if not copied:
        stage.left_over(line, f"{conda.file} is not one of the copied files")
        return
    each, located = copied
    if each.source.kind == "file":
        stage.installed.add(each.line)
    stage.refer(Kind.CONDA, line, located.name)
    why = f"conda = {json.dumps(located.name, ensure_ascii=False)}"
    if is_base:
        differences = [f"without {' '.join(conda.options)}"] if conda.options else []
    else:
        name = conda.environment or "the one that the file names"
        differences = [f"its packages go into the base's own environment, in place of another one, {name}"]
    stage.note(line, Outcome.CHANGED if differences else Outcome.KEY, "; ".join([why, *differences]))


def _paths_of(stage: Stage, environment: str) -> set[str]:
    """Return the paths under which a Dockerfile names an environment of conda."""
    if not environment or "/" in environment:
        return {environment}
    folders = ["/opt/miniconda/envs", "/opt/conda/envs", "/azureml-envs"]
    values = [stage.shell_value(name) or "" for name in (*stage.env, *stage.arguments)]
    return {f"{folder.rstrip('/')}/{environment}" for folder in (*folders, *values) if folder.startswith("/")}


def _shell(stage: Stage, line: int, text: str, *, programs: frozenset[str]) -> None:
    """Note a command that becomes one of `run`."""
    if programs & {"apt", "apt-get"} and not re.search(r"\bupdate\b", text):
        text = f"apt-get update && {text}"
    stage.shells.append(
        Shell(
            line=line,
            text=text,
            user=stage.user,
            folder=stage.folder,
            variables={**stage.arguments, **stage.env},
            programs=programs,
            phase=stage.phase,
            uses_files=not programs or not programs <= _WITHOUT_FILES or _names_copied(stage, text),
        )
    )


def _names_copied(stage: Stage, text: str) -> bool:
    """Return whether a text may name a file that was copied."""
    paths = [each.target for each in stage.copied]
    return any(path in text for path in paths) or bool(re.search(r"(?:^|\s)\.(?:\s|/|$)|\.py\b|\.sh\b", text))


def decide_runs(stage: Stage, final_user: str, moved_root: str) -> None:
    """Say what became of each shell text.

    Args:
        stage: all of it.
        final_user: the runtime user.
        moved_root: the folder of the code in the source's image, if it is not where the table copies the code.
    """
    kept = {
        line
        for line, outcomes in stage.outcomes.items()
        for outcome, _ in outcomes
        if outcome is Outcome.LEFT_OVER
    }
    lost = [each for each in stage.copied if each.line in kept or each.line in stage.installed]
    copies = [each.line for each in stage.copied if each.line not in stage.installed]
    for shell in stage.shells:
        files = [line for line in copies if line < shell.line]
        phase = FILES if files and shell.uses_files else shell.phase
        if missing := _missing(shell, [each.target for each in lost], moved_root):
            stage.left_over(shell.line, f"it uses {missing}, where our image has nothing")
            continue
        if re.search(r"://[^/\s]*:[^/\s]*@", shell.text):
            stage.left_over(shell.line, "an address in it has a login, which would stay readable")
            continue
        user = _user(shell.user, final_user, stage.serves)
        if not user:
            stage.left_over(
                shell.line, f"it runs as the user {shell.user}, and a run as root or the runtime user"
            )
            continue
        command = _command(shell, after_env=phase == FILES, env=stage.env)
        if error := command_error(command):
            stage.left_over(shell.line, f"it {error}")
            continue
        value = {"command": command, "after": _AFTER[phase]}
        value |= {"user": "runtime"} if user == "runtime" else {}
        stage.set(("run",), [value], shell.line)
        later = _later(stage, shell, phase, copies)
        why = f'run, after = "{_AFTER[phase]}"' + (', user = "runtime"' if user == "runtime" else "")
        if later:
            what = "the files" if later[0] == FILES else "the packages"
            stage.note(shell.line, Outcome.CHANGED, f"{why}: it runs after {what} of line {later[1]}, too")
        else:
            stage.note(shell.line, Outcome.KEY, why)


def _missing(shell: Shell, targets: Sequence[str], moved_root: str) -> str:
    """Return a path that a text uses and that the table's image does not have; "" for none."""
    for path in (*targets, *([moved_root] if moved_root else [])):
        name = posixpath.basename(path)
        below = shell.folder and (shell.folder == path or shell.folder.startswith(f"{path}/"))
        if path in ("/", "") or (not below and path not in shell.text):
            is_relative = name and shell.folder == posixpath.dirname(path)
            if not (is_relative and re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-])", shell.text)):
                continue
        return path
    return ""


def _user(user: str, final_user: str, serves: bool | None) -> str:
    """Return which user of `run` *user* is; "" if it is neither."""
    user = user or ("root" if serves is False else RUNTIME_USER)
    if user in _ROOT:
        return "root"
    return "runtime" if user == final_user else ""


def _later(stage: Stage, shell: Shell, phase: int, copies: Sequence[int]) -> tuple[int, int] | None:
    """Return a step that comes after a command in the Dockerfile, and before it here; None if there is none."""
    if shell.programs and shell.programs <= _MAKE_FILES:
        steps = [(FILES, line) for line in copies] if phase == FILES else []
    else:
        steps = [*stage.steps, *((FILES, line) for line in copies)]
    limit = max(phase, APT)
    return next(((step, line) for step, line in steps if line > shell.line and step <= limit), None)


def _command(shell: Shell, *, after_env: bool, env: Mapping[str, str]) -> str:
    """Return the text with the folder and the variables that it has in the Dockerfile."""
    named = named_variables(shell.text)
    reads_all = not shell.programs or not shell.programs <= _READ_NO_VARIABLES
    exports = []
    for name, value in shell.variables.items():
        if after_env and env.get(name) == value:
            continue
        if name in named or (reads_all and name not in IMAGE_VARIABLES):
            exports.append(f"{name}={_shell_quoted(value)}")
    lines = [f"export {' '.join(exports)}"] if exports else []
    if shell.folder and shell.folder != "/" and _depends_on_folder(shell):
        folder = shlex.quote(shell.folder)
        lines.append(f"mkdir -p {folder} && cd {folder}")
    return "\n".join([*lines, shell.text])


def _depends_on_folder(shell: Shell) -> bool:
    """Return whether a command may name something relative to its folder."""
    tools = {"pip", "pip3", "conda", "apt-get", "apt", "useradd", "groupadd"}
    return not shell.programs or not shell.programs <= tools


def _shell_quoted(value: str) -> str:
    """Return a value, as `config.variable_references` writes it, in the double quotes of a shell."""
    texts = [
        re.sub(r'([\\"$`])', r"\\\1", part) if isinstance(part, str) else f"${{{part.name}}}"
        for part in parts(value)
    ]
    return '"' + "".join(texts) + '"'
