"""Sharpness: contours, and errors where truth is known."""
