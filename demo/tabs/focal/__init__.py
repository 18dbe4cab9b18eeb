"""Field of view: focal lengths, calibration."""
