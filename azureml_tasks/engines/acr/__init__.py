"""The engine `acr`: Azure Container Registry builds, smoke-tests and publishes the image.

Imported only for `--engine acr`. Runs use API version 2025-03-01-preview of ACR Tasks in Azure Resource Manager;
images use the registry's own API (distribution-spec 1.1, and
https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md for sign-in).
"""
