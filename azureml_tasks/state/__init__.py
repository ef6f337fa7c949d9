"""The records that one command leaves for the next."""
