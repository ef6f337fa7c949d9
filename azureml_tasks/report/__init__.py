"""The page of `image.report`: from what is known of an image to one HTML file."""
