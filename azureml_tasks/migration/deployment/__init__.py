"""Read deployments and environments of Azure ML."""
