"""The hand-off: Azure Container Registry builds, proves and publishes; loaded by `--engine acr` alone.

The wire protocol is that of Azure Resource Manager's API 2025-03-01-preview for registries' tasks and of
the registry's own API (distribution-spec 1.1, and https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
for signing in to it).
"""
