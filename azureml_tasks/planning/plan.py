"""Everything that is decided about an image, as one value that nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.project import base_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.settings import Acr, Run
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.model import BuildSecret, Project, SmokeTestPlan
    from azureml_tasks.requirements.install_step import PythonStep

__all__ = [
    "APP_ROOT",
    "FEATURE_HELP",
    "MODEL_DIR",
    "SECRET_MOUNTS",
    "Plan",
    "plan",
]

APP_ROOT = "/var/azureml-app"
MODEL_DIR = "/var/azureml-app/azureml-models"
"""Where Azure ML's own documentation puts code and model: "Extend a prebuilt Docker image"."""
SECRET_MOUNTS = "mount secrets during a build"  # noqa: S105 -- a feature
"""A feature that not every builder has, as in "cannot mount secrets during a build"."""
FEATURE_HELP = {
    SECRET_MOUNTS: "BuildKit mounts them. On Debian and Ubuntu: sudo apt-get install docker.io docker-buildx\n"
    "or see https://docs.docker.com/go/buildx/\n"
    "or: invoke image.build --engine acr",
}
"""Feature → the next step for a user whose engine lacks it."""


class Plan(NamedTuple):
    """An image to build: its Dockerfile, its build context, its names and its smoke test.

    Args:
        base: the image to extend.
        platform: such as `linux/amd64`.
        user: the runtime user.
        names: full references, registry included, the first one first.
        registry: login server; "" where none is set.
        repository: without registry.
        tags: at least one.
        apt: system packages.
        python: the packages to install; None where there are none.
        runs: commands of the user's own.
        has_model: whether a model is baked in.
        has_code: whether code is.
        env: variables of the image, ours included.
        labels: name → text.
        files: members of the build context, sorted by name.
        smoke_test: what it sends and expects.
        secrets: mounted for the Python step; empty where there is none.
        acr: how the build is handed off; None where the table does not say.
        required_features: features that the engine must have beyond those of every engine.
        pinned: whether everything below the code is named by its version, so that it stays what it is.
        cached_layers_max_age: days that a prefix with anything unpinned is used.
        shared_layers: `login-server/repository` of the prefixes that machines share; "" where they share none.
        warnings: worth saying before any work.
    """

    base: Reference
    platform: str
    user: str
    registry: str
    repository: str
    tags: tuple[str, ...]
    apt: tuple[str, ...]
    python: PythonStep | None
    runs: tuple[Run, ...]
    has_model: bool
    has_code: bool
    env: Mapping[str, str]
    labels: Mapping[str, str]
    files: tuple[ContextFile, ...]
    smoke_test: SmokeTestPlan
    secrets: tuple[BuildSecret, ...] = ()
    acr: Acr | None = None
    required_features: frozenset[str] = frozenset()
    pinned: bool = False
    cached_layers_max_age: float = 7.0
    shared_layers: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The image's references, `registry/repository:tag` or `repository:tag`."""
        prefix = f"{self.registry}/" if self.registry else ""
        return tuple(f"{prefix}{self.repository}:{tag}" for tag in self.tags)


def plan(project: Project) -> Plan:
    """Decide what is made of *project*; nothing is read and nothing can go wrong."""
    settings, facts = project.settings, project.facts
    env = _variables(project)
    named = "AZUREML_ENTRY_SCRIPT" in {**env, **facts.smoke_test.env}
    python_files = facts.python.files if facts.python else ()
    secrets = facts.secrets if facts.python else ()
    return Plan(
        base=facts.base,
        platform=settings.platform,
        user=settings.user,
        registry=settings.registry or "",
        repository=facts.repository,
        tags=facts.tags,
        apt=tuple(dict.fromkeys(settings.apt)),
        python=facts.python,
        runs=settings.run,
        has_model=facts.has_model,
        has_code=bool(facts.code),
        env=env,
        labels=facts.labels,
        files=tuple(sorted((*facts.files, *python_files), key=lambda file: file.name)),
        smoke_test=facts.smoke_test._replace(default_script=not facts.code and not named),
        secrets=secrets,
        acr=settings.acr,
        required_features=frozenset({SECRET_MOUNTS}) if secrets else frozenset(),
        pinned=_pinned(project),
        cached_layers_max_age=float(settings.cached_layers_max_age),
        shared_layers=settings.shared_layers or "",
        warnings=_warnings(project),
    )


def _pinned(project: Project) -> bool:
    """Whether system and Python packages are named by their versions; what a command does is not known."""
    settings, python = project.settings, project.facts.python
    commands = any(run.after != "code" for run in settings.run)
    return all("=" in name for name in settings.apt) and (not python or python.pinned) and not commands


def _warnings(project: Project) -> tuple[str, ...]:
    facts = project.facts
    unused = ["nothing is installed by pip, so that `secrets` are not used"]
    said = unused if facts.secrets and not facts.python else []
    return (*base_images.warnings(facts.base, facts.today), *facts.warnings, *said)


def _variables(project: Project) -> dict[str, str]:
    """Ours, where there is something to point at, and the table's own after them."""
    facts = project.facts
    ours = {
        "AZUREML_ENTRY_SCRIPT": facts.entry_script,
        "AZUREML_MODEL_DIR": MODEL_DIR if facts.has_model else "",
    }
    return {name: value for name, value in ours.items() if value} | dict(project.settings.env)
