"""The rules of Azure for the names of its resources."""

from __future__ import annotations

from azureml_tasks.config.validators import matching

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
SUBSCRIPTION = matching(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "is not a subscription ID",
    "az account show --query id --output tsv",
)
RESOURCE_GROUP = matching(
    r"[\w().-]{0,89}[\w()-]",
    "is not a resource group name",
    'Use letters, digits, "_", "-", "." and parentheses.',
)
WORKSPACE = matching(
    r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}",
    "is not an Azure ML workspace name",
    'Use 3 to 33 letters, digits, "_" and "-".',
)
AGENT_POOL = matching(
    r"[A-Za-z0-9-]{3,20}", "is not an agent pool name", 'Use 3 to 20 letters, digits and "-".'
)

# The service: "Resource name can only contain alphanumeric characters, dashes, and underscores, with a limit of 255
# characters." Reserved names: https://learn.microsoft.com/python/api/azureml-core/azureml.core.environment(class)
ENVIRONMENT = matching(
    r"(?!(?i:azureml|microsoft))[A-Za-z0-9][A-Za-z0-9_-]{0,254}",
    "is not an Azure ML environment name",
    'Use at most 255 letters, digits, "_" and "-". The name cannot start with "AzureML" or "Microsoft".',
)
# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
# and EndpointConfigurations of azure-ai-ml, which apply to deployments as well.
ENDPOINT = matching(
    r"(?=.{3,32}$)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]",
    "is not an Azure ML endpoint name",
    'Use 3 to 32 letters, digits and "-". Start with a letter and do not end with "-".',
)
INSTANCE_TYPE = matching(
    r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9-]+)+",
    "is not a virtual machine size",
    "https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list",
)
