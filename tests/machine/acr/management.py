"""Azure Resource Manager: subscriptions, registries, a workspace and ACR Tasks."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.machine.acr import resources
from tests.machine.acr.authorization import Authorization, ErrorAnswer
from tests.machine.acr.azure_state import TENANT, AzureState, Registry, Settings
from tests.machine.acr.messages import Answer, Request, json_answer
from tests.machine.acr.run_requests import RefusedError, checked
from tests.machine.acr.runs import Run, Runs
from tests.machine.acr.storage import Storage

__all__ = ["Management"]

_GROUP = r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
_REGISTRIES = r"/providers/Microsoft\.ContainerRegistry/registries"
_ONE = rf"{_GROUP}{_REGISTRIES}/(?P<registry>[^/]+)"
_WORKSPACE = rf"{_GROUP}/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)"
_TASKS = "Microsoft.ContainerRegistry/registries"
Names = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Management:
    """Azure Resource Manager.

    Args:
        authorization: what a request has to pass first.
        settings: how it is set up.
        azure_state: what there is.
        storage: where sources and logs are.
        runs: the queue.
    """

    authorization: Authorization
    settings: Settings
    azure_state: AzureState
    storage: Storage
    runs: Runs

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        try:
            if request.path == "/metadata/endpoints":
                return json_answer(
                    200, resources.metadata(self.authorization.url, self.authorization.directory)
                )
            self.authorization.authenticate(request)
            for method, pattern, types, handle in self._routes():
                match = re.fullmatch(pattern, request.path.rstrip("/"), re.IGNORECASE)
                if match and method == request.method:
                    self.authorization.check_version(request, types)
                    return handle(self, request, match.groupdict())
        except ErrorAnswer as error:
            return error.answer
        except RefusedError as error:
            return json_answer(400, {"error": {"code": error.code, "message": str(error)}})
        message = f"No HTTP resource was found that matches the request {request.method} '{request.path}'."
        return json_answer(404, {"error": {"code": "InvalidResourceType", "message": message}})

    def _routes(self) -> Sequence[tuple[str, str, str, Callable[[Management, Request, Names], Answer]]]:
        run = rf"{_ONE}/runs/(?P<run>[^/]+)"
        return (
            ("GET", "/subscriptions", "subscriptions", Management._subscriptions),
            ("GET", "/tenants", "subscriptions", Management._tenants),
            ("GET", r"/subscriptions/(?P<subscription>[^/]+)", "subscriptions", Management._subscription),
            ("GET", r"/subscriptions/(?P<subscription>[^/]+)/resources", "resources", Management._resources),
            ("GET", rf"/subscriptions/(?P<subscription>[^/]+){_REGISTRIES}", "registries", Management._list),
            ("GET", rf"{_GROUP}{_REGISTRIES}", "registries", Management._list),
            ("GET", _ONE, "registries", Management._registry),
            ("GET", _WORKSPACE, "workspaces", Management._workspace),
            ("POST", rf"{_ONE}/listBuildSourceUploadUrl", "tasks", Management._upload),
            ("POST", rf"{_ONE}/scheduleRun", "tasks", Management._schedule),
            ("GET", rf"{_ONE}/runs", "tasks", Management._list_runs),
            ("GET", run, "tasks", Management._run),
            ("POST", rf"{run}/listLogSasUrl", "tasks", Management._log),
            ("POST", rf"{run}/cancel", "tasks", Management._cancel),
        )

    def _pages(self, request: Request, items: Sequence[Mapping[str, Any]]) -> Answer:
        """Return a page of *items*, with the URL of the next one."""
        start = int(request.query.get("$skiptoken", ["0"])[0])
        end = start + self.settings.page_size
        value: dict[str, Any] = {"value": items[start:end]}
        if end < len(items):
            version = request.query["api-version"][0]
            value["nextLink"] = (
                f"{self.authorization.url}{request.path}?api-version={version}&%24skiptoken={end}"
            )
        return json_answer(200, value)

    def _subscriptions(self, request: Request, _names: Names) -> Answer:
        return self._pages(request, [resources.subscription(name) for name in self.azure_state.subscriptions])

    def _subscription(self, _request: Request, names: Names) -> Answer:
        return json_answer(200, resources.subscription(self._known_subscription(names)))

    def _tenants(self, _request: Request, _names: Names) -> Answer:
        return json_answer(200, {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT}]})

    def _resources(self, request: Request, names: Names) -> Answer:
        """List all resources of a type, optionally with a name, as `az` looks for a registry."""
        subscription = self._known_subscription(names)
        filters = dict(re.findall(r"(\w+) eq '([^']*)'", request.query.get("$filter", [""])[0]))
        items = [
            resources.registry(registry, self.settings, short=True)
            for registry in self.azure_state.registries
            if registry.subscription == subscription
            and filters.get("resourceType", _TASKS).lower() == _TASKS.lower()
            and filters.get("name", registry.name).lower() == registry.name.lower()
        ]
        return json_answer(200, {"value": items})

    def _list(self, request: Request, names: Names) -> Answer:
        subscription, group = self._known_subscription(names), names.get("group")
        self.authorization.check_permission(f"{_TASKS}/read", f"/subscriptions/{subscription}")
        items = [
            resources.registry(registry, self.settings)
            for registry in self.azure_state.registries
            if registry.subscription == subscription and group in {None, registry.resource_group}
        ]
        return self._pages(request, items)

    def _registry(self, request: Request, names: Names) -> Answer:
        registry, version = self._known_registry(names, "read"), request.query["api-version"][0]
        return json_answer(200, resources.registry(registry, self.settings, version=version))

    def _workspace(self, _request: Request, names: Names) -> Answer:
        main, name = self.azure_state.main, names["workspace"]
        scope = f"{main.group_id}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
        self._known_subscription(names)
        self.authorization.check_permission("Microsoft.MachineLearningServices/workspaces/read", scope)
        known = (main.subscription, main.resource_group.lower(), self.azure_state.workspace)
        if (names["subscription"], names["group"].lower(), name) != known:
            raise _not_found(f"Microsoft.MachineLearningServices/workspaces/{name}", names["group"])
        return json_answer(200, resources.workspace(scope, name, self.settings))

    def _upload(self, _request: Request, names: Names) -> Answer:
        self._known_registry(names, "listBuildSourceUploadUrl/action")
        self._check_tasks(names)
        path = self.storage.new_source()
        return json_answer(200, {"uploadUrl": self.storage.to_upload(path), "relativePath": path})

    def _schedule(self, request: Request, names: Names) -> Answer:
        registry = self._known_registry(names, "scheduleRun/action")
        self._check_tasks(names)
        try:
            body = json.loads(request.body() or b"null")
        except ValueError as error:
            raise RefusedError("InvalidRequestContent", f"The request content was invalid: {error}") from None
        return json_answer(200, self.runs.schedule(registry, checked(body)))

    def _list_runs(self, request: Request, names: Names) -> Answer:
        registry = self._known_registry(names, "runs/read")
        items = [run.resource() for run in reversed(self.runs) if run.registry == registry]
        return self._pages(request, items)

    def _run(self, _request: Request, names: Names) -> Answer:
        return json_answer(200, self._known_run(names, "runs/read").resource())

    def _log(self, _request: Request, names: Names) -> Answer:
        run = self._known_run(names, "runs/listLogSasUrl/action")
        return json_answer(200, {"logLink": self.storage.to_read(run.log.path)})

    def _cancel(self, _request: Request, names: Names) -> Answer:
        run = self._known_run(names, "runs/cancel/action")
        # Azure answers at once; the run ends some time after.
        threading.Thread(target=run.cancel, name=f"cancel {run.id}").start()
        return Answer(status=200, headers=[("Content-Length", "0")])

    def _known_subscription(self, names: Names) -> str:
        name = names["subscription"].lower()
        if name not in self.azure_state.subscriptions:
            words = f"The subscription '{names['subscription']}' could not be found."
            raise ErrorAnswer(404, "SubscriptionNotFound", words)
        return name

    def _known_registry(self, names: Names, action: str) -> Registry:
        subscription, group = self._known_subscription(names), names["group"].lower()
        groups = [each for each in self.azure_state.registries if each.subscription == subscription]
        if group not in {each.resource_group for each in groups}:
            words = f"Resource group '{names['group']}' could not be found."
            raise ErrorAnswer(404, "ResourceGroupNotFound", words)
        for registry in groups:
            if (registry.resource_group, registry.name) == (group, names["registry"].lower()):
                self.authorization.check_permission(f"{_TASKS}/{action}", registry.id)
                return registry
        raise _not_found(f"{_TASKS}/{names['registry']}", names["group"])

    def _known_run(self, names: Names, action: str) -> Run:
        registry = self._known_registry(names, action)
        run = self.runs.find(names["run"])
        if run is None or run.registry != registry:
            message = f"The resource with id '{registry.id}/runs/{names['run']}' could not be found."
            raise ErrorAnswer(404, "RunNotFound", f"{message} Correlation ID: {uuid.uuid4()}.")
        return run

    def _check_tasks(self, names: Names) -> None:
        if not self.settings.tasks_allowed:
            raise ErrorAnswer(
                403,
                "TasksOperationsNotAllowed",
                f"ACR Tasks requests for the registry {names['registry']} and {names['subscription']} are not "
                "permitted. Please file an Azure support request at https://aka.ms/azuresupport for assistance.",
            )


def _not_found(resource: str, group: str) -> ErrorAnswer:
    return ErrorAnswer(
        404,
        "ResourceNotFound",
        f"The Resource '{resource}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )
