"""A Dockerfile → what the table says of it, instruction by instruction. Nothing is run.

It is divided by `project.dockerfile_text`, as Docker's own parser divides it. The order of the instructions is that of
https://docs.docker.com/reference/dockerfile/; what a generated Dockerfile does is in `planning.dockerfile`.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.image_reference import parse
from azureml_tasks.migration.base_choice import SERVER, choose_base
from azureml_tasks.migration.base_image import brings_server, serves_otherwise
from azureml_tasks.migration.conda_text import read_conda_at
from azureml_tasks.migration.dockerfile.command import decide_command, read_command
from azureml_tasks.migration.dockerfile.copies import decide_copies, read_copy
from azureml_tasks.migration.dockerfile.environment import (
    decide_env,
    read_arg,
    read_env,
    read_label,
    set_label,
)
from azureml_tasks.migration.dockerfile.installs import decide_pips
from azureml_tasks.migration.dockerfile.runs import read_run
from azureml_tasks.migration.dockerfile.shells import decide_runs
from azureml_tasks.migration.dockerfile.stage import RUNTIME_USER, Shell, Stage
from azureml_tasks.migration.dockerfile.stages import (
    Numbered,
    build_context,
    foreign_context,
    instructions_of_image,
    numbered_instructions,
)
from azureml_tasks.migration.dockerfile.words import UnknownValueError, expanded, json_words, plain
from azureml_tasks.migration.reading import Kind, Outcome, Reading, SourceLine
from azureml_tasks.planning.plan import APP_ROOT
from azureml_tasks.project.base_images import brings_script
from azureml_tasks.project.dockerfile_facts import read_facts
from azureml_tasks.project.dockerfile_text import split_dockerfile, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azureml_tasks.migration.dockerfile.command import Server
    from azureml_tasks.migration.dockerfile.copies import Places
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings
    from azureml_tasks.project.dockerfile_facts import DockerfileFacts
    from azureml_tasks.project.dockerfile_text import Instruction

_LARGEST = 1_000_000
"""Characters, as for the Dockerfile that the key `dockerfile` names."""
_MOST_INSTRUCTIONS = 1_000
_LONGEST_SHOWN = 120
"""Characters of an instruction in the report."""
_SEVERITY = (Outcome.LEFT_OVER, Outcome.CHANGED, Outcome.KEY, Outcome.DEPLOYMENT, Outcome.NOT_NEEDED)
_ROOT = ("0", "root")
_SERVED_PORTS = ("5001", "5001/tcp")
_FOLDERS = frozenset({
    "/", "/home", "/opt", "/root", "/tmp", "/usr", "/var", APP_ROOT, f"/home/{RUNTIME_USER}",  # noqa: S108 -- of an image
})  # fmt: skip
"""Folders that are there."""
_OTHERS = {
    "VOLUME": "no key makes a volume",
    "STOPSIGNAL": "no key sets it",
    "ONBUILD": "it is only for images that extend this one",
}


def read_dockerfile(source: Source, surroundings: Surroundings) -> Reading:
    """Return what a Dockerfile says, in terms of the table.

    Args:
        source: the Dockerfile.
        surroundings: of the project.
    """
    if len(source.text) > _LARGEST:
        end = source.text.count("\n") + 1
        why = f"it has more than {_LARGEST:,} characters, and is not read"
        return Reading(source=source, lines=(SourceLine(1, end, source.name, Outcome.LEFT_OVER, why),))
    split = split_dockerfile(source.text)
    instructions = numbered_instructions(split.instructions, source.text)
    known = [each.instruction for each in instructions[:_MOST_INSTRUCTIONS]]
    used, others = instructions_of_image(known)
    last_user = next((each.arguments for each in reversed(used) if each.name == "USER"), "")
    facts = read_facts(source.text, "linux/amd64")
    context = build_context(source, surroundings, used)
    stage = Stage(source, surroundings, context, facts, last_user.partition(":")[0])
    for each in instructions[_MOST_INSTRUCTIONS:]:
        stage.left_over(each.instruction.line, f"more than {_MOST_INSTRUCTIONS:,} instructions are not read")
    starts = {each.line for each in known if each.name == "FROM"}
    for line, why in others.items():
        if why and line in starts:
            stage.keep(line, why)
        elif why:
            stage.left_over(line, why)
        else:
            stage.note(line, Outcome.NOT_NEEDED, "the image takes nothing from this stage")
    _read(stage, known, used, others)
    server = decide_command(stage)
    places = _places(stage, server)
    _decide_base(stage, server)
    _decide_user(stage)
    _decide_folder(stage, places)
    decide_runs(stage, _runtime_user(stage), places.code if places.code != stage.app_root else "")
    decide_pips(stage)
    for name, (value, line) in stage.labels.items():
        stage.set(("labels",), {name: value}, line)
    decide_env(stage, places, server)
    _decide_ports(stage, server)
    if foreign := _foreign_language(source.text, stage.facts):
        stage.keep(foreign, "a builder of its own reads it: the language may be another one")
    if split.unfinished:
        stage.left_over(split.unfinished, "the file ends before the instruction does")
    return Reading(
        source=source,
        values=tuple(sorted(stage.values, key=lambda value: value.line)),
        lines=tuple(sorted((*_lines(stage, instructions), *_directive(stage, source.text)))),
        references=tuple(stage.references),
        keeps_dockerfile=tuple(dict.fromkeys(stage.keeps)),
        foreign_context=foreign_context(source, surroundings, known),
    )


def _foreign_language(text: str, facts: DockerfileFacts) -> int:
    """Return the line of a directive that names a builder which may have another language; 0 if there is none."""
    if not any(feature.startswith("# syntax=") for feature in facts.buildkit):
        return 0
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    return next((number for number, line in lines if line.lower().replace(" ", "").startswith("#syntax=")), 0)


def _directive(stage: Stage, text: str) -> Iterator[SourceLine]:
    """Yield what became of the directive for another language."""
    if line := _foreign_language(text, stage.facts):
        why = "; ".join(why for _, why in stage.outcomes[line])
        yield SourceLine(
            line, line, text.split("\n")[line - 1].strip()[:_LONGEST_SHOWN], Outcome.LEFT_OVER, why
        )


def _read(
    stage: Stage, instructions: Sequence[Instruction], used: Sequence[Instruction], others: dict[int, str]
) -> None:
    """Read the instructions that make the image, in their order."""
    outer: dict[str, str] = {}
    lines = {each.line for each in used}
    has_base = False
    for each in instructions:
        if each.line not in lines or each.line in others:
            continue
        if each.name == "FROM":
            if has_base:
                stage.note(each.line, Outcome.NOT_NEEDED, "it goes on with the stage before")
            else:
                _read_from(stage, each)
            has_base = True
        elif each.name == "ARG" and not has_base:
            _read_outer(stage, each, outer)
        elif each.name == "ARG":
            read_arg(stage, each, outer)
        else:
            _read_instruction(stage, each)
    if not has_base:
        stage.left_over(instructions[0].line if instructions else 1, "it has no FROM, which names the base")


def _read_outer(stage: Stage, instruction: Instruction, outer: dict[str, str]) -> None:
    line = instruction.line
    for word in words_of(instruction.arguments):
        name, sign, default = word.partition("=")
        try:
            outer[name] = expanded(default, outer.get, stage.escape)
        except UnknownValueError as error:
            stage.left_over(line, f"{name}: {error.why}")
            continue
        if sign:
            stage.note(line, Outcome.NOT_NEEDED, f"a build here passes no argument, so {name} is its default")
        else:
            stage.left_over(line, f"{name} has no default, and a build here passes no argument")


def _read_from(stage: Stage, instruction: Instruction) -> None:
    line = instruction.line
    facts = stage.facts
    image = next((each for each in facts.images if each.line == line and each.text.startswith("FROM")), None)
    if image and image.platform and image.platform != "linux/amd64":
        if validators.PLATFORM.error(image.platform):
            stage.left_over(line, f"the table has no platform {image.platform}")
        else:
            stage.set(("platform",), image.platform, line)
            stage.note(line, Outcome.KEY, f'platform = "{image.platform}"')
    if not image or not image.reference or "{{" in instruction.arguments:
        why = next((each.what for each in facts.problems if each.line == line), "")
        is_placeholder = "{{" in instruction.arguments or "<" in instruction.arguments
        why = why or ("a placeholder" if is_placeholder else "it names no image that the table can extend")
        name = instruction.arguments.partition("{{")[0].split("AS")[0].strip().rstrip(":")
        reference = parse(name)
        _set_base(stage, reference)
        stage.left_over(line, f"{why}: name the base with --base" if is_placeholder else why)
        return
    _set_base(stage, image.reference)
    stage.base, stage.base_line = str(image.reference), line


def _set_base(stage: Stage, reference: object) -> None:
    from azureml_tasks.image_reference import Reference

    if isinstance(reference, Reference):
        stage.serves = brings_server(reference)
        stage.serves_otherwise = serves_otherwise(reference)
        stage.brings_script = brings_script(reference) is True
        stage.makes_environment = reference.repository.rpartition("/")[2].startswith("inference-base")
    stage.user = ""


def _read_instruction(stage: Stage, each: Instruction) -> None:
    reader = _READERS.get(each.name)
    if reader:
        reader(stage, each)
    else:
        stage.left_over(each.line, _OTHERS.get(each.name, "an instruction that is not known here"))


def _read_ports(stage: Stage, each: Instruction) -> None:
    stage.ports[each.line] = each.arguments.split()


def _read_shell(stage: Stage, each: Instruction) -> None:
    stage.shell = tuple(json_words(each.arguments) or stage.shell)
    stage.note(each.line, Outcome.NOT_NEEDED, "each run names the shell that it needs")


def _read_maintainer(stage: Stage, each: Instruction) -> None:
    set_label(stage, "org.opencontainers.image.authors", each.arguments.strip("\"' "), each.line)
    stage.note(each.line, Outcome.CHANGED, "a label in place of the image's field for its author")


def _read_health_check(stage: Stage, each: Instruction) -> None:
    why = "Azure ML asks by the probes of the deployment"
    if each.arguments.strip().upper() == "NONE":
        stage.note(each.line, Outcome.NOT_NEEDED, why)
    else:
        stage.left_over(each.line, f"no key sets it, and {why}")


def _read_folder(stage: Stage, each: Instruction) -> None:
    try:
        stage.folder = stage.path(each.arguments)
    except UnknownValueError as error:
        stage.left_over(each.line, error.why)
        return
    stage.folder_lines.append((each.line, stage.folder))
    if stage.folder not in _FOLDERS and not stage.folder.startswith("$"):
        command = f"mkdir -p {shlex.quote(stage.folder)}"
        stage.shells.append(Shell(each.line, command, "root", "", {}, frozenset({"mkdir"}), 0))


def _decide_folder(stage: Stage, places: Places) -> None:
    """Say what became of each WORKDIR."""
    for line, folder in stage.folder_lines[:-1]:
        stage.note(line, Outcome.NOT_NEEDED, f"each run that needs it goes to {folder}")
    for line, folder in stage.folder_lines[-1:]:
        if folder in ("/", stage.app_root, places.code):
            stage.note(line, Outcome.NOT_NEEDED, "the server starts in the folder of the code")
        else:
            why = f"each run that needs it goes to {folder}, and the server to the folder of the code"
            stage.note(line, Outcome.CHANGED, why)


def _read_user(stage: Stage, each: Instruction) -> None:
    try:
        stage.user = stage.text_of(each.arguments.strip()).partition(":")[0]
    except UnknownValueError as error:
        stage.left_over(each.line, error.why)
        return
    stage.users.append((each.line, stage.text_of(each.arguments.strip())))


_READERS: Mapping[str, Callable[[Stage, Instruction], None]] = {
    "ADD": read_copy,
    "CMD": read_command,
    "COPY": read_copy,
    "ENTRYPOINT": read_command,
    "ENV": read_env,
    "EXPOSE": _read_ports,
    "HEALTHCHECK": _read_health_check,
    "LABEL": read_label,
    "MAINTAINER": _read_maintainer,
    "RUN": read_run,
    "SHELL": _read_shell,
    "USER": _read_user,
    "WORKDIR": _read_folder,
}


def _runtime_user(stage: Stage) -> str:
    user = stage.user
    return RUNTIME_USER if user in ("", *_ROOT) or validators.USER.error(user) else user


def _decide_user(stage: Stage) -> None:
    """Say what became of each USER."""
    for line, user in stage.users[:-1]:
        name = user.partition(":")[0]
        what = "apt and pip install as root anyway" if name in _ROOT else "each run names its user"
        stage.note(line, Outcome.NOT_NEEDED, what)
    for line, text in stage.users[-1:]:
        name, _, group = text.partition(":")
        if name in _ROOT:
            stage.note(line, Outcome.CHANGED, f"the image runs as {RUNTIME_USER}, never as root")
        elif error := validators.USER.error(name):
            stage.left_over(line, f'"{name}" {error}')
        else:
            if name != RUNTIME_USER:
                stage.set(("user",), name, line)
            shown = f'user = "{name}"' + (" is the default" if name == RUNTIME_USER else "")
            other = group and group != name
            stage.note(
                line,
                Outcome.CHANGED if other else Outcome.KEY,
                f"{shown}; with its own group, not {group}" if other else shown,
            )


def _decide_base(stage: Stage, server: Server) -> None:
    """Say what became of FROM: the base, with the Python that conda files want, and with the server that it lacks."""
    line = stage.base_line
    if not stage.base:
        return
    pythons = [wish for file in stage.conda_files for wish in read_conda_at(stage.surroundings, file).pythons]
    base = choose_base(stage.base, pythons, serves=stage.serves is not False)
    if not base.name:
        stage.left_over(line, base.why)
        return
    stage.set(("base",), base.name, line)
    shown = f'base = "{base.name}"'
    stage.note(
        line, Outcome.CHANGED if base.differs else Outcome.KEY, "; ".join(filter(None, [shown, base.differs]))
    )
    for reference in [each for each in stage.references if each.kind is Kind.CONDA and base.python]:
        stage.note(reference.line, Outcome.CHANGED if base.takes_conda else Outcome.LEFT_OVER, base.python)
        if not base.takes_conda:
            stage.references.remove(reference)
    if stage.serves_otherwise and server.starts is None:
        stage.keep(line, "the base has a server of its own, which is not Azure ML's inference server")
        return
    adds_server = base.adds_server and server.starts is not False
    if adds_server and server.starts is None:
        stage.set(("server",), SERVER, line)
        stage.note(
            line, Outcome.CHANGED, f'server = "{SERVER}" adds the inference server, which the base lacks'
        )
    if adds_server and not stage.users:
        stage.note(line, Outcome.CHANGED, f"the image runs as {RUNTIME_USER}, not as root")


def _places(stage: Stage, server: Server) -> Places:
    root = stage.env.get("AML_APP_ROOT", "")
    root = stage.absolute(plain(root)) if root else ""
    if not root and server.folder and server.starts and stage.serves is False:
        root = server.folder if server.folder != "/" else posixpath.dirname(server.entry_script)
    return decide_copies(stage, root if root.startswith("/") and root != "/" else stage.app_root)


def _decide_ports(stage: Stage, server: Server) -> None:
    for line, ports in stage.ports.items():
        if all(port in _SERVED_PORTS for port in ports):
            stage.note(line, Outcome.NOT_NEEDED, "the image serves on port 5001")
        elif server.starts is False:
            stage.left_over(line, "the image serves on port 5001")
        else:
            stage.note(line, Outcome.CHANGED, "the image serves on port 5001, and exposes no other one")


def _lines(stage: Stage, instructions: Sequence[Numbered]) -> Iterator[SourceLine]:
    """Yield what became of each instruction: its worst outcome, and every reason that is not less than a key."""
    for instruction, end in instructions:
        noted = stage.outcomes.get(instruction.line) or [(Outcome.LEFT_OVER, "it is not understood")]
        outcome = min((each for each, _ in noted), key=_SEVERITY.index)
        shown = [(each, why) for each, why in noted if each is not Outcome.NOT_NEEDED or outcome is each]
        shown.sort(key=lambda each: _SEVERITY.index(each[0]))
        text = " ".join(f"{instruction.name} {' '.join([*instruction.flags, instruction.arguments])}".split())
        if len(text) > _LONGEST_SHOWN:
            text = f"{text[: _LONGEST_SHOWN - 1]}…"
        yield SourceLine(instruction.line, end, text, outcome, "; ".join(why for _, why in shown))
