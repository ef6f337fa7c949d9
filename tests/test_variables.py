"""Variables of `env` that name others: those of the table, those that we set, and those of the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.prepare import prepare_build
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.dockerfile_line import quoted_value
from azureml_tasks.config.problems import Problems
from azureml_tasks.config.settings import Settings
from azureml_tasks.config.variable_references import Reference, extended_by, literal, parts, reference_error
from azureml_tasks.errors import SettingsError
from azureml_tasks.project.variables import Variables, earlier_variables, own_variables, resolve
from tests.cases import lay_out
from tests.consumers import project
from tests.fake_engine import give_image, ready_engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def resolved(table: Mapping[str, str], own: Mapping[str, str] | None = None) -> tuple[Variables, list[str]]:
    """Return the variables of a table, and what is wrong with them."""
    problems = Problems(document={}, lines={}, sources={})
    variables = resolve(table, own or {}, problems)
    return variables, [problem.what for problem in problems]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a$B_1-c", ["a", Reference("B_1"), "-c"]),
        ("${B}c$$d", [Reference("B"), "c", "$", "d"]),
        ("$$$$A", ["$", "$", "A"]),
        ("$$$A", ["$", Reference("A")]),
        ("/x" + extended_by("PYTHONPATH"), ["/x", Reference("PYTHONPATH", "${PYTHONPATH:+:${PYTHONPATH}}")]),
        (literal("$A ${A} $"), ["$", "A ", "$", "{A} ", "$"]),
    ],
)
def test_a_value_has_its_parts(value: str, expected: list[str | Reference]) -> None:
    """`$$` is a dollar; a name ends before what a name cannot contain."""
    assert expected == list(parts(value))


@pytest.mark.parametrize(
    "value", ["$", "a$", "$ A", "$-", "${}", "${A", "${A }", "${A:-b}", "${A?}", "$é", "$$$"]
)
def test_any_other_dollar_is_an_error(value: str) -> None:
    """Neither a shell's other forms nor a lone dollar means anything."""
    assert reference_error(value).endswith(", which names no variable")
    assert reference_error(extended_by("A")) != ""


def test_names_of_the_table_are_replaced_in_any_order() -> None:
    """A variable that names itself extends that of the base; each other name is the table's, if it has it."""
    variables, wrong = resolved({"A": "$B/a", "B": "${C}b$$", "C": "/c", "PATH": "$A:$PATH"})

    assert {"A": "/cb$$/a", "B": "/cb$$", "C": "/c", "PATH": "/cb$$/a:${PATH}"} == variables.env
    assert (["PATH"], []) == (list(variables.of_base), wrong)


def test_what_other_keys_set_can_be_named_and_extended() -> None:
    """It is not asked of the base."""
    own = own_variables(entry_script="a$b.py", has_model=True, python_path=["src", "."])
    variables, wrong = resolved(
        {"COPY": "$AZUREML_ENTRY_SCRIPT in $AZUREML_MODEL_DIR", "PYTHONPATH": "/opt/lib:$PYTHONPATH"}, own
    )

    assert {
        "AZUREML_ENTRY_SCRIPT": "a$$b.py",
        "AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models",
        "PYTHONPATH": "/opt/lib:/var/azureml-app/src:/var/azureml-app${PYTHONPATH:+:${PYTHONPATH}}",
        "COPY": "a$$b.py in /var/azureml-app/azureml-models",
    } == variables.env
    assert ({}, []) == (variables.of_base, wrong)


def test_each_circle_is_reported_once() -> None:
    """What only leads to a circle is not one."""
    variables, wrong = resolved({"X": "$A", "A": "$B", "B": "$A$B", "D": "$E", "E": "$D", "F": "ok"})

    assert {"F": "ok"} == variables.env
    assert [
        "tool.azureml-image.env.A leads in a circle: $B → $A",
        "tool.azureml-image.env.D leads in a circle: $E → $D",
    ] == wrong


def test_a_long_circle_and_a_long_chain_take_no_time() -> None:
    """A thousand names are no depth."""
    chain = {f"A{number}": f"$A{number + 1}" for number in range(5000)}
    variables, wrong = resolved({**chain, "A5000": "x"})
    circle = resolved({**chain, "A5000": "$A0"})[1]

    assert (5001, {"x"}, []) == (len(variables.env), set(variables.env.values()), wrong)
    assert [len(message) < 200 for message in circle] == [True]


def test_values_that_multiply_stay_small() -> None:
    """Each of thirty names is twice the one before."""
    table = {"A0": "x" * 10} | {f"A{number}": f"$A{number - 1}$A{number - 1}" for number in range(1, 30)}

    variables, wrong = resolved(table)

    assert max(map(len, variables.env.values())) <= 65_535
    assert ["tool.azureml-image.env.A13 is longer than a Dockerfile line, which holds 65,535 bytes"] == wrong


def test_values_that_are_too_many_together() -> None:
    """Each fits into its line, and no program could be started with all of them."""
    table = {"A": "x" * 50_000} | {f"B{number}": "$A" for number in range(10_000)}

    variables, wrong = resolved(table)

    assert sum(map(len, variables.env.values())) <= 2_097_152
    assert [
        "tool.azureml-image.env has values of more than 2,097,152 characters once names are replaced"
    ] == wrong


def test_the_problem_of_a_variable_that_the_base_may_lack() -> None:
    """It names the first variable that takes it."""
    variables, _ = resolved({"A": "$HOME", "B": "$HOME"})

    assert {"HOME": "tool.azureml-image.env.A names $HOME, which neither the table nor the base sets"} == {
        name: problem.what for name, problem in variables.of_base.items()
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("/a:$PATH", '"/a:${PATH:?the base sets no PATH}"'),
        ("/a" + extended_by("PYTHONPATH"), '"/a${PYTHONPATH:+:${PYTHONPATH}}"'),
        ('$$a "b" \\$A', '"\\$a \\"b\\" \\\\${A:?the base sets no A}"'),
        ("##[error]$A", '"#""#[error]${A:?the base sets no A}"'),
    ],
)
def test_a_value_as_a_dockerfile_has_it(value: str, written: str) -> None:
    """A dollar is escaped, a variable of the base must be set."""
    assert written == quoted_value(value)


def test_the_root_of_the_app_can_be_named() -> None:
    """The base need not set it: the server has a folder that it looks in by default. Nothing sets it but the base."""
    earlier = earlier_variables(Settings(base="x"), "${AML_APP_ROOT:-/var/azureml-app}")
    problems = Problems(document={}, lines={}, sources={})

    variables = resolve({"A": "$AML_APP_ROOT/a"}, {}, problems, earlier)

    assert ({"A": "${AML_APP_ROOT:-/var/azureml-app}/a"}, {}) == (variables.env, variables.of_base)
    assert '"${AML_APP_ROOT:-/var/azureml-app}/a"' == quoted_value(variables.env["A"])


def test_what_the_step_of_the_server_sets_is_not_asked_of_the_base() -> None:
    """It comes before the variables of the table."""
    earlier = earlier_variables(Settings(base="x", server="azmlinfsrv"), "/var/azureml-app")
    problems = Problems(document={}, lines={}, sources={})
    table = {"PATH": "/x:$PATH", "PYTHON": "$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python", "HOME_OF": "$HOME"}

    variables = resolve(table, {}, problems, earlier)

    assert ("/x:${PATH}", ["HOME"]) == (variables.env["PATH"], list(variables.of_base))


def test_the_base_on_the_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that it does not set is refused before anything is built, with its line."""
    table = project("demo", 'env = { A = "/a:$PATH", B = "$NOT_SET", C = "$EMPTY" }\n')
    lay_out({"pyproject.toml": table.replace("minimal-py312-inference", "own:1")}, tmp_path)
    run = RunContext(folder=tmp_path, reporter=Console())
    with ready_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        give_image(engine, "own:1", "PATH=/bin", "EMPTY=")
        with pytest.raises(SettingsError) as caught:
            prepare_build(run)

    message = "which neither the table nor the base sets\n    Write its value, or $$ for a dollar."
    assert (
        f"pyproject.toml:7: tool.azureml-image.env.B names $NOT_SET, {message}\n\n"
        f"pyproject.toml:7: tool.azureml-image.env.C names $EMPTY, {message}\n\n2 problems; nothing was done."
    ) == str(caught.value)
