"""YAML that Azure ML itself reads."""
