"""Everything that is decided about an image, as one immutable value."""

from __future__ import annotations

import os.path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.notice import Notice
from azureml_tasks.project import base_images, variables
from azureml_tasks.project.mounted_delivery import lighter_way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.settings import Acr, Run
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.errors import Problem
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.project.model import BuildSecret, Project, SmokeTestPlan
    from azureml_tasks.project.mounted_delivery import MountedDelivery
    from azureml_tasks.project.own_dockerfile import OwnDockerfile
    from azureml_tasks.requirements.install_step import PythonStep
    from azureml_tasks.requirements.wanted_python import WantedPython

APP_ROOT, MODEL_DIR = variables.APP_ROOT, variables.MODEL_DIR
SECRET_MOUNTS = "mount secrets during a build"  # noqa: S105 -- a feature
BUILDKIT = "build with BuildKit"
"""Features that not every builder has, as in "cannot mount secrets during a build"."""
_GET_BUILDKIT = (
    "On Debian and Ubuntu: sudo apt-get install docker.io docker-buildx\n"
    "or see https://docs.docker.com/go/buildx/\n"
    "or: invoke image.build --engine acr"
)
FEATURE_HELP = {
    SECRET_MOUNTS: f"BuildKit mounts them. {_GET_BUILDKIT}",
    BUILDKIT: _GET_BUILDKIT,
}
"""Feature → the next step for a user whose engine lacks it."""


class Plan(NamedTuple):
    """An image to build: its Dockerfile, its build context, its names and its smoke test.

    Args:
        base: the image to extend.
        platform: such as `linux/amd64`.
        user: the runtime user.
        registry: login server; "" if none is set.
        repository: without registry.
        tags: at least one, unless code is mounted.
        apt: system packages.
        python: the packages to install; None if there are none.
        runs: extra shell commands.
        has_model: whether the image contains a model.
        model_name: its folder below the folder that AZUREML_MODEL_DIR names; "" if that holds its content itself.
        has_code: whether the image contains code.
        env: environment variables of the image, each with a value as `config.variable_references` writes it.
        labels: name → text.
        files: members of the build context, sorted by name.
        smoke_test: what it sends and expects.
        secrets: mounted while Python packages are downloaded.
        adds_server: whether the build adds the inference server, which the base lacks.
        served_by_base: whether the base's own entry script serves.
        app_root: the folder of the code: a path, or a variable of the base as a Dockerfile writes it.
        source_builds: whether packages may be built from source, with the secrets mounted.
        acr: options of a remote build; None if the table does not set any.
        pinned: whether every package has one exact version, so that installing it again gives the same layers.
        cached_layers_max_age: days for which cached layers with unpinned packages are used.
        shared_layers: `login-server/repository` that shares cached layers between machines; "" for none.
        unread_script: what this machine's Python finds wrong with the entry script, which a newer one may read; None
            for nothing.
        missing_code: what is wrong with the table if the base brings no entry script of its own; None for nothing.
        wanted_pythons: what a conda file or lock files say of Python, if only the base itself tells its version.
        wanted_variables: name of a variable that `env` takes from the base → the problem if the base does not set it.
        mounted: what Azure ML mounts into the base; then there is no image to build, and no tag. None for an image.
        lighter_way: why the project needs no image, in one line; "" if it needs one.
        warnings: for the user, before any work.
        project_key: under which this project's caches are kept, see `state.project_identity`; "" for none.
        cache_scope: who shares cached layers by a registry with whom; "" for the usual ones.
        version: of the project; "" if it has none, or only a build of the project tells.
        family: name under which the images of the table share cached layers; "" if the table itself is the image.
        kept_layers: tags of cached layers that other images of the table use.
        own_dockerfile: the project's own Dockerfile, whose build context `files` are; None for a generated one.
        code_folders: absolute paths of the folders that code is copied from.
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
    model_name: str = ""
    secrets: tuple[BuildSecret, ...] = ()
    adds_server: bool = False
    served_by_base: bool = False
    app_root: str = APP_ROOT
    source_builds: bool = False
    acr: Acr | None = None
    pinned: bool = False
    cached_layers_max_age: float = 7.0
    shared_layers: str = ""
    unread_script: Problem | None = None
    missing_code: Problem | None = None
    mounted: MountedDelivery | None = None
    lighter_way: str = ""
    wanted_pythons: tuple[WantedPython, ...] = ()
    wanted_variables: Mapping[str, Problem] = MappingProxyType({})
    warnings: tuple[Notice, ...] = ()
    project_key: str = ""
    cache_scope: str = ""
    version: str = ""
    family: str = ""
    kept_layers: frozenset[str] = frozenset()
    own_dockerfile: OwnDockerfile | None = None
    code_folders: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The image references, `registry/repository:tag` or `repository:tag`, in the order of the tags."""
        host = f"{self.registry}/" if self.registry else ""
        return tuple(f"{host}{self.repository}:{tag}" for tag in self.tags)

    @property
    def required_features(self) -> frozenset[str]:
        """The features that the engine must have beyond those of every engine."""
        needs_buildkit = self.own_dockerfile and self.own_dockerfile.facts.buildkit
        return frozenset(
            {*([SECRET_MOUNTS] if self.secrets else []), *([BUILDKIT] if needs_buildkit else [])}
        )

    @property
    def needed_by(self) -> str:
        """What needs the features, as in "which the table needs"."""
        own = self.own_dockerfile
        return f"{own.name} needs: {', '.join(own.facts.buildkit)}" if own else "the table needs"


def plan(project: Project) -> Plan:
    """Decide everything about the image of *project*. Reads no file and raises no error."""
    settings, facts, own = project.settings, project.facts, project.facts.own_dockerfile
    is_installed_at_start = facts.mounted and not facts.mounted.packages_folder
    python = None if is_installed_at_start else facts.python
    python_files = python.files if python else ()
    return Plan(
        base=facts.base,
        platform=settings.platform,
        user=own.facts.user if own else settings.user,
        registry=settings.registry or "",
        repository=facts.repository,
        tags=facts.tags,
        apt=tuple(dict.fromkeys(settings.apt)),
        python=python,
        runs=settings.run,
        has_model=facts.has_model,
        model_name=facts.own_script.model_folder or ((settings.model_name or "") if facts.has_model else ""),
        has_code=bool(facts.code or own),
        env=facts.env,
        wanted_variables=facts.wanted_variables,
        labels=facts.labels,
        files=tuple(sorted((*facts.files, *python_files))),
        smoke_test=facts.smoke_test,
        secrets=facts.secrets if facts.python else (),
        adds_server=settings.server is not None,
        served_by_base=facts.own_script.serves,
        app_root=facts.app_root,
        acr=settings.acr,
        pinned=_pinned(project),
        cached_layers_max_age=float(settings.cached_layers_max_age),
        shared_layers=settings.shared_layers or "",
        unread_script=facts.unread_script,
        missing_code=facts.missing_code,
        mounted=facts.mounted,
        lighter_way=lighter_way(
            settings, facts.base, len(facts.python.lines) if facts.python else 0, facts.code
        ),
        wanted_pythons=facts.wanted_pythons,
        warnings=_warnings(project),
        version=version if isinstance(version := facts.project.get("version"), str) else "",
        family=facts.family,
        own_dockerfile=own,
        code_folders=tuple(os.path.normpath(project.root / each) for each in facts.code),
    )


def _pinned(project: Project) -> bool:
    """Return whether every package has one version; the result of a shell command may always differ."""
    settings, python = project.settings, project.facts.python
    has_commands = any(run.after != "code" for run in settings.run)
    return all("=" in name for name in settings.apt) and (not python or python.pinned) and not has_commands


def _warnings(project: Project) -> tuple[Notice, ...]:
    facts = project.facts
    unused = facts.secrets and not facts.python
    warnings = [Notice("secret-unused", "pip installs nothing, so `secrets` are not used")] if unused else []
    return (*base_images.warnings(facts.base, facts.today, facts.base_line), *facts.warnings, *warnings)
