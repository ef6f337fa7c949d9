"""Search a folder for what tells what its image is made of."""
