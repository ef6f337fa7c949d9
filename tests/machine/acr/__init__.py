"""A loopback of Azure Container Registry: Azure's endpoints on this machine, with a real registry and real builds."""
