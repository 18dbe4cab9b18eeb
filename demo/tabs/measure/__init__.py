"""Measure: lengths, heights, angles and areas."""
