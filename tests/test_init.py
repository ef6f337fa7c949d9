"""`image.init` as a person types it: what it writes, what it leaves alone, what it asks, and what it prints."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.cli.entry_point import main
from azureml_tasks.commands import new_files
from azureml_tasks.commands.new_files import NewFile, write_files
from azureml_tasks.errors import AzuremlTasksError, SettingsError
from tests.cases import lay_out
from tests.consumers import TASKS, environment, invoke
from tests.git_command import git
from tests.init_command import run_init_in as run
from tests.machine import invoke_cli

SCRIPT = "def init(): ...\n\n\ndef run(data): ...\n"
FILES = {"src/score.py": SCRIPT, "request.json": '{"data": [1]}\n'}
FROM = ("--from", "src/score.py", "--from", "request.json")
BASE = ("--base", "minimal-py312-inference")
TABLE = """\
[tool.azureml-image]
base = "minimal-py312-inference"
code = "src"

[tool.azureml-image.smoke-test]
request = "request.json"
"""
PYPROJECT = f'[project]\nname = "demo"\nversion = "0.1.0"\n\n{TABLE}'
ROWS = """\
src/score.py, an entry script
      1-4  init() and run()                      code = "src"

request.json, a sample request
        1  the request                           smoke-test.request = "request.json"

"""
WHOLE = "whole: the table says all that these sources say\n"
NEXT = "next: invoke image.check\n"
STATE = "\n1 problem; nothing was written.\n"


def demo(folder: Path, **files: str) -> Path:
    """Return the folder `demo` with a script, a request and *files*, of whose names "__" is the dot."""
    named = {name.replace("__", "."): text for name, text in files.items()}
    return lay_out({"tasks.py": TASKS, **FILES, **named}, folder / "demo")


def contents(folder: Path) -> dict[str, str]:
    """Return the texts of the files of *folder* that `demo` has not."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and path.name not in {"tasks.py", "score.py"}
    )
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in sorted(files)
        if path.name != "request.json" and "__pycache__" not in path.parts
    }


def test_a_new_project(tmp_path: Path) -> None:
    """The report says of each source what it became; the files are written, and nothing else is done."""
    folder = demo(tmp_path)

    ended = invoke(folder, "image.init", *FROM, *BASE)

    assert (ended.code, ended.out, ended.err) == (0, f"{ROWS}{WHOLE}written: pyproject.toml\n{NEXT}", "")
    assert contents(folder) == {"pyproject.toml": PYPROJECT}


def test_the_program_writes_tasks_too(tmp_path: Path) -> None:
    """A folder that nobody has set up gets the two lines; the folder is searched."""
    folder = demo(tmp_path)
    (folder / "tasks.py").unlink()

    ended = invoke_cli.run_program(["init", *BASE], folder=folder, env=environment())

    assert (ended.code, ended.err) == (0, b"")
    assert (
        ended.out.decode() == f"{ROWS}{WHOLE}written: pyproject.toml, tasks.py\nnext: azureml-image check\n"
    )
    assert (folder / "tasks.py").read_text() == TASKS
    assert (folder / "pyproject.toml").read_text() == PYPROJECT


def test_dry_prints_commands_and_writes_nothing(tmp_path: Path) -> None:
    """A shell that gets them does the same."""
    folder = demo(tmp_path)

    ended = invoke(folder, "--dry", "image.init", *FROM, *BASE)
    commands, _, report = ended.out.partition("EOF\nsrc/score.py")

    assert (ended.code, ended.err) == (0, "")
    assert commands == f"cat > pyproject.toml <<'EOF'\n{PYPROJECT}"
    assert f"src/score.py{report}" == f"{ROWS}{WHOLE}would write: pyproject.toml\n{NEXT}"
    assert contents(folder) == {}
    subprocess.run(["sh", "-c", f"{commands}EOF\n"], cwd=folder, check=True)
    assert contents(folder) == {"pyproject.toml": PYPROJECT}


def test_echo_says_what_is_written(tmp_path: Path) -> None:
    """On stderr, as for every effect."""
    folder = demo(tmp_path, pyproject__toml="[project]\nname = 'a'\nversion = '1'\n")

    ended = invoke(folder, "--echo", "image.init", *FROM, *BASE)

    assert (ended.code, ended.err) == (0, f"cat >> pyproject.toml <<'EOF'\n\n{TABLE}EOF\n")
    assert contents(folder) == {"pyproject.toml": f"[project]\nname = 'a'\nversion = '1'\n\n{TABLE}"}


@pytest.mark.parametrize("is_dry", [False, True])
def test_json(is_dry: bool, tmp_path: Path) -> None:
    """Stdout is one object, also under --dry, where it has the texts that would be written."""
    folder = demo(tmp_path)

    ended = invoke(folder, *(["--dry"] if is_dry else []), "image.init", "--json", *FROM, *BASE)
    report = json.loads(ended.out)

    assert (ended.code, ended.err) == (0, "")
    assert (1, "init", is_dry, 0) == tuple(report.pop(key) for key in ("version", "task", "dry", "exit_code"))
    assert ([], []) == (report.pop("errors"), report.pop("warnings"))
    assert is_dry == bool(report.pop("commands"))
    assert report.pop("seconds") > 0
    assert report == {
        "whole": True,
        "written": [] if is_dry else ["pyproject.toml"],
        "not_written": [{"file": "pyproject.toml", "adds": False, "text": PYPROJECT}] if is_dry else [],
        "table": {
            "base": "minimal-py312-inference",
            "code": "src",
            "smoke-test": {"request": "request.json"},
        },
        "differences": None,
        "sources": [
            {
                "file": "src/score.py",
                "kind": "script",
                "whole": True,
                "lines": [
                    {
                        "line": 1,
                        "end": 4,
                        "text": "init() and run()",
                        "outcome": "key",
                        "why": 'code = "src"',
                    }
                ],
            },
            {
                "file": "request.json",
                "kind": "request",
                "whole": True,
                "lines": [
                    {
                        "line": 1,
                        "end": 1,
                        "text": "the request",
                        "outcome": "key",
                        "why": 'smoke-test.request = "request.json"',
                    }
                ],
            },
        ],
        "not_read": [],
        "tasks": None,
        "adds": [],
        "notes": [],
        "next": ["invoke image.check"],
    }
    assert contents(folder) == ({} if is_dry else {"pyproject.toml": PYPROJECT})


def test_json_has_the_files_that_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If one of them cannot be written, it is not among them."""
    monkeypatch.chdir(demo(tmp_path))
    (tmp_path / "demo/tasks.py").unlink()
    monkeypatch.setattr(sys, "argv", ["azureml-image", "init", "--json", *FROM, *BASE])
    write_all = new_files.write_all

    def full(path: Path, content: bytes) -> None:
        if path.name == "tasks.py":
            raise OSError(28, "No space left on device", str(path))
        write_all(path, content)

    monkeypatch.setattr(new_files, "write_all", full)
    code = main()
    report = json.loads(capsys.readouterr().out)

    (error,) = report["errors"]
    assert (3, ["pyproject.toml"], "Written: pyproject.toml.") == (code, report["written"], error["state"])


def test_secrets_of_a_table_are_not_printed(tmp_path: Path) -> None:
    """Where it differs from the sources, the report and its JSON have the name of the key alone."""
    table = """\
[tool.azureml-image]
base = "minimal-py312-inference"
env = { API_TOKEN = "hunter2", INDEX = "https://user:hunter2@host/" }
run = ["curl --header 'Authorization: Bearer hunter2' https://host"]
"""
    folder = demo(tmp_path, pyproject__toml=table, Dockerfile="FROM a:1\nENV INDEX=https://host/ MODE=1\n")
    words = ("image.init", "--from", "Dockerfile", *BASE)

    text, value = invoke(folder, *words), invoke(folder, *words, "--json")

    differences = {each["key"]: each["table"] for each in json.loads(value.out)["differences"]}
    assert (0, 0, False) == (text.code, value.code, "hunter2" in text.out + text.err + value.out + value.err)
    assert {"env.API_TOKEN": "***", "env.INDEX": "https://***@host/"}.items() <= differences.items()


def test_a_table_that_exists_is_compared(tmp_path: Path) -> None:
    """Nothing is written; the report names what differs."""
    table = '[tool.azureml-image]\nname = "x"\nbase = "curated/minimal-py311-inference"\npip = ["numpy"]\n'
    folder = demo(tmp_path, pyproject__toml=table)

    ended = invoke(folder, "image.init", *FROM, *BASE)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"{ROWS}pyproject.toml has the table already, and it stays as it is.\n"
        '  base: "mcr.microsoft.com/azureml/curated/minimal-py311-inference:latest" in the table, '
        '"mcr.microsoft.com/azureml/minimal-py312-inference:latest" in the sources\n'
        "  pip: no source says it\n"
        '  code: missing in the table; the sources say "src"\n'
        '  smoke-test: missing in the table; the sources say {"requests": [{"file": "request.json"}]}\n'
        f"\nnot whole: the table differs\n{NEXT}"
    )
    assert contents(folder) == {"pyproject.toml": table}


def test_the_same_command_again_changes_nothing(tmp_path: Path) -> None:
    """The table of the first run says the same as the sources, also without a base of the run."""
    folder = demo(tmp_path)
    run(folder, *FROM, *BASE)

    ended = run(folder, *FROM)

    same = "pyproject.toml has the table already, and it stays as it is.\n"
    assert ended.report.startswith(f"{ROWS}{same}")
    assert contents(folder) == {"pyproject.toml": PYPROJECT}


KEPT = {
    "comments and order": "# ours\n[tool.ruff]  # lint\nline-length = 100\n\n[project]\nname='a'\nversion='1'\n",
    "line ends of Windows": "[project]\r\nname = 'a'\r\nversion = '1'\r\n",
    "no line end": "[project]\nname = 'a'\nversion = '1'",
    "a byte order mark": "\ufeff[project]\nname = 'a'\nversion = '1'\n",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_in_pyproject_stays(text: str, tmp_path: Path) -> None:
    """Byte for byte, and so does its mode."""
    folder = demo(tmp_path)
    path = folder / "pyproject.toml"
    path.write_bytes(text.encode())
    path.chmod(0o640)

    ended = run(folder, *FROM, *BASE)
    written = path.read_bytes().decode()
    added = written.removeprefix(text)

    assert (ended.error, written[: len(text)], path.stat().st_mode & 0o777) == ("", text, 0o640)
    assert added.replace("\r\n", "\n").lstrip("\n") == TABLE
    assert ("\r\n" in text) == ("\r\n" in added)
    assert [*folder.glob(".pyproject*")] == []


def test_a_link_in_the_project_stays_one(tmp_path: Path) -> None:
    """What it leads to gets the table."""
    folder = demo(tmp_path)
    lay_out({"config/pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n"}, folder)
    (folder / "pyproject.toml").symlink_to("config/pyproject.toml")

    ended = run(folder, *FROM, *BASE)

    assert (ended.error, (folder / "pyproject.toml").is_symlink()) == ("", True)
    assert (folder / "config/pyproject.toml").read_text().endswith(TABLE)


NAMELESS = {
    "[tool.x]\n": 'name = "demo"\ntags = ["{date}"]  # [project] has no version\n',
    "[project]\nname = 'My.Name'\n": 'tags = ["{date}"]  # [project] has no version\n',
    "[project]\nname = 'a'\nversion = '1'\n": "",
    "[project]\nname = 'a'\ndynamic = ['version']\n": "",
    "[tool.poetry]\nname = 'Of_Poetry'\n": 'name = "of-poetry"\ntags = ["{date}"]  # [project] has no version\n',
}


@pytest.mark.parametrize("text", NAMELESS)
def test_a_project_without_a_name_or_a_version(text: str, tmp_path: Path) -> None:
    """The table has what the image needs."""
    folder = demo(tmp_path, pyproject__toml=text)

    ended = run(folder, *FROM, *BASE)

    keys = f'base = "minimal-py312-inference"\n{NAMELESS[text]}code = "src"\n'
    assert (ended.error, keys in (folder / "pyproject.toml").read_text()) == ("", True)


REFUSED = {
    "no TOML": ("[project\n", "pyproject.toml:1: is not valid TOML"),
    "tool in one line": ("tool = { x = { a = 1 } }\n", "pyproject.toml:1: has `tool` as a value in one line"),
    "a table with nearly our name": (
        "[tool.azureml_image]\n",
        "pyproject.toml:1: [tool.azureml_image] is read by",
    ),
    "UTF-16": ("[project]\n".encode("utf-16"), "pyproject.toml: is not UTF-8"),
    "Latin-1": ("# é\n".encode("latin-1"), "pyproject.toml: is not UTF-8 in line 1"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_pyproject_that_takes_no_table(content: str | bytes, message: str, tmp_path: Path) -> None:
    """Each is an error with its line, and nothing is written."""
    folder = demo(tmp_path)
    data = content.encode() if isinstance(content, str) else content
    (folder / "pyproject.toml").write_bytes(data)

    ended = run(folder, *FROM, *BASE)

    assert ended.error.startswith(message)
    assert ended.error.endswith(STATE)
    assert (folder / "pyproject.toml").read_bytes() == data


def test_a_pyproject_that_is_no_file_of_the_project(tmp_path: Path) -> None:
    """A folder, a link that leads out, a link to nothing, and one that may only be read."""
    errors = []
    for number, kind in enumerate(("folder", "outside", "dangling", "loop", "read-only")):
        folder = demo(tmp_path / str(number))
        path = folder / "pyproject.toml"
        if kind == "folder":
            path.mkdir()
        elif kind == "read-only":
            path.write_text("[project]\n")
            path.chmod(0o444)
        else:
            target = lay_out({"other.toml": "[project]\n"}, tmp_path) / "other.toml"
            leads_to = {"outside": str(target), "dangling": "nothing.toml", "loop": path.name}
            path.symlink_to(leads_to[kind])
        ended = run(folder, *FROM, *BASE)
        errors.append(ended.error.splitlines()[0])

    assert errors == [
        "pyproject.toml: cannot be read: Is a directory",
        "pyproject.toml: is a link that leaves the project",
        "pyproject.toml: is a link to nothing",
        "pyproject.toml: cannot be read: Too many levels of symbolic links",
        "pyproject.toml: may only be read",
    ]
    assert (tmp_path / "other.toml").read_text() == "[project]\n"


SOURCES = {
    "missing": (["--from", "nothing.yml"], "nothing.yml: does not exist\n    ls .\n"),
    "outside": (["--from", "../../x.yml"], "../../x.yml: is outside"),
    "a loop of links": (["--from", "loop/x.yml"], "loop/x.yml: does not exist\n"),
    "no kind": (["--from", "notes.md"], "notes.md: is a text for people\n"),
    "a FIFO": (["--from", "pipe.yml"], "pipe.yml: is a file of a kind that cannot be copied\n"),
    "several": (["--from", "a.yml", "--from", "b.yml"], "a.yml: does not exist\n    ls .\n\nb.yml: does not exist"),
    "keeps none": ([*FROM, "--keep-dockerfile"], "--keep-dockerfile: keeps one Dockerfile, and the sources have none"),
    "no base": (
        [*FROM],
        ("base: no source names an image to extend\n    Which image does yours extend? Add one of:\n"
        "    --base minimal-py312-inference\n    --base curated/minimal-py311-inference\n"
        "    --base curated/minimal-py312-cuda12.4-inference\n"),
    ),
    "no image's name": ([*FROM, *BASE, "--image", "A B"], '--image: is "A B", which is not a name of an image\n'),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), SOURCES.values(), ids=SOURCES)
def test_what_cannot_be_read_or_decided(words: list[str], message: str, tmp_path: Path) -> None:
    """All of it is named at once, and nothing is written."""
    folder = demo(tmp_path, notes__md="# Notes\n")
    os.mkfifo(folder / "pipe.yml")
    (folder / "loop").symlink_to("loop")

    ended = run(folder, *words)

    assert message in ended.error
    assert "nothing was written.\n" in ended.error
    assert contents(folder) == {"notes.md": "# Notes\n"}


def test_files_are_named_from_where_one_is(tmp_path: Path) -> None:
    """Those of --from are relative to the current folder, the table's to pyproject.toml."""
    lay_out({"tasks.py": TASKS, "shared/score.py": SCRIPT, "services/a/x": ""}, tmp_path)
    git(tmp_path, "init", "--quiet")

    ended = invoke(tmp_path, "image.init", "--project", "services/a", "--from", "shared/score.py", *BASE)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-4:] == [
        "written: services/a/sample-request.json, services/a/pyproject.toml",
        "note: services/a/sample-request.json is an example: replace it by a request that the script answers",
        "next: git add services/a/pyproject.toml",
        "then: invoke image.check --project services/a",
    ]
    written = (tmp_path / "services/a/pyproject.toml").read_text()
    assert 'base = "minimal-py312-inference"\nroot = "../.."\ncode = "../../shared"\n' in written


VARIABLE = {"INVOKE_AZUREML_IMAGE_BASE": "contoso.azurecr.io/own:1"}
COLLECTION = """\
from invoke.collection import Collection
from azureml_tasks import collection

ns = Collection(collection("image", base="contoso.azurecr.io/own:1"))
"""


@pytest.mark.parametrize(
    ("variables", "files"),
    [(VARIABLE, {}), ({}, {"tasks.py": COLLECTION}), ({}, {"invoke.yml": "azureml_image: {base: own:1}\n"})],
    ids=["variable", "collection", "configuration"],
)
def test_the_base_of_a_run_is_not_written(
    variables: dict[str, str], files: dict[str, str], tmp_path: Path
) -> None:
    """The table says what the sources say; only --base replaces it. Each run takes the other base by itself."""
    environment_yaml = "name: iris\nimage: mcr.microsoft.com/azureml/minimal-py312-inference:latest\n"
    folder = lay_out({"environment.yml": environment_yaml, **files}, demo(tmp_path))
    before = contents(folder)

    refused = invoke(folder, "image.init", *FROM, env=variables)
    written = invoke(folder, "image.init", *FROM, "--from", "environment.yml", env=variables)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("base: no source names an image to extend\n")
    assert (written.code, written.err) == (0, "")
    assert contents(folder) == {**before, "pyproject.toml": PYPROJECT}


def test_one_of_several_images(tmp_path: Path) -> None:
    """The table of the image is added below that of all, and its name belongs to the next command."""
    shared = '[project]\nname = "a"\nversion = "1"\n\n[tool.azureml-image]\nregistry = "r.io"\n'
    folder = demo(tmp_path, pyproject__toml=shared)

    ended = invoke(folder, "image.init", *FROM, *BASE, "--image", "gpu")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"{WHOLE}written: pyproject.toml\nnext: invoke image.check --image gpu\n")
    assert contents(folder) == {
        "pyproject.toml": f"{shared}\n{TABLE.replace('azureml-image', 'azureml-image.images.gpu')}"
    }


def asked(folder: Path, words: list[str], answers: list[bytes]) -> tuple[int, str]:
    """Run `azureml-image init` in a terminal and type *answers*, each when a question is there."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        invoke_cli.program_words(["init", *words]),
        cwd=folder,
        env=environment(),
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    while select.select([controller], [], [], 60)[0]:
        try:
            block = os.read(controller, 1000)
        except OSError:  # Linux reports the end of a terminal so.
            break
        shown += block
        if shown.endswith(b": ") and answers:
            answer = answers.pop(0)
            if answer == b"\x03":
                process.send_signal(signal.SIGINT)
            else:
                os.write(controller, answer)
    os.close(controller)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    """An answer that is none of the choices is asked again."""
    folder = demo(tmp_path)

    code, shown = asked(folder, list(FROM), [b"7\n", b"x\n", b"2\n"])

    assert (code, shown.count("1 to 3: ")) == (0, 3)
    assert shown.startswith(
        "base: no source names an image to extend.\n"
        "Which image does yours extend?\n"
        "  1  minimal-py312-inference\n"
        "  2  curated/minimal-py311-inference\n"
        "  3  curated/minimal-py312-cuda12.4-inference\n"
    )
    assert 'base = "curated/minimal-py311-inference"\n' in (folder / "pyproject.toml").read_text()


@pytest.mark.parametrize(("answer", "code"), [(b"\x03", 130), (b"\x04", 2)])
def test_a_question_without_an_answer_leaves_nothing(answer: bytes, code: int, tmp_path: Path) -> None:
    """Ctrl-C ends the command, and the end of the input is as if there were no terminal."""
    folder = demo(tmp_path)

    ended, _ = asked(folder, list(FROM), [answer])

    assert (ended, contents(folder)) == (code, {})


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Two commands at once: the second one is told."""
    path = tmp_path / "pyproject.toml"
    path.write_text("theirs\n")

    with pytest.raises(SettingsError, match="was made by another program meanwhile"):
        write_files([NewFile(path=path, text="ours\n")], Console())

    assert path.read_text() == "theirs\n"


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """What is added belongs to the text that was read."""
    path = tmp_path / "pyproject.toml"
    path.write_text("theirs\n")

    with pytest.raises(SettingsError, match="was changed by another program meanwhile"):
        write_files([NewFile(path=path, text="ours\n", before=b"old\n")], Console())

    assert [each.name for each in tmp_path.iterdir()] == ["pyproject.toml"]
    assert path.read_text() == "theirs\n"


def test_what_a_killed_command_was_writing_is_removed(tmp_path: Path) -> None:
    """The next command that adds to the file removes it once it is old; other files are the user's."""
    path = tmp_path / "pyproject.toml"
    path.write_text("old\n", encoding="utf-8")
    left, others = tmp_path / ".pyproject.toml.1.unfinished", tmp_path / "notes.unfinished"
    for each in (left, others):
        each.write_text("half", encoding="utf-8")
        os.utime(each, (1, 1))

    write_files([NewFile(path=path, text="new\n", before=b"old\n")], Console())

    assert [others, path] == sorted(tmp_path.iterdir())
    assert "old\nnew\n" == path.read_text(encoding="utf-8")


def test_a_path_with_a_blank_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that --dry prints quotes it."""
    monkeypatch.chdir(tmp_path)

    write_files([NewFile(path=tmp_path / "my demo" / "tasks.py", text="x\n")], Console(dry=True))

    assert "cat > 'my demo/tasks.py' <<'EOF'\nx\nEOF\n" == capsys.readouterr().out


@pytest.mark.parametrize("before", [None, b"old\n"])
def test_a_full_disk_leaves_no_half_of_a_file(
    before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before is named, and the file that failed is as it was."""
    first, second = tmp_path / "first", tmp_path / "second"
    if before:
        second.write_bytes(before)
    write_all = new_files.write_all

    def full(path: Path, content: bytes) -> None:
        write_all(path, content[:1])
        if "second" in path.name:
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(new_files, "write_all", full)
    with pytest.raises(AzuremlTasksError) as failed:
        write_files(
            [NewFile(path=first, text="a"), NewFile(path=second, text="bc", before=before)], Console()
        )

    assert failed.value.state == f"Written: {os.path.relpath(first)}."
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "first": b"a",
        **({"second": before} if before else {}),
    }
