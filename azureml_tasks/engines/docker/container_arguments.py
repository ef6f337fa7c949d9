"""What a container of an image is created with, by Docker's SDK or by its client."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.gpus import device_requests
from azureml_tasks.engines.docker.leftovers import LABEL as RUN_LABEL
from azureml_tasks.in_image import default_score
from azureml_tasks.plain_text import csv_field
from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR
from azureml_tasks.smoke.batch import batch_command, batch_mounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.project.model import MountedCode, SmokeTestPlan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.runs import Run

LABEL = "azureml-tasks.smoke-test"
LOOPBACK = "127.0.0.1"
DEFAULT_SCRIPT = Path(default_score.__file__)
BATCH_FOLDER = "/tmp/azureml-image-batch"  # noqa: S108 -- a folder of the container, which is thrown away


def start_commands(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    run: Run,
    name: str,
    *,
    ports: Mapping[int, int] | None = None,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> list[list[str]]:
    """Return the docker commands that create and start a container, but for code that Azure ML mounts.

    Args:
        client: the engine.
        image: to run.
        smoke_test: what the container gets.
        run: whose container it is.
        name: of the container.
        ports: as for `created_container`; None for that of the server at any free one.
        copies: path here → path in the container, of what is put into it before it starts.
    """
    places = (ports or {smoke_test.port: 0}).items()
    published = [f"{LOOPBACK}:{outside or ''}:{inside}" for inside, outside in places]
    publish = [word for port in published for word in ("--publish", port)]
    options = container_options(smoke_test, run, name, *publish)
    if smoke_test.mini_batch:
        options += mount_options(batch_mounts(smoke_test, BATCH_FOLDER))
        options += ["--entrypoint", "/bin/sh"]
    options += [image.id or image.names[0]]
    if smoke_test.mini_batch:
        options += ["-c", batch_command(smoke_test, BATCH_FOLDER)]
    stand_in = {str(DEFAULT_SCRIPT): f"{APP_ROOT}/{DEFAULT_SCRIPT.name}"}
    copies = {**(stand_in if smoke_test.default_script else {}), **copies}
    if not copies and not smoke_test.mounted:
        return [client.docker_command("run", "--detach", *options)]
    return [
        client.docker_command("create", *options),
        *(client.docker_command("cp", source, f"{name}:{target}") for source, target in copies.items()),
        client.docker_command("start", name),
    ]


def container_options(smoke_test: SmokeTestPlan, run: Run, name: str, *more: str) -> list[str]:
    """Return the options of docker's client for what `container_arguments` says, and *more*."""
    labels = [word for label, value in _labels(run).items() for word in ("--label", f"{label}={value}")]
    options = ["--name", name, *labels, *more]
    if smoke_test.memory:
        options += ["--memory", smoke_test.memory]
    if smoke_test.gpus:
        options += ["--gpus", csv_field(smoke_test.gpus)]
    for variable, value in variables_for(smoke_test).items():
        options += ["--env", f"{variable}={value}"]
    return options + mount_options({_target(smoke_test): smoke_test.model} if smoke_test.model else {})


def mount_options(mounts: Mapping[str, str]) -> list[str]:
    """Return the options of docker's client that mount each source at its target, read-only."""
    return [
        word
        for target, source in mounts.items()
        for word in (
            "--mount",
            f"type=bind,readonly,{csv_field(f'source={source}')},{csv_field(f'target={target}')}",
        )
    ]


def container_arguments(
    client: EngineClient, image: BuiltImage, smoke_test: SmokeTestPlan, run: Run, name: str
) -> dict[str, Any]:
    """Return what each container of *image* is created with: what Azure ML gives it, and what the table says."""
    from docker.types import Mount

    model = smoke_test.model
    return {
        "image": image.id,
        "name": name,
        "labels": _labels(run),
        "environment": {**client.proxies, **variables_for(smoke_test)},
        "use_config_proxy": False,  # The SDK may have read another configuration than docker's client does.
        "mounts": [Mount(_target(smoke_test), model, type="bind", read_only=True)] if model else [],
        "mem_limit": smoke_test.memory or None,
        "device_requests": device_requests(client, smoke_test.gpus) or None,
    }


def announce_start(
    client: EngineClient,
    image: BuiltImage,
    smoke_test: SmokeTestPlan,
    run: Run,
    name: str,
    reporter: Reporter,
    *,
    ports: Mapping[int, int] | None = None,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Announce the commands that do what `run_container` does. Return False if it must not be carried out.

    Args:
        client: the engine.
        image: to run.
        smoke_test: what the container gets.
        run: whose container it is.
        name: of the container.
        reporter: takes the commands.
        ports: as for `start_commands`.
        copies: likewise.
    """
    *before, start = start_commands(client, image, smoke_test, run, name, ports=ports, copies=copies)
    reporter.effects(before)
    announce_mounted(client, smoke_test, run, name, reporter)
    return reporter.effect(start)


def announce_mounted(
    client: EngineClient, smoke_test: SmokeTestPlan, run: Run, name: str, reporter: Reporter
) -> None:
    """Announce the commands that put code which Azure ML mounts into the container *name*."""
    if mounted := smoke_test.mounted:
        # What ignore files leave out is not in the build context, and so not in the container.
        folder = run.records / f"{name}-code"
        packages = folder / "code" / mounted.packages_name
        reporter.effect(["mkdir", "--parents", str(packages.parent)])
        unpack = ["tar", "--extract", "--file=-", f"--directory={folder}", "code"]
        reporter.effect(unpack, before="invoke image.context | ")
        if mounted.packages:
            reporter.effect(["cp", "--recursive", mounted.packages, str(packages)])
        reporter.effect(
            client.docker_command("cp", str(folder / "code"), f"{name}:{APP_ROOT}/{mounted.name}")
        )
        reporter.effect(["rm", "-r", str(folder)])


def _labels(run: Run) -> dict[str, str]:
    return {LABEL: "1", RUN_LABEL: run.id}


def _model_folder(smoke_test: SmokeTestPlan) -> str:
    """Return the folder of version 1 of a registered model, which AZUREML_MODEL_DIR names in a deployment."""
    return f"{MODEL_DIR}/{smoke_test.model_name}/1"


def _target(smoke_test: SmokeTestPlan) -> str:
    """Return where Azure ML mounts the file or folder of a registered model: under its own name.

    https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints#understand-the-scoring-script
    """
    return f"{_model_folder(smoke_test)}/{Path(smoke_test.model).name}"


def variables_for(smoke_test: SmokeTestPlan) -> dict[str, str]:
    """Return the variables that a container gets beside those of its image."""
    model = {"AZUREML_MODEL_DIR": _model_folder(smoke_test)} if smoke_test.model else {}
    stand_in = {"AML_APP_ROOT": APP_ROOT, "AZUREML_ENTRY_SCRIPT": DEFAULT_SCRIPT.name}
    script = stand_in if smoke_test.default_script else {}
    return {**model, **script, **_mounted_variables(smoke_test.mounted), **smoke_test.env}


def _mounted_variables(mounted: MountedCode | None) -> dict[str, str]:
    """Return the variables that Azure ML sets for mounted code: azure-ai-ml 1.35.2, `_local_endpoints`."""
    if not mounted:
        return {}
    root = f"{APP_ROOT}/{mounted.name}"
    return {**mounted.variables, "AML_APP_ROOT": root, "AZUREML_ENTRY_SCRIPT": mounted.script}
