"""How one run goes: flags over environment over configuration over the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks import image
from azureml_tasks.cli.options import OPTIONS
from azureml_tasks.cli.output import output_file
from azureml_tasks.config.problems import Override
from azureml_tasks.errors import SettingsError
from tests.consumers import consumer, invoke, project
from tests.task_options import resolved

if TYPE_CHECKING:
    from tests.consumers import Ended

PREFIX = "INVOKE_AZUREML_IMAGE_"
CONFIGURED = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
ns.configure({"azureml_image": {"base": "configured:1", "tags": ["configured"]}})
"""


def refused(configuration: dict[str, Any] | None = None, **flags: Any) -> str:
    """What is said where the options are wrong."""
    with pytest.raises(SettingsError) as caught:
        resolved(configuration, **flags)
    return str(caught.value)


def base_and_names(run: Ended) -> tuple[str, list[str]]:
    """Base and names of a `check --json`."""
    (report,) = json.loads(run.out)["images"]
    return report["base"], report["names"]


def test_flags_stand_over_environment_over_configuration_over_the_table(tmp_path: Path) -> None:
    """Each level stands above the next for the keys that it sets, and leaves the others to it."""
    folder = consumer(tmp_path, CONFIGURED)
    table = consumer(tmp_path / "table")
    variables = {PREFIX + "TAGS": "variable, other"}

    assert ("mcr.microsoft.com/azureml/minimal-py312-inference:latest", ["demo:1.2.3"]) == base_and_names(
        invoke(table, "image.check", "--json")
    )
    assert ("configured:1", ["demo:configured"]) == base_and_names(invoke(folder, "image.check", "--json"))
    assert ("configured:1", ["demo:variable", "demo:other"]) == base_and_names(
        invoke(folder, "image.check", "--json", env={PREFIX + "BASE": "configured:1"} | _string_tags(folder))
    )
    assert ("flag:1", ["r.io/demo:x", "r.io/demo:y"]) == base_and_names(
        invoke(
            table,
            *("image.check", "--json", "--base", "flag:1", "--registry=r.io", "--tag=x", "--tag=y"),
            env={**variables, PREFIX + "BASE": "variable:1"},
        )
    )


def _string_tags(folder: Path) -> dict[str, str]:
    """Invoke itself refuses a variable for a configured array, so the array is written with commas."""
    tasks = folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace('["configured"]', '"configured"'))
    return {PREFIX + "TAGS": "variable, other"}


def test_invokes_own_file_configures_too(tmp_path: Path) -> None:
    """A table `azureml_image` in invoke.yaml counts, above a collection's configuration, key by key."""
    folder = consumer(tmp_path, CONFIGURED)
    (folder / "invoke.yaml").write_text("azureml_image:\n  base: file:1\n  no_cache: false\n")

    assert ("file:1", ["demo:configured"]) == base_and_names(invoke(folder, "image.check", "--json"))


def test_the_address_of_azure_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that the hand-off alone reads is neither an option nor a mistake, whatever it holds."""
    plain = resolved()

    for address in ("https://127.0.0.1:8443", "", "nonsense"):
        monkeypatch.setenv(PREFIX + "RESOURCE_MANAGER", address)
        assert plain == resolved()


def test_nothing_else_names_the_address_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, which a project could hold, sends a token elsewhere; and a variable with a typo is found."""
    monkeypatch.setenv(PREFIX + "RESOURCE_MANAGERS", "https://127.0.0.1:8443")

    expected = f"""\
{PREFIX}RESOURCE_MANAGERS: is not known
    Did you mean "{PREFIX}RESOURCE_MANAGER"?

Invoke's configuration, azureml_image.resource_manager: is not known
    Known: {", ".join(OPTIONS)}.

2 problems; nothing was done."""
    assert expected == refused({"resource_manager": "https://127.0.0.1:8443"})


def test_only_the_environment_says_whose_caches_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs with another scope have another key of the project; nothing that a project holds can set it."""
    usual = resolved().context
    monkeypatch.setenv(PREFIX + "CACHE_SCOPE", "main")
    main = resolved().context
    monkeypatch.setenv(PREFIX + "CACHE_SCOPE", "")

    assert ("", "main") == (usual.cache_scope, main.cache_scope)
    assert usual.project_key != main.project_key
    expected = f"""\
{PREFIX}CACHE_SCOPE: is empty
    Name who trusts whom, such as: export {PREFIX}CACHE_SCOPE=main
    or: unset {PREFIX}CACHE_SCOPE

Invoke's configuration, azureml_image.cache_scope: is not known
    Known: {", ".join(OPTIONS)}.

2 problems; nothing was done."""
    assert expected == refused({"cache_scope": "main"})


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "True"])
def test_a_true_variable_is_true(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 and true, in any case, turn a switch on."""
    monkeypatch.setenv(PREFIX + "NO_CACHE", text)

    assert (True, False) == (resolved().no_cache, resolved().pull)


@pytest.mark.parametrize("text", ["0", "false", "FALSE"])
def test_a_false_variable_is_false(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 and false turn off a switch that the configuration turns on."""
    monkeypatch.setenv(PREFIX + "PULL", text)

    assert (True, False) == (
        resolved({"pull": True, "no-cache": True}).no_cache,
        resolved({"pull": True}).pull,
    )


def test_what_is_no_boolean_is_refused_by_the_command_too(tmp_path: Path) -> None:
    """A switch's variable is 1, 0, true or false, also where Invoke would take it for true: exit 2."""
    tasks = CONFIGURED.replace('"base": "configured:1"', '"no_cache": False')

    ended = invoke(consumer(tmp_path, tasks), "image.build", env={PREFIX + "NO_CACHE": "yes"})

    expected = 'INVOKE_AZUREML_IMAGE_NO_CACHE: must be 1, 0, true or false, got "yes"\n\n1 problem; nothing was done.\n'
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_every_mistake_of_every_level_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown variable or key, an empty one and one of another type are named together, by name."""
    for name, text in {"REGISTRI": "r.io", "BASE": "", "PULL": "on", "ZZZ": "1"}.items():
        monkeypatch.setenv(PREFIX + name, text)

    expected = """\
--registry: is empty
    Give it a value, or leave it out.

INVOKE_AZUREML_IMAGE_BASE: is empty
    Give it a value, or: unset INVOKE_AZUREML_IMAGE_BASE

INVOKE_AZUREML_IMAGE_PULL: must be 1, 0, true or false, got "on"

INVOKE_AZUREML_IMAGE_REGISTRI: is not known
    Did you mean "INVOKE_AZUREML_IMAGE_REGISTRY"?

INVOKE_AZUREML_IMAGE_ZZZ: is not known
    Known: INVOKE_AZUREML_IMAGE_ENGINE, INVOKE_AZUREML_IMAGE_PROJECT, INVOKE_AZUREML_IMAGE_IMAGE, \
INVOKE_AZUREML_IMAGE_BASE, INVOKE_AZUREML_IMAGE_REGISTRY, INVOKE_AZUREML_IMAGE_TAGS, \
INVOKE_AZUREML_IMAGE_NO_CACHE, INVOKE_AZUREML_IMAGE_PULL.

Invoke's configuration, azureml_image.engin: is not known
    Did you mean "engine"?

Invoke's configuration, azureml_image.no_cache: must be a boolean, got 1

Invoke's configuration, azureml_image.tags: must be an array of strings, got 7

8 problems; nothing was done."""
    assert expected == refused({"engin": "docker", "no_cache": 1, "tags": 7}, registry="")


def test_flags_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command to paste repeats the flags of the run; variables and what is configured hold for it as well."""
    monkeypatch.setenv(PREFIX + "ENGINE", "acr")
    monkeypatch.setenv(PREFIX + "IMAGE", "cpu")
    configuration = {"base": "configured:1", "registry": "configured.io", "no_cache": True}

    flags = resolved(configuration, registry="r.io", tag=["a b", "c"], secret=["netrc=default"]).console.flags

    assert {
        "registry": "--registry r.io",
        "tag": "'--tag=a b' --tag=c",
        "secret": "--secret netrc=default",
    } == flags


def test_the_next_step_is_for_the_engine_of_this_run(tmp_path: Path) -> None:
    """A flag is repeated, so that the next command does not build locally; a variable holds for that one too."""
    folder = consumer(
        tmp_path, files={"pyproject.toml": project("demo", 'registry = "contoso.azurecr.io"\n')}
    )

    typed = invoke(folder, "image.check", "--engine=acr")
    named = invoke(folder, "image.check", env={PREFIX + "ENGINE": "acr"})

    assert ["invoke image.build --engine acr", "invoke image.build"] == [
        ended.out.splitlines()[-1].partition("next       nothing is built yet: ")[2]
        for ended in (typed, named)
    ]


def test_lists_come_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in a variable is split at commas, and so is one that is configured as a string."""
    monkeypatch.setenv(PREFIX + "TAGS", "a, b,c")

    assert {"tags": Override(value=["a", "b", "c"], source=PREFIX + "TAGS")} == resolved().context.overrides
    monkeypatch.delenv(PREFIX + "TAGS")
    source = "Invoke's configuration, azureml_image.tags"
    assert {"tags": Override(value=["d", "e"], source=source)} == resolved({"tags": "d,e"}).context.overrides


def test_what_the_table_rules_it_rules_for_every_level(tmp_path: Path) -> None:
    """A value from a flag or a variable is held to the rule of its key, and the message is about where it stands."""
    ended = invoke(
        consumer(tmp_path),
        "image.build",
        "--base",
        "Bad Base",
        env={PREFIX + "REGISTRY": "https://ghcr.io/nobody"},
    )

    expected = """\
--base: tool.azureml-image.base: "Bad Base" is not an image reference
    Write: --base minimal-py312-inference, or a reference such as "contoso.azurecr.io/bases/serving:4"

INVOKE_AZUREML_IMAGE_REGISTRY: tool.azureml-image.registry: "https://ghcr.io/nobody" is not a login server
    Write the host alone: export INVOKE_AZUREML_IMAGE_REGISTRY=ghcr.io
    and the path in the name, in the table: name = "nobody/NAME"

2 problems; nothing was built.
"""
    assert (2, "", expected) == (ended.code, ended.out, ended.err)


def test_each_option_has_its_flag() -> None:
    """What can be configured can be given as a flag of `image.build`; six flags are a choice each time."""
    flags = {"tags" if name == "tag" else name for name in image.build.argspec(image.build.body).parameters}

    assert {*OPTIONS, "no_wait", "secret", "allow_source_builds", "root", "verbose", "json"} == flags


def test_a_flag_s_folder_is_relative_to_the_current_one_and_others_to_tasks_py(tmp_path: Path) -> None:
    """`--project` starts where the person is; a configured or environment's one where tasks.py is."""
    folder = consumer(tmp_path, CONFIGURED)
    (folder / "b").mkdir()
    (folder / "b" / "pyproject.toml").write_text(project("b"))
    below = folder / "deep"
    below.mkdir()

    typed = invoke(below, "image.check", "--json", "--project=../b")
    named = invoke(below, "image.check", "--json", env={PREFIX + "PROJECT": "b"})
    none = invoke(below, "image.check", "--json")
    missing = invoke(below, "image.check", "--json", "--project=b")

    assert ["b:configured"] == base_and_names(typed)[1] == base_and_names(named)[1]
    assert ["demo:configured"] == base_and_names(none)[1]
    expected = (
        '--project: is "b", but FOLDER/b is not a folder\n    Name the folder of the project\'s pyproject.toml.\n\n'
        "1 problem; nothing was done.\n"
    )
    (error,) = json.loads(missing.out)["errors"]
    assert (2, "--project", expected) == (missing.code, error["option"], missing.err)


def test_a_file_for_output_is_refused_before_any_work(tmp_path: Path) -> None:
    """A flag that names a folder, or a file in a folder that does not exist, is exit 2."""
    folder = consumer(tmp_path)
    (folder / "out").mkdir()

    lost = invoke(folder, "image.smoke-test", "--junit=no where/report.xml")
    taken = invoke(folder, "image.dockerfile", "--output=out")

    assert (2, "") == (lost.code, lost.out)
    assert lost.err == (
        '--junit: is "no where/report.xml", but the folder no where does not exist\n'
        "    mkdir -p 'no where'\n\n1 problem; nothing was done.\n"
    )
    assert (2, "") == (taken.code, taken.out)
    assert '--output: is "out", which is a folder\n\n1 problem; nothing was done.\n' == taken.err


def test_a_file_for_output_is_not_where_a_link_of_a_pull_request_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git tracks links to any place: none of a checkout leads out of it, or into what git reads itself.

    What is named outside of the checkout may be a link, and so may be one that stays in it.
    """
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    for folder in (checkout / ".git", checkout / "project", home / ".git"):
        folder.mkdir(parents=True)
    (checkout / "report.xml").symlink_to(home / ".profile")
    (checkout / "project/reports").symlink_to(home)
    (checkout / "git.xml").symlink_to(".git/config")
    (checkout / "own.xml").symlink_to("project/report.xml")
    (home / "link.xml").symlink_to(checkout / "own.xml")
    monkeypatch.chdir(checkout / "project")

    for name in ("../report.xml", "reports/report.xml", "reports/../report.xml", "../git.xml"):
        with pytest.raises(SettingsError, match="a link leads from there out of the project, to /"):
            output_file("--junit", name)
    for name in ("../own.xml", "new.xml", "/dev/null", str(home / "new.xml"), str(tmp_path / "new.xml")):
        assert Path(name) == output_file("--junit", name)
    with pytest.raises(SettingsError, match="a link leads from there"):
        output_file("--junit", str(home / "link.xml"))


def test_verbose() -> None:
    """The flag is for one run, and a command to paste does not repeat it."""
    run = resolved(verbose=True)

    assert (True, False) == (run.console.verbose, resolved().console.verbose)
    assert "invoke image.push" == run.console.spell("invoke image.push")
