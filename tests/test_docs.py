"""The pages of `azureml_tasks/docs/`: tables are those of the code, links resolve, and examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import tomli
from invoke.parser import Parser
from invoke.parser.context import ParserContext
from jsonschema import Draft7Validator

import azureml_tasks
from azureml_tasks import errors, image
from azureml_tasks.cli.options import OPTIONS
from azureml_tasks.cli.program import AzuremlImage
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.config import schema
from azureml_tasks.project import base_images
from tests.cases import lay_out
from tests.consumers import invoke, project
from tests.documentation import DOCS, PAGES, README, ROOT, anchors, blocks, commands, links
from tests.stub_engine import stub_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLES = [str(page.relative_to(ROOT)) for page in PAGES]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=TITLES)
AVOIDED = (
    *("whoever", "whatever", "mend", "anew", "aloud", "thereof", "stands on", "stands above", "is asked for"),
    *("of ours", "none has", "that which", "by hand", "for the length of", "goes no further", "hand-off"),
)
"""Words that the pages, the README and the code do not use, because most readers are not native speakers."""
EXIT_CODES_OF_SIGNALS = {129, 130, 141, 143}


def page(name: str) -> str:
    """Return the text of a page of `azureml_tasks/docs/`."""
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_settings_are_those_that_are_declared() -> None:
    """The tables are what `python3 tasks.py docs` writes; run it after a change of a key."""
    written = page("settings.md").split("<!-- settings:begin -->\n")[1].split("\n<!-- settings:end -->")[0]

    assert written == schema.markdown()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    """Every class of error has its code in the table, and so have success, a bug and the signals."""
    table = page("troubleshooting.md").split("## Exit codes")[1].split("\n## ")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    classes = {cls.exit_code for cls in vars(errors).values() if getattr(cls, "exit_code", None) is not None}

    assert classes | {0, 1} | EXIT_CODES_OF_SIGNALS == listed


def test_every_option_of_a_run_has_its_row() -> None:
    """Flags, variables and keys of Invoke's configuration are all named, in order."""
    rows = r"`INVOKE_AZUREML_IMAGE_([A-Z_]+)(?:=\S*)?` \| `azureml_image\.(\w+)`"

    assert re.findall(rows, page("settings.md")) == [(name.upper(), name) for name in OPTIONS]


def test_every_current_base_has_its_row() -> None:
    """The page on bases names each image that warnings recommend."""
    rows = set(re.findall(r"^\| `([^`]+)`", page("base-images.md"), re.MULTILINE))

    assert set(base_images.CURRENT) <= rows


@EVERY_PAGE
def test_every_link_resolves(page: Path) -> None:
    """Relative links lead to a file of the clone, and to a heading if they have an anchor."""
    broken = [link for link in links(page) if not urlsplit(link).scheme and not _resolves(page, link)]

    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


@EVERY_PAGE
def test_every_command_is_one(page: Path) -> None:
    """Invoke's parser takes each `invoke …` and `azureml-image …` of the console blocks, with its flags."""
    refused = [line for command in commands(page) for line in _refused(command.line)]

    assert refused == []


def test_the_commands_are_found() -> None:
    """The README shows commands with the output of each task of the quick start."""
    shown = [command.line for command in commands(README) if command.output]

    assert {f"invoke image.{name}" for name in ("check", "build", "smoke-test", "push")} <= set(shown)


@EVERY_PAGE
def test_every_task_that_is_named_exists(page: Path) -> None:
    """`image.NAME` in code is a task of the collection."""
    code = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    named = {name for text in code for name in re.findall(r"(?<![\w-])image\.([a-z-]+)", text)}

    assert named - {"py"} <= set(image.ns.task_names)


def _refused(line: str) -> Iterator[str]:
    """The line, if Invoke's parser refuses one of its tasks or flags; tasks of an example's own are left out."""
    words = line.replace("'", "").split()
    if words[0] == "azureml-image":
        yield from _refused_by_the_program(line, words)
        return
    if words[0] != "invoke" or not any(word.startswith("image.") for word in words):
        return
    words = words[next(index for index, word in enumerate(words) if word.startswith("image.")) :]
    tasks = {f"image.{name}": image.ns[name] for name in image.ns.task_names}
    contexts = [ParserContext(name=name, args=task.get_arguments()) for name, task in tasks.items()]
    try:
        Parser(contexts=contexts).parse_argv(words)
    except Exception as error:  # noqa: BLE001 -- whatever the parser raises is the finding
        yield f"{line}: {error}"


def _refused_by_the_program(line: str, words: list[str]) -> Iterator[str]:
    program = AzuremlImage()
    program.create_config()
    program.normalize_argv(words)
    try:
        program.parse_core_args()
        program.parse_collection()
        program.parse_tasks()
    except Exception as error:  # noqa: BLE001 -- likewise
        yield f"{line}: {error}"


@EVERY_PAGE
def test_nothing_is_installed_by_its_name(page: Path) -> None:
    """Azureml-tasks is on no index: a name there would be somebody else's package."""
    code = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    code += [command.line for command in commands(page)]

    assert [
        text for text in code if re.search(r"(pip|uv|pipx) .*[ '\"]azureml-tasks(?!(\[acr\])? @)", text)
    ] == []


@EVERY_PAGE
def test_every_table_is_one_of_the_schema(page: Path) -> None:
    """Each TOML block with `[tool.azureml-image]` keeps to the schema; a fragment may leave `base` out."""
    validator = Draft7Validator({**azureml_tasks.json_schema(), "anyOf": [{}]})
    tables = [tomli.loads(text).get("tool", {}).get("azureml-image", {}) for text in blocks(page, "toml")]

    assert [error.message for table in tables for error in validator.iter_errors(table)] == []


@EVERY_PAGE
def test_every_python_block_compiles(page: Path) -> None:
    """No example has a mistake of syntax."""
    for text in blocks(page, "python"):
        compile(text, page.name, "exec")


def test_the_examples_of_the_python_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of them runs, one after the other, and prints what is shown below it; the first one prints a Dockerfile."""
    stub_engine(monkeypatch)
    score = "def init(): ...\ndef run(data): ...\n"
    files = {"services/b/pyproject.toml": project("b"), "services/b/code/score.py": score}
    lay_out({**files, "services/broken/pyproject.toml": "[tool.azureml-image]\n"}, tmp_path)
    monkeypatch.chdir(tmp_path)
    for text in blocks(DOCS / "python-api.md", "python"):
        exec(compile(text, "python-api.md", "exec"), {})  # noqa: S102 -- it is what a reader would run
    printed = capsys.readouterr().out

    dockerfile = azureml_tasks.render(azureml_tasks.plan(azureml_tasks.load("services/b")))
    asked = '200 POST /score {"flowers": [[6.0, 2.9, 4.9, 1.7]]}\nlog of contoso.azurecr.io/b:1.2.3\n\n'
    first, steps, error = blocks(DOCS / "python-api.md", "text")
    shown, printed = (
        re.sub("[0-9a-f]{64}", "ID", text) for text in (f"{first}{steps}{asked}{error}", printed)
    )
    assert f"{dockerfile}\n{shown}" == printed


def test_the_collections_compose(tmp_path: Path) -> None:
    """The first example of composing has the tasks that it names, and each runs in its project."""
    composed, configured = blocks(DOCS / "composing.md", "python")[:2]
    files = {f"services/{name}/pyproject.toml": project(name) for name in ("a", "b")}
    lay_out({"tasks.py": composed.replace(', "{git-sha}"', ""), **files}, tmp_path)
    checked = [invoke(tmp_path, f"{name}.check") for name in ("serving", "b")]

    assert {"scan", "serving.build", "b.build"} <= set(invoke(tmp_path, "--list").out.split())
    assert [re.findall(r"^image +(\S+)", each.out, re.MULTILINE) for each in checked] == [
        ["a:1.2.3"],
        ["b:1.2.3"],
    ]
    lay_out({"tasks.py": configured, "pyproject.toml": project("c")}, tmp_path)
    assert "image.build" in invoke(tmp_path, "--list").out


def test_the_public_names_are_listed() -> None:
    """The page on the Python API names exactly what the package exports."""
    table = page("python-api.md").split("|---|---|")[1].split("\n\n")[0]
    cells = " ".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))

    assert set(re.findall(r"`(\w+)", cells)) == set(azureml_tasks.__all__)


def test_the_rooms_are_there() -> None:
    """Each file and room that the page on the code names exists, and each room is named."""
    package = ROOT / "azureml_tasks"
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", page("code.md")))
    rooms = {f"{folder.relative_to(package)}/" for folder in package.rglob("*") if _is_room(folder)}

    assert [
        name for name in sorted(named) if not (package / name).exists() and not (ROOT / name).exists()
    ] == []
    assert rooms <= named


def test_each_question_stands_once() -> None:
    """Two rows with one question would name different files for it."""
    questions = re.findall(r"^\| (.+?\?) \|", page("code.md"), re.MULTILINE)

    assert questions
    assert sorted(set(questions)) == sorted(questions)


def _is_room(folder: Path) -> bool:
    return folder.is_dir() and (folder / "__init__.py").exists()


@EVERY_PAGE
def test_the_words_are_plain(page: Path) -> None:
    """None of the words that readers stumble over; the settings' tables are checked where they are declared."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<!-- settings:begin -->.*<!-- settings:end -->", "", text, flags=re.DOTALL).lower()
    used = [word for word in AVOIDED if re.search(rf"\b{word}\b", text)]

    assert used == []


def test_the_code_is_in_plain_words() -> None:
    """No module of the package has one of these words, in a docstring, a comment or a message."""
    words = re.compile(rf"\b(?:{'|'.join(AVOIDED)})\b", re.IGNORECASE)
    modules = {path: path.read_text(encoding="utf-8") for path in (ROOT / "azureml_tasks").rglob("*.py")}

    assert {} == {str(path): words.findall(text) for path, text in modules.items() if words.search(text)}


def test_the_licence_travels_in_the_package() -> None:
    """The metadata names the licence text, which is a file of the package, and the authors."""
    about = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (licence,) = about["license-files"]

    assert (ROOT / licence).read_text(encoding="utf-8").startswith(f"{about['license']} License\n")
    assert (ROOT / licence).is_relative_to(DOCS.parent)
    assert about["authors"]


def test_the_tasks_that_take_a_flag() -> None:
    """The page on settings names for each flag the tasks that take it."""
    table = (
        page("settings.md").partition("| flag | tasks that take it |\n|---|---|\n")[2].partition("\n\n")[0]
    )
    named: dict[str, set[str]] = {}
    for row in table.splitlines():
        flags, tasks = row.strip("| ").split(" | ")
        words = set(re.findall(r"`([a-z-]+)`", tasks))
        for flag in re.findall(r"--([a-z-]+)", flags):
            named[flag] = {spec.name for spec in TASKS} - words if tasks.startswith("all") else words

    assert named == {flag: {spec.name for spec in TASKS if flag in spec.flags} for flag in named}
