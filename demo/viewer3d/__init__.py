"""The 3D component: Python, HTML, JavaScript."""
