"""The photo in 3D, as files for other programs."""
