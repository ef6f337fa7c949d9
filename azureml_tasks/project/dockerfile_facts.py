"""What a Dockerfile says about its image: the images that it uses, the features of BuildKit that it needs, its user."""

from __future__ import annotations

import re
from collections import ChainMap
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.image_reference import Reference, parse
from azureml_tasks.project.dockerfile_text import split_dockerfile, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.project.dockerfile_text import DockerfileText, Instruction

_BUILDKIT_FLAGS = {
    "ADD": ("--checksum", "--chmod", "--exclude", "--keep-git-dir", "--link", "--parents", "--unpack"),
    "COPY": ("--chmod", "--exclude", "--link", "--parents"),
    "RUN": ("--device", "--mount", "--network", "--security"),
}
"""Flags that the legacy builder does not know: https://docs.docker.com/reference/dockerfile/."""
_BUILDKIT_ARGUMENTS = frozenset(
    side + part for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""Arguments that BuildKit alone sets: https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope."""
_OWN_LANGUAGE = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:[:@].*)?")
"""The frontend whose language the builder knows anyway; any other one may have another language."""
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<kind>[-+])(?P<word>[^${}]*))?\})")
_DEEPEST = 10
"""Variables inside each other."""
_LONGEST = 4096
"""Characters of a text whose variables get their values: no name of an image is longer, and each may double it."""
_SECRET_MOUNTS = ("secret", "ssh")
_ROOT = ("0", "root")


class UsedImage(NamedTuple):
    """An image that a Dockerfile names.

    Args:
        line: of the instruction, 1-based.
        text: the instruction as far as it names the image, with the values of its arguments.
        reference: of the image; None for `scratch`, and for one that only the builder knows.
        platform: that the instruction asks for; "" for none.
    """

    line: int
    text: str
    reference: Reference | None
    platform: str = ""


class DockerfileProblem(NamedTuple):
    """A mistake: its line, what is wrong and the next step."""

    line: int
    what: str
    fix: str


class DockerfileFacts(NamedTuple):
    """What a Dockerfile says.

    Args:
        images: that it uses, in order; stages of its own are none.
        base: that its last stage starts from, through other stages; None if that is `scratch` or not known.
        buildkit: the features that only BuildKit has, each with the line of its first use.
        frontend: the image of the line `# syntax=`, which BuildKit pulls and runs; "" for none.
        user: of the image, without its group; "" if only the build tells.
        secret_mounts: lines of commands that mount a secret or an SSH agent.
        escape: the character that continues a line.
        problems: mistakes.
    """

    images: tuple[UsedImage, ...] = ()
    base: Reference | None = None
    buildkit: tuple[str, ...] = ()
    frontend: str = ""
    user: str = ""
    secret_mounts: tuple[int, ...] = ()
    escape: str = "\\"
    problems: tuple[DockerfileProblem, ...] = ()


class _Stage(NamedTuple):
    """One stage: its name in lower case, what it starts from, and its last USER with its line."""

    name: str
    base: Reference | None
    before: int | None
    user: tuple[str, int] = ("", 0)


def read_facts(text: str, platform: str) -> DockerfileFacts:
    """Return what the text of a Dockerfile says, for a build of *platform*, such as `linux/amd64`."""
    split = split_dockerfile(text)
    stages, images, problems = _stages(split.instructions, platform)
    user, line = _user(stages)
    if not stages:
        problems.append(DockerfileProblem(0, "has no FROM", "Write: FROM, with the image to start from"))
    if split.unfinished:
        what = "the last instruction is not finished: the file ends before it"
        problems.append(DockerfileProblem(split.unfinished, what, "Finish it."))
    if user in _ROOT:
        what = f"the image would run as root: USER {user} is its last USER"
        problems.append(DockerfileProblem(line, what, "Add at the end: USER dockeruser, or another user"))
    frontend = split.directives.get("syntax", "")
    return DockerfileFacts(
        images=tuple(images),
        base=_base(stages),
        buildkit=tuple(_buildkit(split, frontend)),
        frontend=frontend,
        escape=split.directives.get("escape", "\\"),
        user="" if "$" in user else user,
        secret_mounts=tuple(
            instruction.line
            for instruction in split.instructions
            if any(_mount(value).get("type") in _SECRET_MOUNTS for value in _mounts(instruction))
        ),
        problems=tuple(problems),
    )


def _stages(
    instructions: Sequence[Instruction], platform: str
) -> tuple[list[_Stage], list[UsedImage], list[DockerfileProblem]]:
    arguments = _platform_arguments(platform)
    stages: list[_Stage] = []
    by_name: dict[str, int] = {}
    images: list[UsedImage] = []
    problems: list[DockerfileProblem] = []
    for instruction in instructions:
        if instruction.name == "ARG" and not stages:
            arguments |= _declared(instruction, arguments)
        elif instruction.name == "FROM":
            text, unset = _expanded(instruction.arguments, arguments)
            words = text.split() or [""]
            problems += [_unset_argument(instruction.line, name, arguments) for name in unset]
            name = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""  # noqa: PLR2004 -- IMAGE as NAME
            before = by_name.get(words[0].lower())
            image = None if before is not None or unset else _used_image(instruction, text, arguments)
            images += [image] if image else []
            by_name |= {name: len(stages)} if name else {}
            stages.append(_Stage(name=name, base=image.reference if image else None, before=before))
        elif instruction.name == "USER" and stages:
            user = instruction.arguments.strip("\"' ").partition(":")[0]
            stages[-1] = stages[-1]._replace(user=(user, instruction.line))
        else:
            images += _copied_from(instruction, by_name)
    return stages, images, problems


def _platform_arguments(platform: str) -> dict[str, str | None]:
    """Return the arguments that BuildKit sets; None for those of the machine that builds."""
    system, architecture, *variant = platform.split("/")
    known = {
        "TARGETPLATFORM": platform,
        "TARGETOS": system,
        "TARGETARCH": architecture,
        "TARGETVARIANT": "".join(variant),
    }
    return {name: known.get(name) for name in sorted(_BUILDKIT_ARGUMENTS)}


def _declared(instruction: Instruction, arguments: dict[str, str | None]) -> dict[str, str | None]:
    """Return the arguments that an ARG before the first FROM declares; "" for one without a default."""
    declared: dict[str, str | None] = {}
    for word in words_of(instruction.arguments):
        name, equals, default = word.partition("=")
        if equals:
            declared[name], _ = _expanded(default.strip("\"'"), ChainMap(declared, arguments))
        elif name not in _BUILDKIT_ARGUMENTS:
            declared[name] = ""
    return declared


def _expanded(text: str, arguments: Mapping[str, str | None]) -> tuple[str, list[str]]:
    """Return *text* with the values of its variables, and the names of those that have none."""
    unset: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match["plain"] or match["name"]
        argument = arguments.get(name, "")
        if argument is None:  # Only the builder knows it.
            return f"<{name}>"
        if match["kind"] == "-":
            return argument or match["word"]
        if match["kind"] == "+":
            return match["word"] if argument else ""
        if not argument:
            unset.append(name)
        return argument

    count = 1
    for _ in range(_DEEPEST):
        if len(text) > _LONGEST or not count:
            break
        text, count = _VARIABLE.subn(value, text)
    if len(text) > _LONGEST:
        return "<too-long>", []
    return text.replace('"', "").replace("'", ""), unset


def _unset_argument(line: int, name: str, arguments: Mapping[str, str | None]) -> DockerfileProblem:
    why = "has no default" if name in arguments else "is not declared before the first FROM"
    return DockerfileProblem(
        line, f"FROM needs the argument {name}, which {why}", f"Write before it: ARG {name}=…"
    )


def _used_image(instruction: Instruction, text: str, arguments: Mapping[str, str | None]) -> UsedImage:
    platforms = [_expanded(value, arguments)[0] for value in instruction.flag_values("--platform")]
    platform = "".join(platforms[-1:])
    name = text.split(maxsplit=1)[0] if text.split() else ""
    flag = f"--platform={platform} " if platform else ""
    return UsedImage(
        line=instruction.line,
        text=f"FROM {flag}{text}",
        reference=_reference(name),
        platform="" if "<" in platform else platform,
    )


def _reference(name: str) -> Reference | None:
    """Return the image reference, with the tag that Docker adds; None for `scratch` and for what is none."""
    reference = parse(name) if name != "scratch" else None
    if reference and not reference.tag and not reference.digest:
        return reference._replace(tag="latest")
    return reference


def _copied_from(instruction: Instruction, stages: Mapping[str, int]) -> Iterator[UsedImage]:
    """Yield the images, not stages, that an instruction copies from or mounts.

    Args:
        instruction: of any kind.
        stages: name of each stage before it, in lower case → which one it is.
    """
    places = instruction.flag_values("--from") if instruction.name in {"ADD", "COPY"} else []
    places += [_mount(value).get("from", "") for value in _mounts(instruction)]
    for place in places:
        if place and "$" not in place and not place.isdigit() and place.lower() not in stages:
            flag = "--from" if instruction.name != "RUN" else "--mount=from"
            text = f"{instruction.name} {flag}={place}"
            yield UsedImage(line=instruction.line, text=text, reference=_reference(place))


def _mounts(instruction: Instruction) -> list[str]:
    return instruction.flag_values("--mount") if instruction.name == "RUN" else []


def _mount(value: str) -> dict[str, str]:
    """Return the options of a --mount, by name."""
    return dict(option.strip("\"' ").partition("=")[::2] for option in value.split(","))


def _base(stages: Sequence[_Stage]) -> Reference | None:
    stage = stages[-1] if stages else None
    while stage and stage.before is not None:
        stage = stages[stage.before]
    return stage.base if stage else None


def _user(stages: Sequence[_Stage]) -> tuple[str, int]:
    """Return the last USER of the last stage, or of the stage that it starts from, and its line."""
    stage = stages[-1] if stages else None
    while stage and not stage.user[0] and stage.before is not None:
        stage = stages[stage.before]
    return stage.user if stage else ("", 0)


def _buildkit(split: DockerfileText, frontend: str) -> Iterator[str]:
    """Yield the features that only BuildKit has, each once."""
    if frontend and not _OWN_LANGUAGE.fullmatch(frontend):
        yield f"# syntax={frontend}"
    lines: dict[str, int] = {}
    for instruction in split.instructions:
        for feature in _features(instruction):
            lines.setdefault(feature, instruction.line)
    yield from (f"{feature} (line {line})" for feature, line in lines.items())


def _features(instruction: Instruction) -> Iterator[str]:
    if instruction.heredocs:
        yield f"{instruction.name} with a here-document"
    flags = {flag.partition("=")[0] for flag in instruction.flags}
    for flag in _BUILDKIT_FLAGS.get(instruction.name, ()):
        if flag in flags:
            yield f"{instruction.name} {flag}"
    if instruction.name == "ARG":
        yield from (f"ARG {word}" for word in words_of(instruction.arguments) if word in _BUILDKIT_ARGUMENTS)
    elif instruction.name == "FROM":
        used = {
            match["plain"] or match["name"]
            for match in _VARIABLE.finditer(" ".join([*instruction.flags, instruction.arguments]))
        }
        yield from (f"FROM with {name}" for name in sorted(used & _BUILDKIT_ARGUMENTS))
