"""The image's name, labels and warnings, with real git repositories."""

from __future__ import annotations

import os
import subprocess
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.settings import Settings
from azureml_tasks.config.smoke_test_settings import SmokeTest
from azureml_tasks.errors import SettingsError
from azureml_tasks.image_reference import expand_base
from azureml_tasks.project import base_images
from azureml_tasks.project.cross_checks import variable_warnings
from tests.cases import lay_out
from tests.consumers import ISOLATED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from azureml_tasks.notice import Notice
    from azureml_tasks.planning.plan import Plan

COMMITTED = 1_700_000_000
DAY = "2023-11-14T22:13:20Z"
TABLE = '[tool.azureml-image]\nbase = "bases/serving:4"\n'
OCI = "org.opencontainers.image."


def NOWHERE(_: object) -> int:  # noqa: N802 -- stands for the lines of a file
    """Return that a key is in no line."""
    return 0


def texts(warnings: Iterable[Notice]) -> list[str]:
    """Return what is printed of warnings."""
    return [*map(str, warnings)]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide from git every configuration but the repository's own, and from the project the CI system around it."""
    for name in [name for name in os.environ if name.startswith(ISOLATED)]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    who = f"{COMMITTED} +0100"
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Contoso")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "team@contoso.example")
        monkeypatch.setenv(f"GIT_{role}_DATE", who)


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*, and return what it prints."""
    argv = ["git", "-C", str(folder), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def project(
    folder: Path,
    *,
    table: str = "",
    head: str = 'name = "scoring"\nversion = "1.4.0"',
    base: str = "bases/serving:4",
) -> Path:
    """Return a project with *head* as its [project], and *base* and more lines in its table."""
    own = f'[tool.azureml-image]\nbase = "{base}"\n'
    return lay_out({"pyproject.toml": f"[project]\n{head}\n{own}{table}"}, folder)


def committed(folder: Path) -> str:
    """Commit all of *folder* on the branch `team/new-model`, and return the hash."""
    run_git(folder, "init", "--quiet", "--initial-branch", "team/new-model")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", "First")
    return run_git(folder, "rev-parse", "HEAD")


def planned(folder: Path) -> Plan:
    """Return the plan of the project."""
    return azureml_tasks.plan(azureml_tasks.load(folder))


def refusal(folder: Path) -> str:
    """Return the error of a project that is refused."""
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)
    return str(caught.value)


# Names


@pytest.mark.parametrize(
    ("head", "table", "names"),
    [
        pytest.param('name = "Contoso_Iris.Scoring"\nversion = "1"', "", ["contoso-iris-scoring:1"], id="normalised"),
        pytest.param('name = "a"\nversion = "1"', 'name = "team/b_c"\n', ["team/b_c:1"], id="name of its own"),
        pytest.param(
            'name = "a"\nversion = "1"', 'registry = "contoso.azurecr.io"\n', ["contoso.azurecr.io/a:1"], id="registry"
        ),
        pytest.param(
            'name = "a"\nversion = "1!2.0+cpu.1"',
            'tags = ["v{version}", "x  y/z{version}"]\n',
            ["a:v1-2.0-cpu.1", "a:x-y-z1-2.0-cpu.1"],
            id="what a tag cannot have",
        ),
        pytest.param(
            'name = "a"\nversion = "1"', 'tags = ["{version}", "b", "1", "b"]\n', ["a:1", "a:b"], id="each tag once"
        ),
        pytest.param('name = "a"\ndynamic = ["version"]', "", ["a:latest"], id="dynamic version"),
        pytest.param('name = "a"\n', 'tags = ["stable"]\n', ["a:stable"], id="no version is needed"),
    ],
)  # fmt: skip
def test_repository_and_tags_come_from_the_project(
    head: str, table: str, names: list[str], tmp_path: Path
) -> None:
    """The keys of the table replace those of [project]."""
    assert names == list(planned(project(tmp_path, head=head, table=table)).names)


def test_the_date_is_in_utc(tmp_path: Path) -> None:
    """`{date}` is today."""
    before = datetime.now(timezone.utc)

    actual = planned(project(tmp_path, table='tags = ["{date}"]\n')).tags

    days = {before.strftime("%Y%m%d"), datetime.now(timezone.utc).strftime("%Y%m%d")}
    assert ([1], True) == ([len(actual)], actual[0] in days)


def test_tags_with_commit_and_branch(tmp_path: Path) -> None:
    """The commit has twelve digits; characters of the branch that a tag cannot have become dashes."""
    folder = project(tmp_path, table='tags = ["{git-sha}", "{git-branch}-{version}"]\n')
    sha = committed(folder)

    assert (sha[:12], "team-new-model-1.4.0") == planned(folder).tags


@pytest.mark.parametrize("change", ["a changed file", "a new file", "a staged file"])
def test_a_work_tree_with_changes_is_dirty(change: str, tmp_path: Path) -> None:
    """Tag and label end in `-dirty`, whatever the change is."""
    folder = project(tmp_path, table='tags = ["{git-sha}"]\n')
    (folder / "a").touch()
    sha = committed(folder)
    (folder / ("new" if change == "a new file" else "a")).write_text("x", encoding="utf-8")
    if change == "a staged file":
        run_git(folder, "add", "--all")

    plan = planned(folder)

    assert ((f"{sha[:12]}-dirty",), f"{sha}-dirty") == (plan.tags, plan.labels[f"{OCI}revision"])


def test_a_project_in_a_folder_of_a_repository_has_its_commit(tmp_path: Path) -> None:
    """The repository may be around the project."""
    folder = project(tmp_path / "services/scoring", table='tags = ["{git-sha}"]\n')
    sha = committed(tmp_path)

    assert (sha[:12],) == planned(folder).tags


def unavailable(value: str, why: str, fix: str = "", other: str = "date") -> str:
    """Return the error of a tag whose value is not available, with the way to get it."""
    another = f"{fix}\n    or w" if fix else "W"
    return (
        f'pyproject.toml:6: tool.azureml-image.tags[1]: "{{{value}}}" needs {{{value}}}, but {why}\n'
        f'    {another}rite another tag, such as: tags = ["{{{other}}}"]\n\n1 problem; nothing was done.'
    )


@pytest.mark.parametrize("value", ["git-sha", "git-branch"])
def test_without_a_repository_there_is_no_commit(value: str, tmp_path: Path) -> None:
    """The error gives the reason."""
    folder = project(tmp_path, table=f'tags = ["{{{value}}}"]\n')

    assert unavailable(value, "this is not a git repository") == refusal(folder)


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    """The error gives the reason."""
    folder = project(tmp_path, table='tags = ["{git-sha}"]\n')
    run_git(folder, "init", "--quiet")

    assert unavailable("git-sha", "nothing is committed yet", "git commit") == refusal(folder)


def test_a_detached_head_is_on_no_branch(tmp_path: Path) -> None:
    """The error gives the reason."""
    folder = project(tmp_path, table='tags = ["{git-branch}"]\n')
    committed(folder)
    run_git(folder, "checkout", "--quiet", "--detach")

    why, fix = "HEAD is detached, so that no branch is checked out", "Name the tag of this run: --tag=TAG"
    assert unavailable("git-branch", why, fix, "git-sha") == refusal(folder)


def test_a_detached_head_of_a_ci_system_is_on_the_branch_that_it_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure Pipelines checks out a commit; a build of a tag has no branch, and the flag is named."""
    folder = project(tmp_path, table='tags = ["{git-branch}-{version}"]\n')
    committed(folder)
    run_git(folder, "checkout", "--quiet", "--detach")
    monkeypatch.setenv("TF_BUILD", "True")
    monkeypatch.setenv("BUILD_SOURCEBRANCH", "refs/heads/team/new-model")
    on_branch = planned(folder).tags
    monkeypatch.setenv("BUILD_SOURCEBRANCH", "refs/tags/v1")

    assert ("team-new-model-1.4.0",) == on_branch
    assert 'Name the tag of this run: --tag="$(Build.SourceBranchName)"' in refusal(folder)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error gives the reason."""
    folder = project(tmp_path, table='tags = ["{git-sha}"]\n')
    committed(folder)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert unavailable("git-sha", "git is not on PATH", "Install git.") == refusal(folder)


def test_a_project_without_a_version_has_no_tag(tmp_path: Path) -> None:
    """The error has the line of the table, as the tag is the default one."""
    error = refusal(project(tmp_path, head='name = "a"'))

    expected = (
        'pyproject.toml:3: tool.azureml-image.tags[1]: "{version}" needs {version}, but [project] has no version\n'
        '    Write in [project]: version = "1.0.0"\n'
        '    or write another tag, such as: tags = ["{date}"]\n\n1 problem; nothing was done.'
    )
    assert expected == error


def test_a_project_without_a_version_in_a_repository_can_have_its_commit(tmp_path: Path) -> None:
    """The advice is a tag that it can have."""
    folder = project(tmp_path, head='name = "a"')
    committed(folder)

    assert 'or write another tag, such as: tags = ["{git-sha}"]' in refusal(folder)


@pytest.mark.parametrize(
    ("written", "why", "name"),
    [
        ('"My Adder"', 'is "My Adder", which is not a valid image name', "my-adder"),
        ('"a b\\nUSER root"', 'is "a b\\nUSER root", which is not a valid image name', "a-b-user-root"),
        ('"Größe 1"', 'is "Größe 1", which is not a valid image name', "scoring"),
        ('"模型"', 'is "模型", which is not a valid image name', "scoring"),
        ('"-"', 'is "-", which is not a valid image name', "scoring"),
        ("7", "must be a string, got the integer 7", "scoring"),
    ],
)
def test_a_project_whose_name_is_no_image_name_is_refused(
    written: str, why: str, name: str, tmp_path: Path
) -> None:
    """The name of [project] follows the same rules as the key `name`, which can be one made of it."""
    error = refusal(project(tmp_path, head=f'name = {written}\nversion = "1"'))

    expected = (
        f"pyproject.toml:2: [project].name {why}\n"
        f'    Write in [tool.azureml-image]: name = "{name}"\n\n1 problem; nothing was done.'
    )
    assert expected == error


# Labels


def test_labels_name_the_inputs_of_the_image(tmp_path: Path) -> None:
    """Title, version, commit, its time, source and base, as the Open Container Initiative names them."""
    folder = project(tmp_path)
    sha = committed(folder)
    run_git(
        folder,
        "remote",
        "add",
        "origin",
        "https://me:secret@git.contoso.example:8443/team/scoring.git?token=a#b",
    )

    actual = planned(folder).labels

    assert actual == {
        f"{OCI}title": "scoring",
        f"{OCI}version": "1.4.0",
        f"{OCI}revision": sha,
        f"{OCI}created": DAY,
        f"{OCI}source": "https://git.contoso.example:8443/team/scoring.git",
        f"{OCI}base.name": "bases/serving:4",
    }


def test_a_commit_of_a_time_that_no_label_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may say any time, also one after the year 9999; the image is built without that label."""
    folder = project(tmp_path)
    committed(folder)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@253402300800 +0000")
    run_git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "late")

    labels = planned(folder).labels

    assert (False, True) == (f"{OCI}created" in labels, f"{OCI}revision" in labels)


def test_without_git_there_are_fewer_labels(tmp_path: Path) -> None:
    """Time, commit and source are left out."""
    actual = planned(project(tmp_path)).labels

    assert actual == {
        f"{OCI}title": "scoring",
        f"{OCI}version": "1.4.0",
        f"{OCI}base.name": "bases/serving:4",
    }


def test_source_date_epoch_comes_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of reproducible builds replaces the time of the commit."""
    folder = project(tmp_path)
    committed(folder)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")

    assert planned(folder).labels[f"{OCI}created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("value", ["", "-1", "1.5", "now", "٣", "253402300800"])
def test_a_source_date_epoch_that_is_no_number_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)

    expected = (
        f'SOURCE_DATE_EPOCH: "{value}" is not a number of seconds since 1970\n'
        "    export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)\n\n1 problem; nothing was done."
    )
    assert expected == refusal(project(tmp_path))


@pytest.mark.parametrize(
    ("urls", "source"),
    [
        ('{ Source = "https://a", Repository = "https://b" }', "https://a"),
        ('{ Homepage = "https://a", "source-code" = "https://b" }', "https://b"),
        ('{ GitHub = "https://github.com/contoso/scoring" }', "https://github.com/contoso/scoring"),
        ('{ Homepage = "https://a" }', "https://git.contoso.example/a.git"),
        ("{ Source = 1 }", "https://git.contoso.example/a.git"),
        ('"https://a"', "https://git.contoso.example/a.git"),
    ],
)
def test_the_url_of_the_project_comes_before_that_of_git(urls: str, source: str, tmp_path: Path) -> None:
    """[project.urls] counts if it has one of the well-known names of a source."""
    folder = project(tmp_path, head=f'name = "a"\nversion = "1"\nurls = {urls}')
    committed(folder)
    run_git(folder, "remote", "add", "origin", "https://git.contoso.example/a.git")

    assert source == planned(folder).labels[f"{OCI}source"]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (
            "minimal-py312-inference",
            {"base.name": "mcr.microsoft.com/azureml/minimal-py312-inference:latest"},
        ),
        (
            f"bases/serving:4@sha256:{'0' * 64}",
            {"base.name": "bases/serving:4", "base.digest": f"sha256:{'0' * 64}"},
        ),
        (
            f"bases/serving@sha256:{'0' * 64}",
            {"base.name": "bases/serving", "base.digest": f"sha256:{'0' * 64}"},
        ),
    ],
)
def test_the_base_has_a_label_for_its_digest(base: str, expected: dict[str, str], tmp_path: Path) -> None:
    """There is none for a base that is named by its tag."""
    folder = project(tmp_path)
    text = (folder / "pyproject.toml").read_text(encoding="utf-8").replace("bases/serving:4", base)
    lay_out({"pyproject.toml": text}, folder)

    labels = planned(folder).labels

    assert {f"{OCI}{name}": value for name, value in expected.items()} == {
        name: value for name, value in labels.items() if ".base." in name
    }


def test_labels_of_the_table_replace_ours(tmp_path: Path) -> None:
    """A label of the table counts, also under one of our names."""
    folder = project(tmp_path, table=f'labels = {{ "{OCI}title" = "Iris", team = "a" }}\n')

    expected = {
        f"{OCI}title": "Iris",
        f"{OCI}version": "1.4.0",
        f"{OCI}base.name": "bases/serving:4",
        "team": "a",
    }
    assert expected == planned(folder).labels


# Warnings

CURRENT = "Current: minimal-py312-inference, curated/minimal-py311-inference, curated/minimal-py312-cuda12.4-inference."


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("minimal-py312-inference", []),
        ("curated/minimal-py311-inference:71", []),
        ("curated/minimal-py312-cuda12.4-inference", []),
        (
            "minimal-ubuntu22.04-py39-cpu-inference",
            ["has Python 3.9, whose support ended on 2025-10-31."],
        ),
        (
            "mcr.microsoft.com/azureml/minimal-ubuntu22.04-py39-cuda11.8-gpu-inference:20240101.v1",
            ["has Python 3.9, whose support ended on 2025-10-31."],
        ),
        ("minimal-ubuntu22.04-py311-cpu-inference", ["is withdrawn and gets no security updates."]),
        ("curated/minimal-app-quickstart-inference", ["is withdrawn and gets no security updates."]),
        (
            "pytorch-1.6-ubuntu18.04-py37-cpu-inference",
            ["is based on Ubuntu 18.04, which is no longer maintained."],
        ),
        ("contoso.azurecr.io/minimal-ubuntu22.04-py39-cpu-inference", []),
    ],
)
def test_a_base_that_is_no_longer_maintained_gets_a_warning(base: str, expected: list[str]) -> None:
    """The warning gives the reason, withdrawn, Ubuntu or Python, and names the current bases."""
    reference = expand_base(base)
    assert reference is not None

    actual = base_images.warnings(reference, date(2026, 1, 1))

    name = base.removeprefix("mcr.microsoft.com/azureml/").partition(":")[0]
    assert [f'base "{name}" {reason} {CURRENT}' for reason in expected] == [*map(str, actual)]


@pytest.mark.parametrize(("day", "count"), [(date(2028, 10, 31), 0), (date(2028, 11, 1), 1)])
def test_a_python_is_supported_until_its_last_day(day: date, count: int) -> None:
    """The warning begins on the day after."""
    reference = expand_base("minimal-py312-inference")
    assert reference is not None

    assert count == len(base_images.warnings(reference, day))


def test_current_bases_get_no_warning() -> None:
    """The warnings recommend nothing that is outdated itself."""
    references = [expand_base(name) for name in base_images.CURRENT]

    warned = [base_images.warnings(reference, date(2026, 11, 1)) for reference in references if reference]

    assert [[], [], []] == warned


IN_TOML = "looks like a secret, which stays readable in pyproject.toml: set it on the deployment"
READABLE = "stays readable in the image: set it on the deployment"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WORKER_COUNT", ""),
        ("MY_OWN", ""),
        ("WORKER_COUNTS", 'env.WORKER_COUNTS is not a variable of the images; did you mean "WORKER_COUNT"?'),
        ("worker_count", 'env.worker_count is not a variable of the images; did you mean "WORKER_COUNT"?'),
        (
            "SEPARATE_HEALTH_ENDPOINT",
            'env.SEPARATE_HEALTH_ENDPOINT is not a variable of the images; did you mean "SEPERATE_HEALTH_ENDPOINT"?',
        ),
        ("STORAGE_KEY", f"env.STORAGE_KEY looks like a secret, which {READABLE}"),
        ("ApiToken", f"env.ApiToken looks like a secret, which {READABLE}"),
        ("CLIENT_SECRET", f"env.CLIENT_SECRET looks like a secret, which {READABLE}"),
        ("DB_PASSWORD", f"env.DB_PASSWORD looks like a secret, which {READABLE}"),
        ("KEYS", ""),
    ],
)
def test_a_variable_that_is_misspelt_or_secret_gets_a_warning(name: str, expected: str) -> None:
    """The name is similar to a variable of the images, or ends like that of a secret."""
    assert [expected] * bool(expected) == texts(
        variable_warnings(Settings(base="b", env={name: "x"}), NOWHERE)
    )


def test_variables_of_the_smoke_test_get_warnings_too() -> None:
    """They stay in pyproject.toml, not in the image."""
    settings = Settings(base="b", smoke_test=SmokeTest(env={"STORAGE_KEY": "x", "WORKER_COUNTS": "2"}))

    assert texts(variable_warnings(settings, NOWHERE)) == [
        f"smoke-test.env.STORAGE_KEY {IN_TOML}",
        'smoke-test.env.WORKER_COUNTS is not a variable of the images; did you mean "WORKER_COUNT"?',
    ]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("minimal-py312-inference", []),
        ("curated/mlflow-model-inference", []),
        (
            "curated/minimal-py311-inference",
            [
                "env.AZUREML_EXTRA_REQUIREMENTS_TXT has no effect: curated minimal images install nothing at start"
            ],
        ),
        (
            "mcr.microsoft.com/azureml/curated/minimal-py311-inference",
            [
                "env.AZUREML_EXTRA_REQUIREMENTS_TXT has no effect: curated minimal images install nothing at start"
            ],
        ),
    ],
)
def test_a_variable_without_effect_gets_a_warning(base: str, expected: list[str]) -> None:
    """A curated minimal image installs nothing at start; the run script of other curated images does."""
    settings = Settings(base=base, env={"AZUREML_EXTRA_REQUIREMENTS_TXT": "requirements.txt"})

    assert expected == texts(variable_warnings(settings, NOWHERE))


def test_python_packages_of_debian_get_a_warning(tmp_path: Path) -> None:
    """They are for the system's Python, which does not run the server."""
    folder = project(tmp_path, table='apt = ["python3-numpy", "curl"]\n')

    expected = (
        'apt package "python3-numpy" is for the system\'s Python, which does not run the server: '
        "add its PyPI package to `pip` instead"
    )
    assert [expected] == texts(planned(folder).warnings)


def test_a_repository_that_git_cannot_read_gets_a_warning(tmp_path: Path) -> None:
    """There is a repository, so the label should not be missing."""
    folder = project(tmp_path)
    committed(folder)
    (folder / ".git/config").write_text("[core\n", encoding="utf-8")

    assert texts(planned(folder).warnings) == [
        "the image gets no revision label: git said: fatal: bad config line 1 in file .git/config",
    ]


@pytest.mark.parametrize(
    ("base", "near"),
    [
        ("minimal-py312", "minimal-py312-inference"),
        ("minimal-py312-inferance", "minimal-py312-inference"),
        ("minimal-py313-inference", "minimal-py312-inference"),
        ("mcr.microsoft.com/minimal-py312-inference", "minimal-py312-inference"),
        ("curated/minimal-py312-cuda12.1-inference", "curated/minimal-py312-cuda12.4-inference"),
        ("minimal-py312-inference", ""),
        ("minimal-py311-inference", ""),
        ("python:3.10-slim", ""),
        ("bases/minimal-py312-inference", ""),
        ("contoso.azurecr.io/minimal-py312", ""),
        ("minimal-ubuntu24.04-py312-cpu-inference", ""),
    ],
)
def test_a_base_that_is_nearly_a_known_one_gets_a_warning(base: str, near: str) -> None:
    """An image that Azure ML may publish later is not refused, nor one of the engine with such a name."""
    reference = expand_base(base)
    assert reference

    warnings = base_images.warnings(reference, date(2026, 11, 30))

    expected = f'base "{reference}" is not an image that Azure ML documents; did you mean "{near}"?'
    assert ([expected] if near else []) == texts(warnings)


@pytest.mark.parametrize(
    ("base", "near", "other"),
    [
        ("minimal-py312", "minimal-py312-inference", "docker.io/library/minimal-py312"),
        ("minimal-py312-infernce:4", "minimal-py312-inference", "docker.io/library/minimal-py312-infernce:4"),
        (
            "curated/minimal-py311-infernce",
            "curated/minimal-py311-inference",
            "docker.io/curated/minimal-py311-infernce",
        ),
    ],
)
def test_a_misspelt_short_base_is_refused(base: str, near: str, other: str, tmp_path: Path) -> None:
    """Docker would look for it on Docker Hub, so that a build fails late; the whole name is taken as it is."""
    with pytest.raises(SettingsError) as refused:
        planned(project(tmp_path / "a", base=base))

    (problem,) = refused.value.problems
    assert f'tool.azureml-image.base: "{base}" is not an image that Azure ML documents' == problem.what
    assert (
        f'Did you mean "{near}"?\nFor an image of Docker Hub or of the engine, write: base = "{other}"'
        == problem.fix
    )
    whole = planned(project(tmp_path / "b", base=other))
    assert (expand_base(other), ()) == (whole.base, whole.warnings)
