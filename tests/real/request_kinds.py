"""A script with @rawhttp, and requests of every kind to it, for a smoke test here and for one in the cloud."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FILES", "TABLE"]

_SCORE = """\
import json
import os

from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse


def init():
    global labels
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "labels.json")) as file:
        labels = json.load(file)


@rawhttp
def run(request: AMLRequest):
    if request.method == "GET":
        asked = {"label": request.args["label"], "team": request.headers["X-Team"], "user": os.environ["HOME"]}
        return AMLResponse({"labels": labels, **asked}, 200, json_str=True)
    files = [[each.filename, each.mimetype, each.read().hex()] for each in request.files.getlist("file[]")]
    if files:
        answer = {"files": files, "limit": request.form["limit"]}
        return AMLResponse(answer, 201, {"X-Count": str(len(files))}, json_str=True)
    if request.mimetype == "image/png":
        return AMLResponse(request.get_data(), 200, {"Content-Type": "image/png"})
    return AMLResponse("send a picture", 415)
"""

TABLE = """\
user = "server"
model = "weights"
model-name = "model"
run = [{ command = "useradd --create-home server && chown -R server /var/runit /var/log /var/lib/nginx /run" }]

[tool.azureml-image.smoke-test]
repeat = 2
[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/score?label=cat"
headers = { X-Team = "vision" }
expect = { labels = ["cat", "dog"], label = "cat", team = "vision", user = "/home/server" }

[[tool.azureml-image.smoke-test.requests]]
form = [
  { name = "file[]", file = "cat.png", content-type = "image/png" },
  { name = "file[]", file = "dog.bin" },
  { name = "limit", value = "0.5 é" },
]
status = 201
expect = { files = [["cat.png", "image/png", "89504e470d0a"], ["dog.bin", "application/octet-stream", "00ff"]], \
limit = "0.5 é" }
expect-headers = { X-Count = "2", Content-Type = "application/json" }

[[tool.azureml-image.smoke-test.requests]]
file = "cat.png"
content-type = "image/png"
expect-headers = { Content-Type = "image/png" }

[[tool.azureml-image.smoke-test.requests]]
body = 1
status = 415
expect = "send a picture"

[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/swagger.json?version=3"
expect = { openapi = "3.0.3" }

[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/"
expect = "Healthy"
"""
"""The rest of a table after its base: the user, the model in its own folder, and the requests."""
FILES: Mapping[str, str | bytes] = {
    "code/score.py": _SCORE,
    "weights/labels.json": '["cat", "dog"]',
    "cat.png": b"\x89PNG\r\n",
    "dog.bin": b"\x00\xff",
}
"""Path → what is in it."""
