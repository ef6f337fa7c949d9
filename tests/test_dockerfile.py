"""The text of a Dockerfile, read by Docker's own parser: our instructions and no others, whatever is in the values."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import dockerfile  # type: ignore[import-not-found]  # a compiled module without types
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import azureml_tasks
from azureml_tasks.config.dockerfile_line import quoted
from azureml_tasks.errors import SettingsError
from azureml_tasks.plain_text import clean
from tests.cases import GENERATED, GOOD, lay_out, planned, sections
from tests.dockerfile_values import HOSTILE, ONE_HOSTILE, TABLES, Table
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCRIPT = "def init(): ...\ndef run(data): ...\n"
LONGEST_LINE = 65_535
INSTALL = (
    '"${AZUREML_CONDA_ENVIRONMENT_PATH:?the base sets no AZUREML_CONDA_ENVIRONMENT_PATH}/bin/python" '
    "/tmp/azureml-image/install.py"
)

INSTALLED = INSTALL.rpartition(" ")[2].removesuffix("install.py")
MOUNT = f"--mount=type=secret,id=ID,target={INSTALLED}ID,required=true"
FROM_PACKAGES = f"--mount=type=bind,from=packages,source={INSTALLED[:-1]},target={INSTALLED[:-1]}"
FROM_CONTEXT = f"--mount=type=bind,source=python,target={INSTALLED[:-1]}"
MOUNTING = {
    "secrets-of-a-private-index": [
        (MOUNT.replace("ID", "pip-conf"), MOUNT.replace("ID", "netrc")),
        (FROM_PACKAGES,),
    ],
    "server-with-its-version-and-a-secret": [
        (FROM_CONTEXT,),
        (MOUNT.replace("ID", "netrc"),),
        (FROM_CONTEXT,),
        (FROM_PACKAGES,),
    ],
    "one-secret-and-a-requirements-file": [(MOUNT.replace("ID", "pip-conf"),), (FROM_PACKAGES,)],
}
"""The flags of the cases that have secrets."""
HEAD = '[tool.azureml-image]\nbase = "bases/serving"\nname = "x"\ntags = ["1"]\n'


def commands(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...], bool]]:
    """Return the instructions as Docker's parser sees them: word, flags, values, and whether they are JSON."""
    return [(c.cmd.upper(), c.flags, c.value, c.json) for c in dockerfile.parse_string(text)]


def unquoted(text: str) -> str:
    """Read *text* as Docker's shell lexer does: joined double quotes, and a backslash before `"`, `$` or itself."""
    assert re.fullmatch(r'(?:"(?:[^"\\$]|\\.)*")+', text, re.DOTALL), text
    inner = "".join(re.findall(r'"((?:[^"\\$]|\\.)*)"', text, re.DOTALL))
    return re.sub(r'\\(["$\\])', r"\1", inner)


def pairs(values: Sequence[str]) -> dict[str, str]:
    """Return the names and values of ENV or LABEL; older parsers add a bare `=` after each pair."""
    words = [word for word in values if word != "="]
    return dict(zip(words[0::2], words[1::2], strict=True))


def expected_instructions(
    table: Table, base: str
) -> list[tuple[str, tuple[str, ...], tuple[str, ...], bool]]:
    """Return the expected instructions of a table, without the values of ENV and LABEL."""

    def runs(after: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...], bool]]:
        instructions: list[tuple[str, tuple[str, ...], tuple[str, ...], bool]] = []
        for run in table.run:
            if run["after"] == after:
                command = ("RUN", (), ("/bin/sh", "-c", run["command"]), True)
                user = [("USER", (), (table.user,), False), command, ("USER", (), ("root",), False)]
                instructions += [command] if run["user"] == "root" else user
        return instructions

    is_known = base.startswith("mcr.microsoft.com/")
    app_root = "/var/azureml-app" if is_known else "${AML_APP_ROOT:-/var/azureml-app}"
    apt = (
        "apt-get update     && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "
        + " ".join(dict.fromkeys(table.apt))
        + "     && apt-get clean     && rm -rf /var/lib/apt/lists/*"
    )
    return [
        ("FROM", (), (base,), False),
        ("USER", (), ("root",), False),
        *([("RUN", (), (apt,), False)] if table.apt else []),
        *runs("apt"),
        *([("COPY", (), ("python/", INSTALLED), False)] if table.pip else []),
        *([("RUN", (), (INSTALL,), False)] if table.pip else []),
        *runs("pip"),
        ("COPY", (), ("code/", f"{app_root}/"), False),
        ("ENV", (), (), False),
        *runs("code"),
        ("ARG", (), ('CONTEXT_SHA256=""',), False),
        ("LABEL", (), (), False),
        ("USER", (), (table.user,), False),
    ]  # fmt: skip


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(table=st.one_of(ONE_HOSTILE, TABLES))
def test_no_value_adds_an_instruction(table: Table, code_project: Path) -> None:
    """Docker's parser sees the expected instructions and flags only, and reads every value unchanged."""
    (code_project / "pyproject.toml").write_text(table.toml(), encoding="utf-8", newline="")
    try:
        loaded = azureml_tasks.load(code_project)
    except SettingsError:
        reject()
    text = azureml_tasks.render(azureml_tasks.plan(loaded))

    instructions = commands(text)

    blank = [
        (word, flags, () if word in {"ENV", "LABEL"} else value, as_json)
        for word, flags, value, as_json in instructions
    ]
    assert expected_instructions(table, str(loaded.facts.base)) == blank
    env, label = (
        next(value for word, _, value, _ in instructions if word == which) for which in ("ENV", "LABEL")
    )
    assert {"AZUREML_ENTRY_SCRIPT": "score.py", **table.env} == {
        n: unquoted(t) for n, t in pairs(env).items()
    }
    labels = {unquoted(n): t for n, t in pairs(label).items()}
    assert '"$CONTEXT_SHA256"' == labels.pop("azureml-tasks.context-sha256")
    own_labels = {
        "title": "scoring",
        "version": table.version,
        **({"source": table.url} if table.url else {}),
        "base.name": f"{loaded.facts.base.name}:{loaded.facts.base.tag}",
    }
    own_labels = {f"org.opencontainers.image.{name}": value for name, value in own_labels.items()}
    assert {**own_labels, **table.labels} == {n: unquoted(t) for n, t in labels.items()}
    assert_lines_hold(text)


def assert_lines_hold(text: str) -> None:
    """No line is longer than a builder reads, and only FROM itself starts with that word."""
    lines = text.split("\n")
    words = [line.split()[0].lower() for line in lines if line.strip()]

    stages = 2 if "download.py" in text else 1
    assert (words.count("from"), max(len(line.encode()) for line in lines) <= LONGEST_LINE) == (stages, True)


@pytest.mark.parametrize("case", GENERATED, ids=[case.stem for case in GENERATED])
def test_every_builder_can_build_the_cases(case: Path) -> None:
    """Only instructions and flags are used that BuildKit, the legacy builder and ACR's line scan all accept.

    Secrets are the one exception: they are mounted, which BuildKit alone can.
    """
    text = sections(case)["Dockerfile"]

    instructions = commands(text)

    known = {"FROM", "USER", "RUN", "COPY", "ENV", "ARG", "LABEL"}
    if "server = " in sections(case)["pyproject.toml"]:
        known |= {"WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert ([], MOUNTING.get(case.stem, [])) == (
        [word for word, _, _, _ in instructions if word not in known],
        [flags for _, flags, _, _ in instructions if flags],
    )
    assert_lines_hold(text)


@pytest.mark.parametrize("source_builds", [False, True])
def test_secrets_are_mounted_for_one_command(source_builds: bool, code_project: Path) -> None:
    """They are mounted for a download in a stage of its own, or for the installation if packages may be built."""
    table = HEAD + 'pip = ["numpy"]\nsecrets = ["netrc", "pip-conf"]\n'
    (code_project / "pyproject.toml").write_text(table, encoding="utf-8", newline="")
    plan = azureml_tasks.plan(azureml_tasks.load(code_project))._replace(source_builds=source_builds)

    instructions = commands(azureml_tasks.render(plan))

    command = INSTALL if source_builds else INSTALL.replace("install.py", "download.py")
    named = f"PIP_CONFIG_FILE={INSTALLED}pip-conf     NETRC={INSTALLED}netrc     {command}"
    mounts = (MOUNT.replace("ID", "pip-conf"), MOUNT.replace("ID", "netrc"))
    run = ("RUN", mounts, (named,), False)
    install = ("RUN", (FROM_PACKAGES,), (INSTALL,), False)
    rest = ["COPY", "ENV", "ARG", "LABEL", "USER"]
    assert ([run] if source_builds else [run, install]) == [each for each in instructions if each[1]]
    words = ["FROM", "USER", "COPY", "RUN", *([] if source_builds else ["FROM", "USER", "RUN"]), *rest]
    assert words == [word for word, *_ in instructions]


@pytest.mark.parametrize("case", GENERATED, ids=[case.stem for case in GENERATED])
def test_the_cases_end_as_the_runtime_user(case: Path, tmp_path: Path) -> None:
    """The last instruction is USER with the table's user, and there is no ENTRYPOINT or CMD."""
    plan = planned(case, tmp_path)

    last = commands(azureml_tasks.render(plan))[-1]

    assert ("USER", (), (plan.user,), False) == last


@pytest.mark.parametrize("case", GENERATED, ids=[case.stem for case in GENERATED])
def test_each_step_starts_with_a_comment(case: Path) -> None:
    """A comment explains each block of the text."""
    blocks = sections(case)["Dockerfile"].split("\n\n")

    assert [block for block in blocks if not block.startswith("# ")] == []


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    """Loading and rendering a project twice gives the same text."""
    case = next(case for case in GOOD if case.stem == "variables-and-labels")
    first = azureml_tasks.render(planned(case, tmp_path / "first"))

    second = azureml_tasks.render(planned(case, tmp_path / "second"))

    assert first == second


def test_a_log_that_shows_the_text_is_obeyed_by_no_ci_system(code_project: Path) -> None:
    """The text has every value, in a form in which Azure Pipelines and GitHub Actions see no command."""
    values = ["##vso[task.setvariable variable=x]y", "##[error]", "::set-output name=x::y", "a ::error::"]
    table = Table(
        env={f"V{index}": value for index, value in enumerate(values)},
        labels={value: value for value in values if "=" not in value},
        run=[{"after": "apt", "command": "\n".join(values), "user": "root"}],
    )
    (code_project / "pyproject.toml").write_text(table.toml(), encoding="utf-8", newline="")

    text = azureml_tasks.render(azureml_tasks.plan(azureml_tasks.load(code_project)))

    arguments = {word: value for word, _, value, _ in commands(text)}
    env, labels = pairs(arguments["ENV"]), pairs(arguments["LABEL"])
    labels.popitem()  # the hash, which is an argument
    assert table.env.items() <= {(name, unquoted(value)) for name, value in env.items()}
    assert table.labels.items() <= {(unquoted(name), unquoted(value)) for name, value in labels.items()}
    assert ("/bin/sh", "-c", "\n".join(values)) == next(v for w, _, v, js in commands(text) if js)
    assert text == clean(text)


@given(text=HOSTILE)
def test_quoted_text_is_read_back_unchanged(text: str) -> None:
    """Docker's three escapes inside double quotes restore the text."""
    assert text == unquoted(quoted(text))


KEYS = ("env", "labels")
LINES = {"\n": "a line break", "\r": "a carriage return", "\0": "a NUL character"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("character", LINES, ids=["newline", "return", "nul"])
def test_a_character_that_no_line_can_hold_is_refused(code_project: Path, key: str, character: str) -> None:
    """A newline, a carriage return and a NUL in a variable or a label are reported with their key."""
    shown = json.dumps(f"a{character}b")
    table = HEAD + f"{key} = {{ A = {shown} }}\n"

    message = refusal(code_project, table)

    expected = (
        f"pyproject.toml:5: tool.azureml-image.{key}.A: {shown} contains {LINES[character]}, "
        "which a Dockerfile cannot hold\n    Write it in double quotes, on one line.\n\n1 problem; nothing was done."
    )
    assert expected == message


def test_a_nul_in_a_command_is_refused_and_newlines_are_not(code_project: Path) -> None:
    """A command may contain every character of JSON except NUL."""
    table = HEAD + 'run = [{ command = "a\\n\\rb" }, { command = "a\\u0000" }]\n'

    message = refusal(code_project, table)

    expected = (
        'pyproject.toml:5: tool.azureml-image.run[2].command: "a\\u0000" contains a NUL character, '
        "which a command cannot hold\n"
        "    Write a command for /bin/sh -c. Put a command that is too long into a script in the code folder.\n\n"
        "1 problem; nothing was done."
    )
    assert expected == message


LONG = {
    "variable": ("env", '{ A = "%s" }', "env.A: a string of LENGTH characters is longer"),
    "variable of escapes": ("env", "{ A = '%s' }", "env.A: a string of LENGTH characters is longer"),
    "name of a variable": ("env", '{ %s = "" }', "env.… is longer"),
    "label": ("labels", '{ A = "%s" }', "labels.A: a string of LENGTH characters is longer"),
    "name of a label": ("labels", '{ %s = "" }', "labels: … is longer"),
    "package": ("apt", '["%s"]', "apt is longer"),
    "command": ("run", '[{ command = "%s" }]', "run[1].command: a string of LENGTH characters is longer"),
}


@pytest.mark.parametrize("case", LONG)
def test_a_line_that_is_too_long_is_refused(code_project: Path, case: str) -> None:
    """A value that would make a line longer than 65,535 bytes is reported with its key."""
    key, shape, place = LONG[case]
    value = shape.replace("%s", "\\" * 40_000 if "escapes" in case else "a" * 66_000)
    table = HEAD + f"{key} = {value}\n"

    message = refusal(code_project, table)

    line = (
        re.sub(r'"?a{66000}"?', "…", message.splitlines()[0])
        .replace("66,000", "LENGTH")
        .replace("40,000", "LENGTH")
    )
    assert (
        f"pyproject.toml:5: tool.azureml-image.{place} than a Dockerfile line, which holds 65,535 bytes"
        == line
    )


def test_the_longest_accepted_value_fits_a_line(code_project: Path) -> None:
    """The longest value that is not refused makes a line that Docker reads, with a long name too."""
    name = "b" * 20_000

    def accepted(length: int) -> str | None:
        table = HEAD + f'labels = {{ {name} = "{"$" * length}" }}\n'
        lay_out({"pyproject.toml": table}, code_project)
        try:
            return azureml_tasks.render(azureml_tasks.plan(azureml_tasks.load(code_project)))
        except SettingsError:
            return None

    low, high = 1, LONGEST_LINE
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if accepted(middle) is not None else (low, middle)
    text = accepted(low)

    assert text is not None
    assert commands(text)[-1] == ("USER", (), ("dockeruser",), False)
    assert_lines_hold(text)


def refusal(project: Path, table: str) -> str:
    """Return the error message for a table."""
    lay_out({"pyproject.toml": table}, project)
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(project)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(
            'version = "1\\nUSER root"',
            "[project].version contains a line break, which a Dockerfile cannot hold",
            id="version",
        ),
        pytest.param(
            'version = "1"\nurls = { Repository = "a\\rb" }',
            "[project].urls contains a carriage return, which a Dockerfile cannot hold",
            id="url",
        ),
    ],
)
def test_labels_from_the_project_table_are_checked(code_project: Path, line: str, problem: str) -> None:
    """Labels from [project] cannot add an instruction either."""
    count = line.count("\n")
    table = f'[project]\nname = "x"\n{line}\n[tool.azureml-image]\nbase = "bases/serving"\n'

    message = refusal(code_project, table)

    fix = "Write it in double quotes, on one line."
    expected = f"pyproject.toml:{3 + count}: {problem}\n    {fix}\n\n1 problem; nothing was done."
    assert expected == message
