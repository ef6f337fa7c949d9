# Choose or make the Python environment in which the inference server will run. The argument is the folder where the
# image looks for it: a link to an environment of conda, or a virtual environment on the base's Python.
#
# This runs as root during the build, in any base that has /bin/sh. A virtual environment sees the packages that the
# base has, such as its PyTorch. Debian's Python has neither pip nor ensurepip, so pip then comes from Debian itself:
# every base of Debian or Ubuntu knows where its own packages are, whatever index pip uses.

set -eu

target=$1

refuse() {
    printf '%s\n    %s\nThe image was not built.\n' "$1" "$2"
    exit 1
}

has_pip() {
    "$target/bin/python" -m pip --version > /dev/null 2>&1
}

azureml=${AZUREML_CONDA_ENVIRONMENT_PATH:-}
if [ -n "$azureml" ] && [ -e "$azureml/bin/azmlinfsrv" ]; then
    refuse "The base has an inference server, in $azureml." 'Remove from pyproject.toml: server = "azmlinfsrv"'
fi

conda=
for folder in "$azureml" "${CONDA_PREFIX:-}" /opt/miniconda; do
    if [ -n "$folder" ] && [ -x "$folder/bin/python" ]; then
        conda=$folder
        break
    fi
done
if [ -n "$conda" ]; then
    python=$conda/bin/python
else
    python=$(command -v python3 || command -v python || true)
fi

if [ -z "$python" ]; then
    refuse "The base has no Python." 'Choose a base that has one. On Debian and Ubuntu this adds one: apt = ["python3"]'
fi
if ! "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    version=$("$python" --version 2>&1)
    refuse "The inference server needs Python 3.9 or later, and $python is $version." 'Choose another base.'
fi
if ! "$python" -I -c 'import platform, sys; sys.exit(platform.libc_ver()[0] != "glibc")'; then
    refuse "The inference server needs glibc, and $python has another C library, such as musl." \
        'Choose a base of Debian, Ubuntu or another system with glibc, not of Alpine.'
fi

if [ -n "$conda" ]; then
    echo "The inference server goes into the environment $conda of the base."
    ln -s "$conda" "$target"
else
    echo "The inference server goes into $target, a virtual environment on $python."
    if ! "$python" -I -m venv --without-pip --system-site-packages "$target"; then
        refuse "$python cannot make a virtual environment." 'Choose a base whose Python has the module venv.'
    fi
fi

if ! has_pip && ! "$target/bin/python" -m ensurepip > /dev/null 2>&1 && command -v apt-get > /dev/null; then
    echo "The base's Python has no pip, so apt installs python3-pip."
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-pip
    apt-get clean
    rm -rf /var/lib/apt/lists/*
fi
if ! has_pip; then
    refuse "$python has no pip, and this base has no way to add it." 'Choose a base whose Python has pip.'
fi
