"""What need not be built again."""
