"""What runs inside a container, under whatever Python the image has."""
