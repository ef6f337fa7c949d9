"""The steps that add the inference server to a base without one: runtime user, Python environment, and command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.dockerfile_line import json_words

if TYPE_CHECKING:
    from azureml_tasks.planning.plan import Plan

ENVIRONMENT = "/opt/azureml-env"
"""Where the image finds its Python environment. Only the build knows where a base has its own, and ENV takes no result
of a command: so this is a link to it, or a virtual environment. `in_image/server_environment.sh` makes it."""

_SERVE = (
    'cd "$AML_APP_ROOT" && exec "$AZUREML_CONDA_ENVIRONMENT_PATH/bin/azmlinfsrv" '
    '--entry_script "${AZUREML_ENTRY_SCRIPT:-main.py}" --port 5001'
)
"""What the inference images run (`/var/runit/gunicorn/run` in Azure/azureml-assets, mlflow-model-inference), on the
port of their nginx. It reads the variables at start, because Azure ML sets others if it mounts the code."""

_USER_COMMENT = [
    "# The runtime user, unless the base has it: with the ID 1000 or the next free one. Not every base has useradd.",
]
_ENVIRONMENT_COMMENT = [
    "# The environment of the server: one of conda that the base has, or a virtual environment on the base's Python.",
]
_SERVING_COMMENT = [
    "# As in Azure ML's inference images, but without nginx: the server itself listens on the port.",
]


def user_steps(plan: Plan) -> list[list[str]]:
    """Return the step that makes the runtime user if the base lacks it; none for a number, which needs no name."""
    if not plan.adds_server or plan.user.isdigit():
        return []
    user = plan.user
    lines = [
        f"RUN id {user} > /dev/null 2>&1 || {{ \\",
        '    id=1000; while grep -q ":$id:" /etc/passwd /etc/group; do id=$((id + 1)); done; \\',
        f'    echo "{user}:x:$id:$id::/home/{user}:/bin/sh" >> /etc/passwd; \\',
        f'    echo "{user}:x:$id:" >> /etc/group; \\',
        f'    mkdir -p /home/{user} && chown "$id:$id" /home/{user}; \\',
        "    }",
    ]
    return [[*_USER_COMMENT, *lines]]


def environment_steps(plan: Plan, folder: str, *, mounts: bool) -> list[list[str]]:
    """Return the steps that make the environment, and say where it is.

    Args:
        plan: the image.
        folder: where the build has the scripts.
        mounts: mount the scripts instead of copying them.
    """
    if not plan.adds_server:
        return []
    script = f"/bin/sh {folder}/server_environment.sh {ENVIRONMENT}"
    lines = (
        [f"RUN --mount=type=bind,source=python,target={folder} \\", f"    {script}"]
        if mounts
        else [f"COPY python/ {folder}/", f"RUN {script}"]
    )
    return [[*_ENVIRONMENT_COMMENT, *lines, f'ENV AZUREML_CONDA_ENVIRONMENT_PATH="{ENVIRONMENT}"']]


def serving_steps(plan: Plan, app_root: str) -> list[list[str]]:
    """Return the step that makes the image serve on port 5001 from *app_root*."""
    if not plan.adds_server:
        return []
    lines = [
        f'ENV AML_APP_ROOT="{app_root}" PATH="{ENVIRONMENT}/bin:$PATH"',
        f"WORKDIR {app_root}",
        "EXPOSE 5001",
        "ENTRYPOINT []",
        f"CMD {json_words(['/bin/sh', '-c', _SERVE])}",
    ]
    return [[*_SERVING_COMMENT, *lines]]
