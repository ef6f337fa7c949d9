"""The checks of `image.doctor`: what is looked at, and what only after something else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from azureml_tasks.commands import doctor_machine
from azureml_tasks.commands.parallel_checks import Check
from azureml_tasks.commands.run_plan import planned_image
from azureml_tasks.engines.docker import (
    doctor_base,
    doctor_client,
    doctor_config,
    doctor_engine,
    doctor_proxies,
    doctor_registry,
)
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.errors import AzuremlTasksError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azureml_tasks.commands.doctor_subject import Subject
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.outline import Outline

_BY_RUN = ("--", "INVOKE_AZUREML_IMAGE_")
"""How the source of a value begins that no file of the project has set."""
Looked = tuple["Sequence[Finding]", "Sequence[Check]"]
"""What a check has found, and the checks that are possible after it."""


def first_checks(subject: Subject) -> list[Check]:
    """Return the checks to begin with."""
    config, run = subject.config, subject.run
    is_read = not any(each.name == "docker configuration" for each in subject.findings)
    return [
        check_of("python", doctor_machine.python_finding),
        check_of("uv", doctor_machine.uv_finding),
        check_of("azureml-tasks", doctor_machine.own_finding),
        check_of("installation", doctor_machine.installation_finding),
        check_of("disk here", partial(doctor_machine.disk_finding, run.folder)),
        check_of("proxies of pip", doctor_machine.pip_finding),
        *(
            [check_of("docker configuration", partial(doctor_config.configuration_finding, config))]
            if is_read
            else []
        ),
        *(
            check_of(f"credential helper: {helper.program}", partial(doctor_config.helper_finding, helper))
            for helper in doctor_config.helpers_of(config)
        ),
        Check("docker client", lambda: (doctor_client.client_findings(config), ())),
        Check("engine", partial(_engine, subject)),
        *registry_checks(subject),
        Check("azure", lambda: (_azure(subject), ())),
    ]


def check_of(name: str, look: Callable[[], Finding]) -> Check:
    """Return a check with one finding, after which no other follows."""
    return Check(name, lambda: ((look(),), ()))


def _engine(subject: Subject) -> Looked:
    """Connect to the engine; what only an engine tells is looked at afterwards."""
    findings, client = doctor_engine.engine_findings()
    return findings, _engine_checks(subject, client) if client else ()


def _engine_checks(subject: Subject, client: EngineClient) -> list[Check]:
    def of_info() -> Looked:
        info = doctor_engine.read_info(client)
        platforms = dict.fromkeys(image.platform for image in subject.images)
        findings = [
            doctor_engine.images_finding(info),
            doctor_engine.disk_finding(client, info),
            doctor_proxies.engine_proxies_finding(info),
        ]
        return findings, [
            check_of(f"platform: {each}", partial(doctor_engine.emulation_finding, client, info, each))
            for each in platforms
        ]

    return [
        Check("images", of_info),
        check_of("proxies of builds", partial(doctor_proxies.build_proxies_finding, client)),
        *base_checks(subject, client),
    ]


def base_checks(subject: Subject, client: EngineClient) -> list[Check]:
    """Return a check for each base of the table's images and each platform that it is extended for."""
    bases = dict.fromkeys((image.base, image.platform) for image in subject.images if image.base)
    return [
        check_of(f"base: {base} {platform}", partial(doctor_base.base_finding, client, base, platform))
        for base, platform in bases
    ]


def registry_checks(subject: Subject) -> list[Check]:
    """Return a check for each registry of the table's images."""
    images = {image.registry: image for image in subject.images if image.registry}
    return [Check(f"registry: {name}", partial(_registry, subject, image)) for name, image in images.items()]


def _registry(subject: Subject, image: Outline) -> Looked:
    """Look at the registry of an image; credentials are read only for one that the run names or allows."""
    run = subject.run
    what, fix = run.allowed_registries.refusal(image.registry)
    if what:
        return [Finding("registry", Status.WARNING, what, "It was not asked.", fix)], ()
    named = run.overrides.get("registry")
    findings = doctor_registry.registry_findings(
        subject.config,
        image.registry,
        image.repository or "azureml-image",
        tries_login=run.allowed_registries.hosts is not None
        or (named is not None and named.source.startswith(_BY_RUN)),
    )
    return findings, ()


def _azure(subject: Subject) -> list[Finding]:
    from azureml_tasks.engines.acr.doctor_azure import azure_findings

    run, image = subject.run, subject.images[0]
    is_used = run.engine != "docker" or image.acr is not None
    allowed = not run.allowed_registries.refusal(image.registry)[0]
    registry = image.registry if is_used and allowed else ""
    acr = image.acr if is_used else None
    return azure_findings(acr, registry, partial(_plan, run, image), run.allowed_registries.refusal)


def _plan(run: RunContext, image: Outline) -> Plan | None:
    of_image = run._replace(image=image.image)
    try:
        return planned_image(of_image, of_image.file_hashes())
    except AzuremlTasksError:  # image.check says what is wrong.
        return None
