"""The table `smoke-test` of `[tool.azureml-image]`, declared as `settings` declares the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import request_validators, validators
from azureml_tasks.config.fields import (
    ANY,
    INTEGER,
    NUMBER,
    STRING,
    STRINGS,
    TABLE_OF_STRINGS,
    TABLES,
    UNSET,
    declare,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class FormPart:
    """One of `form` of a request: a field with a value, or an uploaded file."""

    name: str = declare(
        STRING,
        "name of the field; parts may share one",
        "",
        rule=request_validators.FIELD_NAME,
        required=True,
    )
    value: str | None = declare(
        STRING, "text of the field; set exactly one of `value` and `file`", may_be_empty=True
    )
    file: str | None = declare(STRING, "a file to upload under its own name", rule=validators.PATH)
    content_type: str | None = declare(
        STRING,
        "media type of the part",
        default='`"application/octet-stream"` for a file',
        rule=request_validators.MEDIA_TYPE,
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """One of `smoke-test.requests`."""

    method: str = declare(
        STRING,
        'HTTP method; `"POST"`, `"PUT"` and `"PATCH"` need one of `body`, `file` and `form`, `"GET"` and `"HEAD"` '
        "take none of them",
        "POST",
        rule=validators.one_of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    )
    body: Any = declare(ANY, "a TOML value, sent as JSON", UNSET)
    file: str | None = declare(STRING, "a file, sent as it is", rule=validators.PATH)
    form: tuple[FormPart, ...] = declare(
        TABLES, "the parts of a form, sent as `multipart/form-data`, see below", (), table=FormPart
    )
    content_type: str | None = declare(
        STRING,
        "media type of `body` or `file`",
        default='`"application/json"`',
        rule=request_validators.MEDIA_TYPE,
    )
    headers: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "further headers of the request, sent as they are written",
        {},
        rule=request_validators.HEADER_VALUE,
        names=request_validators.REQUEST_HEADER,
        may_be_empty=True,
    )
    path: str = declare(STRING, "URL path of the request", "/score", rule=validators.URL_PATH)
    status: int = declare(INTEGER, "the expected HTTP status", 200, rule=validators.between(100, 599))
    expect: Any = declare(
        ANY, "a TOML value that the JSON response must contain; a string is also compared with a text", UNSET
    )
    expect_file: str | None = declare(
        STRING, "a JSON file with the value that the response must contain", rule=validators.PATH
    )
    expect_headers: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "headers that the response must have",
        {},
        rule=request_validators.HEADER_VALUE,
        names=request_validators.HEADER,
        may_be_empty=True,
    )
    tolerance: float = declare(
        NUMBER, "largest absolute difference between numbers", 1e-6, rule=validators.between(0, 1e9)
    )
    request_timeout: float = declare(
        NUMBER,
        "seconds until the response; the default is Azure ML's",
        5.0,
        rule=validators.between(0.001, 180),
    )


@dataclass(frozen=True, kw_only=True)
class SmokeTest:
    """The table `smoke-test`."""

    request: str | None = declare(
        STRING, "a file to post to `/score`: short for a single entry of `requests`", rule=validators.PATH
    )
    requests: tuple[Request, ...] = declare(
        TABLES, "the requests to send and the responses to expect", (), table=Request
    )
    mini_batch: tuple[str, ...] = declare(
        STRINGS,
        "files that `run` gets in one call, as from a batch deployment; in place of requests, and no server is asked",
        (),
        rule=validators.PATH,
    )
    mini_batch_timeout: float = declare(
        NUMBER,
        "seconds until `run` returns for the mini-batch; the default is Azure ML's",
        30.0,
        rule=validators.between(0.1, 86400),
    )
    model: str | None = declare(
        STRING,
        "file or folder to mount read-only, as Azure ML mounts a registered model: in the folder "
        "`NAME/1`, which `AZUREML_MODEL_DIR` names; only for an image without `model`",
        rule=validators.PATH,
    )
    env: Mapping[str, str] = declare(
        TABLE_OF_STRINGS,
        "environment variables of the container",
        {},
        rule=validators.ONE_LINE,
        names=validators.VARIABLE,
        may_be_empty=True,
    )
    memory: str | None = declare(
        STRING, 'memory limit of the container, such as `"4g"`', rule=validators.MEMORY
    )
    gpus: str | None = declare(
        STRING,
        'GPUs of the container, as for `docker run --gpus`: `"all"`, a number, or `"device=0,1"`',
        rule=validators.GPUS,
    )
    port: int = declare(
        INTEGER,
        "port of the server in the container, also in the environment's YAML",
        5001,
        rule=validators.between(1, 65535),
    )
    health: str = declare(
        STRING,
        "URL path that answers 200 once the server is ready, also in the environment's YAML",
        "/",
        rule=validators.HEALTH_PATH,
    )
    start_timeout: float = declare(
        NUMBER,
        "seconds until `GET` of `health` returns 200; the default is Azure ML's",
        310.0,
        rule=validators.between(0.1, 3600),
    )
    repeat: int = declare(
        INTEGER,
        "how often to send each request, to measure its latency",
        10,
        rule=validators.between(1, 1000),
    )
