"""What Azure takes as a name of each kind of resource."""

from __future__ import annotations

from azureml_tasks.rules import matching

__all__ = ["AGENT_POOL", "RESOURCE_GROUP", "SUBSCRIPTION", "WORKSPACE"]

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
SUBSCRIPTION = matching(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "is no id of a subscription",
    "az account show --query id --output tsv",
)
RESOURCE_GROUP = matching(
    r"[\w().-]{0,89}[\w()-]",
    "is no name of a resource group",
    "Letters, digits, '_', '-', '.' and parentheses.",
)
WORKSPACE = matching(
    r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}", "is no name of an Azure ML workspace", "Letters, digits, '_' and '-'."
)
AGENT_POOL = matching(r"[A-Za-z0-9-]{3,20}", "is no name of an agent pool", "Letters, digits and '-'.")
