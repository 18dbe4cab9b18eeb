"""3D: surface, points, chart and plan."""
