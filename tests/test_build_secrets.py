"""Build secrets: where they are, what is wrong with them, and that no message shows a value."""

from __future__ import annotations

import json
import netrc
import os
import re
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.errors import SettingsError
from azureml_tasks.project import build_secrets
from azureml_tasks.project.model import BuildSecret
from tests.consumers import consumer, invoke, project

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.errors import Problem

CONF = "[global]\nindex-url = https://alice:hunter2@pypi.contoso.example/simple\n"
LOGIN = "machine pypi.contoso.example login alice password hunter2\n"
TABLE = """\
pip = ["contoso-features"]
secrets = ["pip-conf", "netrc"]
"""
EXAMPLE = {
    "pip-conf": "It holds, for example:\n[global]\nindex-url = https://pypi.contoso.example/simple",
    "netrc": "It holds, for example:\nmachine pypi.contoso.example login NAME password PASSWORD",
}
NOT_GIVEN = """\
pyproject.toml:8: tool.azureml-image.secrets wants pip-conf, and the run does not say where it is
    Add: --secret pip-conf=FILE, --secret pip-conf=env:VARIABLE or --secret pip-conf=default
    or: export INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF=FILE

pyproject.toml:8: tool.azureml-image.secrets wants netrc, and the run does not say where it is
    Add: --secret netrc=FILE, --secret netrc=env:VARIABLE or --secret netrc=default
    or: export INVOKE_AZUREML_IMAGE_SECRET_NETRC=FILE

2 problems; nothing was built.
"""
NEITHER = """\
--secret: pip-conf: the variable CONTOSO_PIP_CONF is not set
    export CONTOSO_PIP_CONF="$(cat FILE)"

INVOKE_AZUREML_IMAGE_SECRET_NETRC: netrc: FOLDER/login/netrc does not exist
    It holds, for example:
    machine pypi.contoso.example login NAME password PASSWORD

2 problems; nothing was built.
"""


def in_variable(name: str = "CONTOSO_PIP_CONF", *, key: str = "pip-conf") -> BuildSecret:
    """A secret that a variable holds."""
    return BuildSecret(id=key, variable="PIP_CONFIG_FILE", env=name, option="--secret")


def in_file(path: Path | str, *, key: str = "netrc") -> BuildSecret:
    """A secret that a file holds."""
    return BuildSecret(id=key, variable="NETRC", file=str(path), option="--secret")


def problems_with(secret: BuildSecret, folder: Path) -> list[Problem]:
    """What is wrong with one secret of a build without files."""
    return build_secrets.secret_problems(folder, [secret], [])


def test_each_value_is_read_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line breaks and characters stay as they are."""
    monkeypatch.setenv("CONTOSO_PIP_CONF", "[global]\r\nindex-url = https://x/é\n")
    (tmp_path / "netrc").write_bytes("machine a login b password é\r\n".encode())

    values = build_secrets.read_secrets([in_variable(), in_file(tmp_path / "netrc")])

    conf = "[global]\r\nindex-url = https://x/é\n".encode()
    assert {"pip-conf": conf, "netrc": "machine a login b password é\r\n".encode()} == values


def test_one_error_names_every_missing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`secret_problems` returns the same without an error."""
    monkeypatch.delenv("CONTOSO_PIP_CONF", raising=False)
    secrets = [in_variable(), in_file(tmp_path / "netrc")]

    with pytest.raises(SettingsError) as caught:
        build_secrets.read_secrets(secrets)

    assert (tuple(build_secrets.secret_problems(tmp_path, secrets, [])), ["--secret"] * 2) == (
        caught.value.problems,
        [problem.file for problem in caught.value.problems],
    )


VARIABLES = {
    "empty": ("", "is empty", 'export CONTOSO_PIP_CONF="$(cat FILE)"'),
    "a path": ("~/pip.conf", "is not a valid pip.conf: pip cannot parse line 1", EXAMPLE["pip-conf"]),
    "an address": (
        "https://alice:hunter2@x/",
        "is not a valid pip.conf: pip cannot parse line 1",
        EXAMPLE["pip-conf"],
    ),
    "no option": (CONF + "hunter2", "is not a valid pip.conf: pip cannot parse line 3", EXAMPLE["pip-conf"]),
    "an option twice": (
        CONF + "index-url = hunter2",
        "is not a valid pip.conf: pip cannot parse line 3",
        EXAMPLE["pip-conf"],
    ),
    "not UTF-8": (
        CONF + "# \udcff",
        "is not a valid pip.conf: pip cannot parse line 3",
        EXAMPLE["pip-conf"],
    ),
    "large": (
        CONF + "#" * 600_000,
        "is larger than 500 KiB, the limit of BuildKit",
        EXAMPLE["pip-conf"],
    ),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_problem_of_a_variable_does_not_show_its_value(
    case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pip prints the line of a pip.conf that it cannot parse, so such a file never reaches pip."""
    value, problem_text, fix = VARIABLES[case]
    if len(value) < 100_000:
        monkeypatch.setenv("CONTOSO_PIP_CONF", value)
    else:  # Linux starts no program with a variable as large as this.
        monkeypatch.setitem(os.environ, "CONTOSO_PIP_CONF", value)

    [problem] = problems_with(in_variable(), tmp_path)

    message = f"pip-conf: the variable CONTOSO_PIP_CONF {problem_text}"
    assert ("--secret", message, fix) == (problem.file, problem.what, problem.fix)
    assert problem_text == build_secrets.problem_of(in_variable())


def test_a_problem_of_a_file_names_its_path(tmp_path: Path) -> None:
    """The file is missing, a folder, empty, too large or not readable."""
    (tmp_path / "empty").write_text("")
    (tmp_path / "large").write_bytes(b"#" * 600_000)
    # Even root cannot read the first page of a process's memory.
    files: list[Path | str] = [
        tmp_path / "none",
        tmp_path,
        tmp_path / "empty",
        tmp_path / "large",
        "/proc/self/mem",
    ]

    problems = build_secrets.secret_problems(tmp_path, [in_file(file) for file in files], [])

    example = EXAMPLE["netrc"]
    assert [
        (f"netrc: {tmp_path}/none does not exist", example),
        (f"netrc: {tmp_path} is not a file", example),
        (f"netrc: {tmp_path}/empty is empty", example),
        (f"netrc: {tmp_path}/large is larger than 500 KiB, the limit of BuildKit", example),
        ("netrc: /proc/self/mem cannot be read: Input/output error", "ls -l /proc/self/mem"),
    ] == [(problem.what, problem.fix) for problem in problems]


NETRCS = {
    LOGIN: (0, ""),
    "machine a login b password c\nmachine d\n\tlogin e\n\taccount f\n\tpassword g\n": (0, ""),
    "machine a login b password c # a comment\nmachine e login f password #g\n": (0, ""),
    "machine a login b password default\n": (0, ""),
    "macdef init\nsend default\n\nmachine a login b password c\n": (0, ""),
    "machine a login b password c\ndefault login e password f\n": (
        2,
        "has an entry for every host; name each host: machine HOST login NAME password PASSWORD",
    ),
    "hunter2\n": (1, "has another word where machine or macdef must be"),
    "machine a login b password c hunter2\n": (
        1,
        "has another word where login, user, account, password, machine or macdef must be",
    ),
    "machine a\nlogin b\npassword\n": (3, 'has no value after "password"'),
    "# nothing\n": (1, "begins no entry of a machine"),
}


@pytest.mark.parametrize("text", NETRCS)
def test_the_form_of_a_netrc_is_checked(text: str, tmp_path: Path) -> None:
    """Pip ignores a netrc with a mistake without a word; what the message says shows nothing of it."""
    line, why = NETRCS[text]
    (tmp_path / "netrc").write_text(text)

    problem = build_secrets.problem_of(in_file(tmp_path / "netrc"))

    assert problem == (f"is not a valid netrc: line {line} {why}" if line else "")
    if not line:
        assert netrc.netrc(tmp_path / "netrc").hosts.keys() >= {"a"} or "pypi.contoso.example" in text


def test_a_netrc_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """It is named with its line."""
    (tmp_path / "netrc").write_bytes(b"machine a\nlogin \xff\n")

    assert "is not a valid netrc: line 2 is not UTF-8" == build_secrets.problem_of(
        in_file(tmp_path / "netrc")
    )


@pytest.mark.parametrize("words", [("image.build",), ("image.release", "--registry", "r.io")])
def test_nothing_is_built_without_them(words: tuple[str, ...], tmp_path: Path) -> None:
    """`build` and `release` report missing secrets before they need the engine, which is not there either."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})

    ended = invoke(folder, *words)

    assert (2, "", NOT_GIVEN) == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(
    "words", [("image.build",), ("image.build", "--engine", "acr", "--registry", "r.io")]
)
def test_what_the_run_names_must_be_there(words: tuple[str, ...], tmp_path: Path) -> None:
    """A flag or a variable that names nothing is refused by its name, for every engine."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})

    ended = invoke(
        folder,
        *words,
        *("--secret", "pip-conf=env:CONTOSO_PIP_CONF"),
        env={"INVOKE_AZUREML_IMAGE_SECRET_NETRC": "login/netrc"},
    )

    assert (2, "", NEITHER) == (ended.code, ended.out, ended.err)


def test_a_flag_counts_more_than_a_variable(tmp_path: Path) -> None:
    """The flag's file is used; relative paths begin at the current folder, and `~` is the home folder."""
    files = {"pyproject.toml": project("demo", TABLE), "a/netrc": LOGIN, "pip.conf": CONF}
    folder = consumer(tmp_path, files=files)
    variables = {
        "INVOKE_AZUREML_IMAGE_SECRET_NETRC": "b/netrc",
        "INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF": "~/pip.conf",
        "HOME": str(folder),
    }

    ended = invoke(folder, "image.check", "--secret=netrc=a/netrc", env=variables)

    rows = re.findall(r"^secrets .*\n +.*$", ended.out, re.MULTILINE)
    assert ["secrets    pip-conf: FOLDER/pip.conf is set\n           netrc: FOLDER/a/netrc is set"] == rows, (
        ended.err
    )


@pytest.mark.parametrize(
    ("variables", "where"),
    [
        ({}, ("FOLDER/.config/pip/pip.conf", "FOLDER/.netrc")),
        ({"PIP_CONFIG_FILE": "FOLDER/own.conf"}, ("FOLDER/own.conf", "FOLDER/.netrc")),
        ({"NETRC": "FOLDER/own"}, ("FOLDER/.config/pip/pip.conf", "FOLDER/own")),
        ({"XDG_CONFIG_HOME": "FOLDER/xdg"}, ("FOLDER/xdg/pip/pip.conf", "FOLDER/.netrc")),
    ],
    ids=["at home", "PIP_CONFIG_FILE", "NETRC", "XDG_CONFIG_HOME"],
)
def test_default_is_where_pip_looks(
    variables: dict[str, str], where: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that pip reads come first, then its files in the home folder."""
    for name in (".config/pip/pip.conf", "xdg/pip/pip.conf", "own.conf", "own", ".netrc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(LOGIN)
    for name in ("PIP_CONFIG_FILE", "NETRC", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, text in {"HOME": "FOLDER", **variables}.items():
        monkeypatch.setenv(name, text.replace("FOLDER", str(tmp_path)))
    secrets = [BuildSecret(id=name, variable=variable) for name, variable in build_secrets.VARIABLES.items()]

    located = build_secrets.with_sources(
        secrets,
        {secret.id: build_secrets.SecretSource(source="default", option="--secret") for secret in secrets},
    )

    assert where == tuple(secret.file.replace(str(tmp_path), "FOLDER") for secret in located)


HOW = """\
    Add: --secret netrc=FILE, --secret netrc=env:VARIABLE or --secret netrc=default
    or: export INVOKE_AZUREML_IMAGE_SECRET_NETRC=FILE
"""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("netrc=machine a login b password hunter2", "netrc: is the text of a secret, not its place"),
        ("netrc=a\nhunter2", "netrc: is the text of a secret, not its place"),
        ("netrc=env:hunter 2", 'netrc: has no name of a variable after "env:"'),
        ("netrc=", "netrc: is empty"),
        ("hunter2", "must begin with pip-conf= or netrc="),
        ("id_rsa=hunter2", "must begin with pip-conf= or netrc="),
    ],
)
def test_a_flag_that_names_no_place_is_refused_and_not_shown(text: str, problem: str, tmp_path: Path) -> None:
    """It may hold the secret itself, which has no place on a command line."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})

    ended = invoke(folder, "image.check", f"--secret={text}")

    expected = f"--secret: {problem}\n{HOW}\n1 problem; nothing was done.\n"
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_a_flag_that_the_table_does_not_want_is_named(tmp_path: Path) -> None:
    """A variable may be set for many projects, but a flag is meant for this one."""
    folder = consumer(
        tmp_path, files={"pyproject.toml": project("demo", 'pip = ["a"]\nsecrets = ["pip-conf"]\n')}
    )

    by_flag = invoke(
        folder,
        *("image.check", "--secret=netrc=default"),
        env={"INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF": "pip.conf"},
    )
    by_variable = invoke(folder, "image.check", env={"INVOKE_AZUREML_IMAGE_SECRET_NETRC": "default"})

    why = "tool.azureml-image.secrets does not want it, or pip installs nothing"
    assert ([f"warning: --secret netrc is not used: {why}"], []) == (
        [line for line in by_flag.err.splitlines() if line.startswith("warning: ")],
        [line for line in by_variable.err.splitlines() if line.startswith("warning: ")],
    )


def test_no_file_of_the_project_says_where_they_are(tmp_path: Path) -> None:
    """Neither Invoke's own file nor the collection can name them, nor allow packages to be built beside them."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})
    (folder / "invoke.yaml").write_text(
        "azureml_image:\n  secret: [netrc=default]\n  secret_netrc: default\n  allow_source_builds: true\n"
    )

    ended = invoke(folder, "image.build")

    known = "Known: engine, project, image, base, registry, tags, no_cache, pull."
    expected = "".join(
        f"Invoke's configuration, azureml_image.{name}: is not known\n    {known}\n\n"
        for name in ("allow_source_builds", "secret", "secret_netrc")
    )
    assert (2, f"{expected}3 problems; nothing was done.\n") == (ended.code, ended.err)


def test_a_secret_that_would_be_copied_is_refused(tmp_path: Path) -> None:
    """A file of the code or of the model is no secret, whatever the table includes again; its patterns may stay."""
    table = TABLE + 'code = "."\nmodel = "weights"\nexclude = ["!.netrc"]\n'
    files = {
        "pyproject.toml": project("demo", table),
        "score.py": "def init(): ...\ndef run(data): ...\n",
        ".netrc": LOGIN,
        "weights/pip.conf": CONF,
    }
    folder = consumer(tmp_path, files=files)

    ended = invoke(folder, "image.build", "--secret", "netrc=.netrc", "--secret=pip-conf=weights/pip.conf")

    expected = """\
--secret: netrc: .netrc would be copied into the image
    Leave it out: add ".netrc" as the last pattern of exclude

--secret: pip-conf: weights/pip.conf would be copied into the image
    Leave it out: add "weights/pip.conf" as the last pattern of exclude

2 problems; nothing was built.
"""
    assert (2, expected) == (ended.code, ended.err)


def test_source_builds_are_said_plainly(tmp_path: Path) -> None:
    """A run that allows them is warned, by flag and by variable."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", TABLE)})
    variable = {"INVOKE_AZUREML_IMAGE_ALLOW_SOURCE_BUILDS": "1"}

    plain = invoke(folder, "image.dockerfile")
    flag = invoke(folder, "image.dockerfile", "--allow-source-builds")
    environment = invoke(folder, "image.dockerfile", env=variable)
    checked = invoke(folder, "image.check", env=variable)
    wrong = invoke(folder, "image.check", env={"INVOKE_AZUREML_IMAGE_ALLOW_SOURCE_BUILDS": "yes"})

    expected = (
        "warning: packages may be built from source while the secrets are mounted, so their code can read the "
        "secrets: --allow-source-builds"
    )
    assert (True, flag.out, expected) == (plain.out != flag.out, environment.out, checked.err.splitlines()[0])
    assert (2, 'must be 1, 0, true or false, got "yes"') == (
        wrong.code,
        wrong.err.splitlines()[0].partition(": ")[2],
    )


@pytest.mark.parametrize(("task", "done"), [("smoke-test", "tested"), ("push", "pushed")])
def test_tasks_that_build_nothing_need_no_secret(task: str, done: str, tmp_path: Path) -> None:
    """An image that is built has no use for them."""
    folder = consumer(tmp_path, files={"pyproject.toml": project("demo", f'registry = "r.io"\n{TABLE}')})

    ended = invoke(folder, f"image.{task}")

    assert (4, f"Nothing is built here yet.\n    invoke image.build\nNothing was {done}.\n") == (
        ended.code,
        ended.err,
    )


def test_check_shows_where_they_are_and_no_value(tmp_path: Path) -> None:
    """The report has a row for each, in text and in JSON, and a missing one is exit 2."""
    files = {"pyproject.toml": project("demo", TABLE), "login/netrc": LOGIN}
    folder = consumer(tmp_path, files=files)
    flags = ("--secret=pip-conf=env:CONTOSO_PIP_CONF", "--secret=netrc=login/netrc")

    present = invoke(folder, "image.check", *flags, env={"CONTOSO_PIP_CONF": CONF})
    missing = invoke(folder, "image.check", "--json", *flags)

    rows = re.findall(r"^secrets .*\n +.*$", present.out, re.MULTILINE)
    assert [
        "secrets    pip-conf: the variable CONTOSO_PIP_CONF is set\n           netrc: FOLDER/login/netrc is set"
    ] == rows
    expected = [
        {"id": "pip-conf", "source": "the variable CONTOSO_PIP_CONF", "problem": "is not set"},
        {"id": "netrc", "source": "FOLDER/login/netrc", "problem": None},
    ]
    assert expected == json.loads(missing.out)["images"][0]["secrets"]
    # No engine answers, which is exit 3; a missing secret is a problem of the settings.
    assert (3, 2, False) == (present.code, missing.code, "hunter2" in present.out + present.err + missing.out)
