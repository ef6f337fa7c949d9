"""A project that was read and checked, as planning takes it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.errors import Problem
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.notice import Notice
    from azureml_tasks.project.mounted_delivery import MountedDelivery
    from azureml_tasks.project.own_dockerfile import OwnDockerfile
    from azureml_tasks.requirements.install_step import PythonStep
    from azureml_tasks.requirements.wanted_python import WantedPython


class OwnScript(NamedTuple):
    """What the base's own entry script serves.

    Args:
        serves: whether it serves, as the project names no script.
        model_folder: the folder below AZUREML_MODEL_DIR for the MLflow model of the image; "" if there is none.
        warnings: for the user.
    """

    serves: bool = False
    model_folder: str = ""
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the project's folder holds beyond the table, checked.

    Args:
        project: the table `[project]`; empty if there is none.
        base: the base image.
        base_line: of pyproject.toml that names it; 0 if another place does.
        repository: of the image, without registry.
        tags: rendered, at least one.
        labels: name → text.
        entry_script: relative to the app's root; "" if there is none.
        code: folders of the code, relative to the root.
        env: variables of the image, see `Plan.env`.
        wanted_variables: see `Plan.wanted_variables`.
        app_root: see `Plan.app_root`.
        python: the packages to install; None if there are none.
        files: members of the build context for code and model, sorted.
        has_model: whether the image contains a model.
        smoke_test: what the smoke test sends and mounts.
        revision: the commit.
        today: the date (UTC).
        secrets: mounted while Python packages are downloaded.
        own_script: what the base's own entry script serves.
        unread_script: what this machine's Python finds wrong with the entry script, which a newer one may read; None
            for nothing.
        missing_code: what is wrong with the table if the base brings no entry script of its own; None for nothing.
        wanted_pythons: what a conda file or lock files say of Python, if only the base itself tells its version.
        mounted: what Azure ML mounts into the base instead of an image; None for an image.
        warnings: for the user.
        family: name under which the images of the table share cached layers; "" if the table itself is the image.
        own_dockerfile: the project's own Dockerfile, whose build context `files` are; None to generate one.
    """

    project: Mapping[str, Any]
    base: Reference
    repository: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    entry_script: str
    code: tuple[str, ...]
    env: Mapping[str, str]
    wanted_variables: Mapping[str, Problem]
    app_root: str
    python: PythonStep | None
    files: tuple[ContextFile, ...]
    has_model: bool
    smoke_test: SmokeTestPlan
    revision: Revision | NoRevision
    today: date
    secrets: tuple[BuildSecret, ...] = ()
    own_script: OwnScript = OwnScript()
    unread_script: Problem | None = None
    missing_code: Problem | None = None
    mounted: MountedDelivery | None = None
    wanted_pythons: tuple[WantedPython, ...] = ()
    warnings: tuple[Notice, ...] = ()
    family: str = ""
    own_dockerfile: OwnDockerfile | None = None
    base_line: int = 0


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project: its folder, its table, and what the folder holds.

    Args:
        folder: of pyproject.toml, resolved.
        root: the folder that all of its files are in, resolved.
        settings: the table.
        facts: what the files say.
    """

    folder: Path
    root: Path
    settings: Settings
    facts: Facts


class SmokeTestPlan(NamedTuple):
    """The smoke test, with its files read.

    Args:
        requests: one for each request, in order.
        model: absolute path of the model that is mounted; "" for none.
        model_name: the name that the mounted model is registered with.
        env: variables of the container.
        memory: the container's limit as Docker writes it; "" for none.
        gpus: the container's GPUs as `docker run --gpus` takes them; "" for none.
        start_timeout: seconds.
        repeat: how often each request is sent.
        port: of the server in the container.
        health: the path that answers 200 once the server is ready.
        is_azure_server: whether the image must answer as Azure ML's inference server does, with `/swagger.json`.
        default_script: whether our stand-in may serve: the image has no script, and nothing has to be answered.
        mini_batch: files that the entry script gets as from a batch deployment; then there are no requests.
        mini_batch_timeout: seconds until it returns.
        mounted: the code that Azure ML mounts; None if the image has its code.
        sha256: over all of this, in hexadecimal: a pass counts for this smoke test only.
    """

    requests: tuple[SmokeTestRequest, ...] = ()
    model: str = ""
    model_name: str = ""
    env: Mapping[str, str] = MappingProxyType({})
    memory: str = ""
    gpus: str = ""
    start_timeout: float = 310.0
    repeat: int = 10
    port: int = 5001
    health: str = "/"
    is_azure_server: bool = True
    default_script: bool = False
    mini_batch: tuple[SmokeTestFile, ...] = ()
    mini_batch_timeout: float = 30.0
    mounted: MountedCode | None = None
    sha256: str = ""

    @property
    def scoring_path(self) -> str:
        """The path that scores: `/score`, unless another server gets requests and none is for it.

        A request for the health check is none that scores.
        """
        paths = [request.path.partition("?")[0] for request in self.requests]
        others = [path for path in paths if path != self.health]
        return "/score" if self.is_azure_server or "/score" in others or not others else others[0]

    @property
    def proves(self) -> Literal["requests", "mini-batch", "start-up"]:
        """By what a pass proves something."""
        if self.mini_batch:
            return "mini-batch"
        return "requests" if self.requests else "start-up"


class SmokeTestFile(NamedTuple):
    """A file of a mini-batch: its path relative to the project, its absolute path, and its content."""

    name: str
    source: str
    content: bytes


JSON_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
"""The headers of a request with a JSON body."""


class MountedCode(NamedTuple):
    """Code that Azure ML mounts into a container of the base.

    Args:
        name: of its folder, which Azure ML keeps below the app's root.
        script: entry script, relative to the folder.
        files: members of an archive, in a folder of that name.
        variables: that tell the base where the packages are, and those of the table.
        packages: absolute path of the folder of packages; "" for none.
        packages_name: where it is, relative to the folder of the code.
    """

    name: str
    script: str
    files: tuple[ContextFile, ...]
    variables: Mapping[str, str]
    packages: str = ""
    packages_name: str = ""


class SmokeTestRequest(NamedTuple):
    """One request of the smoke test: what is sent, and the response that is expected.

    Args:
        name: in reports.
        path: of the URL, with its query.
        body: the bytes to send; empty for none.
        status: the expected HTTP status.
        expect: the JSON value that the response must contain; UNSET for any response.
        tolerance: largest difference of numbers.
        timeout: seconds.
        method: of HTTP.
        headers: to send, beside those that HTTP itself needs.
        expect_headers: that the response must have.
    """

    name: str
    path: str
    body: bytes
    status: int
    expect: Any
    tolerance: float
    timeout: float
    method: str = "POST"
    headers: Mapping[str, str] = JSON_HEADERS
    expect_headers: Mapping[str, str] = MappingProxyType({})


class BuildSecret(NamedTuple):
    """A secret that the table wants, and where the run says that it is.

    Its value is read when it is used, and stored nowhere.

    Args:
        id: `pip-conf` or `netrc`.
        variable: tells pip the path of the mounted file.
        env: the variable of this process that holds it; "" if a file does.
        file: absolute path; "" if a variable holds it, or if the run does not say where it is.
        option: the flag or the variable that says where it is; "" if none does.
        line: of the table's `secrets` in pyproject.toml.
    """

    id: str
    variable: str
    env: str = ""
    file: str = ""
    option: str = ""
    line: int = 0


class Revision(NamedTuple):
    """The commit that is checked out.

    Args:
        sha: 40 or 64 hexadecimal digits.
        dirty: whether the work tree has changes that are not committed.
        branch: "" if HEAD is detached.
        time: of the commit, seconds since 1970 (UTC).
        remote: URL of `origin` without user, password and query; "" if there is none.
    """

    sha: str
    dirty: bool
    branch: str
    time: int
    remote: str


class NoRevision(NamedTuple):
    """Why there is no commit.

    Args:
        why: a clause, for people.
        fix: what to do about it, to paste; "" if there is nothing but another tag.
        unexpected: whether git failed, although there seems to be a repository.
    """

    why: str
    fix: str = ""
    unexpected: bool = False
