"""What pip is asked to install."""
