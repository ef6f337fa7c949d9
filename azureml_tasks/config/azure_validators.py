"""What Azure takes as a name of each kind of resource."""

from __future__ import annotations

from azureml_tasks.config.validators import matching

__all__ = [
    "AGENT_POOL",
    "ENDPOINT",
    "ENVIRONMENT",
    "INSTANCE_TYPE",
    "RESOURCE_GROUP",
    "SUBSCRIPTION",
    "WORKSPACE",
]

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

# The service: "Resource name can only contain alphanumeric characters, dashes, and underscores, with a limit of 255
# characters."; for what is reserved: https://learn.microsoft.com/python/api/azureml-core/azureml.core.environment(class)
ENVIRONMENT = matching(
    r"(?!(?i:azureml|microsoft))[A-Za-z0-9][A-Za-z0-9_-]{0,254}",
    "is no name of an Azure ML environment",
    "Letters, digits, '_' and '-', at most 255, and neither AzureML nor Microsoft in front.",
)
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
# and azure-ai-ml's EndpointConfigurations, which hold for deployments as well.
ENDPOINT = matching(
    r"(?=.{3,32}$)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]",
    "is no name of an Azure ML endpoint",
    "3 to 32 letters, digits and '-'; a letter in front, no '-' at the end.",
)
INSTANCE_TYPE = matching(
    r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9-]+)+",
    "is no size of a virtual machine",
    "https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list",
)
