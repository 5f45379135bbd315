"""samepoint: find the same point on an object in every image."""
