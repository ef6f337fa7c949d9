"""A delivery without an image, as the table says it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import azureml_tasks
from azureml_tasks.commands.mounting import members, refuse_old_packages
from azureml_tasks.context.build_context import new_context
from azureml_tasks.errors import SettingsError
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.mounted_delivery import MountedDelivery
from tests.cases import lay_out
from tests.consumers import TASKS, invoke
from tests.documentation import DOCS, blocks, commands

TABLE = (
    '[project]\nname = "scoring"\nversion = "1"\n\n[tool.azureml-image]\nbase = "minimal-py312-inference"\n'
)
SCORE = "def init(): ...\ndef run(data): ...\n"


def planned(folder: Path, more: str, **files: str) -> Plan:
    """The plan of a project with a script, and *more* in its table."""
    return azureml_tasks.plan(
        azureml_tasks.load(lay_out({"pyproject.toml": TABLE + more, "code/score.py": SCORE, **files}, folder))
    )


def test_the_example_of_the_page_gives_the_deployment_that_it_shows(tmp_path: Path) -> None:
    """All but the end of the name, which follows from what is mounted."""
    page = DOCS / "without-an-image.md"
    (shown,) = commands(page)
    files = {
        "pyproject.toml": blocks(page, "toml")[0],
        "tasks.py": TASKS,
        "code/score.py": SCORE,
        "code/requirements.txt": "numpy==2.1.3\n",
        "sample-request.json": "{}",
    }

    printed = invoke(lay_out(files, tmp_path), *shown.line.split()[1:])

    name = r'name: "scoring-[0-9a-f]{8}"'
    assert [re.sub(name, "NAME", text) for text in (shown.output, printed.out)] == [
        re.sub(name, "NAME", printed.out)
    ] * 2
    assert "warning: this has not passed its smoke test as it is now: invoke image.smoke-test" in printed.err
    assert 1 == len(re.findall(name, printed.out))


def test_check_says_what_is_mounted_and_installed(tmp_path: Path) -> None:
    """For people and for programs; there is no image to name, and none that would be lighter."""
    more = 'delivery = "mount"\nrequirements = "code/requirements.txt"\n'
    files = {"tasks.py": TASKS, "code/score.py": SCORE, "code/requirements.txt": "numpy==2.1.3\n"}
    lay_out({"pyproject.toml": TABLE + more, **files}, tmp_path)

    text = invoke(tmp_path, "image.check").out
    (report,) = json.loads(invoke(tmp_path, "image.check", "--json").out)["images"]

    steps = [
        "mount code, entry script score.py; no image is built",
        "install requirements.txt at each start",
    ]
    assert f"\nsteps      {steps[0]}\n           {steps[1]}\ncontext " in text
    assert (steps, [], None) == (report["steps"], report["names"], report["lighter"])


@pytest.mark.parametrize(
    ("more", "cost"),
    {
        "nothing": ("", "nothing"),
        "two packages": ('pip = ["numpy==2.1.3", "pandas"]\n', "2 packages"),
    }.values(),
    ids=["nothing", "two packages"],
)
def test_a_project_that_needs_no_image_is_told_so_with_what_it_costs(
    more: str, cost: str, tmp_path: Path
) -> None:
    """One line names the other delivery, and what each start does then."""
    assert planned(tmp_path, more).lighter_way == (
        'no image: if you set delivery = "mount", Azure ML mounts the code into the base; '
        f"each start then installs {cost}"
    )


@pytest.mark.parametrize(
    "more",
    [
        'apt = ["libgomp1"]\n',
        'run = [{ command = "true" }]\n',
        'secrets = ["netrc"]\npip = ["numpy"]\n',
        'pip = ["a", "b", "c", "d", "e", "f"]\n',
        'delivery = "mount"\n',
        'python-path = ["lib"]\n',
        'env = { PATH = "/opt/x:$PATH" }\n',
        'smoke-test = { mini-batch = ["code/score.py"] }\n',
        'model = "model"\n',
    ],
)
def test_nothing_is_said_of_a_project_that_needs_an_image(more: str, tmp_path: Path) -> None:
    """Commands, secrets, many packages and variables that extend the base's need one; mounted code has none."""
    assert not planned(tmp_path, more, **{"code/lib/a.py": "", "model/a": ""}).lighter_way


def test_variables_of_a_deployment_are_plain_texts(tmp_path: Path) -> None:
    """Names of the table are replaced, and `$$` is a dollar: neither the container nor Azure ML does that."""
    more = 'delivery = "mount"\nenv = { PRICE = "5 $$", BOTH = "${PRICE}/a" }\n'
    lay_out({"tasks.py": TASKS, "pyproject.toml": TABLE + more, "code/score.py": SCORE}, tmp_path)

    flags = ("--endpoint", "scoring", "--instance-type", "Standard_DS3_v2")
    printed = invoke(tmp_path, "image.environment", "--deployment", *flags)

    assert {"PRICE": "5 $", "BOTH": "5 $/a"} == yaml.safe_load(printed.out)["environment_variables"]
    assert {"PRICE": "5 $", "BOTH": "5 $/a"} == dict(planned(tmp_path, more).env)


@pytest.mark.parametrize("name", ["PATH", "AML_APP_ROOT", "A"])
def test_variables_of_a_deployment_name_none_of_the_base(name: str, tmp_path: Path) -> None:
    """A deployment would get the name itself, as PATH for example."""
    with pytest.raises(SettingsError) as caught:
        planned(tmp_path, f'delivery = "mount"\nenv = {{ A = "/opt/x:${name}" }}\n')

    message = f"env.A names ${name}, and Azure ML passes the variables of a deployment on as they are"
    assert [message] == [
        problem.what.removeprefix("tool.azureml-image.") for problem in caught.value.problems
    ]


def test_paths_of_packages_are_relative_to_the_entry_script(tmp_path: Path) -> None:
    """The base looks for the requirements file beside the script, and nothing is in the build context for pip."""
    plan = planned(
        tmp_path,
        'delivery = "mount"\nentry-script = "serve/main.py"\nrequirements = "code/requirements.txt"\n',
        **{"code/serve/main.py": SCORE, "code/requirements.txt": "numpy==2.1.3\n"},
    )

    assert plan.mounted == MountedDelivery(str(tmp_path), "code", "serve/main.py", "../requirements.txt")
    assert plan.mounted.variables == {"AZUREML_EXTRA_REQUIREMENTS_TXT": "../requirements.txt"}
    assert (None, (), {}) == (plan.python, plan.names, dict(plan.env))


PACKAGES = 'delivery = "mount"\npip = ["numpy==2.1.3"]\npackages-folder = "code/to/packages"\nexclude = ["code/to"]\n'


@pytest.mark.parametrize("link", ["code/to", "code/to/packages"])
def test_no_link_leads_to_the_folder_of_packages(link: str, tmp_path: Path) -> None:
    """It is written and removed, so a link of a pull request must not lead it out of the project."""
    place = tmp_path / "project" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path)

    with pytest.raises(SettingsError) as refused:
        planned(tmp_path / "project", PACKAGES)

    message = 'tool.azureml-image.packages-folder is "code/to/packages", which leads through a link'
    assert [message] == [problem.what for problem in refused.value.problems]


def test_a_file_in_the_place_of_the_folder_of_packages(tmp_path: Path) -> None:
    """It is refused before anything runs."""
    with pytest.raises(SettingsError) as refused:
        planned(tmp_path, PACKAGES, **{"code/to/packages": "x"})

    message = 'tool.azureml-image.packages-folder is "code/to/packages", which is a file, not a folder'
    assert [message] == [problem.what for problem in refused.value.problems]


@pytest.mark.parametrize("mark", ["[" * 9_000, "x" * 20_000, "[]", '{"made_from": 1}'])
def test_a_mark_that_is_not_ours(mark: str, tmp_path: Path) -> None:
    """The folder counts as one that is not made yet."""
    plan = planned(tmp_path, PACKAGES, **{"code/to/packages/.azureml-image.json": mark})

    with pytest.raises(SettingsError) as refused:
        refuse_old_packages(plan, new_context(plan.files, render(plan)))

    assert ["is not made yet"] == [problem.what for problem in refused.value.problems]


def test_links_in_the_folder_of_packages_are_not_followed(tmp_path: Path) -> None:
    """The folder that we make has none; one that is committed may lead anywhere."""
    plan = planned(tmp_path, PACKAGES, **{"code/to/packages/a.py": "", "code/to/packages/b/c.py": ""})
    (tmp_path / "code/to/packages/b/key").symlink_to("/etc/hostname")

    with pytest.raises(SettingsError) as refused:
        members(plan)

    assert ["code/to/packages/b/key"] == [problem.file for problem in refused.value.problems]


def test_a_variable_that_names_no_file_that_can_exist(tmp_path: Path) -> None:
    """A name that is too long for any file is a mistake of the table, not of this machine."""
    with pytest.raises(SettingsError) as refused:
        planned(tmp_path, f'env = {{ AZUREML_EXTRA_CONDA_YAML = "{"a" * 300}" }}\n')

    assert ["does not exist"] == [problem.what[-14:] for problem in refused.value.problems]


@pytest.mark.parametrize("name", ["there.txt", "missing.txt"])
def test_a_variable_that_leads_out_of_the_code_tells_nothing_of_this_machine(
    name: str, tmp_path: Path
) -> None:
    """The message is the same whether or not the file exists."""
    (tmp_path / "there.txt").touch()

    with pytest.raises(SettingsError) as refused:
        planned(tmp_path / "project", f'env = {{ AZUREML_EXTRA_REQUIREMENTS_TXT = "../../{name}" }}\n')

    key = "tool.azureml-image.env.AZUREML_EXTRA_REQUIREMENTS_TXT"
    message = f'{key} is "../../{name}", which leads out of the code folder, code'
    assert [message] == [problem.what for problem in refused.value.problems]


@pytest.mark.parametrize("name", ["there.txt", "missing.txt"])
def test_a_variable_behind_a_link_tells_nothing_of_this_machine(name: str, tmp_path: Path) -> None:
    """The link itself is the mistake."""
    (tmp_path / "there.txt").touch()
    link = tmp_path / "project" / "code" / "link"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path)

    with pytest.raises(SettingsError) as refused:
        planned(tmp_path / "project", f'env = {{ AZUREML_EXTRA_REQUIREMENTS_TXT = "link/{name}" }}\n')

    assert [f"code/link is a link to {tmp_path}, which leaves the project"] == [
        problem.what for problem in refused.value.problems
    ]
