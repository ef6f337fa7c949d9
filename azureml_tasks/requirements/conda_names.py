"""Conda packages that are the same project on PyPI, and what to do about those that are not Python packages.

Names differ: the conda package `graphviz` is a program, and `graphviz` on PyPI is another project, that of conda's
`python-graphviz`. A package with the right name may be somebody else's. So only the names below become requirements.

Sources, read on 2026-11-30:

- conda-forge's bot: https://github.com/regro/cf-graph-countyfair, mappings/pypi. It lists a package if the recipe
  takes its source from PyPI. Read in the copy of https://github.com/conda-incubator/conda-pypi at c524f71.
- prefix.dev: https://github.com/prefix-dev/parselmouth at 345e9bf, files/mapping_as_grayskull.json. It lists the name
  in the metadata that the conda package itself carries, which for pip is the name of the project.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FROM_PYPI = """
    absl-py accelerate adlfs aiofiles albumentations alembic alibi alibi-detect annotated-types anyio appdirs
    applicationinsights astropy asttokens async-timeout asyncpg attrs azure-ai-ml azure-common azure-core
    azure-cosmos azure-identity azure-keyvault-secrets azure-mgmt-core azure-servicebus azure-storage-blob
    azure-storage-file-datalake babel backoff bayesian-optimization bleach blinker bokeh boto3 botocore bottleneck
    cachetools captum cattrs chardet charset-normalizer click cloudpickle colorama coloredlogs contourpy coverage
    cycler cytoolz databricks-sdk databricks-sql-connector dataclasses-json datasets decorator deepdiff diffusers
    dill distributed docutils dowhy duckdb-engine econml efficientnet-pytorch einops elasticsearch emoji evaluate
    evidently faker fastai fastapi fastcore fastparquet featuretools filelock filterpy fiona flask flask-cors flax
    folium fonttools frozenlist fsspec ftfy fuzzywuzzy gcsfs gensim gevent gitpython gluonts google-auth
    google-cloud-storage gradio great-expectations greenlet grpcio-tools gunicorn hdbscan holidays html5lib
    httpcore httptools httpx humanize hyperopt idna ijson imageio imageio-ffmpeg imbalanced-learn imgaug inflection
    ipykernel ipython ipywidgets isodate itsdangerous jax jellyfish jinja2 jmespath jsonlines jsonpickle jsonschema
    jupyter jupyterlab keras-preprocessing keras-tuner kiwisolver kornia lazy-object-proxy librosa lightfm lightgbm
    lightning lime llvmlite loguru lxml lz4 mako markdown markupsafe marshmallow mlxtend more-itertools mpmath msal
    multiprocess murmurhash nbformat nest-asyncio networkx neuralprophet ngboost nltk notebook numba numexpr numpy
    numpydoc nvidia-ml-py oauthlib openpyxl opentelemetry-api opentelemetry-sdk optuna oracledb orjson osmnx
    packaging paramiko patsy pdfminer.six pdfplumber peft pip-tools platformdirs pmdarima portalocker preshed
    pretrainedmodels progressbar2 prophet psutil py4j pyasn1 pyathena pyclipper pycocotools pycparser pydantic
    pydantic-core pydantic-settings pydot pydub pygments pyjwt pymssql pymysql pynndescent pyodbc pyopenssl
    pyparsing pypdf2 pyproj pyreadr pyreadstat pyrsistent pystan pytest python-dateutil python-docx
    python-json-logger python-magic python-multipart python-pptx python-snappy pytorch-lightning pytz pywavelets
    qrcode rapidfuzz regex reportlab requests requests-oauthlib retrying rsa ruamel.yaml s3fs s3transfer sacrebleu
    sacremoses safetensors scikit-image scikit-optimize scikit-plot scikit-surprise segmentation-models-pytorch
    sentence-transformers sentry-sdk setuptools shap shapely simplejson six skl2onnx skorch sniffio
    sortedcontainers soupsieve spacy sqlalchemy sqlparse srsly statsmodels streamlit sympy tabulate tenacity
    tensorboard tensorboardx termcolor text-unidecode textblob thinc tifffile timm toml tomli torch-optimizer
    torchmetrics tornado tqdm traitlets transformers tsfresh twilio tzlocal ujson umap-learn unidecode urllib3
    uvloop vadersentiment wandb wasabi websocket-client websockets werkzeug wheel wordcloud wrapt xarray xlsxwriter
    xmltodict zarr zipp zstandard
"""
"""Packages with one name in both, whose recipe takes its source from PyPI: conda-forge's bot."""
_BY_THEIR_METADATA = """
    aiohttp altair azure-keyvault azure-monitor-opentelemetry beautifulsoup4 biopython black catboost certifi cffi
    cryptography cvxpy cython databricks-cli delta-spark deltalake fairlearn future geopandas geopy google-api-core
    googleapis-common-protos grpcio gymnasium h5py implicit importlib-metadata interpret joblib keras
    keras-applications langchain matplotlib mlflow mlflow-skinny monai multidict mysql-connector-python nbconvert
    netcdf4 nibabel onnx onnxconverter-common onnxmltools onnxruntime openai opencensus pandas pandas-profiling
    pandera pillow plotly polars pooch protobuf psycopg psycopg2-binary pyarrow pybind11 pydicom pymongo pynvml
    pypdf pyspark python-dotenv pyyaml rasterio rdkit rich scikit-learn scikit-learn-intelex scipy seaborn
    sentencepiece simpleitk sktime slack-sdk starlette structlog tensorflow tensorflow-datasets
    tensorflow-estimator tensorflow-hub tensorflow-probability threadpoolctl tiktoken tokenizers toolz torchaudio
    torchdata torchtext torchvision typer uvicorn watchdog xgboost xlrd yarl
"""
"""Well-known projects with one name in both, whose recipe takes its source from the project itself: prefix.dev."""
_OTHER_NAMES = {
    # prefix.dev
    "brotli-python": "brotli",
    "category_encoders": "category-encoders",
    "cx_oracle": "cx-oracle",
    "et_xmlfile": "et-xmlfile",
    "h2o-py": "h2o",
    "importlib_metadata": "importlib-metadata",
    "opt_einsum": "opt-einsum",
    "py-xgboost": "xgboost",
    "python-blosc": "blosc",
    "python-confluent-kafka": "confluent-kafka",
    "python-flatbuffers": "flatbuffers",
    "python-igraph": "igraph",
    "pytorch-cpu": "torch",
    "smart_open": "smart-open",
    "tensorflow-base": "tensorflow",
    # conda-forge's bot
    "backports.zoneinfo": "backports-zoneinfo",
    "docker-py": "docker",
    "huggingface_hub": "huggingface-hub",
    "importlib_resources": "importlib-resources",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "prometheus_client": "prometheus-client",
    "pysoundfile": "soundfile",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "redis-py": "redis",
    "seaborn-base": "seaborn",
    "typing_extensions": "typing-extensions",
    # https://docs.dask.org/en/stable/install.html: the conda package brings what "dask[complete]" does.
    "dask": "dask[complete]",
    "dask-core": "dask",
    # https://github.com/opencv/opencv-python: for servers, without the libraries of windows.
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    # https://github.com/conda-forge/xgboost-feedstock: variants of one package.
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    # https://github.com/tensorflow/serving/pull/2096: "Other than the name, the two packages have been identical
    # since TensorFlow 2.1".
    "tensorflow-gpu": "tensorflow",
    # https://github.com/conda-incubator/conda-pypi, docs/reference/conda-channels-naming-analysis.md
    "keras-base": "keras",
    "keras-gpu": "keras",
    "pytorch-gpu": "torch",
    "typing-extensions": "typing-extensions",
}
"""Conda name → name on PyPI."""
PYPI_NAMES = {name: name for name in (*_FROM_PYPI.split(), *_BY_THEIR_METADATA.split())} | _OTHER_NAMES
"""Conda name → name on PyPI, for the packages of `_COMMON_CHANNELS`."""
LONGER_VERSIONS = frozenset({"opencv", "py-opencv"})
"""Packages whose versions have one number more on PyPI, so that an exact one matches every such number:
https://github.com/opencv/opencv-python, "Releases"."""

_COMMON_CHANNELS = frozenset(
    {"conda-forge", "defaults", "anaconda", "main", "pkgs/main", "free", "pkgs/free"}
)
_CHANNELS = {
    "pytorch": frozenset({"pytorch", "torchvision", "torchaudio", "torchtext", "torchdata", "pytorch-cpu"}),
    "huggingface": frozenset({"accelerate", "datasets", "transformers", "tokenizers"}),
    "fastai": frozenset({"fastai", "fastcore"}),
    "plotly": frozenset({"plotly"}),
}
"""Channels of the projects themselves, with the packages of each."""
_KNOWN_CHANNELS = _COMMON_CHANNELS | set(_CHANNELS) | {"nodefaults", "nvidia"}
"""Channels that need no warning: what converts is the same on PyPI."""


class Advice(NamedTuple):
    """What to say of a conda package that is no Python package.

    Args:
        what: to follow the package's name.
        fix: the next step.
        apt: the Debian package that takes its place; "" for none.
        is_gpu: whether a base with CUDA takes its place.
    """

    what: str
    fix: str
    apt: str = ""
    is_gpu: bool = False


_APT = {
    "cmake": "cmake",
    "curl": "curl",
    "ffmpeg": "ffmpeg",
    "ghostscript": "ghostscript",
    "git": "git",
    "graphviz": "graphviz",
    "imagemagick": "imagemagick",
    "jq": "jq",
    "libgl": "libgl1",
    "libglib": "libglib2.0-0",
    "libgomp": "libgomp1",
    "libpq": "libpq5",
    "libsndfile": "libsndfile1",
    "make": "make",
    "mesalib": "libgl1",
    "nodejs": "nodejs",
    "openjdk": "openjdk-17-jre-headless",
    "openmpi": "openmpi-bin",
    "openssh": "openssh-client",
    "pandoc": "pandoc",
    "poppler": "poppler-utils",
    "postgresql": "postgresql-client",
    "rsync": "rsync",
    "sox": "sox",
    "tesseract": "tesseract-ocr",
    "unixodbc": "unixodbc",
    "unzip": "unzip",
    "wget": "wget",
    "zip": "zip",
}
"""Conda package → package of Debian and Ubuntu 22.04, https://packages.ubuntu.com/jammy/."""
GPU_BASE = "curated/minimal-py312-cuda12.4-inference"
_GPU = re.compile(
    r"cudatoolkit(-dev)?|cuda([-_].*)?|cudnn|cupti|cutensor|magma(-cuda.*)?|nccl|pytorch-cuda|pytorch-mutex|tensorrt"
    r"|libcu(blas|fft|rand|solver|sparse|dnn|tensor)(-.*)?"
)
_COMPILER = re.compile(
    r"(gcc|gxx|gfortran|clang|clangxx|binutils|sysroot|kernel-headers)(_.*)?|compilers|(c|cxx|fortran)-compiler"
    r"|autoconf|automake|libtool|m4|ninja|patchelf|pkg-config"
)
_LIBRARY = (
    "abseil|arrow|aec|archive|blas|brotli(common|dec|enc)|cblas|crc32c|curl|deflate|edit|ev|evdev|expat|ffi|gcc|gfortran"
    "|hwloc|iconv|jpeg|lapack|lapacke|llvm|lzma|ncurses|nghttp2|nsl|openblas|parquet|png|protobuf|quadmath|re2|sanitizer"
    "|sodium|sqlite|ssh2|stdcxx|thrift|tiff|torch|utf8proc|uuid|uv|webp|x11|xau|xcb|xcrypt|xdmcp|xgboost|xml2|zlib|zstd"
)
_SYSTEM = re.compile(
    rf"_.*|lib({_LIBRARY})([-_\d].*)?|(intel|llvm)-openmp|blas|bzip2|ca-certificates|expat|freetype|giflib|glib|gmp|icu"
    r"|jpeg|krb5|lcms2|ld_impl_.*|lerc|lz4-c|mkl|mkl-service|mkl_fft|mkl_random|mpfr|mpc|ncurses|nomkl|openblas|openjpeg"
    r"|openssl|pcre2?|python_abi|readline|snappy|sqlite|tbb|tk|tzdata|xz|yaml|zlib|zeromq|zstd"
)
_COLLECTION = re.compile(r"anaconda|anaconda-.*|conda|conda-.*|mamba|libmamba.*")


def pypi_name(channel: str, name: str) -> str:
    """Return the name on PyPI of a conda package; "" if it is not on the list.

    Args:
        channel: as written before "::"; "" for none.
        name: in lower case.
    """
    place = _without_platform(channel)
    is_listed = not place or place in _COMMON_CHANNELS or name in _CHANNELS.get(place, ())
    return PYPI_NAMES.get(name, "") if is_listed else ""


def is_known_channel(channel: str) -> bool:
    """Return whether an item of `channels`, a name or an address, is a channel that needs no warning."""
    parts = _without_platform(channel.rstrip("/")).split("/")
    return bool({parts[-1], "/".join(parts[-2:])} & _KNOWN_CHANNELS)


def advice(name: str) -> Advice | None:
    """Return what to say of the conda package *name* if it is known to be no Python package."""
    if apt := _APT.get(name):
        return Advice("is a package of the system, not of Python", f'Write: apt = ["{apt}"]', apt=apt)
    if name == "cpuonly":
        fix = "Leave it out, and name PyTorch's index of CPU wheels in a requirements file that lists torch."
        return Advice("chooses among conda's builds of PyTorch", fix)
    if _GPU.fullmatch(name):
        return Advice(
            "is a part of CUDA, which the base brings",
            f'Write: base = "{GPU_BASE}", or leave this line out',
            is_gpu=True,
        )
    if _COMPILER.fullmatch(name):
        what, apt = "is a compiler or a tool of one, not a Python package", "build-essential"
        return Advice(what, f'Leave it out. A package without a wheel needs: apt = ["{apt}"]', apt=apt)
    if _COLLECTION.fullmatch(name):
        fix = "Leave it out, and list the packages that the code imports."
        return Advice("is a collection or a tool of conda, not a package that code imports", fix)
    if is_library(name):
        what = "is a library of a conda environment, not a Python package"
        return Advice(what, "Leave it out: wheels bring their libraries, and apt has what is missing.")
    return None


def is_library(name: str) -> bool:
    """Return whether the conda package *name* is a library of its environment."""
    return _SYSTEM.fullmatch(name) is not None


def _without_platform(channel: str) -> str:
    """Return a channel without the platform that may follow its name: `conda-forge/linux-64`."""
    return re.sub(r"/(noarch|linux-[a-z0-9]+|osx-[a-z0-9]+|win-[a-z0-9]+)$", "", channel)
