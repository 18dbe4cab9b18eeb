"""The picture component: Python, HTML and JavaScript."""
