"""The table `[tool.azureml-image]`, declared once.

Each field is a key, in kebab-case in TOML; `fields.Key` is its declaration. The reader, the JSON schema, the page on
settings and every message use these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.config import azure_validators, image_tables, validators
from azureml_tasks.config.fields import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    STRING_OR_STRINGS,
    STRINGS,
    TABLE,
    TABLE_OF_STRINGS,
    TABLE_OF_TABLES,
    TABLES,
    declare,
)
from azureml_tasks.config.smoke_test_settings import SmokeTest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of `run`."""

    command: str = declare(
        STRING, "command for `/bin/sh -c`, passed unchanged", "", rule=validators.COMMAND, required=True
    )
    after: str = declare(
        STRING,
        'the step after which it runs: `"apt"`, `"pip"` or `"code"`',
        "pip",
        rule=validators.one_of("apt", "pip", "code"),
    )
    user: str = declare(
        STRING,
        'the user that runs it: `"root"` or `"runtime"`',
        "root",
        rule=validators.one_of("root", "runtime"),
    )


@dataclass(frozen=True, kw_only=True)
class Acr:
    """The table `acr`: remote builds in Azure Container Registry."""

    subscription: str | None = declare(
        STRING,
        "ID of the registry's subscription",
        default="`AZURE_SUBSCRIPTION_ID`, else all subscriptions of the account",
        rule=azure_validators.SUBSCRIPTION,
    )
    resource_group: str | None = declare(
        STRING,
        "resource group of the registry",
        default="looked up by the login server",
        rule=azure_validators.RESOURCE_GROUP,
    )
    workspace: str | None = declare(
        STRING,
        "an Azure ML workspace, whose registry is used instead of `registry`; needs `resource-group`",
        rule=azure_validators.WORKSPACE,
    )
    agent_pool: str | None = declare(
        STRING,
        "dedicated agent pool that runs the build",
        default="ACR's own agents",
        rule=azure_validators.AGENT_POOL,
    )
    timeout: int = declare(
        INTEGER,
        "seconds that a remote build may take, and seconds that it may wait in the queue",
        3600,
        rule=validators.between(300, 28800),
    )
    cloud: str = declare(
        STRING,
        'the Azure cloud: `"AzureCloud"`, `"AzureChinaCloud"` or `"AzureUSGovernment"`',
        "AzureCloud",
        rule=validators.one_of("AzureCloud", "AzureChinaCloud", "AzureUSGovernment"),
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The table `[tool.azureml-image]`."""

    base: str = declare(
        STRING,
        "the image to extend; `NAME-inference` without a registry host is short for "
        "`mcr.microsoft.com/azureml/NAME-inference`, any other value is an image reference as Docker reads it, but "
        "`azureml/NAME` and misspelt short names without a host are refused",
        "",
        default="required, unless `dockerfile` is set",
        rule=validators.BASE,
    )
    dockerfile: str | None = declare(
        STRING,
        "a Dockerfile of your own, built with the project's folder as its build context, instead of one that is "
        "generated from `base`",
        rule=validators.PATH,
        beside_dockerfile=True,
    )
    server: str | None = declare(
        STRING,
        '`"azmlinfsrv"` adds Azure ML\'s inference server to a base without one, such as `python:3.10-slim`: any Linux '
        "with glibc and Python 3.9 or later, see [Choosing a base](base-images.md)",
        default="none: the base is one of Azure ML's inference images, or extends one",
        rule=validators.one_of("azmlinfsrv"),
    )
    name: str | None = declare(
        STRING,
        "repository of the image; names that end with `/layers` or `/candidate` are kept for cached layers and "
        "candidate images",
        default="`[project].name`, normalized",
        rule=validators.REPOSITORY,
        beside_dockerfile=True,
    )
    tags: tuple[str, ...] = declare(
        STRINGS,
        "tags; placeholders are `{version}`, `{git-sha}` (12 hex digits, with `-dirty` if there are uncommitted "
        "changes), `{git-branch}` and `{date}` (UTC, YYYYMMDD); characters that a tag cannot contain become `-`",
        ("{version}",),
        rule=validators.TAG_TEMPLATE,
        beside_dockerfile=True,
    )
    registry: str | None = declare(
        STRING,
        "login server of the registry; needed to push and for remote builds",
        rule=validators.REGISTRY,
        beside_dockerfile=True,
    )
    root: str | None = declare(
        STRING,
        'folder above that of `pyproject.toml`, such as `"../.."`, in the same git repository: paths may then lead '
        "anywhere below it, and its `.dockerignore` counts",
        default="the folder of `pyproject.toml`",
        rule=validators.ROOT,
        shared=True,
        beside_dockerfile=True,
    )
    platform: str = declare(
        STRING,
        "platform of the image; the base must be built for it",
        "linux/amd64",
        rule=validators.PLATFORM,
        beside_dockerfile=True,
    )
    apt: tuple[str, ...] = declare(
        STRINGS, "Debian packages to install, `name` or `name=version`", (), rule=validators.APT
    )
    pip: tuple[str, ...] = declare(
        STRINGS,
        "Python requirements to install ([PEP 508](https://peps.python.org/pep-0508/))",
        (),
        rule=validators.PIP,
    )
    requirements: tuple[str, ...] = declare(
        STRING_OR_STRINGS,
        "requirements files to install, also `pylock.toml` and `uv.lock`; files that they include by `-r` and `-c` and "
        "local wheels must be in the project",
        (),
        rule=validators.PATH,
    )
    conda: str | None = declare(
        STRING,
        "a conda environment file: its pip part, and those of its packages that PyPI is known to have too, are "
        "installed, see [Python packages](python-packages.md#conda-files)",
        rule=validators.PATH,
    )
    dependency_groups: tuple[str, ...] = declare(STRINGS, "names of `[dependency-groups]` to install", ())
    extras: tuple[str, ...] = declare(STRINGS, "names of `[project.optional-dependencies]` to install", ())
    project_dependencies: bool = declare(BOOLEAN, "install `[project].dependencies`", False)  # noqa: FBT003 -- a default
    code: tuple[str, ...] = declare(
        STRING_OR_STRINGS,
        "folder whose content is copied to `/var/azureml-app`, or several folders, which keep their names there; "
        "`.azureml-image`, `pyproject.toml`, `tasks.py` and the folder of `model` are not copied",
        (),
        default='`"code"` if that folder exists',
        rule=validators.PATH,
    )
    entry_script: str | None = declare(
        STRING,
        "file that defines `init()` and `run()`, relative to `code`; if `code` has several folders, relative to "
        "`/var/azureml-app`",
        default='`"score.py"` if that file exists, else `"main.py"`',
        rule=validators.PATH_IN_IMAGE,
    )
    python_path: tuple[str, ...] = declare(
        STRING_OR_STRINGS,
        "folders in which Python finds modules, relative as `entry-script` is; set as `PYTHONPATH`, before what the "
        "base has there",
        (),
        rule=validators.PATH_IN_IMAGE,
    )
    model: str | None = declare(
        STRING,
        "file, or folder whose content is copied, to `/var/azureml-app/azureml-models`; without it Azure ML mounts "
        "the model",
        rule=validators.PATH,
    )
    model_name: str | None = declare(
        STRING,
        "folder below `AZUREML_MODEL_DIR` that holds the model, as the folder of a registered model does; for "
        "`smoke-test.model` the name of the registered model",
        default="none: the content itself; for `smoke-test.model` the name of its path, without suffix",
        rule=validators.MODEL_NAME,
        beside_dockerfile=True,
    )
    delivery: str = declare(
        STRING,
        '`"image"`, or `"mount"`: no image is built, and Azure ML mounts code and model into the base, see '
        "[Without an image](without-an-image.md)",
        "image",
        rule=validators.one_of("image", "mount"),
    )
    packages_folder: str | None = declare(
        STRING,
        'folder in `code` that `image.smoke-test` fills with the packages for `delivery = "mount"`; without it each '
        "start installs them from `requirements`",
        rule=validators.PATH,
    )
    exclude: tuple[str, ...] = declare(
        STRINGS,
        "patterns as in a `.dockerignore`, applied after the defaults and the project's `.dockerignore`; "
        "`!path` includes a path again, also one that looks like a secret",
        (),
        beside_dockerfile=True,
    )
    env: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "environment variables of the image; `$NAME` and `${NAME}` are variables of this table or of the base, and "
        "`$$` is a dollar",
        {},
        rule=validators.VALUE_OF_VARIABLE,
        names=validators.VARIABLE,
        may_be_empty=True,
    )
    run: tuple[Run, ...] = declare(TABLES, "extra shell commands", (), table=Run)
    user: str = declare(
        STRING,
        "runtime user; the base has it or a `run` makes it, and it cannot be root",
        "dockeruser",
        rule=validators.USER,
    )
    labels: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "labels, in addition to those of `org.opencontainers.image`",
        {},
        rule=validators.ONE_LINE,
        names=validators.LABEL,
        may_be_empty=True,
        beside_dockerfile=True,
    )
    smoke_test: SmokeTest = declare(
        TABLE, "the smoke test, see below", SmokeTest(), table=SmokeTest, beside_dockerfile=True
    )
    shared_layers: str | None = declare(
        STRING,
        "`login-server/repository` that shares cached layers between machines: a build pulls the layers that it "
        "finds there and pushes those that are missing",
        rule=validators.SHARED_LAYERS,
    )
    cached_layers_max_age: float = declare(
        NUMBER,
        "days after which cached layers are built again if any of their packages is not pinned to a version",
        7,
        rule=validators.between(0, 3650),
    )
    acr: Acr | None = declare(TABLE, "remote builds, see below", table=Acr, beside_dockerfile=True)
    secrets: tuple[str, ...] = declare(
        STRINGS,
        'secrets that pip needs to reach a private index: `"pip-conf"` and `"netrc"`; each run says where they are, '
        "see below",
        (),
        rule=validators.SECRET,
    )
    images: tuple[str, ...] = declare(
        TABLE_OF_TABLES,
        "a table for each of several images: its keys change those of this table for that image, see "
        "[layouts](layouts.md#several-images)",
        (),
        default="none",
        names=image_tables.NAME,
        shared=True,
        beside_dockerfile=True,
    )
