"""The rule for each value of the table: a check, the next step, and the same as JSON Schema where possible."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks import image_reference
from azureml_tasks.config import tag_template
from azureml_tasks.config.dockerfile_line import command_error, control_character, one_line_error
from azureml_tasks.config.variable_references import VALUE, reference_error

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a value must be.

    Args:
        error: returns what is wrong with a value, in words that follow the value ("is not …"); "" if it is valid.
        fix: the next step.
        schema: the rule for an editor, as far as JSON Schema can express it.
        fix_of: returns a better next step for a value; "" if `fix` is right.
    """

    error: Callable[[Any], str]
    fix: str
    schema: dict[str, Any]
    fix_of: Callable[[Any], str] = lambda _value: ""


def matching(pattern: str, error: str, fix: str, fix_of: Callable[[str], str] = lambda _value: "") -> Rule:
    """Return the rule for a string that must match the whole of *pattern*."""
    return Rule(
        error=lambda value: "" if re.fullmatch(pattern, value) else error,
        fix=fix,
        schema={"pattern": f"^(?:{pattern})$"},
        fix_of=fix_of,
    )


def between(low: float, high: float) -> Rule:
    """Return the rule for a number from *low* to *high*, both included."""
    return Rule(
        error=lambda value: "" if low <= value <= high else f"is not between {low:g} and {high:g}",
        fix=f"Write a number from {low:g} to {high:g}.",
        schema={"minimum": low, "maximum": high},
    )


def one_of(*values: str) -> Rule:
    """Return the rule for one of *values*."""
    allowed = ", ".join(f'"{value}"' for value in values)
    by_lower_case = {value.lower(): value for value in values}

    def fix_of(value: str) -> str:
        meant = by_lower_case.get(value.lower())
        return f'Write: "{meant}"' if meant else ""

    return Rule(
        error=lambda value: "" if value in values else "is not an allowed value",
        fix=f"Allowed: {allowed}.",
        schema={"enum": list(values)},
        fix_of=fix_of,
    )


def _path_error(value: str) -> str:
    return _invalid_path(value) or ("is outside the project" if _climbs(value) else "")


def _path_below_root_error(value: str) -> str:
    """Return what is wrong with a path that may begin with "..", because `root` says how far up it may lead."""
    return _invalid_path(value) or ("goes down and up again" if _climbs(_after_dots(value)[1]) else "")


def _root_for(value: str) -> str:
    """Return the advice for a path above the project, whose file may be meant; "" for any other."""
    dots, _ = _after_dots(value)
    if not dots or _path_below_root_error(value):
        return ""
    return f'In a monorepo, let the table name the folder that all files are in: root = "{dots}"'


def _after_dots(value: str) -> tuple[str, str]:
    """Divide a path behind the ".." at its beginning."""
    from pathlib import PurePosixPath

    parts = PurePosixPath(value).parts
    dots = list(itertools.takewhile("..".__eq__, parts))
    return "/".join(dots), "/".join(parts[len(dots) :])


def _invalid_path(value: str) -> str:
    from pathlib import PurePosixPath, PureWindowsPath

    if character := control_character(value):
        return f"contains {character}"
    windows = PureWindowsPath(value)
    is_absolute = PurePosixPath(value).is_absolute() or windows.drive or windows.root
    return "is an absolute path" if is_absolute else ""


def _climbs(value: str) -> bool:
    from pathlib import PurePosixPath, PureWindowsPath

    return ".." in PurePosixPath(value).parts or ".." in PureWindowsPath(value).parts


_ABSOLUTE = r"^[/\\]|^[A-Za-z]:"
PATH = Rule(
    error=_path_error,
    fix="Paths are relative to the folder of pyproject.toml and stay inside it.",
    schema={"not": {"pattern": rf"{_ABSOLUTE}|[^./\\][^/\\]*[/\\]\.\.([/\\]|$)"}},
    fix_of=_root_for,
)
"""A file or folder of the project."""
PATH_BELOW_ROOT = Rule(
    error=_path_below_root_error,
    fix='Paths are relative to the folder of pyproject.toml, and ".." comes first.',
    schema=PATH.schema,
)
"""The same where `root` is set."""
PATH_IN_IMAGE = Rule(
    error=_path_error,
    fix=PATH.fix,
    schema={"not": {"pattern": rf"{_ABSOLUTE}|(^|[/\\])\.\.([/\\]|$)"}},
)
"""A path that is relative to what is copied."""
ROOT = matching(
    r"\.|\.\.(/\.\.)*/?", "is not a folder above pyproject.toml", 'Write: root = "..", or: root = "../.."'
)


_SECRETS = ("pip-conf", "netrc")


def _several_secrets(value: str) -> str:
    """Return how to write the secrets that one string names; "" if it does not name several."""
    names = re.split(r"[\s,;]+", value.strip())
    if len(names) < len(_SECRETS) or not set(names) <= set(_SECRETS):
        return ""
    return f"Write each in quotes of its own: secrets = [{', '.join(json.dumps(name) for name in names)}]"


SECRET = Rule(
    error=lambda value: "" if value in _SECRETS else "is not a secret that a build can use",
    fix='Write: secrets = ["pip-conf", "netrc"], and say in each run where they are: '
    "invoke image.build --secret netrc=~/.netrc",
    schema={"enum": [*_SECRETS]},
    fix_of=_several_secrets,
)


def _base_error(value: str) -> str:
    reference = image_reference.expand_base(value)
    if not reference:
        return "is not an image reference"
    return _KEPT if reference.name.partition("/")[0] == image_reference.NO_REGISTRY else ""


def _repository_error(value: str) -> str:
    if not re.fullmatch(rf"(?=.{{1,200}}$){image_reference.REPOSITORY}", value):
        return "is not a valid repository name"
    host = value.partition("/")[0]
    return (
        _KEPT if host == image_reference.NO_REGISTRY or value.endswith(image_reference.KEPT_SUFFIXES) else ""
    )


def valid_repository(value: str) -> str:
    """Return *value* as a repository name: in lower case, with "-" for what it cannot contain.

    Return "" if that is none, or if *value* has a tag or letters of another alphabet.
    """
    if ":" in value or any(character.isalpha() and not character.isascii() for character in value):
        return ""
    parts = (re.sub(r"[^a-z0-9._]+", "-", part).strip("._-") for part in value.lower().split("/"))
    name = "/".join(parts)
    return "" if _repository_error(name) else name


def _with_valid_name(value: str) -> str:
    name = valid_repository(value)
    return f'Write: name = "{name}"' if name else ""


_KEPT = "is a name that azureml-tasks keeps for its cached layers and candidate images"
_NOT_OURS = rf"(?!{re.escape(image_reference.NO_REGISTRY)}(?:[:/]|$))"
_NO_KEPT_END = rf"(?!.*(?:{'|'.join(image_reference.KEPT_SUFFIXES)})$)"
BASE = Rule(
    error=_base_error,
    fix='Write: base = "minimal-py312-inference", or a reference such as "contoso.azurecr.io/bases/serving:4"',
    schema={"pattern": f"^{_NOT_OURS}{image_reference.REFERENCE}$"},
)
REPOSITORY = Rule(
    error=_repository_error,
    fix='Use lower-case letters and digits, with ".", "_" or "-" between them and "/" between parts: "team/scoring"',
    schema={"pattern": rf"^(?:(?=.{{1,200}}$){_NOT_OURS}{_NO_KEPT_END}{image_reference.REPOSITORY})$"},
    fix_of=_with_valid_name,
)
_LOGIN_SERVER = rf"{_NOT_OURS}(?=[^/]*[.:]|localhost$){image_reference.HOST}"


def _with_host_alone(value: str) -> str:
    """Return how to write an address that begins with a host; "" if it does not."""
    host, _, path = value.removeprefix("https://").removeprefix("http://").partition("/")
    if not re.fullmatch(_LOGIN_SERVER, host):
        return ""
    name = valid_repository(path)
    return f'Write the host alone: registry = "{host}"' + (
        f'\nand the path in the name, in the table: name = "{name}/NAME"' if name else ""
    )


REGISTRY = matching(
    _LOGIN_SERVER,
    "is not a login server",
    'Write the host alone, without scheme and path: registry = "contoso.azurecr.io"',
    _with_host_alone,
)
SHARED_LAYERS = matching(
    rf"{_NOT_OURS}(?=[^/]*[.:]|localhost/){image_reference.HOST}/{image_reference.REPOSITORY}",
    "is not a repository with its login server",
    'Write: shared-layers = "contoso.azurecr.io/scoring/layers"',
)
TAG_TEMPLATE = Rule(error=tag_template.check, fix='Write: tags = ["{version}", "{git-sha}"]', schema={})
PLATFORM = matching(
    r"linux/[a-z0-9]+(/v[0-9]+)?", "is not a Linux platform", 'Write: platform = "linux/amd64"'
)
VARIABLE = matching(
    r"[A-Za-z_][A-Za-z0-9_.-]*",
    "is not an environment variable name",
    "Use letters, digits and underscores, starting with a letter or an underscore.",
)
LABEL = Rule(
    error=lambda value: (
        one_line_error(value) or ("" if value and "=" not in value else 'is empty or contains "="')
    ),
    fix='Write a name such as "com.contoso.team"',
    schema={"pattern": r"^[^=\n\r\u0000]+$"},
)
_NAMES = "Write $NAME or ${NAME} for a variable, and $$ for a dollar."
ONE_LINE = Rule(
    error=one_line_error,
    fix="Write it in double quotes, on one line.",
    schema={"pattern": r"^[^\n\r\u0000]*$"},
)
VALUE_OF_VARIABLE = Rule(
    error=lambda value: one_line_error(value) or reference_error(value),
    fix=ONE_LINE.fix,
    schema={"pattern": f"^{VALUE}$"},
    fix_of=lambda value: _NAMES if not one_line_error(value) and reference_error(value) else "",
)
COMMAND = Rule(
    error=command_error,
    fix="Write a command for /bin/sh -c. Put a command that is too long into a script in the code folder.",
    schema={},
)
# useradd(8)'s default rule, or the number of a user other than root.
USER = matching(
    r"(?!root$)[a-z_][a-z0-9_-]{0,31}|[1-9][0-9]{0,9}",
    "is not a runtime user",
    'Write: user = "dockeruser". The user cannot be root.',
)
_AMOUNT = r"[1-9][0-9]*[kmg]"
_AMOUNT_IN_WORDS = r"([1-9][0-9]*) ?([kmg])(?:i?b|igs?|(?:ilo|ega|iga)bytes?)?"
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}
_LEAST_MEMORY = 6 * 2**20
"""Bytes without which Docker's engine starts no container."""


def memory_bytes(amount: str) -> int:
    """Return the bytes of an amount of memory such as `4g`; of more than 20 digits only the first ones count."""
    return int(amount[:-1][:20]) * _BYTES[amount[-1]]


def _memory_error(value: str) -> str:
    if not re.fullmatch(_AMOUNT, value):
        return "is not an amount of memory"
    # A number of bytes that has more than 63 bits is a small one to Docker's engine.
    is_taken = _LEAST_MEMORY <= memory_bytes(value) < 2**63
    return "" if is_taken else "is not between 6m and 8589934591g, as Docker takes it"


def _memory_of_words(value: str) -> str:
    """Return how to write an amount such as "2 GB"; "" for any other text."""
    words = re.fullmatch(_AMOUNT_IN_WORDS, value.strip().lower())
    amount = "".join(words.groups()) if words else ""
    return f'Write: memory = "{amount}"' if amount and not _memory_error(amount) else ""


MEMORY = Rule(
    error=_memory_error,
    fix='Write a number with the unit k, m or g, such as: memory = "4g"',
    schema={"pattern": f"^(?:{_AMOUNT})$"},
    fix_of=_memory_of_words,
)
URL_PATH = matching(r"/[!-~]*", "is not a URL path", 'Write: path = "/score"')
HEALTH_PATH = matching(r"/[!-~]*", "is not a URL path", 'Write: health = "/healthz"')
GPUS = matching(
    r"all|[1-9][0-9]{0,2}|device=[A-Za-z0-9:._-]+(?:,[A-Za-z0-9:._-]+)*",
    "is not what docker run --gpus takes",
    'Write: gpus = "all", gpus = "1" or gpus = "device=0,1"',
)
MODEL_NAME = matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}",
    "is not a model name",
    'Use letters and digits, with ".", "_" and "-" between them: model-name = "model"',
)


def _requirement_error(value: str) -> str:
    return _requirement_problem(value)[0]


def _requirement_problem(value: str) -> tuple[str, str]:
    """Return what is wrong with a requirement and a better next step than an example; each may be ""."""
    from packaging.requirements import InvalidRequirement

    from azureml_tasks.config.requirement import (
        address_problem,
        first_line,
        parse_requirement,
        with_two_equals_signs,
    )

    try:
        requirement = parse_requirement(value)
    except InvalidRequirement as error:
        meant = with_two_equals_signs(value)
        return f"is not a requirement: {first_line(error)}", f"Write: {json.dumps(meant)}" if meant else ""
    problem = address_problem("it", requirement.url) if requirement.url else None
    return (f"cannot be installed: {problem[0]}", problem[1]) if problem else ("", "")


# Names: https://www.debian.org/doc/debian-policy/ch-controlfields.html#source; versions: #version on that page.
# A trailing "-" would make apt-get remove the package.
_APT = r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[A-Za-z0-9.+:~-]+)?"


def _apt_names(value: str) -> str:
    """Return how to write packages that are in one string, in upper case or with two equals signs; "" for others."""
    parts = (re.sub("==?", "=", word).partition("=") for word in value.split())
    names = [f"{name.lower()}{sign}{version}" for name, sign, version in parts]
    is_certain = names and all(re.fullmatch(_APT, name) for name in names)
    return f"Write: {', '.join(map(json.dumps, names))}" if is_certain else ""


APT = matching(
    _APT,
    "is not a Debian package name",
    'Write the name, or the name with a version: "libpng-tools", "libpng-tools=1.6.39-2"',
    fix_of=_apt_names,
)
PIP = Rule(
    error=_requirement_error,
    fix='Write a requirement such as "numpy==2.1.3" or "contoso-features[text]>=4; python_version >= \'3.11\'"',
    schema={},
    fix_of=lambda value: _requirement_problem(value)[1],
)
