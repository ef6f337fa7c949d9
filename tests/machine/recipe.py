"""The stand-in base images as text: what is in them, and from which facts about the real ones.

Both families of Azure ML's inference images are imitated where a consumer can tell the difference: the
environment's path and owner, the user, the variables, runit with nginx in front of the real server. They
are Debian, not Ubuntu; the environment is a venv, not conda's; there is no dynamic installation.

The server's exporter of telemetry, which is used only with a key of Application Insights, is an empty module: to
import the real one is a third of what each start of a server costs.
"""

from __future__ import annotations

import hashlib

__all__ = ["APT_ROOT", "FAMILIES", "FILES", "SERVER", "dockerfile", "root_tag"]

FAMILIES = ("amlenv", "curated", "tiny")
SERVER = "azureml-inference-server-http==1.5.1"

APT_ROOT = (
    "--quiet",
    "--variant=apt",
    # The perl that the package `usrmerge` needs would be a quarter of the image.
    "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
    "--dpkgopt=force-unsafe-io",  # a machine that goes down meanwhile begins again
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--include=ca-certificates,curl,nginx-light,procps,psmisc,python3,python3-venv,runit",
    "bookworm",
)

_NGINX_CONF = """\
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr;
events { worker_connections 1024; }
http {
    access_log off;
    server {
        listen 5001;
        client_max_body_size 100m;
        proxy_connect_timeout 1000s;
        proxy_read_timeout 1000s;
        location / { proxy_pass http://127.0.0.1:31311; }
    }
}
"""

_NGINX_RUN = """\
#!/bin/bash
exec nginx -c /etc/nginx/nginx.conf -g 'daemon off;' 2>&1
"""

_NGINX_FINISH = """\
#!/bin/bash
echo "nginx/finish $1 $2"
killall runsvdir
"""

_GUNICORN_RUN = """\
#!/bin/bash
exec 2>&1
echo "PATH environment variable: $PATH"
echo "PYTHONPATH environment variable: $PYTHONPATH"
if ! command -v azmlinfsrv > /dev/null; then
    echo "A required package azureml-inference-server-http is missing."
    exit 100
fi
cd "${AML_APP_ROOT:-/var/azureml-app}"
exec azmlinfsrv --entry_script "${AZUREML_ENTRY_SCRIPT:-main.py}" --port 31311
"""

# runsvdir ends with 111 on this signal, and with it the container.
_GUNICORN_FINISH = """\
#!/bin/bash
echo "gunicorn/finish $1 $2"
killall -SIGHUP runsvdir
"""

FILES = {
    "etc/nginx/nginx.conf": _NGINX_CONF,
    "var/runit/nginx/run": _NGINX_RUN,
    "var/runit/nginx/finish": _NGINX_FINISH,
    "var/runit/gunicorn/run": _GUNICORN_RUN,
    "var/runit/gunicorn/finish": _GUNICORN_FINISH,
}

_DOCKERFILE = """\
FROM {root} AS common
RUN useradd --uid 1000 --user-group --create-home --shell /bin/bash dockeruser
COPY files /
RUN mkdir -p /var/azureml-app /opt/miniconda && rm -rf /etc/nginx/sites-enabled \\
    && chown -R dockeruser:dockeruser /var/runit /var/log /var/lib/nginx /run /opt/miniconda /var/azureml-app
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 LC_ALL=C.UTF-8
ENV SVDIR=/var/runit WORKER_TIMEOUT=300 AZUREML_INFERENCE_SERVER_HTTP_ENABLED=True
WORKDIR /
EXPOSE 5001
CMD ["runsvdir", "/var/runit"]

FROM common AS installed
RUN python3 -m venv /opt/miniconda/envs/amlenv \\
    && /opt/miniconda/envs/amlenv/bin/pip install --quiet --no-cache-dir {server} \\
    && cd /opt/miniconda/envs/amlenv/lib/python3.11/site-packages/azure/monitor/opentelemetry/exporter \\
    && echo 'AzureMonitorLogExporter = AzureMonitorTraceExporter = None' > __init__.py \\
    && /opt/miniconda/envs/amlenv/bin/python -m compileall -q __init__.py \\
    && chown -R dockeruser:dockeruser /opt/miniconda

FROM installed AS amlenv
ENV AZUREML_CONDA_ENVIRONMENT_PATH=/opt/miniconda/envs/amlenv
ENV PATH=/opt/miniconda/envs/amlenv/bin:/opt/miniconda/bin:$PATH
USER dockeruser

FROM installed AS curated
RUN mkdir /azureml-envs && mv /opt/miniconda/envs/amlenv /azureml-envs/minimal \\
    && chown -R root:root /azureml-envs && grep -rlI /opt/miniconda/envs/amlenv /azureml-envs/minimal/bin \\
    /azureml-envs/minimal/pyvenv.cfg | xargs sed -i s:/opt/miniconda/envs/amlenv:/azureml-envs/minimal:
ENV AZUREML_CONDA_ENVIRONMENT_PATH=/azureml-envs/minimal
ENV AZUREML_CONDA_DEFAULT_ENVIRONMENT=/azureml-envs/minimal
ENV PATH=/azureml-envs/minimal/bin:/opt/miniconda/bin:$PATH
USER dockeruser

FROM common AS parts
RUN mkdir -p /tiny/bin /tiny/etc /tiny/tmp /tiny/home/dockeruser && cp /etc/passwd /etc/group /tiny/etc/ \\
    && chown dockeruser:dockeruser /tiny/home/dockeruser && chmod 1777 /tiny/tmp \\
    && cd /bin && cp -L sh cat chmod chown env id ln ls mkdir sleep stat /tiny/bin/ \\
    && ldd /tiny/bin/* | grep -o '/lib[^ ]*' | sort -u | xargs cp -L --parents -t /tiny

FROM scratch AS tiny
COPY --from=parts /tiny /
ENV PATH=/bin AZUREML_CONDA_ENVIRONMENT_PATH=/opt/miniconda/envs/amlenv
WORKDIR /
EXPOSE 5001
CMD ["sleep", "600"]
USER dockeruser
"""


def root_tag() -> str:
    """The name of the common root, which changes with its recipe."""
    return f"azureml-stand-in/root:{hashlib.sha256(' '.join(APT_ROOT).encode()).hexdigest()[:12]}"


def dockerfile() -> str:
    """One Dockerfile whose targets are the families; each line is one that the legacy builder knows."""
    return _DOCKERFILE.format(root=root_tag(), server=SERVER)
