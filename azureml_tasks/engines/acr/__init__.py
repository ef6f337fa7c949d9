"""Azure Container Registry as an engine: it builds, runs the smoke test and publishes. Loaded by `--engine acr` alone.

The protocol is that of Azure Resource Manager's API 2025-03-01-preview for registry tasks, and of the registry's own
API (distribution-spec 1.1; https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md for sign-in).
"""
