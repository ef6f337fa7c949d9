"""The page on trust: each of its sentences has tests, which exist."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.options import OPTIONS
from azureml_tasks.commands.machine_settings import ENVIRONMENT_ONLY, ENVIRONMENT_PREFIX
from azureml_tasks.config import fields
from azureml_tasks.config.settings import Settings
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.container_arguments import start_commands
from azureml_tasks.errors import SettingsError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.runs import Run
from tests.cases import lay_out
from tests.consumers import TASKS, consumer, invoke, project
from tests.documentation import DOCS, ROOT

PAGE = DOCS / "trust.md"
LOOKING = "test_git_runs_nothing.py"
SENTENCES: dict[str, tuple[str, ...]] = {
    "the project | the table `[tool.azureml-image]`": (
        "test_docs.py::test_the_settings_are_those_that_are_declared",
    ),
    "the project | `invoke.yaml`, `collection(...)`": (
        "test_options.py::test_invokes_own_file_configures_too",
        "test_collection.py::test_each_level_takes_precedence_over_a_collections_configuration",
    ),
    "the person or system that runs a task | flags": (
        "test_options.py::test_each_option_has_its_flag",
        "test_build_secrets.py::test_no_file_of_the_project_says_where_they_are",
    ),
    "the environment of the run": (
        "test_docs.py::test_every_option_of_a_run_has_its_row",
        "test_options.py::test_only_the_environment_says_whose_caches_are_used",
        "test_options.py::test_nothing_else_names_the_address_of_azure",
        "test_allowed_registries.py::test_no_file_of_the_project_says_what_is_allowed",
        "test_user_folder.py::test_the_variable_names_a_folder",
    ),
    "the user of the machine": (
        "test_docker_context.py::test_the_engine_is_the_one_that_docker_uses",
        "test_credentials.py::test_credentials_of_a_helper",
        "test_locks.py::test_a_project_is_its_real_path",
    ),
    "a registry | its answers": (
        "test_registry_api.py::test_another_answer_than_the_digest_names",
        "test_registry_api.py::test_a_refused_request",
    ),
    "A flag takes precedence": (
        "test_options.py::test_flags_stand_over_environment_over_configuration_over_the_table",
        "test_collection.py::test_each_level_takes_precedence_over_a_collections_configuration",
    ),
    "The table and Invoke's configuration cannot set": (
        "test_trust.py::test_the_page_lists_what_only_the_environment_sets",
        "test_options.py::test_only_the_environment_says_whose_caches_are_used",
        "test_options.py::test_nothing_else_names_the_address_of_azure",
        "test_trust.py::test_the_table_has_no_key_that_only_the_environment_may_set",
    ),
    "A misspelled variable": ("test_options.py::test_nothing_else_names_the_address_of_azure",),
    "`tasks.py` is a program": ("test_trust.py::test_tasks_py_is_a_program",),
    "`invoke.yaml` can name a Python module": ("test_trust.py::test_invoke_yaml_names_a_module_that_runs",),
    "[`azureml-image`](composing.md#the-program-azureml-image) loads neither": (
        "test_program.py::test_nothing_of_the_folder_is_loaded",
        "test_program.py::test_options_that_are_not_read_are_named",
    ),
    "Looking runs no program of the project.": (
        f"{LOOKING}::test_looking_imports_and_runs_nothing_of_the_project",
        f"{LOOKING}::test_programs_of_the_project_are_not_run",
    ),
    "The tasks import no module of the project.": (f"{LOOKING}::test_no_module_beside_tasks_py_is_imported",),
    "The entry script is compiled, and not run.": (
        f"{LOOKING}::test_looking_imports_and_runs_nothing_of_the_project",
        "test_entry_script.py::test_a_mistake_that_only_the_compiler_finds_is_refused",
    ),
    "Programs such as `git` and `docker`": (f"{LOOKING}::test_programs_of_the_project_are_not_run",),
    "Only the nearest `.git` is a repository": (
        f"{LOOKING}::test_a_folder_that_looks_like_a_bare_repository_is_none",
        f"{LOOKING}::test_a_folder_that_looks_bare_has_the_commit_of_the_repository_around_it",
    ),
    "Git runs no file system monitor": (f"{LOOKING}::test_what_a_repository_names_is_not_run",),
    "A filter that cannot be turned off": (
        f"{LOOKING}::test_a_filter_that_cannot_be_turned_off_keeps_git_from_looking",
    ),
    "`uv export` of a `uv.lock`": ("test_uv_lock.py::test_looking_runs_nothing_of_the_project",),
    "Variables by which git tells a hook": (
        f"{LOOKING}::test_the_variables_of_a_hook_do_not_name_another_repository",
        f"{LOOKING}::test_every_variable_of_git_is_known",
    ),
    "Submodules are not entered.": (f"{LOOKING}::test_a_submodule_is_not_entered",),
    "A repository of another owner": (
        f"{LOOKING}::test_what_git_says_about_another_owner_is_shown_whole",
        f"{LOOKING}::test_the_advice_about_another_owner_is_in_the_warning",
    ),
    "A link that leaves the project is refused": (
        "test_walk.py::test_a_link_that_would_dangle_in_the_image_is_refused",
        "test_walk.py::test_a_mounted_model_is_not_read_out_of_the_project",
        "test_walk.py::test_a_file_of_ours_that_is_a_link_out_of_the_project_is_not_read",
        "test_git_ignore.py::test_a_link_that_leaves_the_project_is_not_read",
        "test_trust.py::test_no_key_leads_out_of_the_project",
        "test_own_dockerfile.py::test_a_link_that_leaves_the_project_is_refused",
    ),
    "A file that `--output` or `--junit` names": (
        "test_options.py::test_a_file_for_output_is_not_where_a_link_of_a_pull_request_leads",
    ),
    "A package of a conda file": (
        "test_conda.py::test_a_name_that_is_not_on_the_list_has_its_ways_on",
        "test_conda.py::test_what_is_no_python_package_has_its_next_step",
    ),
    "YAML makes plain values only": (
        "test_yaml_document.py::test_each_mistake_has_its_line",
        "test_yaml_document.py::test_aliases_that_multiply_are_refused",
        "test_yaml_document.py::test_deep_nesting_is_refused",
    ),
    "`root` of the table leads no further": (
        "test_root.py::test_the_table_leads_no_further_than_the_repository",
        "test_root.py::test_a_repository_that_does_not_track_the_project_does_not_count",
        "test_root.py::test_a_link_that_leaves_the_root_is_refused",
    ),
    "`--root` and its variable may name": (
        "test_root.py::test_the_run_may_name_any_folder_above",
        "test_root.py::test_no_configuration_names_a_root",
    ),
    "A file that looks like a secret": (
        "test_walk.py::test_a_secret_is_refused_by_its_name",
        "test_walk.py::test_a_secret_is_refused_by_its_content",
        "test_walk.py::test_a_secret_can_be_allowed_and_left_out",
    ),
    "Files that are too large or too deep": (
        "test_bounds.py::test_an_entry_script_of_a_megabyte",
        "test_bounds.py::test_700_folders_inside_each_other",
        "test_text_file.py::test_a_fifo_in_place_of_a_file_does_not_hang",
    ),
    "The author of a pull request chooses": (
        "test_ci_branch.py::test_each_system_tells_the_branch_by_its_own_variables",
        "test_ci_branch.py::test_the_branch_becomes_a_valid_tag",
    ),
    "With `INVOKE_AZUREML_IMAGE_ALLOWED_REGISTRIES`": (
        "test_allowed_registries.py::test_a_table_that_names_another_registry_is_refused",
        "test_allowed_registries.py::test_a_flag_that_names_another_registry_is_refused",
        "test_allowed_registries.py::test_a_record_that_names_another_registry_is_refused",
        "real/test_remote_build_registry.py::test_the_registry_of_a_workspace_that_is_not_allowed",
    ),
    "No file of the project can change the list.": (
        "test_allowed_registries.py::test_no_file_of_the_project_says_what_is_allowed",
    ),
    "Without the list": ("test_allowed_registries.py::test_an_allowed_registry_and_no_list_at_all",),
    "A base may come from any registry": (
        "test_allowed_registries.py::test_a_base_may_come_from_any_registry",
    ),
    "`image.doctor` reads docker's credentials": (
        "test_doctor.py::test_only_the_run_lets_credentials_be_read",
        "test_doctor_registry.py::test_credentials_stay_where_they_are",
    ),
    "Credentials and tokens": (
        "test_registry_api.py::test_a_token_server_at_another_address",
        "test_registry_api.py::test_a_realm_without_tls_for_a_registry_with_tls",
    ),
    "A registry is reached without TLS": (
        "test_registry_api.py::test_only_this_machine_is_trusted_without_tls",
    ),
    "Commands of `run` run in the build": (
        "real/test_hostile_strings.py::test_commands_arrive_unchanged_at_the_shell",
        f"{LOOKING}::test_looking_imports_and_runs_nothing_of_the_project",
    ),
    "A Dockerfile of the project runs": ("test_own_dockerfile.py::test_no_secret_is_passed",),
    "Buildx does not ask git": (
        "real/test_build_runs_nothing.py::test_a_project_that_looks_like_a_bare_repository_is_none_in_a_build",
        "test_client_environment.py::test_the_environment_of_dockers_client",
    ),
    "The container of the smoke test": ("test_trust.py::test_the_container_gets_nothing_of_this_machine",),
    "Docker's client gets no variable": (
        "test_client_environment.py::test_the_environment_of_dockers_client",
    ),
    "A command removes only": (
        "test_leftovers.py::test_leftovers_of_a_killed_run",
        "test_leftovers.py::test_a_reference_that_means_another_image_now_stays",
        "test_leftovers.py::test_another_engine_is_not_asked",
    ),
    "Names, files, logs and answers": (
        "test_environment_yaml.py::test_a_ci_system_finds_no_command_in_yaml",
        "test_plain_text.py::test_nothing_that_is_obeyed_is_left",
        "test_plain_text.py::test_a_name_stays_on_its_line",
        "test_plain_text.py::test_messages_and_results_are_clean",
        "test_plain_text.py::test_errors_are_clean",
        "test_plain_text.py::test_json_is_safe_and_says_the_same",
    ),
    "An [annotation](ci.md#errors-and-warnings-at-their-line)": (
        "test_ci_annotations.py::test_a_text_of_others_commands_nothing",
        "test_job_summary.py::test_names_and_messages_of_others_are_no_markdown",
    ),
    "A command to paste": (
        "test_plain_text.py::test_a_command_to_paste_is_safe",
        "test_plain_text.py::test_a_command_to_paste_means_what_it_says",
    ),
    "A log, a report and a JUnit file": (
        "test_bounds.py::test_a_log_of_200_mb_takes_constant_memory",
        "test_bounds.py::test_a_report_and_its_junit_xml_are_bounded",
    ),
    "The table says which [secrets]": (
        "test_build_secrets.py::test_no_file_of_the_project_says_where_they_are",
        "test_build_secrets.py::test_nothing_is_built_without_them",
        "test_bad_input.py::test_every_mistake_is_reported_with_its_place_and_its_fix",
    ),
    "The text of a secret is in no argument": (
        "real/test_secrets.py::test_installs_from_a_private_index_and_shows_the_login_nowhere",
        "real/test_remote_build_secrets.py::test_secrets_reach_pip_and_nothing_else",
        "test_build_secrets.py::test_a_flag_that_names_no_place_is_refused_and_not_shown",
        "test_build_secrets.py::test_a_problem_of_a_variable_does_not_show_its_value",
    ),
    "Only the base image's own Python and pip": (
        "real/test_secrets.py::test_no_code_of_the_project_and_its_packages_can_read_the_secrets",
        "real/test_secrets.py::test_packages_that_are_installed_already_cannot_read_them_either",
        "test_dockerfile_mounts.py::test_with_secrets_packages_are_downloaded_on_the_base_alone",
    ),
    "Beside a `pip.conf` of the run": (
        "test_pylock.py::test_an_index_other_than_pypi_is_named_beside_it",
        "test_uv_lock.py::test_an_index_other_than_pypi_is_named",
    ),
    "No package is built from source meanwhile": (
        "test_install.py::test_builds_no_package_from_source",
        "real/test_secrets.py::test_no_package_is_built_beside_the_secrets_unless_the_run_allows_it",
    ),
    "A run of a remote build that has secrets": (
        "real/test_remote_build_secrets.py::test_the_code_under_test_runs_beside_no_secret",
        "real/test_remote_build_secrets.py::test_the_secrets_of_a_run_are_in_no_build_context",
    ),
    "A `netrc` with an entry for every host": ("test_build_secrets.py::test_the_form_of_a_netrc_is_checked",),
    "If the run lists the registries that it allows": (
        "test_allowed_registries.py::test_a_base_that_reads_secrets_comes_from_an_allowed_registry",
        "test_allowed_registries.py::test_a_base_of_an_allowed_registry_or_of_microsofts_may_read_secrets",
    ),
    "[They](ci.md#who-trusts-whom) release no pull request": (
        "test_ci_recipes.py::test_github_releases_no_pull_request",
        "test_ci_recipes.py::test_github_tests_a_pull_request",
        "test_ci_recipes.py::test_azure_pipelines_tests_a_pull_request",
        "test_program.py::test_nothing_of_the_folder_is_loaded",
        "test_ci_recipes.py::test_python_imports_nothing_of_the_checkout",
    ),
    "Each pull request has caches of its own": (
        "test_ci_recipes.py::test_github_tests_a_pull_request",
        "test_ci_recipes.py::test_azure_pipelines_tests_a_pull_request",
        "test_ci_recipes.py::test_github_refuses_an_event_that_mixes_trust",
    ),
    "No input and no branch name is a part of a script": (
        "test_ci_recipes.py::test_nothing_of_others_is_a_part_of_a_script",
    ),
    "Records that git tracks are refused": (
        "test_own_records.py::test_no_command_believes_what_was_committed",
        "test_own_records.py::test_a_link_is_refused",
        "test_own_records.py::test_a_file_in_its_place_is_refused",
    ),
    "A record counts only if all of it has its form": (
        "test_records.py::test_a_record_with_missing_or_wrong_values_is_an_error",
        "test_records.py::test_any_json_is_a_record_or_an_error_of_ours",
    ),
    "Cached layers on an engine": (
        "test_docker_layer_store.py::test_layers_are_found_by_the_recorded_id",
        "real/test_poisoned_caches.py::test_the_name_of_cached_layers_proves_nothing",
        "real/test_poisoned_caches.py::test_nothing_is_used_that_the_project_has_not_built",
    ),
    "Cached layers of remote builds": (
        "test_acr_build_pieces.py::test_what_somebody_else_has_pushed_is_not_used",
        "test_acr_build_pieces.py::test_a_shared_repository_is_looked_up_by_tag",
        "real/test_remote_build_cached_layers.py::test_a_tag_that_somebody_else_has_moved_is_not_used",
    ),
    "Each project has its own caches of pip and apt.": (
        "test_dockerfile_mounts.py::test_each_project_has_caches_of_its_own",
        "real/test_poisoned_caches.py::test_a_wheel_in_pips_cache_is_of_its_own_project_and_scope",
    ),
    "Runs with different values of": (
        "test_cached_layers.py::test_runs_of_another_scope_have_other_tags",
        "real/test_poisoned_caches.py::test_a_wheel_in_pips_cache_is_of_its_own_project_and_scope",
    ),
    "A name that the tasks keep": ("test_kept_names.py::test_a_name_that_is_kept_is_refused",),
    "Who may push to the repository of `shared-layers`": (
        "test_shared_layers.py::test_layers_that_cannot_be_on_the_base_are_not_used",
        "real/test_shared_layers.py::test_layers_on_another_base_are_not_used",
    ),
}
"""The beginning of each sentence → its tests."""


def sentences() -> list[str]:
    """Return the rows of the page's tables and the sentences of its lists, each on one line."""
    text = re.sub(r"\n(?=[^\n|#-])", " ", PAGE.read_text(encoding="utf-8"))
    texts = []
    for line in text.splitlines():
        if line.startswith("- "):
            texts += re.split(r"(?<=\.)\s+(?=[A-Z`*])", re.sub(r"\s+", " ", line[2:].strip()))
        elif line.startswith("| ") and not line.startswith("| who |"):
            texts.append(line.strip("| "))
    return texts


def test_each_sentence_has_its_tests() -> None:
    """A sentence without a test, and a test of a sentence that is gone, are found here."""
    texts = sentences()
    keys = [[key for key in SENTENCES if sentence.startswith(key)] for sentence in texts]

    assert [] == [sentence for sentence, matching in zip(texts, keys, strict=True) if len(matching) != 1]
    assert list(SENTENCES) == [matching[0] for matching in keys]


def test_each_test_exists() -> None:
    """A test that was renamed would leave its sentence without one."""
    named = {name for names in SENTENCES.values() for name in names}

    assert [] == sorted(name for name in named if not _exists(*name.split("::")))


def _exists(file: str, test: str) -> bool:
    path = ROOT / "tests" / file
    return (
        path.is_file()
        and re.search(rf"^def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
    )


def test_tasks_py_is_a_program(tmp_path: Path) -> None:
    """Even the list of tasks runs it."""
    mark = tmp_path / "it-ran"
    folder = consumer(tmp_path / "project", f"open({str(mark)!r}, 'w').close()\n{TASKS}")

    invoke(folder, "--list")

    assert mark.exists()


def test_invoke_yaml_names_a_module_that_runs(tmp_path: Path) -> None:
    """Invoke imports the class of its executor from the project, before any task of ours runs."""
    mark = tmp_path / "it-ran"
    files = {
        "invoke.yaml": "tasks:\n  executor_class: serving.score.Executor\n",
        "serving/score.py": f"open({str(mark)!r}, 'w').close()\nfrom invoke.executor import Executor\n",
    }

    invoke(consumer(tmp_path / "project", files=files), "image.check")

    assert mark.exists()


def test_the_container_gets_nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are those of the table and Azure ML's own; the model is mounted so that it can only be read."""
    monkeypatch.setenv("SECRET_OF_THIS_MACHINE", "x")
    client = EngineClient(context="default", host="unix:///s", version="20.10", api="1.41")
    image = BuiltImage(id=f"sha256:{'1' * 64}", names=("demo:1",), engine="docker", context_sha256="2" * 64)
    smoke_test = SmokeTestPlan(model=str(tmp_path / "weights"), model_name="iris", env={"A": "b"})

    (words,) = start_commands(client, image, smoke_test, Run(tmp_path, client.host), "name")

    folder = "/var/azureml-app/azureml-models/iris/1"
    pairs = list(itertools.pairwise(words))
    assert [f"AZUREML_MODEL_DIR={folder}", "A=b"] == [value for flag, value in pairs if flag == "--env"]
    mounts = [value for flag, value in pairs if flag in {"--mount", "--volume", "-v"}]
    assert [f"type=bind,readonly,source={tmp_path}/weights,target={folder}/weights"] == mounts


def test_the_page_lists_what_only_the_environment_sets() -> None:
    """The variables are all named, and Invoke's configuration knows none of them."""
    sentence = next(each for each in sentences() if each.startswith("The table and Invoke's configuration"))

    named = re.findall(r"`([A-Z_]+[A-Z])`", sentence)
    assert sorted(ENVIRONMENT_ONLY) == named
    assert set() == {name.lower() for name in ENVIRONMENT_ONLY} & OPTIONS.keys()


def test_the_table_has_no_key_that_only_the_environment_may_set() -> None:
    """No key has the name of such a variable, but for `root`, which leads no further than the repository."""
    keys = {key.replace("-", "_").upper() for key in fields.keys(Settings)}

    assert {"ROOT"} == keys & {name.removeprefix(ENVIRONMENT_PREFIX) for name in ENVIRONMENT_ONLY}


@pytest.mark.parametrize(
    "table",
    [
        'code = "out"\n',
        'model = "out"\n',
        'requirements = ["out/requirements.txt"]\n',
        'requirements = ["wheel.txt"]\n',
        'conda = "out/conda.yml"\n',
        'entry-script = "out/score.py"\n',
        '[tool.azureml-image.smoke-test]\nrequest = "out/request.json"\n',
        '[tool.azureml-image.smoke-test]\nmodel = "out"\n',
        '[tool.azureml-image.smoke-test]\nmini-batch = ["out/request.json"]\n',
        '[[tool.azureml-image.smoke-test.requests]]\nbody = 1\nexpect-file = "out/request.json"\n',
    ],
)
def test_no_key_leads_out_of_the_project(table: str, tmp_path: Path) -> None:
    """A folder that is a link leads there as well; nothing of the files is in the message."""
    score = "def init(): ...\ndef run(data): ...\n"
    outside = {"score.py": score, "request.json": "very-secret", "requirements.txt": "very-secret @ ?"}
    outside["conda.yml"] = "very-secret"
    lay_out(outside, tmp_path / "outside")
    files = {
        "pyproject.toml": project("demo", table),
        "code/score.py": score,
        "wheel.txt": "./out/a-1-py3-none-any.whl\n",
    }
    lay_out(files, tmp_path / "project")
    for link in ("out", "code/out"):
        (tmp_path / "project" / link).symlink_to(tmp_path / "outside")

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(tmp_path / "project")

    assert "very-secret" not in str(caught.value)
