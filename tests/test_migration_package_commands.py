"""What commands of apt, pip and conda do, and what a word of a Dockerfile is worth."""

from __future__ import annotations

import pytest

from azureml_tasks.migration.dockerfile.apt_commands import AptInstall, apt_command, removes_lists
from azureml_tasks.migration.dockerfile.conda_commands import CondaEnvironment, conda_command
from azureml_tasks.migration.dockerfile.pip_commands import PipInstall, pip_command
from azureml_tasks.migration.dockerfile.words import (
    UnknownValueError,
    expanded,
    json_words,
    name_values,
    plain,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apt-get install -y aa bb=1", AptInstall(("aa", "bb=1"), has_recommended=True)),
        ("apt-get -yq --no-install-recommends install aa", AptInstall(("aa",), has_recommended=False)),
        ("apt install aa -o APT::Install-Recommends=false", AptInstall(("aa",), has_recommended=False)),
        ("apt-get install aa -oAcquire::Retries=3", AptInstall(("aa",), has_recommended=True)),
        ("apt-get update", "apt-get update adds nothing to the image"),
        ("apt-get autoremove -y", "apt-get autoremove adds nothing to the image"),
        *((f"apt-get {rest}", None) for rest in ("install", "upgrade", "purge a", "install -t x a", "install A_b", "")),
        ("apt-get install ./a.deb", None),
        ("apt-get install -o Dir::Etc=/x a", None),
        ("aptitude install a", None),
    ],
)  # fmt: skip
def test_apt(text: str, expected: AptInstall | str | None) -> None:
    """An installation has its packages; what the key cannot say is none."""
    assert expected == apt_command(text.split())


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("rm -rf /var/lib/apt/lists/* /var/cache/apt/archives", True),
        ("rm -rf /var/lib/apt/lists/* /tmp/x", False),
        ("rm -rf", False),
        ("ls /var/lib/apt/lists", False),
    ],
)
def test_lists_of_apt_are_removed(text: str, *, removed: bool) -> None:
    """A command that removes anything else is another one."""
    assert removed == removes_lists(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pip install a b[c]>=1", PipInstall(("a", "b[c]>=1"))),
        ("python3.12 -m pip install -q --no-cache-dir a", PipInstall(("a",), python="3.12")),
        ("pip3.9 install a", PipInstall(("a",), python="3.9")),
        ("/opt/x/bin/pip3 install a", PipInstall(("a",), environment="/opt/x")),
        ("conda run --no-capture-output -n x pip install a", PipInstall(("a",), environment="x")),
        ("conda run --prefix=/x python -m pip install a", PipInstall(("a",), environment="/x")),
        ("conda run pip install a", PipInstall(("a",), environment="base")),
        ("pip install -r a.txt -rb.txt --requirement=c.txt", PipInstall(files=("a.txt", "b.txt", "c.txt"))),
        ("pip install -U --timeout 5 a --progress-bar=off", PipInstall(("a",), upgrades=True)),
        (
            "pip install -i https://x a -fhttps://y --pre",
            PipInstall(("a",), options=("-i https://x", "-f https://y", "--pre")),
        ),
        ("pip install . -e ./a b.whl", PipInstall(others=(".", "-e ./a", "b.whl"))),
        ("pip --no-cache-dir install a", PipInstall(("a",))),
        ("pip check", "pip check adds nothing to the image"),
        ("pip --version", "pip --version adds nothing to the image"),
        ("pip uninstall -y a", None),
        ("python a.py", None),
        ("conda run", None),
        ("uv pip install a", None),
    ],
)
def test_pip(text: str, expected: PipInstall | str | None) -> None:
    """An installation has its requirements, files and options, and the environment that it is for."""
    assert expected == pip_command(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conda env create -n a -f b.yml", CondaEnvironment("b.yml", "a", creates=True)),
        ("conda env update --prefix=/a --file=b.yml -q", CondaEnvironment("b.yml", "/a", creates=False)),
        (
            "mamba env update -f b.yml --prune",
            CondaEnvironment("b.yml", "", creates=False, options=("--prune",)),
        ),
        ("conda clean -afy", "conda clean adds nothing to the image"),
        *((text, None) for text in ("conda", "conda install a", "conda env create", "conda env list", "pip list")),
    ],
)  # fmt: skip
def test_conda(text: str, expected: CondaEnvironment | str | None) -> None:
    """An environment has its file, its name, and whether it is made."""
    assert expected == conda_command(text.split())


VALUES = {"A": "1", "EMPTY": "", "P": "/x:${PATH}", "D": "$$5"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a$A", "a1"),
        ("${A}b\"c d\"'$A'", "1bc d$$A"),
        ('\\$A\\x"\\n\\""', '$$Ax\\n"'),
        ("$P:$HOME", "/x:${PATH}:${HOME}"),
        ("${EMPTY:-a}${EMPTY-b}${A:+c}${EMPTY:+d}${EMPTY+e}", "ace"),
        ("$D$", "$$5$$"),
    ],
)
def test_a_word_has_a_value(word: str, value: str) -> None:
    """Variables of the Dockerfile are replaced, those of the base stay."""
    assert value == expanded(word, VALUES.get)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("${HOME:-a}", "only the base tells what ${HOME:-a} is"),
        ("${P:+a}", "only the base tells what ${P:+a} is"),
        ("${A#b}", "the table has no ${A#b}"),
        ("${A", '"${A" is not finished'),
        ("$A" * 40_000, "it is too long"),
    ],
)
def test_a_word_without_a_value(word: str, why: str) -> None:
    """The reason is named."""
    with pytest.raises(UnknownValueError) as raised:
        expanded(word, VALUES.get)

    assert why == raised.value.why


def test_the_parts_of_an_instruction() -> None:
    """ENV has two forms, other instructions a form in JSON."""
    assert name_values("A=1 B='x y'") == [("A", "1"), ("B", "'x y'")]
    assert name_values("A  x y ") == [("A", "x y")]
    assert [name_values(text) for text in ("", "A", "A=1 B", "=1")] == [[], [], [], []]
    assert json_words('["a", "b"]') == ["a", "b"]
    assert [json_words(text) for text in ("a", "[1]", '["a"', "[" * 100_000)] == [None] * 4
    assert plain("${A}/b$$") == "$A/b$"
