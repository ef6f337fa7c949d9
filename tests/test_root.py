"""Projects of a monorepo: `root` and `--root` say how far up paths may lead."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import SettingsError
from azureml_tasks.project.load import load
from azureml_tasks.project.model import Revision
from tests.cases import lay_out
from tests.consumers import TASKS, invoke, project
from tests.context_members import listing
from tests.git_command import git
from tests.task_options import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = "def init(): ...\ndef run(data): ...\n"
HERE = "services/scoring"
TABLE = """\
root = "../.."
code = "../../libraries/serving"
model = "../../models/iris"
requirements = ["requirements.txt", "../../requirements/common.txt"]
[tool.azureml-image.smoke-test]
request = "../../samples/request.json"
"""
FILES: Mapping[str, str] = {
    f"{HERE}/requirements.txt": "-r ../../requirements/base.txt\n./wheels/own-1-py3-none-any.whl\n",
    f"{HERE}/wheels/own-1-py3-none-any.whl": "own",
    "requirements/base.txt": "idna==3.7\n",
    "requirements/common.txt": "-c limits.txt\n../../wheels/all-1-py3-none-any.whl\n",
    "requirements/limits.txt": "idna<4\n",
    "wheels/all-1-py3-none-any.whl": "all",
    "libraries/serving/score.py": SCRIPT,
    "libraries/serving/notes.md": "",
    "models/iris/weights.bin": "w",
    "samples/request.json": "{}",
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide from git the configuration of this machine and every repository above the test's folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """A repository with a project that takes most of its files from above its own folder."""
    repository = tmp_path / "repository"
    return committed(laid_out(repository, TABLE, FILES))


def laid_out(repository: Path, table: str, files: Mapping[str, str]) -> Path:
    """Return a folder with the project `services/scoring`, its *table* and more *files*."""
    return lay_out({f"{HERE}/pyproject.toml": project("scoring", table), **files}, repository)


def committed(repository: Path) -> Path:
    """Return the folder as a repository with everything in it committed."""
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=first")
    return repository


def members(repository: Path) -> list[str]:
    """Return the files of the build context, without the generated ones."""
    lines = listing(azureml_tasks.plan(load(repository / HERE)).files).splitlines()
    return [line for line in lines if line.startswith(("file", "link")) and "install" not in line]


def refusal(folder: Path, root: Override | None = None) -> str:
    """Return the error of a project that is refused, from the folder of the project on."""
    with pytest.raises(SettingsError) as caught:
        load(folder, root=root)
    return str(caught.value)


def test_paths_lead_anywhere_below_the_root(monorepo: Path) -> None:
    """Code, model, requirements with what they include, wheels, and requests are found."""
    plan = azureml_tasks.plan(load(monorepo / HERE))

    assert [
        "code/notes.md",
        "code/score.py",
        "model/weights.bin",
        "python/project/requirements/base.txt",
        "python/project/requirements/common.txt",
        "python/project/requirements/limits.txt",
        f"python/project/{HERE}/requirements.txt",
        f"python/project/{HERE}/wheels/own-1-py3-none-any.whl",
        "python/project/wheels/all-1-py3-none-any.whl",
    ] == [file.name for file in plan.files if file.source]
    assert [b"{}"] == [request.body for request in plan.smoke_test.requests]
    assert {"AZUREML_ENTRY_SCRIPT": "score.py"}.items() <= plan.env.items()


def test_what_is_outside_the_root_is_refused(monorepo: Path) -> None:
    """Neither a path of the table nor one of a requirements file leaves it."""
    laid_out(
        monorepo,
        'root = ".."\ncode = "../../libraries/serving"\nrequirements = "requirements.txt"\n'
        'model = "a/../../b"\nentry-script = "../score.py"\n',
        {f"{HERE}/requirements.txt": "-r ../../requirements/base.txt\n../../wheels/x-1-py3-none-any.whl\n"},
    )

    expected = """\
pyproject.toml:8: tool.azureml-image.code is "../../libraries/serving", which is outside the folder of `root`
    Paths may lead to anything below that folder.

pyproject.toml:10: tool.azureml-image.model: "a/../../b" goes down and up again
    Paths are relative to the folder of pyproject.toml, and ".." comes first.

pyproject.toml:11: tool.azureml-image.entry-script: "../score.py" is outside the project
    Paths are relative to the folder of pyproject.toml and stay inside it.

requirements.txt:1: includes "../../requirements/base.txt", which is outside the project
    Copy it into the project.

requirements.txt:2: the wheel "../../wheels/x-1-py3-none-any.whl" is outside the project
    Copy it into the project and write: ./wheels/x-1-py3-none-any.whl

5 problems; nothing was done."""
    assert expected == refusal(monorepo / HERE)


def test_a_path_above_a_project_without_a_root_is_told_of_it(tmp_path: Path) -> None:
    """The message says what to write."""
    folder = laid_out(tmp_path, 'code = "../../libraries/serving"\n', FILES) / HERE

    expected = (
        'pyproject.toml:7: tool.azureml-image.code: "../../libraries/serving" is outside the project\n'
        '    In a monorepo, let the table name the folder that all files are in: root = "../.."\n'
    )
    assert refusal(folder).startswith(expected)


def test_the_table_leads_no_further_than_the_repository(
    monorepo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above it, only the run may name a folder."""
    monkeypatch.chdir(monorepo / HERE)
    laid_out(monorepo, 'root = "../../.."\ncode = "../../../elsewhere"\n', {"../elsewhere/score.py": SCRIPT})

    expected = (
        'pyproject.toml:7: tool.azureml-image.root is "../../..", which is outside the project\'s git repository, '
        f"{monorepo}\n"
        "    To copy from there all the same, say so in each run: --root ../../..\n\n1 problem; nothing was done."
    )
    assert expected == refusal(monorepo / HERE)


def test_a_repository_that_does_not_track_the_project_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was unpacked in a home folder with a repository of its own must not name files of that folder."""
    home = committed(lay_out({"notes.txt": ""}, tmp_path / "home"))
    laid_out(home, TABLE, FILES)
    monkeypatch.chdir(home)
    untracked = refusal(home / HERE)
    git(home, "add", f"{HERE}/pyproject.toml")

    tracked = load(home / HERE)

    expected = (
        'pyproject.toml:7: tool.azureml-image.root is "../..", and git does not track pyproject.toml\n'
        "    git add services/scoring/pyproject.toml\n"
        "    To copy from there all the same, say so in each run: --root .\n\n1 problem; nothing was done."
    )
    assert (expected, home / HERE) == (untracked, tracked.folder)


def test_without_git_only_the_run_may_name_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table alone is refused; the same table with `--root` is read."""
    folder = laid_out(tmp_path / "files", TABLE, FILES) / HERE
    monkeypatch.chdir(folder)

    assert 'root is "../..", and the project is in no git repository\n' in refusal(folder)
    assert load(folder, root=Override(str(tmp_path / "files"), "--root")).root == tmp_path / "files"


def test_the_run_may_name_any_folder_above(tmp_path: Path) -> None:
    """The flag is relative to the current folder, and so is the variable; both replace the table's."""
    files = {**FILES, f"{HERE}/tasks.py": TASKS}
    folder = laid_out(tmp_path / "files", TABLE.replace('root = "../.."\n', ""), files) / HERE
    name = "INVOKE_AZUREML_IMAGE_ROOT"

    flagged = invoke(folder, "image.check", "--json", "--root=../..")
    named = invoke(folder, "image.check", "--json", env={name: str(tmp_path)})
    beside = invoke(folder, "image.check", "--root=wheels")
    missing = invoke(folder, "image.check", env={name: "nowhere"})

    contexts = [json.loads(ended.out)["images"][0]["context"]["sha256"] for ended in (flagged, named)]
    assert 2 == len(set(contexts))  # The requirements files have other paths.
    assert (2, 2) == (beside.code, missing.code)
    assert '--root: is "FOLDER/wheels", which is not a folder above FOLDER\n' in beside.err
    assert f'{name}: is "nowhere", but FOLDER/nowhere is not a folder\n' in missing.err


def test_no_configuration_names_a_root(tmp_path: Path) -> None:
    """Invoke's configuration is a file of the project."""
    files = {f"{HERE}/tasks.py": TASKS, f"{HERE}/invoke.yaml": "azureml_image:\n  root: ../..\n"}
    folder = laid_out(tmp_path, 'code = "code"\n', files) / HERE

    assert "Invoke's configuration, azureml_image.root: is not known" in invoke(folder, "image.check").err


def test_a_link_that_leaves_the_root_is_refused(monorepo: Path, tmp_path: Path) -> None:
    """One that leads elsewhere below the root is followed."""
    lay_out({"secret.txt": "very-secret"}, tmp_path)
    (monorepo / "libraries/serving/inside").symlink_to("../../samples")
    inside = members(monorepo)
    (monorepo / "libraries/serving/outside").symlink_to(tmp_path / "secret.txt")

    message = refusal(monorepo / HERE)

    assert "file code/inside/request.json 2" in inside
    assert "../../libraries/serving/outside is a link to" in message
    assert "which leaves the project" in message
    assert 'exclude = ["../../libraries/serving/outside"]' in message


def test_patterns_of_the_table_are_relative_to_pyproject(monorepo: Path) -> None:
    """Those of the root's `.dockerignore` are relative to the root, and the project's own is not read."""
    lay_out(
        {
            ".dockerignore": "libraries/serving/gone\n",
            f"{HERE}/.dockerignore": "*\n",
            "libraries/serving/gone/a.py": "",
            "libraries/serving/deep/b.md": "",
            "libraries/serving/deep/c.py": "",
            "libraries/serving/deep/kept.md": "",
        },
        monorepo,
    )
    laid_out(
        monorepo,
        TABLE.replace(
            "code =",
            'exclude = ["**/*.md", "!../../libraries/serving/deep/kept.md", "notes.md", "../../**/c.py"]\ncode =',
        ),
        {},
    )

    copied = [line for line in members(monorepo) if line.startswith("file code/")]

    warning = ".dockerignore is not used: the one in the folder of `root` counts"
    assert ["file code/deep/kept.md 0", f"file code/score.py {len(SCRIPT)}"] == copied
    assert warning in map(str, load(monorepo / HERE).facts.warnings)


def test_a_pattern_cannot_leave_the_root(monorepo: Path) -> None:
    """It would match nothing."""
    laid_out(monorepo, TABLE.replace("code =", 'exclude = ["../../../x"]\ncode ='), {})

    assert (
        'pyproject.toml:8: "../../../x" is not a valid pattern: it leads out of the folder of `root`'
        in refusal(monorepo / HERE)
    )


def test_a_folder_with_marks_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    """The project's own folder is a part of each pattern of `exclude`."""
    table = 'root = ".."\nexclude = ["code/*.md"]\n'
    files = {"a[1]*/code/score.py": SCRIPT, "a[1]*/code/b.md": "", "a1/code/b.md": ""}
    lay_out({"a[1]*/pyproject.toml": project("x", table), **files}, tmp_path / "files")

    plan = azureml_tasks.plan(
        load(tmp_path / "files/a[1]*", root=Override(str(tmp_path / "files"), "--root"))
    )

    assert ["code/score.py"] == [file.name for file in plan.files if file.source]


def test_messages_name_files_from_where_the_user_is(monorepo: Path) -> None:
    """From the project's folder, and from that of the repository."""
    lay_out({f"{HERE}/tasks.py": TASKS, "tasks.py": TASKS, "libraries/serving/score.py": "x = 1\n"}, monorepo)
    lay_out({"requirements/base.txt": "-e .\n"}, monorepo)

    inside = invoke(monorepo / HERE, "image.check").err
    outside = invoke(monorepo, "image.check", f"--project={HERE}").err

    for stderr, prefix in ((inside, "../../"), (outside, "")):
        assert f"{prefix}libraries/serving/score.py:1: the entry script does not define" in stderr
        assert f'{prefix}requirements/base.txt:1: "-e ." is an editable install' in stderr


def test_a_change_anywhere_in_the_repository_makes_the_commit_dirty(monorepo: Path) -> None:
    """The image is built from all of it."""
    clean = load(monorepo / HERE).facts.revision
    (monorepo / "models/iris/weights.bin").write_text("other")
    changed = load(monorepo / HERE).facts.revision

    assert isinstance(clean, Revision)
    assert isinstance(changed, Revision)
    assert (False, True) == (clean.dirty, changed.dirty)


def test_the_project_s_own_files_are_left_out_of_code_around_it(monorepo: Path) -> None:
    """They are left out of `code = "."` as well."""
    lay_out({f"{HERE}/tasks.py": TASKS, f"{HERE}/.azureml-image/build.json": "{}"}, monorepo)
    lay_out({"services/other/.azureml-image/build.json": "{}"}, monorepo)
    laid_out(monorepo, 'root = "../.."\ncode = "../.."\nentry-script = "libraries/serving/score.py"\n', {})

    copied = [line.split()[1] for line in members(monorepo)]

    assert "code/libraries/serving/score.py" in copied
    assert [] == [name for name in copied if name.endswith(("tasks.py", "pyproject.toml", "build.json"))]


def test_records_stay_in_the_project(monorepo: Path) -> None:
    """Whatever the root is."""
    lay_out({f"{HERE}/tasks.py": TASKS}, monorepo)

    invoke(monorepo / HERE, "image.context", "--output=context.tar")

    assert (True, False) == (
        (monorepo / HERE / ".azureml-image").is_dir() or (monorepo / HERE / "context.tar").is_file(),
        (monorepo / ".azureml-image").exists(),
    )


def test_a_command_to_paste_repeats_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It means the same files."""
    monkeypatch.chdir(laid_out(tmp_path, "", {}) / HERE)

    run = resolved(root="../..")

    assert ("--root ../..", str(tmp_path)) == (
        run.console.flags["root"],
        os.path.realpath(run.context.root.value if run.context.root else ""),
    )


def test_pip_runs_in_the_folder_of_pyproject(tmp_path: Path) -> None:
    """Paths of wheels are relative to it, also if no file of the context is in it."""
    table = 'root = ".."\nrequirements = "../common.txt"\n'
    files = {"common.txt": "../all-1-py3-none-any.whl\n", "all-1-py3-none-any.whl": ""}
    lay_out({"own/pyproject.toml": project("x", table), **files}, tmp_path)

    lines = listing(
        azureml_tasks.plan(load(tmp_path / "own", root=Override(str(tmp_path), "--root"))).files
    ).splitlines()

    assert ["file python/folder.txt 3", "    own"] == lines[
        (at := lines.index("file python/folder.txt 3")) : at + 2
    ]
    assert "folder python/project/own/" in lines


def test_a_conda_file_above_the_project(tmp_path: Path) -> None:
    """Its wheels are relative to the file, as for conda; messages name it from the project."""
    table = 'root = ".."\nconda = "../environment/conda.yaml"\n'
    conda = "dependencies:\n- numpy=1.26\n- pip:\n  - ./own-1-py3-none-any.whl\n"
    files = {"environment/conda.yaml": conda, "environment/own-1-py3-none-any.whl": ""}
    lay_out({"own/pyproject.toml": project("x", table), **files}, tmp_path)
    root = Override(str(tmp_path), "--root")

    python = load(tmp_path / "own", root=root).facts.python
    lay_out({"environment/conda.yaml": f"{conda}  - -e .\n"}, tmp_path)

    assert python
    assert "python/project/environment/own-1-py3-none-any.whl" in [file.name for file in python.files]
    assert "../environment/own-1-py3-none-any.whl" in next(
        file.data.decode() for file in python.files if file.name == "python/project/environment/conda.yaml"
    )
    assert '../environment/conda.yaml:5: "-e ."' in refusal(tmp_path / "own", root)


def test_several_images_share_the_root(monorepo: Path) -> None:
    """Each image's paths lead anywhere below it."""
    table = monorepo / HERE / "pyproject.toml"
    own = 'requirements = "../../requirements/base.txt"'
    images = f"\n[tool.azureml-image.images.cpu]\n\n[tool.azureml-image.images.gpu]\n{own}\n"
    table.write_text(table.read_text(encoding="utf-8") + images, encoding="utf-8")
    plans = {
        image: azureml_tasks.plan(load(monorepo / HERE, image=image))
        for image in azureml_tasks.image_names(monorepo / HERE)
    }

    for plan in plans.values():
        assert {"code/score.py", "model/weights.bin"} <= {file.name for file in plan.files}
    assert ("requirements.txt, ../../requirements/common.txt", "../../requirements/base.txt") == tuple(
        ", ".join(plan.python.names) for plan in plans.values() if plan.python
    )


def test_a_folder_of_a_project_is_told_where_its_table_is(tmp_path: Path) -> None:
    """A command in a subfolder, with other tables between, names the folder to pass."""
    texts = {"my project/pyproject.toml": project("demo"), "my project/src/pyproject.toml": "[tool.ruff]\n"}
    folder = lay_out({**texts, "my project/src/inner/a.py": ""}, tmp_path) / "my project" / "src" / "inner"

    with pytest.raises(SettingsError) as caught:
        load(folder)

    first, second, *_ = caught.value.problems[0].fix.splitlines()
    assert f"For the table in a folder above, add: --project '{tmp_path}/my project'" == first
    assert "or make it from the files that you have: invoke image.init" == second
